"""Running median that leaves out missing points."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from compute.filters.gaps import within_gap_limit
from compute.filters.gate import gated_if
from compute.filters.parameter_rules import Flag, GapSeconds, Seconds
from compute.filters.registry import register_filter
from compute.filters.result import filter_result, passing_note
from compute.tracks import Tracks

_CHUNK_VALUES = 4_000_000
"""Values sorted at a time, so that memory stays bounded however wide the window."""


@register_filter(
    version=2,
    lag="symmetric",
    color="#009E73",
    in_every_lab=True,
    candidates=({"window_s": 0.03}, {"window_s": 0.05}, {"window_s": 0.09}),
)
def median(
    tracks: Tracks, *, window_s: Seconds = 0.05, max_gap_s: GapSeconds | None = 0.1, gated: Flag = False
) -> Tracks:
    """Median of the points in a window around each frame, of x and of y.

    Between holes times are treated as regular. At the two ends the window is cut.

    Parameters
    ----------
    tracks : Tracks
        Tracks with NaN where a node was not found.
    window_s : float
        Length of the window in seconds, rounded to an odd number of frames. The default is five frames at 100 Hz:
        it takes out spikes of one or two. A window of one frame passes every point as it is, and the result's ``note``
        says so.
    max_gap_s : float or None
        The longest gap, from point to point in seconds, that is filled; None for any shorter than the window.
        The two ends are never extrapolated.
    gated : bool
        First leave out wrong placements, see `compute.filters.gate.gated`.

    Returns
    -------
    Tracks
        With ``filled`` True where a position stands although no point was used, and ``rejected`` if gated.

    Raises
    ------
    FilterError
        If a parameter is outside its range.
    """
    half = min(max(0, round((window_s / tracks.frame_interval_s - 1) / 2)), tracks.n_frames)
    points = gated_if(tracks, gated)
    found = points.found
    allowed = within_gap_limit(found, tracks.time, max_gap_s)
    position = np.full(tracks.position.shape, np.nan, np.float32)
    for node in range(len(tracks.nodes)):
        for axis in range(2):
            values = running_median(points.position[:, node, axis], half)
            position[:, node, axis] = np.where(allowed[:, node], values, np.nan)
    return filter_result(
        tracks,
        "median",
        {"window_s": window_s, "max_gap_s": max_gap_s, "gated": gated},
        note=passing_note(tracks, f"window_s {window_s:g} holds one frame") if half == 0 else None,
        position=position,
        sd=None,
        rejected=points.rejected,
        filled=~found & ~np.isnan(position[..., 0]),
    )


def running_median(values: NDArray[np.float32], half: int) -> NDArray[np.float32]:
    """Median of the values that are not NaN among `half` on either side and the middle one.

    Parameters
    ----------
    values : array, shape (frame,), float32
        May hold NaN.
    half : int
        Values on either side; the window has ``2 * half + 1``.

    Returns
    -------
    array, shape (frame,), float32
        NaN where the window holds nothing else.
    """
    if values.size == 0 or half == 0:
        return values.copy()
    from scipy.ndimage import median_filter, uniform_filter1d

    width = 2 * half + 1
    padded = np.pad(values, half, constant_values=np.nan)
    # SciPy's median is fast but knows no NaN: it does the windows without one, the others are sorted.
    missing = np.isnan(padded)
    result = median_filter(np.where(missing, 0, padded), size=width)[half:-half]
    holes = np.flatnonzero(uniform_filter1d(missing.astype(np.float64), width)[half:-half] > 0.5 / width)
    windows = sliding_window_view(padded, width)
    for chunk in np.array_split(holes, max(1, holes.size * width // _CHUNK_VALUES)):
        result[chunk] = _median_of_sorted(np.sort(windows[chunk], axis=1))
    return result


def _median_of_sorted(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Median of each row, sorted with NaN last; NaN where a row holds nothing else."""
    n = np.count_nonzero(~np.isnan(rows), axis=1)
    index = np.arange(len(rows))
    low = rows[index, np.maximum((n - 1) // 2, 0)]
    return (low + rows[index, np.minimum(n // 2, rows.shape[1] - 1)]) / 2
