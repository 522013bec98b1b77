"""What the smoother took away that was no noise is given back; a channel that gains nothing stays as it is.

The smoother takes away what its model calls noise. Where a node moves otherwise than the model says, that is movement
too, and the smoothed track is worse than the points. The differences between points and track show it: with a point's
variance r and the posterior's v, noise alone gives them the mean square r - v. The mean of point and track that has the
least expected squared error, if what is above r - v is movement taken away, gives the track the share
(r - v) / (r - v + movement²) (Stein's unbiased estimate of the risk, 1981, doi:10.1214/aos/1176345632).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.filters.kalman.points import DOUBTED, KalmanPoints

Array = NDArray[Any]

_LEAST_GAIN = 0.08
"""A channel stays as it is where smoothing takes less than this from its squared error: 4 % of the error."""

_LEAST_WITHIN = 0.5
"""Nor is it smoothed where fewer of the differences than this are within a standard deviation of noise (0.68 of noise
itself): movement is taken away all the time, as of a rhythm faster than the frame rate shows."""

_LARGEST_SQUARE = 16.0
"""Square of a difference, in variances of the point, beyond which it says no more: one wrong point is no movement."""

_TAKEN_AWAY = 100.0
"""Two differences that follow each other and whose product is so many times what noise gives hold a movement, a step:
in real networks' noise, which has long tails and lasts for some frames, smaller ones are common."""

_LEAST_FREE = 1e-6


def give_back_movement(points: KalmanPoints, r: Array, mean: Array, variance: Array) -> NDArray[np.bool_]:
    """Draw the smoothed positions towards the points where movement was taken away.

    Parameters
    ----------
    points : KalmanPoints
        The points that were smoothed.
    r : array, shape (channel,)
        Variance (px²) of a point of weight 1.
    mean, variance : array, shape (frame, channel)
        The smoother's result, which is changed at the points that it used.

    Returns
    -------
    array, shape (channel,), bool
        Which channels are smoothed; the others have their points as they were, since smoothing cannot be shown to help.
    """
    smoothed = np.ones(r.size, np.bool_)
    _give_back(points.position, points.state, points.level, points.weight, r, mean, variance, smoothed)
    return smoothed


@njit(cache=True)
def _give_back(
    position: Array,
    state: Array,
    level: Array,
    weight: Array,
    r: Array,
    mean: Array,
    variance: Array,
    smoothed: Array,
) -> None:
    """All channels frame by frame; then, one by one, those that are not smoothed or may hold movement."""
    n_frames, n_channels = position.shape
    root_weight, root_scale = np.sqrt(weight.astype(np.float64)), 1.0 / np.sqrt(r)
    n, squares, total = np.zeros(n_channels), np.zeros(n_channels), np.zeros(n_channels)
    within = np.zeros(n_channels)
    last, largest, least = np.zeros(n_channels), np.zeros(n_channels), np.ones(n_channels)
    for frame in range(n_frames):
        for node in range(n_channels // 2):
            if state[frame, node] < DOUBTED:
                continue
            root_of_level = root_weight[level[frame, node]]
            for channel in range(2 * node, 2 * node + 2):
                root = root_of_level * root_scale[channel]
                difference = abs(position[frame, channel] - mean[frame, channel]) * root
                free = 1.0 - variance[frame, channel] * root * root
                squares[channel] += min(difference * difference, _LARGEST_SQUARE)
                total[channel] += max(free, _LEAST_FREE)
                within[channel] += difference * difference <= free
                largest[channel] = max(largest[channel], difference * last[channel])
                least[channel] = min(least[channel], free)
                last[channel] = difference
                n[channel] += 1
    for channel in range(n_channels):
        # The share of the squared error that smoothing takes: total / n, and less where the differences are too large.
        gain = _LEAST_GAIN * n[channel]
        smoothed[channel] = (
            total[channel] > gain
            and total[channel] ** 2 > gain * squares[channel]
            and within[channel] >= _LEAST_WITHIN * n[channel]
        )
        if not smoothed[channel] or largest[channel] > _TAKEN_AWAY * max(least[channel], _LEAST_FREE):
            root = root_weight * root_scale[channel]
            _give_back_channel(position, state, level, root, mean, variance, channel, smoothed[channel])


@njit(cache=True)
def _give_back_channel(
    position: Array,
    state: Array,
    level: Array,
    root: Array,
    mean: Array,
    variance: Array,
    channel: int,
    is_smoothed: bool,
) -> None:
    """Differences in units of a point's standard deviation (1 / root of its level), then what they give back."""
    frames = np.flatnonzero(state[:, channel // 2] >= DOUBTED)
    product, free = np.zeros(frames.size + 1), np.empty(frames.size)
    last = 0.0
    for i, frame in enumerate(frames):
        here = root[level[frame, channel // 2]]
        difference = abs(position[frame, channel] - mean[frame, channel]) * here
        free[i] = max(1.0 - variance[frame, channel] * here * here, _LEAST_FREE)
        product[i] = difference * last
        last = difference
    for i, frame in enumerate(frames):
        share = 0.0
        if is_smoothed:
            before = product[i] + product[i - 1] if i > 0 else 0.0
            after = product[i + 1] + product[i + 2] if i + 2 < frames.size else product[i + 1]
            moved = max(before, after) / 2 - _TAKEN_AWAY * free[i]
            if moved <= 0.0:
                continue
            share = free[i] / (free[i] + moved)
        point = (1.0 - share) ** 2
        own = 1.0 / root[level[frame, channel // 2]] ** 2
        mean[frame, channel] += (1.0 - share) * (position[frame, channel] - mean[frame, channel])
        variance[frame, channel] = point * own + (1.0 - point) * variance[frame, channel]
