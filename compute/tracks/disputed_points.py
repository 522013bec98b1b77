"""Points at which the members of an ensemble disagree for a while: nobody knows where the node is there."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from compute.tracks.tracks import Tracks

FALSE_ALARMS = 0.01
"""Fraction of a node's points that are taken for disputed ones although its members only err as they always do."""

LASTING_S = 0.1
"""Window of the running median (s): members that disagree in single frames are told apart by what comes around."""

_HIGH = 0.75
"""Quantile of the spreads that says, with the median, how far they reach: it says the same if a tenth is disputed."""


def disputed_points(
    tracks: Tracks, *, false_alarms: float = FALSE_ALARMS, minimum_px: float = 2.5
) -> NDArray[np.bool_]:
    """Points where the spread is large against the node's own usual spread, and stays so.

    The limit of a node is the quantile ``1 - false_alarms`` of a lognormal distribution with the median and the upper
    quartile of the node's lasting spreads. So it depends little on how many points are disputed, and a node that the
    networks know badly is not disputed everywhere.

    Parameters
    ----------
    tracks : Tracks
        Of an ensemble; of other tracks no point is disputed.
    false_alarms : float
        Fraction of the points of a node whose members only err as they always do that are found nevertheless.
    minimum_px : float
        A spread up to this many pixels is never large.

    Returns
    -------
    array, shape (frame, node), bool
        False where there is no point.
    """
    spread = lasting_spread(tracks)
    normal = NormalDist()
    reach = normal.inv_cdf(1 - false_alarms) / normal.inv_cdf(_HIGH)
    disputed = np.zeros(spread.shape, np.bool_)
    for node in range(len(tracks.nodes)):
        known = spread[~np.isnan(spread[:, node]), node]
        if known.size:
            middle, high = np.quantile(np.log(np.maximum(known, 1e-3)), (0.5, _HIGH))
            limit_px = max(float(np.exp(middle + reach * (high - middle))), minimum_px)
            disputed[:, node] = np.nan_to_num(spread[:, node]) > limit_px
    return disputed


def lasting_spread(tracks: Tracks) -> NDArray[np.float32]:
    """Running median over `LASTING_S` of each node's spread (px), shape (frame, node).

    NaN where there is no point or fewer than two members have one; what is around a gap is taken as neighbours.
    """
    lasting = np.full(tracks.score.shape, np.nan, np.float32)
    if tracks.spread is None or not tracks.n_frames:
        return lasting
    from scipy.ndimage import median_filter  # a worker that waits has not imported it

    n_window = max(1, round(LASTING_S / tracks.frame_interval_s)) | 1 if tracks.n_frames > 1 else 1
    for node in range(len(tracks.nodes)):
        known = tracks.found[:, node] & ~np.isnan(tracks.spread[:, node])
        if known.any():
            lasting[known, node] = median_filter(tracks.spread[known, node], n_window, mode="nearest")
    return lasting
