"""Effect of a filter on the distance of two nodes: noise left, and real movement kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compute.measures.distances import distance_px, distance_variance_px2
from compute.measures.movement import MovementKept, movement_kept
from compute.tracks import Tracks
from compute.tracks.frame_holes import spread_over_frame_holes

_LONGEST_HOLE_S = 1.0
"""A hole in time is bridged by a straight line of this length (s) at the most."""


@dataclass(frozen=True)
class FilterEffectOnDistance:
    """Mean and variance of a pair's real distance, corrected for noise.

    Parameters
    ----------
    mean_px : float
        Mean of the distance.
    variance_px2 : float
        Variance of the real distance; it can be a little below 0 for one that does not change. Too large where noise
        lasts, too small where the distance changes fast, see `compute.measures.distances.distance_variance_px2`.
    """

    mean_px: float
    variance_px2: float


def filter_effect_on_distance(raw: Tracks, filtered: Tracks, node_a: str, node_b: str) -> FilterEffectOnDistance | None:
    """Mean and variance of the real distance of two nodes, corrected by the posterior variance.

    The variance is `distance_variance_px2`. (The law of total variance, which adds the posterior
    variance to that of the filtered distance, is not used: it needs a model that fits, and each node
    smoothed by itself does not fit a distance that hardly changes while the head moves.)

    Parameters
    ----------
    raw : Tracks
        The estimator's points.
    filtered : Tracks
        The same after a filter that knows its posterior (``sd``).
    node_a, node_b : str
        The pair.

    Returns
    -------
    FilterEffectOnDistance or None
        None for a filter without ``sd``, or where it used both points in fewer than two frames.
    """
    variance_px2 = distance_variance_px2(raw, filtered, node_a, node_b)
    if variance_px2 is None:
        return None
    return FilterEffectOnDistance(float(np.nanmean(distance_px(filtered, node_a, node_b))), variance_px2)


def filter_effect_on_movement(
    raw: Tracks, filtered: Tracks, node_a: str, node_b: str, *, band_hz: tuple[float, float] | None = None
) -> MovementKept:
    """How much of the movement of a pair's distance a filter keeps.

    Parameters
    ----------
    raw : Tracks
        The estimator's points as they are. Without wrong placements that a filter's gate has found they would lack
        what the same gate takes from the filtered tracks.
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
    whole = [spread_over_frame_holes(tracks, longest_s=_LONGEST_HOLE_S)[0] for tracks in (raw, filtered)]
    unfiltered, distance = (distance_px(tracks, node_a, node_b) for tracks in whole)
    return movement_kept(unfiltered, distance, fps=1 / raw.frame_interval_s, band_hz=band_hz)
