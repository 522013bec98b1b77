"""A simulated head-fixed mouse before two cameras: frames, and where every node truly is in each of them.

Everything that needs the truth (tests, the demo, the comparison of filters) uses it. The mouse's face is a solid
in 3-D (`anatomy`); its snout is rigid, the jaw opens in bouts of licking and chewing, the head breathes and
sniffs.

Examples
--------
>>> mouse = simulate_mouse(1)
>>> session = simulate_session(mouse, seed=1, n_frames=20)
>>> frames = list(render_simulation(session, "side"))
>>> len(frames), frames[0].shape, session.position_px["side"].shape
(20, (160, 192), (20, 7, 2))
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from compute.errors import OrofacialError
from compute.extras import import_extra
from compute.simulated_mouse.anatomy import (
    CAMERAS,
    EDGES,
    JAW_HINGE_MM,
    JAW_NODE,
    NODES,
    CameraView,
    SimulatedMouse,
    jaw_angle_rad,
    pivot_mm,
    rest_nodes_mm,
    rotation_y,
)
from compute.simulated_mouse.session import SimulatedSession

__all__ = [
    "CAMERAS",
    "EDGES",
    "NODES",
    "SimulatedMouse",
    "SimulatedSession",
    "SimulationError",
    "render_simulation",
    "simulate_mouse",
    "simulate_session",
    "simulated_distance_mm",
]

Array = NDArray[np.float64]

MAXIMAL_OPENING_MM = 2.6


class SimulationError(OrofacialError, ValueError):
    """An argument that the simulation cannot use."""


# Reflectance of back and belly, and of a blaze along the face.
COATS = {
    "black": (0.15, 0.18, 0.0),
    "agouti": (0.33, 0.50, 0.0),
    "chocolate": (0.22, 0.27, 0.0),
    "beige": (0.48, 0.58, 0.0),
}
HELD_OUT_COATS = {
    "white": (0.80, 0.84, 0.0),
    "gray": (0.34, 0.36, 0.0),
    "blazed": (0.16, 0.55, 0.5),
    "cream": (0.62, 0.74, 0.0),
}


def simulate_mouse(seed: int, *, held_out: bool = False) -> SimulatedMouse:
    """A mouse, with a rig of its own.

    Parameters
    ----------
    seed : int
        The same seed gives the same mouse.
    held_out : bool
        Draw from wider ranges (other coats, more spread in size, shape, light and noise), as animals that a
        model was not trained on differ.

    Returns
    -------
    SimulatedMouse
        The mouse.
    """
    random = np.random.default_rng([seed, 0, held_out])
    coats = HELD_OUT_COATS if held_out else COATS
    coat = list(coats)[seed % len(coats)]
    back, belly, blaze = coats[coat]
    spread = 2.0 if held_out else 1.0

    def around(middle: float, half_width: float) -> float:
        return float(middle + spread * half_width * random.uniform(-1, 1))

    return SimulatedMouse(
        name=f"mouse_{seed:03d}",
        seed=seed,
        held_out=held_out,
        coat=coat,
        coat_albedo=back * around(1.0, 0.08),
        belly_albedo=belly * around(1.0, 0.08),
        blaze=blaze,
        fur_contrast=around(0.22, 0.05),
        hair_length_mm=around(0.95, 0.15),
        size=around(1.0, 0.05),
        snout_width=around(1.0, 0.06),
        snout_height=around(1.0, 0.05),
        cheek=around(1.0, 0.07),
        eye_albedo=0.30 if coat == "white" else 0.02,
        light_azimuth_deg=around(50.0, 20.0),
        light_elevation_deg=around(35.0, 12.0),
        brightness=around(0.75 if held_out else 1.15, 0.12),
        vignette=around(0.30, 0.10),
        noise_sd=around(4.0 if held_out else 2.0, 0.6),
    )


def simulate_session(
    mouse: SimulatedMouse,
    *,
    seed: int,
    n_frames: int,
    fps: float | Fraction = 100.0,
    n_hard_bursts: int = 0,
    width: int = 192,
    height: int = 160,
) -> SimulatedSession:
    """Record a mouse: where everything is in every frame.

    The motion is drawn in continuous time, so that other frame rates sample the same motion.

    Parameters
    ----------
    mouse : SimulatedMouse
        The mouse.
    seed : int
        The same seed gives the same session.
    n_frames : int
        Number of frames, at least 1.
    fps : float or Fraction
        Frames a second; above 20, so that the jaw's motion is sampled.
    n_hard_bursts : int
        How many bursts of hard frames there are, one in each of as many equal parts of the session; motion blur and
        a paw before the snout take turns. Everything else is the same without them.
    width, height : int
        Size of the frames in px; the scale follows the width.

    Returns
    -------
    SimulatedSession
        The session.

    Raises
    ------
    SimulationError
        If there are no frames, or too few for that many bursts.
    """
    if n_frames < 1 or n_hard_bursts * 12 > n_frames:
        raise SimulationError(
            f"{n_frames} frames cannot hold {n_hard_bursts} bursts of hard frames; use at least 1 frame, and 12 a burst"
        )
    time = np.arange(n_frames) / float(fps)
    jaw = _jaw_motion(np.random.default_rng([seed, 1]), time)
    rotation, translation, whisk = _head_motion(np.random.default_rng([seed, 2]), time)
    hard = _hard_frames(np.random.default_rng([seed, 3]), n_frames, n_hard_bursts, width)
    views = _place_cameras(np.random.default_rng([seed, 4]), mouse, width, height)
    position_mm = _node_positions(mouse, jaw["jaw_opening_mm"], rotation, translation)
    return SimulatedSession(
        mouse=mouse,
        seed=seed,
        fps=float(fps),
        time=time,
        position_mm=position_mm,
        position_px={camera: view.project(position_mm) for camera, view in views.items()},
        scale_px_per_mm={camera: view.scale_px_per_mm for camera, view in views.items()},
        views=views,
        whisk_rad=whisk,
        head_rotation=rotation,
        head_translation_mm=translation,
        **jaw,
        **hard,
    )


def render_simulation(
    session: SimulatedSession, camera: str, *, start: int = 0, stop: int | None = None
) -> Iterator[NDArray[np.uint8]]:
    """Draw the frames of one camera, one by one.

    Parameters
    ----------
    session : SimulatedSession
        The session.
    camera : str
        ``side`` or ``lower``.
    start, stop : int
        Range of frames; all by default. Any range gives the same frames as the whole.

    Returns
    -------
    iterator of arrays, shape (height, width), uint8
        Gray levels. The same session gives the same frames, bit for bit.

    Raises
    ------
    SimulationError
        If there is no such camera.
    NotInstalledError
        If OpenCV, which draws, is not installed.
    """
    if camera not in session.views:
        raise SimulationError(f"no camera {camera!r}; there are {', '.join(session.views)}")
    import_extra("cv2", "OpenCV, which draws the mouse,", "sleap")
    from compute.simulated_mouse.rendering import render_frames, rendered_face

    stop = session.n_frames if stop is None else min(stop, session.n_frames)
    return render_frames(session, camera, start, stop, rendered_face(session.mouse, session.views[camera]))


def simulated_distance_mm(mouse: SimulatedMouse, node_a: str, node_b: str) -> float:
    """True distance between two nodes that are rigid to each other, in mm: all but the jaw's tip.

    Raises
    ------
    SimulationError
        If a node does not exist, or is the jaw's tip.
    """
    for node in (node_a, node_b):
        if node not in NODES or node == "jaw_tip":
            rigid = ", ".join(name for name in NODES if name != "jaw_tip")
            raise SimulationError(f"no constant distance to {node!r}; the rigid nodes are {rigid}")
    nodes = rest_nodes_mm(mouse)
    return float(np.linalg.norm(nodes[NODES.index(node_a)] - nodes[NODES.index(node_b)]))


def _place_cameras(
    random: np.random.Generator, mouse: SimulatedMouse, width: int, height: int
) -> dict[str, CameraView]:
    """Both cameras, placed by hand on this day: a little off where they should be."""
    spread = 1.6 if mouse.held_out else 1.0
    views = {}
    for camera, field_mm, looked_at_mm in (("side", 18.5, (-7.4, 0.0, 0.2)), ("lower", 14.5, (-3.2, 0.0, -2.2))):
        scale = width / field_mm * float(1 + 0.03 * spread * random.uniform(-1, 1))
        turns = [float(spread * limit * random.uniform(-1, 1)) for limit in (2.0, 2.0, 2.0)]
        view = CameraView(camera, width, height, scale, (0.0, 0.0), *turns)
        shift = 0.02 * width * spread * random.uniform(-1, 1, 2)
        middle = np.array([width - 1, height - 1]) / 2 + shift
        x, y = middle - view.project(np.array(looked_at_mm))
        views[camera] = CameraView(camera, width, height, scale, (float(x), float(y)), *turns)
    return views


def _node_positions(mouse: SimulatedMouse, opening_mm: Array, rotation: Array, translation: Array) -> Array:
    """True positions, (frame, node, 3) mm: the jaw's tip turned about its hinge, then everything with the head."""
    positions = np.repeat(rest_nodes_mm(mouse)[None], len(opening_mm), axis=0)
    hinge = JAW_HINGE_MM * mouse.size
    for frame, opening in enumerate(opening_mm):
        turn = rotation_y(jaw_angle_rad(mouse, opening))
        positions[frame, JAW_NODE] = turn @ (positions[frame, JAW_NODE] - hinge) + hinge
    pivot = pivot_mm(mouse)
    moved: Array = np.einsum("fij,fnj->fni", rotation, positions - pivot) + pivot + translation[:, None]
    return moved


def _jaw_motion(random: np.random.Generator, time: Array) -> dict[str, NDArray]:
    """Opening of the jaw (mm), and the bouts of licking and chewing with rests between."""
    opening = 0.04 + 0.02 * _wander(random, time, 0.3, 3.0)
    bouts = {"lick": np.zeros(time.size, bool), "chew": np.zeros(time.size, bool)}
    begin = random.uniform(0.1, 0.5)
    kind = "lick" if random.random() < 0.5 else "chew"
    while begin < time[-1]:
        duration = random.uniform(1.2, 3.0)
        frequency = random.uniform(5.0, 7.5) if kind == "lick" else random.uniform(4.3, 6.0)
        amplitude = random.uniform(1.4, 2.1) if kind == "lick" else random.uniform(0.7, 1.2)
        within = (time >= begin) & (time < begin + duration)
        along = (time[within] - begin) / duration
        envelope = np.clip(np.minimum(along, 1 - along) * duration / 0.12, 0, 1)
        strength = amplitude * (1 + 0.15 * np.sin(2 * np.pi * (3.3 * along + random.random())))
        cycle = 0.5 - 0.5 * np.cos(2 * np.pi * frequency * (time[within] - begin))
        opening[within] += envelope * strength * cycle
        bouts[kind] |= within
        begin += duration + random.uniform(0.5, 1.6)
        kind = "chew" if kind == "lick" else "lick"
    return {
        "jaw_opening_mm": np.clip(opening, 0, MAXIMAL_OPENING_MM),
        "licking": bouts["lick"],
        "chewing": bouts["chew"],
    }


def _head_motion(random: np.random.Generator, time: Array) -> tuple[Array, Array, Array]:
    """Rotation (frame, 3, 3) and translation (frame, 3) mm of the head, and the whiskers' sweep (frame,) rad."""
    breath = np.sin(2 * np.pi * random.uniform(2.0, 3.0) * time + 0.6 * _wander(random, time, 0.2, 1.0))
    bout = np.clip(1.5 * _wander(random, time, 0.15, 0.6), 0, 1)
    phase = 2 * np.pi * random.uniform(6.0, 9.0) * time
    sniff = bout * np.sin(phase)
    turn_deg = np.column_stack([0.12 * _wander(random, time, 0.05, 0.8) for _ in range(3)])
    turn_deg[:, 1] += 0.06 * breath + 0.16 * sniff
    translation = np.column_stack([0.03 * _wander(random, time, 0.05, 0.8) for _ in range(3)])
    translation[:, 2] += 0.02 * breath
    whisk_deg = 4 * _wander(random, time, 0.2, 2.0) + 14 * bout * (0.5 - 0.5 * np.cos(phase))
    return Rotation.from_rotvec(turn_deg, degrees=True).as_matrix(), translation, np.deg2rad(whisk_deg)


def _wander(random: np.random.Generator, time: Array, low_hz: float, high_hz: float) -> Array:
    """Slow, irregular motion as a sum of sines, SD about 1, (frame,); the same at any frame rate."""
    frequency = np.exp(random.uniform(np.log(low_hz), np.log(high_hz), 6))
    phase = random.uniform(0, 2 * np.pi, 6)
    waves: Array = np.sin(2 * np.pi * frequency[:, None] * time + phase[:, None])
    return waves.sum(0) / np.sqrt(3)


def _hard_frames(random: np.random.Generator, n_frames: int, n_bursts: int, width: int) -> dict[str, NDArray]:
    """Bursts of motion blur and of a paw before the snout, taking turns, 4 to 10 frames each."""
    arrays = {name: np.zeros(n_frames) for name in ("blur_px", "blur_angle_rad", "paw_height")}
    hard = np.zeros(n_frames, bool)
    edges = np.linspace(0, n_frames, n_bursts + 1).astype(int)
    for burst, (low, high) in enumerate(pairwise(edges.tolist())):
        length = int(random.integers(4, 11))
        first = int(random.integers(low, high - length + 1))
        frames = np.arange(first, first + length)
        hard[frames] = True
        course = np.sin(np.pi * (np.arange(length) + 0.5) / length)
        if burst % 2 == 0:
            arrays["blur_px"][frames] = width / 192 * random.uniform(10, 18) * (0.55 + 0.45 * course)
            arrays["blur_angle_rad"][frames] = random.uniform(0, np.pi)
        else:
            arrays["paw_height"][frames] = 0.95 + 0.05 * course
            # On its way up and down it is below the jaw: in the picture, but in nobody's way.
            arrays["paw_height"][[frame for frame in (first - 1, first + length) if low <= frame < high]] = 0.55
    return {"hard": hard, **arrays}
