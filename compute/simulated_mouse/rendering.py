"""Drawing the frames of a simulated session: what `simulation.render_simulation` uses.

The face is drawn once for each opening of the jaw that is needed (`face`). A frame is the mixture of the two
nearest of these pictures, moved with the head by means of its depth, with whiskers, a paw, blur and the sensor's noise
added. Nothing moves in the picture that does not move in 3-D: it agrees with the true positions to a small part of
a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from compute.simulated_mouse import anatomy
from compute.simulated_mouse.anatomy import CameraView, SimulatedMouse, pivot_mm
from compute.simulated_mouse.face import KEY_SPACING_MM, Face, face_follicles_mm
from compute.simulated_mouse.session import SimulatedSession

Array = NDArray[np.float64]
Image = NDArray[np.float32]

PAW_TARGET_MM = np.array([0.8, 0.7, -0.9])
"""Where a grooming paw covers the snout (mouse of size 1)."""
PAW_BELOW_MM = np.array([1.0, 1.0, -17.0])
"""From there to where the paw rests, out of the picture."""


def render_frames(
    session: SimulatedSession, camera: str, start: int, stop: int, face: Face
) -> Iterator[NDArray[np.uint8]]:
    """The frames start to stop of one camera, one by one.

    Parameters
    ----------
    session : SimulatedSession
        What to draw.
    camera : str
        ``side`` or ``lower``.
    start, stop : int
        Range of frames.
    face : Face
        The mouse's face in this camera's view, as `rendered_face` gives it.

    Yields
    ------
    array, shape (height, width), uint8
        Gray levels.
    """
    mouse, view = session.mouse, session.views[camera]
    background = _background(view, session.seed)
    shade = _vignette(view, mouse.vignette)
    whiskers = RenderedWhiskers(mouse, view)
    paw = face.draw_paw(PAW_TARGET_MM * mouse.size) if session.paw_height[start:stop].any() else None
    for frame in range(start, stop):
        pose = session.head_rotation[frame], session.head_translation_mm[frame]
        layers = _moved_face(face, session.jaw_opening_mm[frame], bool(session.licking[frame]), *pose)
        strands = whiskers.draw(session.whisk_rad[frame], *pose)
        picture = _blended(background, whiskers.level, strands[0])
        picture = layers[..., 0] + (1 - layers[..., 1]) * picture
        picture = _blended(picture, whiskers.level, strands[1])
        if paw is not None and session.paw_height[frame] > 0:
            picture = _with_paw(picture, paw, mouse, view, session.paw_height[frame])
        if session.blur_px[frame] > 0:
            picture = cv2.filter2D(
                picture, -1, rendering_blur_kernel(session.blur_px[frame], session.blur_angle_rad[frame])
            )
        random = np.random.default_rng([session.seed, anatomy.CAMERAS.index(camera), frame])
        yield _recorded(picture * shade, mouse.noise_sd, random)


@lru_cache(maxsize=8)
def rendered_face(mouse: SimulatedMouse, view: CameraView) -> Face:
    """The mouse's face in this view; the last few are kept, because drawing one takes a second."""
    return Face(mouse, view)


def rendering_blur_kernel(length_px: float, angle_rad: float) -> Image:
    """Kernel of a straight movement during the exposure, centered, sum 1, odd square shape."""
    radius = math.ceil(length_px / 2) + 1
    along = length_px * ((np.arange(16 * radius) + 0.5) / (16 * radius) - 0.5)
    grid = np.arange(-radius, radius + 1)
    # Each moment's light is shared between the four pixels around it, so that the center stays exact.
    share_x = np.clip(1 - np.abs(grid[:, None] - along * math.cos(angle_rad)), 0, 1)
    share_y = np.clip(1 - np.abs(grid[:, None] - along * math.sin(angle_rad)), 0, 1)
    kernel = (share_y @ share_x.T).astype(np.float32)
    return kernel / kernel.sum()


class RenderedWhiskers:
    """The whiskers of both sides, drawn anew in each frame because they sweep.

    Parameters
    ----------
    mouse : SimulatedMouse
        Its seed fixes the whiskers' lengths and directions.
    view : View
        The camera.
    """

    def __init__(self, mouse: SimulatedMouse, view: CameraView) -> None:
        self.view = view
        self.pivot = pivot_mm(mouse)
        self.roots = face_follicles_mm(mouse)
        self.level = 255 * min(1.0, 0.62 * mouse.brightness) ** (1 / 1.7)
        random = np.random.default_rng([mouse.seed, 2])
        half = len(self.roots) // 2
        column, row = np.tile(np.arange(half) % 5, 2), np.tile(np.arange(half) // 5, 2)
        self.side = np.repeat([1.0, -1.0], half)
        self.azimuth = np.deg2rad(28 - 17 * column + random.normal(0, 6, 2 * half))
        self.elevation = np.deg2rad(22 - 19 * row + random.normal(0, 5, 2 * half))
        self.length = mouse.size * (3.5 + 2.6 * column) * random.uniform(0.8, 1.15, 2 * half)
        self.curl = random.normal(-0.22, 0.08, 2 * half)
        self.sag = random.normal(-0.10, 0.05, 2 * half)
        self.hidden = (self.side < 0) if view.camera == "side" else np.zeros(2 * half, bool)

    def draw(self, whisk_rad: float, rotation: Array, translation: Array) -> tuple[Image, Image]:
        """Coverage (0 to 1) by the whiskers behind the face and by those before it, (height, width) each."""
        azimuth = self.azimuth + whisk_rad
        along = np.linspace(0, 1, 10)
        across = np.cos(self.elevation)
        direction = np.column_stack(
            [across * np.sin(azimuth), self.side * across * np.cos(azimuth), np.sin(self.elevation)]
        )
        bend = np.column_stack([self.curl, np.zeros_like(self.curl), self.sag])
        offsets = along[:, None] * direction[:, None] + along[:, None] ** 2 * bend[:, None]
        points = self.roots[:, None] + self.length[:, None, None] * offsets
        points = (points - self.pivot) @ rotation.T + self.pivot + translation
        # Drawn at twice the size, a line is half a pixel wide.
        fixed = np.rint((2 * self.view.project(points) + 0.5) * 16).astype(np.int32)
        images = []
        for chosen in (self.hidden, ~self.hidden):
            image = np.zeros((2 * self.view.height, 2 * self.view.width), np.uint8)
            for part, strength in ((slice(0, 10), 110), (slice(0, 7), 160), (slice(0, 4), 210)):
                cv2.polylines(image, list(fixed[chosen, part]), False, strength, 1, cv2.LINE_AA, 4)
            image = cv2.resize(image, (self.view.width, self.view.height), interpolation=cv2.INTER_AREA)
            images.append(image.astype(np.float32) / 255)
        return images[0] * 0.6, images[1]


def _moved_face(face: Face, opening_mm: float, licking: bool, rotation: Array, translation: Array) -> Image:
    """Layers of the face, (height, width, 2), with jaw, tongue and head where they are in this frame."""
    position = opening_mm / KEY_SPACING_MM
    step = int(position)
    (layers, depth), (next_layers, _) = face.key(step, licking), face.key(step + 1, licking)
    layers = cv2.addWeighted(layers, 1 - (position - step), next_layers, position - step, 0)
    map_x, map_y = _source_maps(face.view, depth, pivot_mm(face.mouse), rotation, translation)
    return cv2.remap(layers, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _source_maps(
    view: CameraView, depth: Image, pivot: Array, rotation: Array, translation: Array
) -> tuple[Image, Image]:
    """Where each pixel of the moved picture comes from, by the depth (mm) of what is there: x and y, in px."""
    axes, scale = view.axes, view.scale_px_per_mm
    # A point at (x, y) px and depth d mm is X = axes.T @ ((x, y) - origin) / scale + d * axes[2].
    turn = axes @ (rotation - np.eye(3))
    linear = turn @ axes.T
    constant = scale * (axes @ translation - turn @ pivot) - linear[:, :2] @ np.array(view.origin_px)
    x = np.arange(view.width, dtype=np.float32)[None, :]
    y = np.arange(view.height, dtype=np.float32)[:, None]
    maps = [
        grid - (linear[row, 0] * x + linear[row, 1] * y + scale * linear[row, 2] * depth + constant[row])
        for row, grid in ((0, x), (1, y))
    ]
    return maps[0].astype(np.float32), maps[1].astype(np.float32)


def _blended(picture: Image, level: float, coverage: Image) -> Image:
    return picture + (level - picture) * coverage


def _background(view: CameraView, seed: int) -> Image:
    """A dark rig out of focus: gray levels, (height, width)."""
    random = np.random.default_rng([seed, 3, anatomy.CAMERAS.index(view.camera)])
    height, width = view.height, view.width
    picture = np.full((height, width), random.uniform(14, 22), np.float32)
    for _ in range(7):
        x, y = random.uniform(0, width), random.uniform(0, height)
        radius = random.uniform(0.06, 0.22) * width
        level = float(random.uniform(10, 46))
        if random.random() < 0.5:
            cv2.circle(picture, (int(x), int(y)), int(radius), level, -1, cv2.LINE_AA)
        else:
            end = (int(x + random.normal(0, width / 8)), height if random.random() < 0.5 else 0)
            cv2.line(picture, (int(x), int(y)), end, level, max(int(radius / 2), 1), cv2.LINE_AA)
    return cv2.GaussianBlur(picture, (0, 0), width / 22)


def _vignette(view: CameraView, strength: float) -> Image:
    """How much light each pixel gets, 1 in the middle, (height, width)."""
    x = (np.arange(view.width) / (view.width - 1) - 0.5)[None, :]
    y = (np.arange(view.height) / (view.height - 1) - 0.5)[:, None]
    return (1 - strength * 2 * (x * x + y * y)).astype(np.float32)


def _with_paw(picture: Image, paw: Image, mouse: SimulatedMouse, view: CameraView, height: float) -> Image:
    """The picture with the paw raised to this height, 0 (out of sight) to 1 (over the snout)."""
    x, y = view.scale_px_per_mm * view.axes[:2] @ (PAW_BELOW_MM * mouse.size * (1 - height))
    moved = cv2.warpAffine(paw, np.array([[1, 0, x], [0, 1, y]]), (view.width, view.height))
    return moved[..., 0] + (1 - moved[..., 1]) * picture


def _recorded(picture: Image, noise_sd: float, random: np.random.Generator) -> NDArray[np.uint8]:
    """Simulate the sensor: noise that grows with the light, whole gray levels."""
    noise = random.standard_normal(picture.shape, dtype=np.float32)
    picture = cv2.GaussianBlur(picture, (3, 3), 0.5) + noise_sd * (0.6 + picture / 255) * noise
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)
