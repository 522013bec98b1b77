"""Marching rays against smooth unions of ellipsoids, by their signed distance.

Solids are rows of 17 numbers: center (3) and radii (3) in mm, the rotation into the ellipsoid's own axes (9), the width
in mm over which it blends with those before it, and a sign, negative for what is carved out of those before it.
Sphere tracing is Hart 1996 (doi:10.1007/s003710050084), the ellipsoid's distance Quilez's first-order approximation
(https://iquilezles.org/articles/ellipsoids), the smooth union his https://iquilezles.org/articles/smin.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray


@numba.njit(cache=True, error_model="numpy")
def raymarching_distance_mm(x: float, y: float, z: float, solids: NDArray[np.float64]) -> float:
    """Signed distance from a point to solids, in mm; negative inside."""
    total = 1e9
    for index in range(solids.shape[0]):
        row = solids[index]
        dx, dy, dz = x - row[0], y - row[1], z - row[2]
        u = row[6] * dx + row[7] * dy + row[8] * dz
        v = row[9] * dx + row[10] * dy + row[11] * dz
        w = row[12] * dx + row[13] * dy + row[14] * dz
        u, v, w = u / row[3], v / row[4], w / row[5]
        k0 = math.sqrt(u * u + v * v + w * w)
        u, v, w = u / row[3], v / row[4], w / row[5]
        k1 = math.sqrt(u * u + v * v + w * w)
        one = k0 * (k0 - 1.0) / k1 if k1 > 1e-9 else -min(row[3], row[4], row[5])
        if row[16] < 0:
            gap = max(row[15] - abs(total + one), 0.0) / row[15]
            total = max(total, -one) + gap * gap * row[15] * 0.25
        else:
            gap = max(row[15] - abs(total - one), 0.0) / row[15]
            total = min(total, one) - gap * gap * row[15] * 0.25
    return total


@numba.njit(cache=True, error_model="numpy")
def _span(
    origin: NDArray[np.float64], direction: NDArray[np.float64], solids: NDArray[np.float64], far_mm: float
) -> tuple[float, float]:
    """From where to where a ray may meet solids, by the ellipsoids grown by what the union adds; or an empty span."""
    first, last = far_mm, 0.0
    for index in range(solids.shape[0]):
        row = solids[index]
        if row[16] < 0:
            continue
        dx, dy, dz = origin[0] - row[0], origin[1] - row[1], origin[2] - row[2]
        a, b, c = 0.0, 0.0, -1.0
        for axis in range(3):
            x, y, z = row[6 + 3 * axis], row[7 + 3 * axis], row[8 + 3 * axis]
            radius = row[3 + axis] + 0.5 * row[15]
            place = (x * dx + y * dy + z * dz) / radius
            slope = (x * direction[0] + y * direction[1] + z * direction[2]) / radius
            a, b, c = a + slope * slope, b + slope * place, c + place * place
        if b * b > a * c:
            half = math.sqrt(b * b - a * c)
            first, last = min(first, (-b - half) / a), max(last, (-b + half) / a)
    return max(first, 0.0), last


@numba.njit(cache=True, error_model="numpy")
def trace_rays(
    origins: NDArray[np.float64], direction: NDArray[np.float64], solids: NDArray[np.float64], far_mm: float
) -> NDArray[np.float64]:
    """How far parallel rays go until they meet the solids, shape (ray,), in mm; NaN for those that miss."""
    depths = np.full(origins.shape[0], np.nan)
    for ray in range(origins.shape[0]):
        depth, last = _span(origins[ray], direction, solids, far_mm)
        for _ in range(160):
            if depth > last:
                break
            step = raymarching_distance_mm(
                origins[ray, 0] + depth * direction[0],
                origins[ray, 1] + depth * direction[1],
                origins[ray, 2] + depth * direction[2],
                solids,
            )
            if step < 0.003:
                depths[ray] = depth
                break
            depth += 0.85 * step
    return depths


@numba.njit(cache=True, error_model="numpy")
def raymarching_normals(points: NDArray[np.float64], solids: NDArray[np.float64]) -> NDArray[np.float64]:
    """Outward unit normals of points on solids, shape (point, 3)."""
    normals = np.empty_like(points)
    for index in range(points.shape[0]):
        x, y, z = points[index]
        nx = raymarching_distance_mm(x + 0.02, y, z, solids) - raymarching_distance_mm(x - 0.02, y, z, solids)
        ny = raymarching_distance_mm(x, y + 0.02, z, solids) - raymarching_distance_mm(x, y - 0.02, z, solids)
        nz = raymarching_distance_mm(x, y, z + 0.02, solids) - raymarching_distance_mm(x, y, z - 0.02, solids)
        length = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-12
        normals[index] = nx / length, ny / length, nz / length
    return normals


@numba.njit(cache=True, error_model="numpy")
def raymarching_openness(
    points: NDArray[np.float64], normals: NDArray[np.float64], solids: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How little solids close off the space above points (ambient light), shape (point,), 0 to 1."""
    result = np.empty(points.shape[0])
    for index in range(points.shape[0]):
        closed = 0.0
        for height in (0.25, 0.6, 1.3, 2.6):
            place = points[index] + height * normals[index]
            above = raymarching_distance_mm(place[0], place[1], place[2], solids)
            closed += min(max(height - above, 0.0) / height, 1.3) * 0.34
        result[index] = max(1.0 - closed, 0.0)
    return result
