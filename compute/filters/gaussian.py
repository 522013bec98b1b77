"""Gaussian smoothing that leaves out missing points."""

from __future__ import annotations

import numpy as np

from compute.filters.gaps import within_gap_limit
from compute.filters.gate import gated_if
from compute.filters.parameter_rules import Flag, GapSeconds, Seconds
from compute.filters.registry import register_filter
from compute.filters.result import filter_result, passing_note
from compute.tracks import Tracks

_SMOOTHING_SIGMA_FRAMES = 0.33
"""With a narrower kernel the frames beside one have less than 1 % of its weight."""

REACH = 4.0
"""The kernel ends at this many sigma; a frame without a point within reach stays NaN."""


@register_filter(
    version=2,
    lag="symmetric",
    color="#E69F00",
    in_every_lab=True,
    variants={"gaussian_gated": ("#D55E00", {"gated": True})},
    candidates=(
        {"sigma_s": 0.005},
        {"sigma_s": 0.01},
        {"sigma_s": 0.015},
        {"sigma_s": 0.02},
        {"sigma_s": 0.03},
        {"sigma_s": 0.05},
    ),
)
def gaussian(
    tracks: Tracks, *, sigma_s: Seconds = 0.02, max_gap_s: GapSeconds | None = 0.1, gated: Flag = False
) -> Tracks:
    """Mean of the points around each frame, weighted by a Gaussian in time.

    A normalised convolution (Knutsson and Westin 1993): missing points have weight 0 and the weights of the others
    are scaled to sum to 1. Between holes times are treated as regular.

    Parameters
    ----------
    tracks : Tracks
        Tracks with NaN where a node was not found.
    sigma_s : float
        Standard deviation of the kernel in seconds. The default keeps licking (4-8 Hz): it passes 88 % of the
        amplitude at 4 Hz and 60 % at 8 Hz. A kernel much narrower than a frame passes every point as it is, and the
        result's ``note`` says so.
    max_gap_s : float or None
        The longest gap, from point to point in seconds, that is filled; None for any within the kernel's reach
        (4 sigma). The two ends are never extrapolated.
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
    points = gated_if(tracks, gated)
    found = points.found
    allowed = within_gap_limit(found, tracks.time, max_gap_s)
    sigma_frames = sigma_s / tracks.frame_interval_s
    position = np.full(tracks.position.shape, np.nan, np.float32)
    for node in range(len(tracks.nodes)):
        weight = _convolve(found[:, node].astype(np.float64), sigma_frames)
        reached = allowed[:, node] & (weight > 0)
        for axis in range(2):
            values = np.where(found[:, node], points.position[:, node, axis], 0).astype(np.float64)
            position[reached, node, axis] = _convolve(values, sigma_frames)[reached] / weight[reached]
    return filter_result(
        tracks,
        "gaussian",
        {"sigma_s": sigma_s, "max_gap_s": max_gap_s, "gated": gated},
        note=passing_note(tracks, f"sigma_s {sigma_s:g} is short") if sigma_frames < _SMOOTHING_SIGMA_FRAMES else None,
        position=position,
        sd=None,
        rejected=points.rejected,
        filled=~found & ~np.isnan(position[..., 0]),
    )


def _convolve(values: np.ndarray, sigma_frames: float) -> np.ndarray:
    """Convolve with the kernel; outside the video there is nothing."""
    from scipy.ndimage import gaussian_filter1d

    if values.size == 0:
        return values
    return np.asarray(gaussian_filter1d(values, sigma_frames, mode="constant", truncate=REACH))
