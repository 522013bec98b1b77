"""Bouts of movement: stretches of time in which a node moves fast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compute.tracks import Tracks


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
    minimum_speed_px_per_s: float,
    minimum_duration_s: float = 0.05,
    maximum_gap_s: float = 0.05,
) -> list[Bout]:
    """Find bouts of movement of one node.

    A bout is a run of moves (from one frame with a position to the next) that are at least `minimum_speed_px_per_s`
    fast. Runs are one bout if the time between them is at most `maximum_gap_s`. Bouts shorter than
    `minimum_duration_s` are dropped. A move across missing frames that last longer than `maximum_gap_s` counts as
    none: the path is not known. Use filtered tracks, since noise looks like fast movement.

    Parameters
    ----------
    tracks : Tracks
        Filtered tracks.
    node : str
        The node that moves.
    minimum_speed_px_per_s, minimum_duration_s, maximum_gap_s : float
        See above.

    Returns
    -------
    list of Bout
        In order of time; empty if nothing moves.

    Raises
    ------
    TracksError
        If there is no such node.

    Examples
    --------
    >>> x = np.r_[np.zeros(50), np.arange(20.0), np.full(30, 19.0)]
    >>> tracks = Tracks(np.c_[x, x * 0][:, None], np.ones((100, 1)), np.arange(100) / 100, ["jaw_tip"])
    >>> find_bouts(tracks, "jaw_tip", minimum_speed_px_per_s=50)
    [Bout(start_s=0.5, end_s=0.69, path_px=19.0, peak_speed_px_per_s=100.0)]
    """
    index = tracks.node_index(node)
    seen = np.flatnonzero(tracks.found[:, index])
    time = tracks.time[seen]
    step_px = np.hypot(*np.diff(tracks.position[seen, index].astype(float), axis=0).T)
    step_s = np.diff(time)
    speed = np.round(step_px / step_s, 9)
    is_missing = (np.diff(seen) > 1) & (step_s > maximum_gap_s)
    moves = np.flatnonzero((speed >= minimum_speed_px_per_s) & ~is_missing)
    if not moves.size:
        return []
    breaks = np.flatnonzero(time[moves[1:]] - time[moves[:-1] + 1] > maximum_gap_s)
    bouts = []
    for run in np.split(moves, breaks + 1):
        first, last = run[0], run[-1] + 1
        if time[last] - time[first] >= minimum_duration_s:
            steps = slice(first, last)
            bouts.append(
                Bout(float(time[first]), float(time[last]), float(step_px[steps].sum()), float(speed[steps].max()))
            )
    return bouts
