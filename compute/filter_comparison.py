"""A filter's work on the distance of two nodes: how much noise is left, and how much real movement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.distances import distance_px
from compute.filters.kalman import kalman
from compute.filters.result import frame_interval_s
from compute.filters.score_noise import DEFAULT_SCORE_EXPONENT, MINIMUM_WEIGHT
from compute.movement import MovementKept, movement_kept
from compute.tracks import Tracks

Array = NDArray[Any]

_NOISES = ((0.001, None), (0.5, None), (0.001, 0.3), (0.5, 0.3))
"""Lowest bandwidth (Hz) and window (s) of the vector's process noise; the likeliest counts.

A snout's width stands still or drifts, a jaw's distance moves in bouts. A lower limit that is not needed lets noise
through; without one a fit may end where movement is taken for noise.
"""


@dataclass(frozen=True)
class TrueDistance:
    """What the points say about a pair's real distance, their noise taken out.

    Parameters
    ----------
    mean_px : float
        Mean of the distance.
    variance_px2 : float
        Variance of the real distance.
    """

    mean_px: float
    variance_px2: float


def true_distance(raw: Tracks, filtered: Tracks, node_a: str, node_b: str) -> TrueDistance | None:
    """Mean and variance of the real distance of two nodes, corrected by the posterior variance.

    The variance of any track's distance is wrong: noise adds to it, smoothing takes from it. If a smoother's model
    fits a quantity, the law of total variance gives its real variance: that of the posterior mean plus the mean of the
    posterior variance. Smoothing each node by itself does not fit the distance: two nodes of a moving head share a
    movement, and need a bandwidth, that their distance does not have. So the vector from one node to the other, of
    points that the gate kept on both sides, is smoothed as one node with noises of its own, and the law is applied to
    its length; a posterior across the vector makes a length longer by variance / (2 x length). On simulated tracks
    with noise of 1 px the result is within 2 % of the truth for a jaw, and within 0.03 px² for a snout whose distance
    varies by 0.22 px², a tenth of the noise.

    Parameters
    ----------
    raw : Tracks
        The estimator's points.
    filtered : Tracks
        The same after a filter that knows its posterior (``sd``); its ``rejected`` are left out, and its score
        exponent holds for the scores.
    node_a, node_b : str
        The pair.

    Returns
    -------
    TrueDistance or None
        None for a filter without ``sd``, or where the pair was seen together in fewer than two frames.
    """
    if filtered.sd is None or not filtered.found.any():
        return None
    exponent = filtered.attributes.get("filter", {}).get("parameters", {}).get("score_exponent")
    vector = _vector_tracks(raw, filtered.rejected, node_a, node_b, exponent)
    if np.count_nonzero(vector.found) < 2:
        return None
    smoothed = max(
        (
            kalman(
                vector,
                minimum_bandwidth_hz=bandwidth_hz,
                noise_window_s=window_s,
                gate_probability=None,
                score_exponent=exponent,
            )
            for bandwidth_hz, window_s in _NOISES
        ),
        key=_log_likelihood,
    )
    assert smoothed.sd is not None  # for the type checker
    known = smoothed.found[:, 0]
    mean, variance = smoothed.position[known, 0].astype(np.float64), smoothed.sd[known, 0].astype(np.float64) ** 2
    length = np.maximum(np.hypot(mean[:, 0], mean[:, 1]), np.sqrt(variance.sum(axis=1)))
    along = (mean / length[:, None]) ** 2
    radial, across = (along * variance).sum(axis=1), (along[:, ::-1] * variance).sum(axis=1)
    distance = length + across / (2 * length)
    return TrueDistance(float(distance.mean()), float(distance.var() + radial.mean()))


def _log_likelihood(smoothed: Tracks) -> float:
    return float(smoothed.attributes["filter"]["fitted"]["vector"]["log_likelihood"])


def _vector_tracks(raw: Tracks, rejected: Array | None, node_a: str, node_b: str, exponent: float | None) -> Tracks:
    """The vector from a to b as tracks of one node, where both points are used."""
    pair = raw.select([node_a, node_b])
    used = np.asarray(pair.found.all(axis=1))
    if rejected is not None:
        used &= ~rejected[:, [raw.node_index(node_a), raw.node_index(node_b)]].any(axis=1)
    vector = pair.position[:, 1].astype(np.float64) - pair.position[:, 0]
    # The score whose variance is the mean of both points' variances, which are as 1 / score**exponent.
    power = DEFAULT_SCORE_EXPONENT if exponent is None else exponent
    weight = np.maximum(np.clip(np.nan_to_num(pair.score, nan=1.0), 0, 1) ** power, MINIMUM_WEIGHT)
    score = (2 / (1 / weight).sum(axis=1)) ** (1 / power) if power else np.ones(raw.n_frames)
    return Tracks(
        np.where(used[:, None], vector, np.nan)[:, None].astype(np.float32),
        np.where(used, score, 0)[:, None].astype(np.float32),
        raw.time,
        ("vector",),
    )


def pair_movement_kept(
    despiked: Tracks, filtered: Tracks, node_a: str, node_b: str, *, band_hz: tuple[float, float] | None = None
) -> MovementKept:
    """How much of the movement of a pair's distance a filter keeps.

    Parameters
    ----------
    despiked : Tracks
        The estimator's points without wrong placements, as `compute.filters.gate.gated` gives them.
    filtered : Tracks
        Filtered tracks of the same frames.
    node_a, node_b : str
        The pair.
    band_hz : (float, float), optional
        Band of the movement (Hz); without it, it is found in the data.

    Raises
    ------
    TracksError
        If the frames differ in number, or the band does not fit the frame rate.
    """
    reference, distance = (distance_px(tracks, node_a, node_b) for tracks in (despiked, filtered))
    return movement_kept(reference, distance, fps=1 / frame_interval_s(despiked), band_hz=band_hz)
