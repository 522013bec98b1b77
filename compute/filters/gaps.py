"""The gaps between used points: which of them a filter may fill, and straight lines across them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.tracks import Tracks

_TIME_TOLERANCE_S = 1e-6
"""Frame times are sums of rounded numbers: a gap may be this much longer than the limit."""


def within_gap_limit(used: NDArray[np.bool_], time: NDArray[np.float64], max_gap_s: float | None) -> NDArray[np.bool_]:
    """Where a filter may give a position: at used points, and in the gaps between two that are not too long.

    The length of a gap is the time from the used point before it to the one after it. Before the first and after the
    last point there is no gap but nothing: a filter does not extrapolate.

    Parameters
    ----------
    used : array, shape (frame, node), bool
        Points that the filter uses.
    time : array, shape (frame,)
        Time in seconds.
    max_gap_s : float or None
        The longest gap that may be filled, in seconds; None for any.

    Returns
    -------
    array, shape (frame, node), bool
    """
    limit_s = np.inf if max_gap_s is None else max_gap_s + _TIME_TOLERANCE_S
    return _within_gap_limit(np.ascontiguousarray(used), time, limit_s)


def connecting_limit_s(tracks: Tracks, max_gap_s: float | None) -> float:
    """The longest time between two used points across which a filter remembers the first one.

    It is `max_gap_s`, but neighbouring frames are never a gap, however slow the camera: at 8 Hz they are 0.125 s apart.

    Parameters
    ----------
    tracks : Tracks
        Their times say how far apart frames are.
    max_gap_s : float or None
        The longest gap that may be filled, in seconds; None for any: infinite.
    """
    if max_gap_s is None:
        return np.inf
    return max(max_gap_s + _TIME_TOLERANCE_S, 1.5 * tracks.frame_interval_s)


@njit(cache=True)
def _within_gap_limit(used: NDArray[np.bool_], time: NDArray[np.float64], limit_s: float) -> NDArray[np.bool_]:
    n_frames, n_nodes = used.shape
    allowed = used.copy()
    last = np.full(n_nodes, -1)
    for frame in range(n_frames):
        for node in range(n_nodes):
            if used[frame, node]:
                if 0 <= last[node] < frame - 1 and time[frame] - time[last[node]] <= limit_s:
                    allowed[last[node] : frame, node] = True
                last[node] = frame
    return allowed


def bridge_gaps(position: NDArray[Any], allowed: NDArray[np.bool_], time: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions with straight lines across the gaps that may be filled.

    Parameters
    ----------
    position : array, shape (frame, node, 2)
        NaN where there is no point.
    allowed : array, shape (frame, node), bool
        Where there may be a position, as `within_gap_limit` says.
    time : array, shape (frame,)
        Time in seconds.

    Returns
    -------
    array, shape (frame, node, 2), float64
        NaN where `allowed` is False.
    """
    result = position.astype(np.float64)
    known = ~np.isnan(result[..., 0])
    result[~allowed] = np.nan
    for node in range(position.shape[1]):
        gap, points = allowed[:, node] & ~known[:, node], known[:, node]
        for axis in range(2 if gap.any() else 0):
            result[gap, node, axis] = np.interp(time[gap], time[points], position[points, node, axis])
    return result


def stretches_between_gaps(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Start and stop of each run of True.

    Examples
    --------
    >>> stretches_between_gaps(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    edges = np.flatnonzero(np.diff(np.r_[False, mask, False].astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
