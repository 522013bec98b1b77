"""Bouts of movement: stretches of time in which a node moves fast, by itself or against another node."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.errors import TracksError
from compute.filters.parameter_rules import NodeName, NotNegative, check_parameter_values
from compute.tracks import Tracks
from compute.tracks.repeated_frames import repeated_frame_mask

BOUTS_VERSION = 1
"""Version of the algorithm. Raise it when the same limits give other bouts: rows of `BoutMethod` pin it."""

BOUT_LIMITS = ("minimum_speed_px_per_s", "minimum_duration_s", "maximum_gap_s")
"""The keywords of `find_bouts` that say what a bout is."""

_FRAME_TOLERANCE = 0.05
"""A limit this much below a whole number of frames is that number: 0.1 s is three frames at 29.97 Hz, as at 30 Hz."""


@dataclass(frozen=True)
class Bout:
    """One stretch of movement.

    Attributes
    ----------
    start_s, end_s : float
        Time of its first and last frame (s).
    path_px : float
        Path length (px); a straight line across frames without a position.
    peak_speed_px_per_s : float
        Greatest speed between two frames (px/s).
    """

    start_s: float
    end_s: float
    path_px: float
    peak_speed_px_per_s: float


def find_bouts(
    tracks: Tracks,
    node: str,
    *,
    minimum_speed_px_per_s: NotNegative,
    minimum_duration_s: NotNegative = 0.05,
    maximum_gap_s: NotNegative = 0.2,
    reference_node: NodeName | None = None,
) -> list[Bout]:
    """Find bouts of movement of one node.

    A bout is a run of moves (from one frame with a position to the next) that are at least `minimum_speed_px_per_s`
    fast. Runs are one bout if the time between them is at most `maximum_gap_s`. Bouts shorter than
    `minimum_duration_s` are dropped. A bout never spans a hole: frames longer than `maximum_gap_s` that the camera
    dropped, or in which the node has no position, since the path is not known there. A frame that repeats the picture
    before it (a video at 30 Hz that was written at 60 Hz) says nothing new and is left out. Use filtered tracks, since
    noise looks like fast movement.

    A jaw that licks or chews stands still twice in each cycle: the default of `maximum_gap_s` is longer than that, and
    shorter than the rests between bouts. With 0.05 s many openings of the jaw are bouts of their own.

    Durations are compared in whole frames, so that neither the rounding of sums of times nor a camera's jitter of less
    than half a frame decides. At 100 Hz, 0.05 s is five frames; at 30 Hz, one frame is shorter than 0.05 s and two
    are longer. Where a single missing frame is longer than `maximum_gap_s`, each ends a bout.

    Parameters
    ----------
    tracks : Tracks
        Filtered tracks.
    node : str
        The node that moves.
    minimum_speed_px_per_s, minimum_duration_s, maximum_gap_s : float
        See above; (px/s), (s), (s), from 0.
    reference_node : str, optional
        Movement is that of `node` against this one, so that a head that moves as a whole makes no bout. Frames that
        lack either have no position.

    Returns
    -------
    list of Bout
        In order of time; empty if nothing moves.

    Raises
    ------
    TracksError
        If there is no such node, or a limit is no number from 0.

    Examples
    --------
    >>> x = np.r_[np.zeros(50), np.arange(20.0), np.full(30, 19.0)]
    >>> tracks = Tracks(np.c_[x, x * 0][:, None], np.ones((100, 1)), np.arange(100) / 100, ["jaw_tip"])
    >>> find_bouts(tracks, "jaw_tip", minimum_speed_px_per_s=50)
    [Bout(start_s=0.5, end_s=0.69, path_px=19.0, peak_speed_px_per_s=100.0)]
    """
    check_bout_limits(dict(zip(BOUT_LIMITS, (minimum_speed_px_per_s, minimum_duration_s, maximum_gap_s), strict=True)))
    is_new = ~repeated_frame_mask(tracks)
    position, all_times = _position(tracks, node, reference_node)[is_new], tracks.time[is_new]
    seen = np.flatnonzero(~np.isnan(position[:, 0]))
    if seen.size < 2:
        return []
    time, interval_s = all_times[seen], _frame_interval_s(all_times)
    longest_gap = math.floor(maximum_gap_s / interval_s + _FRAME_TOLERANCE)
    shortest_bout = math.ceil(minimum_duration_s / interval_s - _FRAME_TOLERANCE)
    step_px, step_s = np.hypot(*np.diff(position[seen], axis=0).T), np.diff(time)
    speed = np.round(step_px / step_s, 9)
    is_hole = np.rint(step_s / interval_s) > max(1, longest_gap)
    moves = np.flatnonzero((speed >= minimum_speed_px_per_s) & ~is_hole)
    between = np.rint((time[moves[1:]] - time[moves[:-1] + 1]) / interval_s)
    bouts = []
    for run in np.split(moves, np.flatnonzero(between > longest_gap) + 1) if moves.size else []:
        first, last = run[0], run[-1] + 1
        if np.rint((time[last] - time[first]) / interval_s) >= shortest_bout:
            steps = slice(first, last)
            bouts.append(
                Bout(float(time[first]), float(time[last]), float(step_px[steps].sum()), float(speed[steps].max()))
            )
    return bouts


def check_bout_limits(limits: Mapping[str, Any]) -> None:
    """Refuse limits that no bout can have.

    Parameters
    ----------
    limits : mapping
        Values of `BOUT_LIMITS`.

    Raises
    ------
    TracksError
        With the limit, its value, and what is expected.
    """
    check_parameter_values("bouts", find_bouts, limits, TracksError)


def default_bout_limits() -> dict[str, float]:
    """The limits that have a default.

    Examples
    --------
    >>> default_bout_limits()
    {'minimum_duration_s': 0.05, 'maximum_gap_s': 0.2}
    """
    return {name: value for name, value in (find_bouts.__kwdefaults__ or {}).items() if name in BOUT_LIMITS}


def _position(tracks: Tracks, node: str, reference_node: str | None) -> NDArray[np.float64]:
    """Position of a node, or from the reference node to it; NaN where there is none."""
    position = tracks.position[:, tracks.node_index(node)].astype(np.float64)
    if reference_node is None:
        return position
    if reference_node == node:
        raise TracksError(f"bouts of {node} against itself; expected another node as the reference")
    return position - tracks.position[:, tracks.node_index(reference_node)]


def _frame_interval_s(time: NDArray[np.float64]) -> float:
    """Mean time between neighbouring frames; steps across dropped frames are left out."""
    steps = np.diff(time)
    return float(steps[steps < 1.5 * np.median(steps)].mean())
