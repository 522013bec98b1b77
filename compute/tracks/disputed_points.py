"""Points at which the members of an ensemble disagree for a while: nobody knows where the node is there.

A member's point is the true place, plus an offset that the member has in the whole video (networks of other seeds put a
node some pixels apart), plus errors that last for many frames, plus noise of single frames. In the difference of two
members the true place cancels; its median over the video is what their offsets differ by; and a running median of the
rest, as a vector, takes out the noise. (A median of distances would keep it: noise only makes distances longer.) Errors
that last are left: `lasting_spread`. `usual_limit_px` says how large these usually are, for each node of each video by
itself, and `disputed_points` finds larger ones.

Where the members often disagree about a node for a while, its limit is high, and nothing below it can be found.
Differences in units of their covariance were tried, and distances from the ensemble's median in place of those between
two members: they found no more.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from compute.tracks.tracks import Tracks
from compute.tracks.usual_length import window_frames

FALSE_ALARMS = 0.01
"""Fraction of a node's points that are taken for disputed ones although its members only err as they always do."""

LASTING_S = 0.1
"""Window of the running median (s): members that disagree in single frames are told apart by what comes around."""

_HIGH = 0.75
"""Quantile of the spreads that says, with the median, how far the usual ones reach."""

_LEAST_SPREAD_PX = 1e-3
"""So that members that agree wholly have a logarithm."""


def lasting_spread(members: Sequence[Tracks]) -> NDArray[np.float32]:
    """How far the members of an ensemble are apart for a while, beyond their usual offsets.

    Parameters
    ----------
    members : sequence of Tracks
        Two or more, of the same frames and nodes.

    Returns
    -------
    array, shape (frame, node), float32
        In pixels. Of two members: the length of their difference (x, y), less its median over the video, as a running
        median over `LASTING_S`. Of more: the median over all pairs that found the node. So one of five that is wrong
        changes little, three that are wrong do. NaN where fewer than two found it; what is around a gap is taken as
        neighbours. Members that are apart by the same distance in most of the video are not apart here.
    """
    from scipy.ndimage import median_filter  # a worker that waits has not imported it

    first = members[0]
    n_frames, n_nodes = first.score.shape
    n_window = window_frames(first, LASTING_S)
    result = np.empty((n_frames, n_nodes), np.float32)
    pairs = list(itertools.combinations(range(len(members)), 2))
    for node in range(n_nodes):
        distances_px = np.full((len(pairs), n_frames), np.nan, np.float32)
        for distance_px, (one, other) in zip(distances_px, pairs, strict=True):
            difference = members[one].position[:, node] - members[other].position[:, node]
            known = ~np.isnan(difference[:, 0])
            if known.any():
                beyond = (difference[known] - np.median(difference[known], axis=0)).T
                distance_px[known] = np.hypot(*(median_filter(axis, n_window, mode="nearest") for axis in beyond))
        result[:, node] = median_of_known(distances_px)
    return result


def median_of_known(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Median along the first axis of the numbers that are not NaN; NaN where there are none, without a warning."""
    n = (~np.isnan(values)).sum(axis=0)
    ordered = np.sort(values, axis=0)  # NaN is last
    middle = [np.take_along_axis(ordered, np.maximum(one, 0)[None], axis=0)[0] for one in ((n - 1) // 2, n // 2)]
    return np.where(n > 0, (middle[0] + middle[1]) / 2, np.nan)


def disputed_points(
    tracks: Tracks, *, false_alarms: float = FALSE_ALARMS, minimum_px: float = 2.5
) -> NDArray[np.bool_]:
    """Points where the lasting spread is large against the node's own usual one, see `usual_limit_px`.

    So a node that the networks know badly is not disputed everywhere.

    Parameters
    ----------
    tracks : Tracks
        Of an ensemble; of other tracks no point is disputed.
    false_alarms : float
        Fraction of the points of a node whose members only err as they always do that are found nevertheless.
    minimum_px : float
        A lasting spread up to this many pixels is never large.

    Returns
    -------
    array, shape (frame, node), bool
        False where there is no point.
    """
    disputed = np.zeros(tracks.score.shape, np.bool_)
    if tracks.lasting_spread is None:
        return disputed
    known = tracks.found & ~np.isnan(tracks.lasting_spread)
    for node in range(len(tracks.nodes)):
        spread_px = tracks.lasting_spread[known[:, node], node]
        if spread_px.size:
            limit_px = max(usual_limit_px(spread_px, false_alarms), minimum_px)
            disputed[known[:, node], node] = spread_px > limit_px
    return disputed


def usual_limit_px(spread_px: NDArray[np.floating], false_alarms: float = FALSE_ALARMS) -> float:
    """The lasting spread that a node's usual ones exceed in a stated fraction of the points.

    Parameters
    ----------
    spread_px : array, shape (point,)
        Lasting spreads of one node, one or more, some of which may be disputed.
    false_alarms : float
        That fraction; below a quarter.

    Returns
    -------
    float
        In pixels.

    Notes
    -----
    Networks err with long tails: the limit is that of a lognormal distribution with the median and the upper quartile
    of the usual spreads (0.04 % of Gaussian errors are beyond it in place of 1 %). Disputed spreads would raise both.
    So the limit starts low, and rises until it agrees with itself: until it is the one by the median and the quartile
    of those below it, of which `false_alarms` is known to be missing. It starts where that of Gaussian errors would
    be: the lengths of their differences have Rayleigh's distribution, whose quantile is the median times ``sqrt(log(1
    / false_alarms) / log(2))``.

    Examples
    --------
    >>> usual = np.hypot(*np.random.default_rng(0).normal(0, 1, (2, 100_000)))
    >>> [round(usual_limit_px(np.append(usual, np.full(n, 20.0))), 1) for n in (0, 5_000, 10_000)]
    [4.0, 4.0, 4.0]
    """
    logs = np.sort(np.log(np.maximum(spread_px, _LEAST_SPREAD_PX)).astype(np.float64))
    normal = NormalDist()
    reach = normal.inv_cdf(1 - false_alarms) / normal.inv_cdf(_HIGH)
    levels = np.array([0.5, _HIGH]) / (1 - false_alarms)
    limit = float(np.median(logs)) + math.log(math.log(1 / false_alarms) / math.log(2)) / 2
    while True:
        middle, high = np.quantile(logs[: np.searchsorted(logs, limit, side="right")], levels)
        higher = float(middle + reach * (high - middle))
        if higher <= limit:
            return math.exp(limit)
        limit = higher
