"""One simulated recording: its truth, and the data needed to draw its frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compute.simulated_mouse.anatomy import CameraView, SimulatedMouse

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SimulatedSession:
    """One recording of a simulated mouse: the truth, and what `simulation.render_simulation` needs to draw it.

    Parameters
    ----------
    mouse : SimulatedMouse
        The mouse.
    seed : int
        What the motion and the noise were drawn from.
    fps : float
        Frames a second.
    time : array, shape (frame,), float64
        Time of each frame in s, from 0.
    position_mm : array, shape (frame, node, 3), float64
        True position in the head's coordinates at rest (x forward, y left, z up), in mm. Never NaN.
    position_px : dict of arrays, shape (frame, node, 2), float64
        For each camera the true x and y in px, also where a paw hides the node; (0, 0) is the center of the upper
        left pixel. Never NaN.
    scale_px_per_mm : dict of float
        Scale of each camera (weak perspective: the same at every depth).
    views : dict of View
        The cameras' geometry; `View.projection` is what triangulation needs.
    hard : array, shape (frame,), bool
        True in bursts of motion blur or occlusion.
    jaw_opening_mm : array, shape (frame,), float64
        How far the jaw's tip is from where it is when closed, along its arc.
    licking, chewing : array, shape (frame,), bool
        In which kind of bout the frame lies, if any.
    whisk_rad : array, shape (frame,), float64
        Angle by which the whiskers are swept forward.
    head_rotation : array, shape (frame, 3, 3), float64
        Small rotation of the head about where it is fixed.
    head_translation_mm : array, shape (frame, 3), float64
        Small movement of the head.
    blur_px, blur_angle_rad : array, shape (frame,), float64
        Length and direction of the motion blur, 0 for none.
    paw_height : array, shape (frame,), float64
        0 for no paw, above 0.8 for a paw before the snout, between for one on its way.
    """

    mouse: SimulatedMouse
    seed: int
    fps: float
    time: Array
    position_mm: Array
    position_px: Mapping[str, Array]
    scale_px_per_mm: Mapping[str, float]
    views: Mapping[str, CameraView]
    hard: NDArray[np.bool_]
    jaw_opening_mm: Array
    licking: NDArray[np.bool_]
    chewing: NDArray[np.bool_]
    whisk_rad: Array
    head_rotation: Array
    head_translation_mm: Array
    blur_px: Array
    blur_angle_rad: Array
    paw_height: Array

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.time.size)
