"""Noise of a Kalman smoother by maximum likelihood, for all channels at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.filters.kalman_kernels import smooth

Array = NDArray[Any]

PRIOR_POSITION_SD_PX = 100.0
"""Uncertainty of the position around the first point; that point alone says where the node is."""
PRIOR_VELOCITY_SD_PX_PER_S = 2000.0
"""Uncertainty of the velocity at the first point, around standing still."""
PRIOR = np.array([PRIOR_POSITION_SD_PX**2, PRIOR_VELOCITY_SD_PX_PER_S**2])

_LIMITS = np.log([[1e-2, 1e10], [1e-4, 1e6]])
"""Of process noise (px²/s³) and measurement variance (px²)."""

_MAXIMAL_STEPS = 10
_TOLERANCE = 0.05
"""Largest last change of a logarithm: what depends on it changes by its square."""
_LARGEST_STEP = 2.0
_DIFFERENCE = 0.05
_NOTHING = np.empty((0, 0), np.float32)


@dataclass(frozen=True)
class Noise:
    """Noise of each channel (x and y of each node side by side), shape (channel,).

    Parameters
    ----------
    q : array
        Density of the process noise (px²/s³).
    r : array
        Variance of a point of weight 1 (px²).
    """

    q: Array
    r: Array


def first_noise(position: Array, used: Array, dt: Array) -> Noise:
    """Noise from robust moments: second differences over one frame hold the points' noise, over eight the movement.

    With white-noise acceleration their variance over k frames is 6 r + (2/3) q (k dt)³.

    Parameters
    ----------
    position : array, shape (frame, channel)
        Points in px.
    used : array, shape (frame, node), bool
        Points to look at.
    dt : array, shape (frame,)
        Seconds since the frame before.
    """
    values = np.where(np.repeat(used, 2, axis=1), position, np.nan).astype(np.float64)
    interval = float(np.median(dt[1:])) if dt.size > 1 else 1.0
    short, long = (_second_difference_variance(values, k) for k in (1, 8))
    q = np.maximum(long - short, 0.01 * short) / ((2 / 3) * (8 * interval) ** 3)
    r = np.maximum(short - (2 / 3) * q * interval**3, 0.2 * short) / 6
    return Noise(np.clip(q, *np.exp(_LIMITS[0])), np.clip(r, *np.exp(_LIMITS[1])))


def noise_of_bandwidth(bandwidth_hz: float, r: Array, interval_s: float) -> Array:
    """Process noise (px²/s³) with which the smoother halves the amplitude of a movement of this frequency.

    The smoother's gain at the angular frequency w is 1 / (1 + w⁴ r dt / q), as the Wiener filter has it.
    """
    return np.asarray(r * interval_s * (2 * np.pi * bandwidth_hz) ** 4)


def _second_difference_variance(values: Array, k: int) -> Array:
    """Robust variance of each channel's second difference over k frames; 1 where there is none."""
    if len(values) <= 2 * k:
        return np.ones(values.shape[1])
    difference = np.abs(values[2 * k :] - 2 * values[k:-k] + values[: -2 * k])
    empty = np.isnan(difference).all(axis=0)
    difference[:, empty] = 1.0
    # Not the median, which sees a node that moves in bouts only at rest.
    return np.maximum((np.nanquantile(difference, 0.8, axis=0) / 1.2816) ** 2, 1e-6)


def fit_noise(position: Array, weight: Array, dt: Array, start: Noise, *, free: tuple[bool, bool]) -> Noise:
    """The noise with the greatest likelihood.

    Newton's method for each channel by itself, with the kernel's exact gradient and differences of it; where the
    likelihood is not concave, MacKay's (1992, doi:10.1162/neco.1992.4.3.415) step.

    Parameters
    ----------
    position, weight, dt
        As `compute.filters.kalman_kernels.smooth` takes them.
    start : Noise
        Where to begin; what is not free stays.
    free : (bool, bool)
        Whether q and r are looked for.
    """
    values = np.log([start.q, start.r])
    wanted = np.array(free)[:, None] & (np.repeat(weight, 2, axis=1) != 0).any(axis=0)
    for _ in range(_MAXIMAL_STEPS):
        if not wanted.any():
            break
        step = np.where(wanted, _step(position, weight, dt, values, wanted), 0)
        values = np.where(wanted, np.clip(values + step, _LIMITS[:, :1], _LIMITS[:, 1:]), values)
        if np.abs(step).max() < _TOLERANCE:
            break
    return Noise(*np.exp(values))


def _step(position: Array, weight: Array, dt: Array, values: Array, wanted: Array) -> Array:
    """Change of log(q) and log(r), shape (2, channel)."""

    def gradient(at: Array) -> tuple[Array, Array]:
        q, r = np.exp(at)
        sums = smooth(position, weight, dt, q, r, PRIOR, _NOTHING, _NOTHING)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.log(np.stack([sums[1] / sums[2], sums[3] / sums[4]]))
        return np.stack([q * (sums[1] - sums[2]), sums[3] - sums[4]]) / 2, np.nan_to_num(ratios, posinf=0, neginf=0)

    slope, mackay = gradient(values)
    slope = np.where(wanted, slope, 0)
    curvature = np.empty((2, 2, values.shape[1]))
    for index in range(2):
        moved = values.copy()
        moved[index] += _DIFFERENCE
        curvature[index] = (np.where(wanted, gradient(moved)[0], 0) - slope) / _DIFFERENCE
    cross = (curvature[0, 1] + curvature[1, 0]) / 2
    a = np.where(wanted[0], curvature[0, 0], -1.0)
    b = np.where(wanted[1], curvature[1, 1], -1.0)
    determinant = a * b - cross**2
    with np.errstate(divide="ignore", invalid="ignore"):
        newton = np.stack([cross * slope[1] - b * slope[0], cross * slope[0] - a * slope[1]]) / determinant
    concave = (a < 0) & (determinant > 0)
    return np.asarray(np.clip(np.where(concave, newton, mackay), -_LARGEST_STEP, _LARGEST_STEP))
