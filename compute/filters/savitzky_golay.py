"""Savitzky-Golay: a polynomial fitted to the points around each frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.filters.gaps import bridge_gaps, stretches_between_gaps, within_gap_limit
from compute.filters.gate import gated_if
from compute.filters.parameter_rules import Flag, GapSeconds, PolynomialOrder, Seconds
from compute.filters.registry import register_filter
from compute.filters.result import filter_result, passing_note
from compute.tracks import Tracks


@register_filter(
    version=2,
    lag="symmetric",
    color="#CC79A7",
    in_every_lab=True,
    candidates=(
        {"window_s": 0.05, "polynomial_order": 2},
        {"window_s": 0.09, "polynomial_order": 3},
        {"window_s": 0.15, "polynomial_order": 3},
        {"window_s": 0.21, "polynomial_order": 3},
    ),
)
def savitzky_golay(
    tracks: Tracks,
    *,
    window_s: Seconds = 0.09,
    polynomial_order: PolynomialOrder = 3,
    max_gap_s: GapSeconds | None = 0.1,
    gated: Flag = False,
) -> Tracks:
    """Value in each frame of the polynomial that fits the window around it best (Savitzky and Golay 1964).

    Gaps that may be filled are first bridged by straight lines, and each stretch without a longer gap is filtered by
    itself with SciPy's `savgol_filter`, whose first and last half window is the polynomial of the window there. A
    stretch shorter than the window gets a shorter window. Between holes times are treated as
    regular.

    Parameters
    ----------
    tracks : Tracks
        Tracks with NaN where a node was not found.
    window_s : float
        Length of the window in seconds, rounded to an odd number of frames. The default, nine frames at 100 Hz with
        order 3, passes 97 % of the amplitude at 8 Hz.
    polynomial_order : int
        Order of the polynomial, from 0 to 9. A window that holds no more frames than its order plus one passes every
        point as it is, and the result's ``note`` says so.
    max_gap_s : float or None
        The longest gap, from point to point in seconds, that is filled; None for any. The two ends are never
        extrapolated.
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
    width = 2 * max(0, round((window_s / tracks.frame_interval_s - 1) / 2)) + 1
    passes = width <= polynomial_order + 1
    points = gated_if(tracks, gated)
    allowed = within_gap_limit(points.found, tracks.time, max_gap_s)
    position = bridge_gaps(points.position, allowed, tracks.time)
    for node in range(len(tracks.nodes)):
        for start, stop in stretches_between_gaps(allowed[:, node]):
            position[start:stop, node] = _smooth(position[start:stop, node], width, polynomial_order)
    return filter_result(
        tracks,
        "savitzky_golay",
        {"window_s": window_s, "polynomial_order": polynomial_order, "max_gap_s": max_gap_s, "gated": gated},
        note=passing_note(tracks, f"window_s {window_s:g} holds {width} frames") if passes else None,
        position=position.astype(np.float32),
        sd=None,
        rejected=points.rejected,
        filled=allowed & ~points.found,
    )


def _smooth(values: NDArray[Any], width: int, order: int) -> NDArray[Any]:
    """SciPy's filter over the first axis, with a window no longer than there are values."""
    from scipy.signal import savgol_filter  # takes most of a second, and parameters are checked without it

    width = min(width, len(values) - (len(values) + 1) % 2)
    return np.asarray(savgol_filter(values, width, min(order, width - 1), axis=0))
