"""What all filters share: the gaps they may fill, and the form of their result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.tracks import Tracks

_TIME_TOLERANCE_S = 1e-6
"""Frame times are sums of rounded numbers: a gap may be this much longer than the limit."""


def filter_result(
    tracks: Tracks,
    name: str,
    parameters: Mapping[str, Any],
    fitted: Mapping[str, Any] | None = None,
    **arrays: NDArray[Any] | None,
) -> Tracks:
    """Tracks with a filter's arrays, and what made them in their attributes.

    Parameters
    ----------
    tracks : Tracks
        The filter's input; what `arrays` does not name is taken from it.
    name : str
        Name of the filter.
    parameters : mapping
        All parameters that the filter used, as JSON can hold them. They become ``attributes["filter"]``.
    fitted : mapping, optional
        What the filter found out about each node; it becomes ``attributes["filter"]["fitted"]``.
    **arrays : array
        Fields of `Tracks` that the filter made anew. ``filled`` is the same in every filter: True where there is a
        position and no used point, be it that the estimator gave none or that the filter (or its gate) rejected it.
    """
    made_by: dict[str, Any] = {"name": name, "parameters": dict(parameters)}
    if fitted is not None:
        made_by["fitted"] = dict(fitted)
    changes: dict[str, Any] = {**arrays, "attributes": {**tracks.attributes, "filter": made_by}}
    return replace(tracks, **changes)


def frame_interval_s(tracks: Tracks) -> float:
    """Median time between frames in seconds; 1 for fewer than two frames, where it has no meaning."""
    return float(np.median(np.diff(tracks.time))) if tracks.n_frames > 1 else 1.0


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


def across_gaps(position: NDArray[Any], allowed: NDArray[np.bool_], time: NDArray[np.float64]) -> NDArray[np.float64]:
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
