"""Holes in time between frames: where the camera took none though time went on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.tracks.tracks import FILTER_COLUMNS, Tracks

_HOLE = 1.5
"""A step in time longer than this many usual intervals holds frames that are missing."""


def frame_hole_mask(tracks: Tracks) -> NDArray[np.bool_]:
    """Which steps from one frame to the next are holes, shape (frame - 1,)."""
    return np.asarray(np.diff(tracks.time) > _HOLE * tracks.frame_interval_s)


def spread_over_frame_holes(tracks: Tracks, *, longest_s: float) -> tuple[Tracks, NDArray[np.int_]]:
    """The tracks with the frames that are missing in time, none of which has a point.

    What counts frames, or looks for missing points to see a gap, then sees time.

    Parameters
    ----------
    tracks : Tracks
        Frames at any times.
    longest_s : float
        No hole is given more frames than fit into this time (s); the rest of it stays a step in time.

    Returns
    -------
    tracks : Tracks
        Without holes up to `longest_s`. The same object where there is none.
    index : array, shape (frame,), int
        Where the frames of `tracks` stand in it.

    Examples
    --------
    >>> tracks = Tracks(np.zeros((4, 1, 2)), np.ones((4, 1)), [0.0, 0.01, 0.05, 0.06], ["jaw_tip"])
    >>> whole, index = spread_over_frame_holes(tracks, longest_s=1)
    >>> whole.found[:, 0].tolist(), index.tolist()
    ([True, True, False, False, False, True, True], [0, 1, 5, 6])
    """
    is_hole = frame_hole_mask(tracks)
    if not is_hole.any():
        return tracks, np.arange(tracks.n_frames)
    interval_s = tracks.frame_interval_s
    steps = np.round(np.diff(tracks.time) / interval_s)
    counted = np.where(is_hole, np.clip(steps, 2, max(2, round(longest_s / interval_s))), 1).astype(np.int64)
    index = np.concatenate([[0], np.cumsum(counted)])
    n_frames = int(index[-1]) + 1
    columns: dict[str, Any] = {
        "position": np.full((n_frames, len(tracks.nodes), 2), np.nan, np.float32),
        "score": np.zeros((n_frames, len(tracks.nodes)), np.float32),
    }
    for name in FILTER_COLUMNS:
        if getattr(tracks, name) is not None:
            columns[name] = np.full(
                columns["position" if name == "sd" else "score"].shape, 0 if name in ("rejected", "filled") else np.nan
            )
    for name, values in columns.items():
        values[index] = getattr(tracks, name)
    return replace(tracks, time=_times(tracks.time, counted, interval_s), **columns), index


def _times(time: NDArray[np.float64], counted: NDArray[np.int64], interval_s: float) -> NDArray[np.float64]:
    """Times of all frames. In a hole they are even; one that was counted as shorter than it is ends with a step."""
    steps = np.minimum(np.diff(time) / counted, _HOLE * interval_s)
    since = np.arange(counted.sum()) - np.repeat(np.cumsum(counted) - counted, counted)
    return np.append(np.repeat(time[:-1], counted) + since * np.repeat(steps, counted), time[-1])
