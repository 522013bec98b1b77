"""The shape of a simulated mouse's face: solids in millimeters, the nodes on them, and the two cameras before it.

Coordinates are millimeters in the mouse's head: x points forward, y to the mouse's left, z up; the origin lies in
the nose. Every part is a smooth union of ellipsoids, one a row, that rays are marched against (`raymarching`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from compute.simulated_mouse.raymarching import trace_rays

NODES = (
    "left_snout_tip",
    "right_snout_tip",
    "top_snout_tip",
    "bottom_snout_tip",
    "center_snout_tip",
    "jaw_tip",
    "left_whisker_pad",
)
"""The nodes. The seventh is the middle of the left whisker pad: both cameras see it, its rows of whisker roots
are a texture of its own, and it lies away from the snout's tip, so that it also fixes the head's direction."""

EDGES = (
    ("center_snout_tip", "left_snout_tip"),
    ("center_snout_tip", "right_snout_tip"),
    ("center_snout_tip", "top_snout_tip"),
    ("center_snout_tip", "bottom_snout_tip"),
    ("left_snout_tip", "top_snout_tip"),
    ("top_snout_tip", "right_snout_tip"),
    ("right_snout_tip", "bottom_snout_tip"),
    ("bottom_snout_tip", "left_snout_tip"),
    ("bottom_snout_tip", "jaw_tip"),
    ("left_snout_tip", "left_whisker_pad"),
)
CAMERAS = ("side", "lower")
JAW_NODE = NODES.index("jaw_tip")

JAW_HINGE_MM = np.array([-13.5, 0.0, -1.6])
"""The jaw turns about an axis through this point, parallel to y (mouse of size 1)."""
NOSE_MM = np.array([-1.0, 0.0, 0.2])
"""Middle of the nose; the snout's nodes lie on the surface around it (mouse of size 1)."""
# From the nose's middle outwards. All look forward enough that both cameras see them.
SNOUT_DIRECTIONS = {
    "left_snout_tip": (0.66, 0.75, 0.02),
    "right_snout_tip": (0.66, -0.75, 0.02),
    "top_snout_tip": (0.74, 0.0, 0.67),
    "bottom_snout_tip": (0.72, 0.0, -0.70),
    "center_snout_tip": (1.0, 0.0, -0.06),
}
WHISKER_PAD_MM = np.array([-4.3, 1.0, -0.9])


@dataclass(frozen=True)
class SimulatedMouse:
    """One simulated mouse: what differs between animals, and between the rigs they were filmed on.

    Parameters
    ----------
    name : str
        Name such as ``mouse_007``.
    seed : int
        What it was drawn from; fixes the places of its hairs and whiskers.
    held_out : bool
        Drawn from the wider ranges.
    coat : str
        Name of the coat's color.
    coat_albedo, belly_albedo : float
        Reflectance of the fur on the back and below, 0 to 1.
    blaze : float
        Reflectance added along the middle of the face (a white blaze), 0 for none.
    fur_contrast, hair_length_mm : float
        Relative spread of brightness between hairs, and their length.
    size, snout_width, snout_height, cheek : float
        Scale of the whole head, and of its parts, relative to a usual mouse.
    eye_albedo : float
        Reflectance of the eye: near 0 for dark ones, higher for an albino's.
    light_azimuth_deg, light_elevation_deg : float
        Where the main lamp stands: azimuth from straight ahead towards the mouse's left, elevation above the horizon.
    brightness, vignette, noise_sd : float
        Exposure (1 is usual), darkening towards the corners (0 to 1), and the sensor's noise in gray levels.
    """

    name: str
    seed: int
    held_out: bool
    coat: str
    coat_albedo: float
    belly_albedo: float
    blaze: float
    fur_contrast: float
    hair_length_mm: float
    size: float
    snout_width: float
    snout_height: float
    cheek: float
    eye_albedo: float
    light_azimuth_deg: float
    light_elevation_deg: float
    brightness: float
    vignette: float
    noise_sd: float


def rotation_y(angle_rad: float) -> NDArray[np.float64]:
    """Rotation about y, shape (3, 3); a positive angle moves what is in front (positive x) down."""
    cosine, sine = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([[cosine, 0.0, sine], [0.0, 1.0, 0.0], [-sine, 0.0, cosine]])


def _solid(
    center: tuple[float, float, float],
    radii: tuple[float, float, float],
    *,
    pitch_deg: float = 0.0,
    yaw_deg: float = 0.0,
    blend: float = 1.0,
    carve: bool = False,
) -> NDArray[np.float64]:
    """One ellipsoid as a row: center (3), radii (3), rotation into its own axes (9), blend (mm), sign."""
    yaw = math.radians(yaw_deg)
    turn = np.array([[math.cos(yaw), -math.sin(yaw), 0.0], [math.sin(yaw), math.cos(yaw), 0.0], [0.0, 0.0, 1.0]])
    own_axes = (turn @ rotation_y(math.radians(pitch_deg))).T
    return np.array([*center, *radii, *own_axes.ravel(), blend, -1.0 if carve else 1.0])


def _pair(center: tuple[float, float, float], radii: tuple[float, float, float], **kwargs: float) -> list[NDArray]:
    """The same ellipsoid on the left and, mirrored, on the right."""
    yaw = kwargs.pop("yaw_deg", 0.0)
    x, y, z = center
    carve = bool(kwargs.pop("carve", False))
    return [_solid((x, side * y, z), radii, yaw_deg=side * yaw, carve=carve, **kwargs) for side in (1.0, -1.0)]


@lru_cache(maxsize=32)
def pivot_mm(mouse: SimulatedMouse) -> NDArray[np.float64]:
    """Point of the head about which it turns, where it is fixed, (3,) mm."""
    return np.array([-18.0, 0.0, 3.0]) * mouse.size


def head_solids(mouse: SimulatedMouse) -> NDArray[np.float64]:
    """The furry head without jaw, eyes and teeth, as rows for `trace_rays`, shape (solid, 17), in mm."""
    width, height, cheek = mouse.snout_width, mouse.snout_height, mouse.cheek
    solids = [
        _solid((-18.5, 0, 1.2), (8.5, 6.4, 6.2)),
        _solid((-27.0, 0, -2.5), (9.0, 8.0, 8.2), blend=3.0),
        _solid((-16.5, 0, -4.0), (7.0, 4.4, 3.6), blend=2.5),
        _solid((-13.2, 0, -4.3), (3.6, 3.3, 2.0), blend=2.0),
        _solid((-10.5, 0, 0.9), (7.5, 4.0, 3.9), pitch_deg=10, blend=3.0),
        _solid((-5.2, 0, 0.1), (4.8, 2.3 * width, 2.1 * height), pitch_deg=5, blend=2.0),
        *_pair((-11.5, 3.1 * cheek, -1.9), (4.4, 2.4 * cheek, 2.8), blend=2.5),
        *_pair((-4.4, 1.45 * width, -0.95), (2.7, 1.5 * width, 1.55 * height), yaw_deg=-8, blend=1.0),
        _solid((-1.3, 0, 0.2), (1.5, 1.5 * width, 1.32 * height), blend=0.9),
        *_pair((-17.0, 5.3, 6.6), (0.9, 3.2, 3.9), yaw_deg=-25, pitch_deg=-12, blend=1.0),
        *_pair((-16.25, 5.8, 6.9), (0.75, 2.5, 3.2), yaw_deg=-25, pitch_deg=-12, blend=0.6, carve=True),
        _solid((-6.2, 0, -3.0), (4.1, 1.25 * width, 0.9), blend=0.5, carve=True),
        *_pair((-11.4, 4.6 * (0.5 + 0.5 * cheek), 1.9), (1.5, 0.9, 1.4), yaw_deg=-12, blend=0.5, carve=True),
        *_pair((0.08, 0.68 * width, 0.0), (0.42, 0.24, 0.3), yaw_deg=35, blend=0.2, carve=True),
        *_pair((-0.4, 1.3 * width, 0.05), (0.5, 0.22, 0.12), yaw_deg=-30, blend=0.2, carve=True),
        _solid((-0.6, 0, -1.75), (0.9, 0.07, 1.2), blend=0.35, carve=True),
    ]
    return _scaled(np.array(solids), mouse.size)


def eye_solids(mouse: SimulatedMouse) -> NDArray[np.float64]:
    """Both eyes, shape (solid, 17), in mm."""
    lateral = 3.55 * (0.5 + 0.5 * mouse.cheek)
    return _scaled(np.array(_pair((-11.4, lateral, 1.9), (1.4, 1.4, 1.4), blend=0.05)), mouse.size)


def upper_teeth_solids(mouse: SimulatedMouse) -> NDArray[np.float64]:
    """The upper incisors, shape (solid, 17), in mm."""
    return _scaled(np.array(_pair((-2.75, 0.3, -1.9), (0.34, 0.3, 0.85), pitch_deg=-8, blend=0.05)), mouse.size)


def jaw_solids(mouse: SimulatedMouse, opening_mm: float) -> NDArray[np.float64]:
    """The lower jaw, its tip opened by this many millimeters (along its arc), shape (solid, 17), in mm."""
    width = mouse.snout_width
    solids = [
        _solid((-9.4, 0, -4.1), (5.4, 2.5 * width, 1.75), pitch_deg=-8, blend=0.5),
        _solid((-5.0, 0, -3.25), (1.9, 1.2 * width, 0.95), pitch_deg=-10, blend=1.6),
        *_pair((-7.5, 1.1 * width, -3.6), (2.6, 0.9 * width, 1.2), blend=1.0),
    ]
    return open_jaw(mouse, _scaled(np.array(solids), mouse.size), opening_mm)


def lower_teeth_solids(mouse: SimulatedMouse, opening_mm: float) -> NDArray[np.float64]:
    """The lower incisors at this opening, shape (solid, 17), in mm."""
    solids = np.array(_pair((-4.0, 0.22, -2.5), (0.22, 0.22, 0.75), pitch_deg=20, blend=0.05))
    return open_jaw(mouse, _scaled(solids, mouse.size), opening_mm)


def tongue_solids(mouse: SimulatedMouse, opening_mm: float, reach: float) -> NDArray[np.float64]:
    """The tongue, `reach` 0 (inside) to 1 (fully out), on the jaw at this opening, shape (solid, 17), in mm."""
    solids = [
        _solid((-5.6 + 1.8 * reach, 0, -2.65), (2.3, 0.8, 0.42), blend=0.1),
        _solid((-4.0 + 2.5 * reach, 0, -2.75 - 0.25 * reach), (1.5, 0.62, 0.34), pitch_deg=18 * reach, blend=0.8),
        _solid(
            (-3.0 + 2.5 * reach, 0, -2.4 - 0.2 * reach), (2.4, 0.06, 0.3), pitch_deg=14 * reach, blend=0.3, carve=True
        ),
    ]
    return open_jaw(mouse, _scaled(np.array(solids), mouse.size), opening_mm)


def paw_solids(mouse: SimulatedMouse) -> NDArray[np.float64]:
    """A forepaw that grooms the snout, around the origin, fingers up, shape (solid, 17), in mm."""
    solids = [_solid((0, 0, -1.2), (0.9, 1.5, 1.5)), _solid((-1.6, 0.7, -8.0), (1.6, 1.6, 7.0), pitch_deg=6, blend=1.5)]
    for lateral, top in ((-1.25, 0.4), (-0.45, 1.1), (0.4, 1.2), (1.2, 0.5)):
        solids.append(_solid((0.2, lateral, top - 0.5), (0.42, 0.36, 1.4), pitch_deg=-16, blend=0.4))
    return _scaled(np.array(solids), 1.25 * mouse.size)


def _scaled(solids: NDArray[np.float64], size: float) -> NDArray[np.float64]:
    """Solids of a mouse of another size."""
    solids = solids.copy()
    solids[:, :6] *= size
    solids[:, 15] *= size
    return solids


def jaw_angle_rad(mouse: SimulatedMouse, opening_mm: float) -> float:
    """Angle that opens the jaw's tip by this arc."""
    return opening_mm / float(np.linalg.norm(_closed_jaw_tip(mouse) - JAW_HINGE_MM * mouse.size))


def open_jaw(mouse: SimulatedMouse, solids: NDArray[np.float64], opening_mm: float) -> NDArray[np.float64]:
    """Solids of the jaw, given closed, turned about its hinge."""
    if opening_mm == 0.0:
        return solids
    turn = rotation_y(jaw_angle_rad(mouse, opening_mm))
    hinge = JAW_HINGE_MM * mouse.size
    solids = solids.copy()
    solids[:, :3] = (solids[:, :3] - hinge) @ turn.T + hinge
    solids[:, 6:15] = (solids[:, 6:15].reshape(-1, 3, 3) @ turn.T).reshape(-1, 9)
    return solids


@lru_cache(maxsize=32)
def _closed_jaw_tip(mouse: SimulatedMouse) -> NDArray[np.float64]:
    """Where the jaw's tip is when it is closed: the foremost point of the chin, a little below its middle, (3,) mm."""
    return surface_point(jaw_solids(mouse, 0.0), np.array([-5.0, 0, -3.3]) * mouse.size, (0.96, 0.0, -0.28))


def surface_point(
    solids: NDArray[np.float64], inside_mm: NDArray[np.float64], direction: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Where the ray from a point inside leaves the solids for good, shape (3,), in mm."""
    outward = np.asarray(direction, float) / np.linalg.norm(direction)
    far_mm = 30.0
    depth = trace_rays((inside_mm + far_mm * outward)[None], -outward, solids, 2 * far_mm)
    return inside_mm + (far_mm - depth[0]) * outward


@lru_cache(maxsize=32)
def rest_nodes_mm(mouse: SimulatedMouse) -> NDArray[np.float64]:
    """True position of every node with the jaw closed and the head at rest, shape (node, 3), in mm. Do not write."""
    head = head_solids(mouse)
    points = [surface_point(head, NOSE_MM * mouse.size, direction) for direction in SNOUT_DIRECTIONS.values()]
    pad = WHISKER_PAD_MM * mouse.size * np.array([1.0, mouse.snout_width, 1.0])
    points += [_closed_jaw_tip(mouse), surface_point(head, pad, (0.12, 1.0, -0.15))]
    nodes = np.array(points)
    nodes.flags.writeable = False
    return nodes


@dataclass(frozen=True)
class CameraView:
    """One camera before one mouse: weak perspective, so that its scale is the same everywhere.

    `side` stands on the mouse's left, turned 40 degrees towards its front, so that the far side of the nose
    stays in view; `lower` looks up from 42 degrees below the horizon, straight ahead of the mouse.

    Parameters
    ----------
    camera : str
        ``side`` or ``lower``.
    width, height : int
        Size of the picture in px.
    scale_px_per_mm : float
        Scale of the picture.
    origin_px : tuple of float
        Where the origin of the head's coordinates appears, (x, y) in px.
    azimuth_deg, elevation_deg, roll_deg : float
        How far the camera is turned away from where it should stand.
    """

    camera: str
    width: int
    height: int
    scale_px_per_mm: float
    origin_px: tuple[float, float]
    azimuth_deg: float = 0.0
    elevation_deg: float = 0.0
    roll_deg: float = 0.0

    @cached_property
    def axes(self) -> NDArray[np.float64]:
        """The camera's right, down and forward (into the picture) in the head's coordinates, one a row, (3, 3)."""
        azimuth_deg, elevation_deg = {"side": (50.0, -3.0), "lower": (0.0, -42.0)}[self.camera]
        azimuth, elevation = (
            math.radians(azimuth_deg + self.azimuth_deg),
            math.radians(elevation_deg + self.elevation_deg),
        )
        towards = [
            math.cos(elevation) * math.cos(azimuth),
            math.cos(elevation) * math.sin(azimuth),
            math.sin(elevation),
        ]
        forward = -np.array(towards)
        level = np.cross(forward, [0.0, 0.0, 1.0])
        level /= np.linalg.norm(level)
        down = np.cross(forward, level)
        cosine, sine = math.cos(math.radians(self.roll_deg)), math.sin(math.radians(self.roll_deg))
        return np.array([cosine * level + sine * down, cosine * down - sine * level, forward])

    @cached_property
    def projection(self) -> NDArray[np.float64]:
        """Matrix P with (x, y) in px = P[:, :3] @ position in mm + P[:, 3], shape (2, 4)."""
        return np.column_stack([self.scale_px_per_mm * self.axes[:2], self.origin_px])

    def project(self, position_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where points of shape (..., 3) in mm appear, shape (..., 2) in px."""
        return position_mm @ self.projection[:, :3].T + self.projection[:, 3]
