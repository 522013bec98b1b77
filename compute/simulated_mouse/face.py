"""Pictures of a simulated mouse's face at rest: ray-marched solids with coat, skin, light and hairs (`Face`)."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from compute.simulated_mouse import anatomy
from compute.simulated_mouse.anatomy import CameraView, SimulatedMouse
from compute.simulated_mouse.raymarching import raymarching_normals, raymarching_openness, trace_rays

Array = NDArray[np.float64]
Image = NDArray[np.float32]

SUPERSAMPLING = 2
PIXELS_PER_HAIR = 8
FUR_FLOW = np.array([-1.0, 0.0, -0.25])
"""Which way the fur lies: backwards and a little down."""
KEY_SPACING_MM = 0.12
"""Opening between two rendered pictures of the jaw: about 1 px."""
TONGUE_OUT_MM = (0.35, 1.7)
"""While licking the tongue comes out between these openings."""
FAR_MM = 40.0
MARK_RADIUS_MM = 0.12


class FaceCanvas:
    """A picture being composed from solids, nearest first, at `SUPERSAMPLING` times the view's resolution.

    Parameters
    ----------
    view : View
        The camera.
    """

    def __init__(self, view: CameraView) -> None:
        self.view = view
        width, height = view.width * SUPERSAMPLING, view.height * SUPERSAMPLING
        x = (np.arange(width) + 0.5) / SUPERSAMPLING - 0.5 - view.origin_px[0]
        y = (np.arange(height) + 0.5) / SUPERSAMPLING - 0.5 - view.origin_px[1]
        axes = view.axes
        self.origins = (
            x[None, :, None] / view.scale_px_per_mm * axes[0]
            + y[:, None, None] / view.scale_px_per_mm * axes[1]
            - FAR_MM * axes[2]
        )
        self.direction = axes[2]
        self.depth = np.full((height, width), np.inf)
        self.gray = np.zeros((height, width), np.uint8)
        self.alpha = np.zeros((height, width), np.uint8)

    def copy(self) -> FaceCanvas:
        """A canvas to draw on further, that shares only what never changes."""
        other = copy(self)
        other.depth, other.gray, other.alpha = self.depth.copy(), self.gray.copy(), self.alpha.copy()
        return other

    def to_pixel(self, points: Array) -> Array:
        """Where points in mm lie on the canvas, shape (point, 2)."""
        return (self.view.project(points) + 0.5) * SUPERSAMPLING - 0.5

    def add(self, solids: Array, shade: Callable[[Array, Array], Array]) -> NDArray[np.bool_]:
        """Trace solids and draw them where they are nearest; `shade` gives gray levels from points and normals.

        Returns
        -------
        array, shape (height, width), bool
            Where they were drawn.
        """
        rows, columns = self._bounds(solids)
        origins = self.origins[rows, columns]
        depth = trace_rays(origins.reshape(-1, 3), self.direction, solids, 2 * FAR_MM).reshape(origins.shape[:2])
        nearer = depth < self.depth[rows, columns]
        points = origins[nearer] + np.outer(depth[nearer], self.direction)
        self.depth[rows, columns][nearer] = depth[nearer]
        self.gray[rows, columns][nearer] = np.clip(shade(points, raymarching_normals(points, solids)), 0, 255)
        self.alpha[rows, columns][nearer] = 255
        drawn = np.zeros(self.depth.shape, bool)
        drawn[rows, columns] = nearer
        return drawn

    def _bounds(self, solids: Array) -> tuple[slice, slice]:
        """Rows and columns of the canvas that solids can reach."""
        solids = solids[solids[:, 16] > 0]
        middle = self.to_pixel(solids[:, :3])
        reach = (solids[:, 3:6].max(1) + solids[:, 15])[:, None] * self.view.scale_px_per_mm * SUPERSAMPLING
        low = np.floor((middle - reach).min(0)).astype(int)
        high = np.ceil((middle + reach).max(0)).astype(int)
        return slice(max(low[1], 0), max(high[1], 0)), slice(max(low[0], 0), max(high[0], 0))

    def draw_hairs(self, roots: Array, tips: Array, gain: Array, within: NDArray[np.bool_]) -> None:
        """Draw hairs from roots to tips (mm), as bright as the picture at the root times `gain`.

        Hairs whose root is not in the part of the canvas `within` are hidden and left out.
        """
        start, end = self.to_pixel(roots), self.to_pixel(tips)
        cell = np.rint(start).astype(int)
        height, width = self.depth.shape
        inside: NDArray[np.bool_] = np.all((cell >= 0) & (cell < [width, height]), axis=1)
        column, row = np.where(inside[:, None], cell, 0).T
        depth = (roots - self.origins[0, 0]) @ self.direction
        shown = inside & within[row, column] & (np.abs(depth - self.depth[row, column]) < 0.5)
        level = np.clip(self.gray[row, column] * gain, 0, 255)
        fixed = np.rint(np.hstack([start, end]) * 8).astype(int).tolist()
        for index in np.flatnonzero(shown).tolist():
            x0, y0, x1, y1 = fixed[index]
            cv2.line(self.gray, (x0, y0), (x1, y1), level[index], 1, cv2.LINE_AA, 3)
            cv2.line(self.alpha, (x0, y0), (x1, y1), 255, 1, cv2.LINE_AA, 3)

    def draw_spots(self, places: Array, radius_mm: float, within: NDArray[np.bool_]) -> None:
        """Draw small dark spots at places (mm) that are in the part of the canvas `within` and not hidden."""
        cells = np.rint(self.to_pixel(places)).astype(int)
        radius = radius_mm * self.view.scale_px_per_mm * SUPERSAMPLING
        for (column, row), depth in zip(cells.tolist(), (places - self.origins[0, 0]) @ self.direction, strict=True):
            inside = 0 <= row < within.shape[0] and 0 <= column < within.shape[1]
            if inside and within[row, column] and abs(depth - self.depth[row, column]) < 0.5:
                level = 0.55 * float(self.gray[row, column])
                cv2.circle(self.gray, (column * 8, row * 8), round(radius * 8), level, -1, cv2.LINE_AA, 3)

    def finish(self) -> tuple[Image, Image]:
        """Gray level (times alpha) and alpha, (height, width, 2), and depth from the head's origin in mm."""
        size = (self.view.width, self.view.height)
        alpha = self.alpha.astype(np.float32) / 255
        layers = np.dstack([self.gray * alpha, alpha]).astype(np.float32)
        known = np.isfinite(self.depth).astype(np.float32)
        depth = np.where(known > 0, self.depth - FAR_MM, 0).astype(np.float32)
        depth, known = (cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (depth, known))
        # Hairs at the outline lie where no solid is: they move like the solid next to them.
        blurred, weight = (cv2.GaussianBlur(image, (0, 0), 4) for image in (depth, known))
        depth = np.where(known > 0.5, depth / np.maximum(known, 1e-6), blurred / np.maximum(weight, 1e-3))
        return cv2.resize(layers, size, interpolation=cv2.INTER_AREA), depth.astype(np.float32)


class Face:
    """One mouse before one camera, drawn with any opening of its jaw.

    Parameters
    ----------
    mouse : SimulatedMouse
        The mouse.
    view : View
        The camera.
    head_marks_mm, jaw_marks_mm : array, shape (mark, 3), optional
        Points of the head and of the closed jaw around which the surface is painted white, to check the picture.
    """

    def __init__(
        self,
        mouse: SimulatedMouse,
        view: CameraView,
        head_marks_mm: Array | None = None,
        jaw_marks_mm: Array | None = None,
    ) -> None:
        self.mouse = mouse
        self.view = view
        self.head_marks_mm = head_marks_mm
        self.jaw_marks_mm = jaw_marks_mm
        self.random = np.random.default_rng([mouse.seed, 1])
        self.waves = self.random.normal(0, 1, (12, 4)) * [1.1, 1.1, 1.1, 3]
        self.follicles = face_follicles_mm(mouse)
        azimuth, elevation = math.radians(mouse.light_azimuth_deg), math.radians(mouse.light_elevation_deg)
        horizontal = math.cos(elevation)
        self.lamp = np.array([horizontal * math.cos(azimuth), horizontal * math.sin(azimuth), math.sin(elevation)])
        self.head = self._draw_head()
        self.jaw_hairs = self._grow_jaw_hairs()
        self._keys: dict[tuple[int, bool], tuple[Image, Image]] = {}

    def key(self, opening_step: int, licking: bool) -> tuple[Image, Image]:
        """Layers and depth (as `Canvas.finish` gives them) with the jaw opened this many `KEY_SPACING_MM`."""
        opening_mm = opening_step * KEY_SPACING_MM
        reach = float(_smoothstep(*TONGUE_OUT_MM, np.array(opening_mm))) if licking else 0.0
        key = opening_step, reach > 0
        if key not in self._keys:
            self._keys[key] = self._draw_jaw(opening_mm, reach).finish()
        return self._keys[key]

    def _draw_head(self) -> FaceCanvas:
        mouse, canvas = self.mouse, FaceCanvas(self.view)
        solids = anatomy.head_solids(mouse)

        def shade(points: Array, normals: Array) -> Array:
            return self.light(points, normals, self._head_albedo(points), raymarching_openness(points, normals, solids))

        drawn = canvas.add(solids, shade)
        canvas.draw_hairs(*self._grow_hairs(canvas, drawn, solids, self._furriness, FUR_FLOW), drawn)
        canvas.draw_spots(self.follicles, 0.13 * mouse.size, drawn)
        canvas.add(anatomy.eye_solids(mouse), self._shade_eye)
        canvas.add(anatomy.upper_teeth_solids(mouse), self._shade_smooth(0.62))
        return canvas

    def _grow_jaw_hairs(self) -> tuple[Array, Array, Array]:
        """Hairs (as `_grow_hairs` gives them) of the closed jaw, also where the head hides it."""
        canvas = FaceCanvas(self.view)
        solids = anatomy.jaw_solids(self.mouse, 0.0)
        drawn = canvas.add(solids, lambda points, normals: points[:, 0])
        return self._grow_hairs(canvas, drawn, solids, lambda points: np.ones(len(points)), FUR_FLOW)

    def draw_paw(self, target_mm: Array) -> Image:
        """A forepaw with its palm at this place: gray level (times alpha) and alpha, (height, width, 2)."""
        mouse = self.mouse
        # Anew, so that the paw is the same whenever it is drawn.
        self.random = np.random.default_rng([mouse.seed, 4])
        x, y = self.view.project(target_mm)
        canvas = FaceCanvas(replace(self.view, origin_px=(float(x), float(y))))
        solids = anatomy.paw_solids(mouse)

        def furry(points: Array) -> Array:
            return _smoothstep(-2.0, -4.0, points[:, 2] / mouse.size)

        def shade(points: Array, normals: Array) -> Array:
            albedo = 0.5 + (mouse.belly_albedo - 0.5) * furry(points)
            return self.light(points, normals, albedo, raymarching_openness(points, normals, solids))

        drawn = canvas.add(solids, shade)
        canvas.draw_hairs(*self._grow_hairs(canvas, drawn, solids, furry, np.array([0.0, 0.0, 1.0])), drawn)
        return canvas.finish()[0]

    def _grow_hairs(
        self,
        canvas: FaceCanvas,
        drawn: NDArray[np.bool_],
        solids: Array,
        furriness: Callable[[Array], Array],
        flow: Array,
    ) -> tuple[Array, Array, Array]:
        """Roots and tips of hairs where solids were drawn, (hair, 3) mm each, and how much brighter they are."""
        cells = np.argwhere(drawn)
        cells = cells[self.random.permutation(len(cells))[: len(cells) // PIXELS_PER_HAIR]]
        roots = canvas.origins[*cells.T] + canvas.depth[*cells.T][:, None] * canvas.direction
        roots = roots[self.random.random(len(roots)) < furriness(roots)]
        # What lies in front covers what lies behind, as roof tiles do.
        roots = roots[np.argsort(-roots @ flow)]
        tips = self._hair_tips(roots, raymarching_normals(roots, solids), flow)
        gain = np.clip(self.random.normal(1.03, self.mouse.fur_contrast, len(roots)), 0.3, 2.0)
        return roots, tips, gain

    def _draw_jaw(self, opening_mm: float, reach: float) -> FaceCanvas:
        mouse, canvas = self.mouse, self.head.copy()
        solids = anatomy.jaw_solids(mouse, opening_mm)
        head = anatomy.head_solids(mouse)
        hinge = anatomy.JAW_HINGE_MM * mouse.size
        turn = anatomy.rotation_y(anatomy.jaw_angle_rad(mouse, opening_mm))

        def shade(points: Array, normals: Array) -> Array:
            light = raymarching_openness(points, normals, solids) * raymarching_openness(points, normals, head)
            return self.light(points, normals, self._jaw_albedo((points - hinge) @ turn + hinge), light)

        drawn = canvas.add(solids, shade)
        roots, tips, gain = self.jaw_hairs
        roots, tips = ((points - hinge) @ turn.T + hinge for points in (roots, tips))
        canvas.draw_hairs(roots, tips, gain, drawn)
        canvas.add(anatomy.lower_teeth_solids(mouse, opening_mm), self._shade_smooth(0.6))
        if reach > 0:
            canvas.add(anatomy.tongue_solids(mouse, opening_mm, reach), self._shade_smooth(0.5))
        return canvas

    def light(self, points: Array, normals: Array, albedo: Array, light: Array) -> Array:
        """Gray levels of a matt surface: lamp, light around the lens, ambient light, and the fur's bright rim."""
        facing = np.clip(-normals @ self.view.axes[2], 0, 1)
        lamp = np.clip((normals @ self.lamp + 0.25) / 1.25, 0, 1)
        incoming = 0.14 + 0.80 * lamp + 0.38 * facing**1.5
        rim = 0.22 * (1 - facing) ** 3
        return self._exposed(albedo * (incoming + rim) * light**1.2)

    def _exposed(self, radiance: Array) -> Array:
        return 255 * np.clip(self.mouse.brightness * radiance, 0, 1.2) ** (1 / 1.7)

    def _shade_eye(self, points: Array, normals: Array) -> Array:
        view = -self.view.axes[2]
        reflected = 2 * normals * (normals @ view)[:, None] - view
        glint = sum(
            (strength * np.clip(reflected @ lamp, 0, 1) ** sharpness)
            for lamp, strength, sharpness in (
                (self.lamp, 0.9, 60),
                (view + 0.25 * self.view.axes[0] - 0.2 * self.view.axes[1], 0.5, 90),
            )
        )
        rim = 0.10 * np.clip(1 - normals @ view, 0, 1) ** 2
        return self._exposed(self.mouse.eye_albedo * (0.3 + 0.7 * (normals @ view)) + rim + glint)

    def _shade_smooth(self, albedo: float) -> Callable[[Array, Array], Array]:
        """For wet surfaces (teeth, tongue): matt, with a highlight, and darker inside the mouth."""
        solids = anatomy.head_solids(self.mouse)

        def shade(points: Array, normals: Array) -> Array:
            halfway = self.lamp - self.view.axes[2]
            glint = np.clip(normals @ (halfway / np.linalg.norm(halfway)), 0, 1) ** 30
            light = raymarching_openness(points, normals, solids)
            return self.light(points, normals, albedo + 0.35 * glint, light)

        return shade

    def _mottling(self, points: Array) -> Array:
        """Slow variation of the coat, the same from every side, about 0 with SD 1, shape (point,)."""
        phase = points @ self.waves[:, :3].T + self.waves[:, 3]
        return np.sin(phase).sum(1) / math.sqrt(len(self.waves) / 2)

    def _furriness(self, points: Array) -> Array:
        """1 where there is fur, 0 on the bare skin of the nose and in the mouth, shape (point,)."""
        nose = _smoothstep(-0.95, -0.35, points[:, 0] / self.mouse.size)
        return (1 - nose) * (1 - self._mouth(points))

    def _mouth(self, points: Array) -> Array:
        """1 on the palate, 0 elsewhere, shape (point,)."""
        scaled = points / self.mouse.size
        radial = np.linalg.norm((scaled - [-6.2, 0, -3.0]) / [4.3, 1.4 * self.mouse.snout_width, 1.0], axis=1)
        return 1 - _smoothstep(0.95, 1.1, radial)

    def _ear(self, points: Array) -> Array:
        """1 on the ears, 0 elsewhere, shape (point,)."""
        x, _, z = points.T / self.mouse.size
        return _smoothstep(6.6, 7.2, z) * _smoothstep(-12.5, -13.5, x)

    def _head_albedo(self, points: Array) -> Array:
        mouse = self.mouse
        scaled = points / mouse.size
        x, y, z = scaled.T
        below = 1 - _smoothstep(-4.0, -0.8, z + 0.06 * x + 0.35)
        coat = mouse.coat_albedo + (mouse.belly_albedo - mouse.coat_albedo) * below
        coat = coat * (1 + 0.10 * self._mottling(points))
        coat = coat + mouse.blaze * np.exp(-((y / 1.5) ** 2)) * _smoothstep(-1.0, 1.0, z)
        eye = np.linalg.norm(scaled * [1, 0, 1] - [-11.4, 0, 1.9], axis=1)
        coat = coat * (1 - 0.45 * np.exp(-((eye / 1.9) ** 4)))
        skin = 0.52 * (1 + 0.05 * self._mottling(points * 4))
        coat = coat + (skin - coat) * _smoothstep(-1.0, -0.6, x)
        coat = coat + (0.10 - 0.3 * coat) * self._ear(points)
        from_nostril = np.column_stack([x - 0.05, np.abs(y) - 0.7 * mouse.snout_width, z])
        nostril = np.linalg.norm(from_nostril / [0.55, 0.28, 0.28], axis=1)
        coat = coat * (0.12 + 0.88 * _smoothstep(0.7, 1.15, nostril))
        coat = coat * (1 - 0.75 * self._mouth(points))
        return _marked(coat, points, self.head_marks_mm)

    def _jaw_albedo(self, points: Array) -> Array:
        scaled = points / self.mouse.size
        coat = self.mouse.belly_albedo * (1 + 0.10 * self._mottling(points))
        lip = _smoothstep(-4.6, -3.6, scaled[:, 0]) * _smoothstep(-3.7, -3.2, scaled[:, 2])
        coat = coat + (0.5 - coat) * lip
        inside = _smoothstep(-3.0, -2.6, scaled[:, 2])
        return _marked(coat * (1 - 0.7 * inside), points, self.jaw_marks_mm)

    def _hair_tips(self, roots: Array, normals: Array, flow: Array) -> Array:
        """Tips of hairs that lie along the skin, shorter towards the nose and on the ears, (hair, 3) mm."""
        flow = flow + [[0.0, 0.35, 0.0]] * np.sign(roots[:, 1:2]) + self.random.normal(0, 0.22, roots.shape)
        flow -= (flow * normals).sum(1, keepdims=True) * normals
        flow /= np.linalg.norm(flow, axis=1, keepdims=True) + 1e-9
        shorter = 0.35 + 0.65 * _smoothstep(0.5, -8.0, roots[:, 0] / self.mouse.size)
        shorter = shorter * (1 - 0.65 * self._ear(roots))
        length = self.mouse.hair_length_mm * self.mouse.size * shorter * self.random.uniform(0.6, 1.4, len(roots))
        return roots + length[:, None] * (flow + 0.28 * normals)


def _smoothstep(low: float, high: float, value: Array) -> Array:
    """0 below low, 1 above high (or the other way round), smooth between."""
    ramp = np.clip((value - low) / (high - low), 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def _marked(albedo: Array, points: Array, marks_mm: Array | None) -> Array:
    """The surface's albedo with white spots around the marks."""
    for mark in () if marks_mm is None else marks_mm:
        albedo = np.where(np.linalg.norm(points - mark, axis=1) < MARK_RADIUS_MM, 1.5, albedo)
    return albedo


@lru_cache(maxsize=32)
def face_follicles_mm(mouse: SimulatedMouse) -> Array:
    """Roots of the whiskers, left ones first, each side in rows from above, (follicle, 3) mm. Do not write."""
    solids = anatomy.head_solids(mouse)
    left = []
    for row in range(4):
        for column in range(5):
            inside = np.array([-2.2 - 0.95 * column - 0.15 * row, 1.0, -0.15 - 0.5 * row])
            inside *= np.array([1, mouse.snout_width, mouse.snout_height]) * mouse.size
            left.append(anatomy.surface_point(solids, inside, (0.12, 1.0, 0.15 - 0.2 * row)))
    roots = np.array(left)
    return np.vstack([roots, roots * [1, -1, 1]])
