"""What the smoother took away that was no noise is given back.

The smoother takes away what its model calls noise. Where a node moves otherwise than the model says (a step, a bout
shorter than a window), that is movement too, and the smoothed track is worse than the points. The differences between
points and track show it: those of noise have a known size, and neighbours are not alike. So each position is a mean of
the smoothed one and the point. The share of the smoothed one minimises the expected squared error, if the difference
is noise plus movement taken away: with the point's variance r and the posterior's v it is (r - v) / (r - v + movement²).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.filters.kalman.points import KalmanPoints

Array = NDArray[Any]

_NEIGHBOURS = 2
"""Products of neighbours on each side of a frame that say whether movement was taken away there."""

_DEVIATIONS = 4.0
"""Standard deviations that their mean has to lie above what noise gives."""

_LARGEST_EXCESS = 1.3
"""The mean square of a node's differences over what noise gives, up to which it is noise: an estimate itself."""

DEV = 4.0
LEAST_GAIN = 0.08
_LARGEST_SHARE = 0.85
"""Median of the posterior variance over a point's from which on smoothing gains nothing worth its risk: 8 %."""


def give_back_movement(points: KalmanPoints, r: Array, mean: Array, variance: Array) -> Array:
    """Draw the smoothed positions towards the points where movement was taken away.

    Parameters
    ----------
    points : KalmanPoints
        The points that were smoothed.
    r : array, shape (channel,)
        Variance (px²) of a point of weight 1.
    mean, variance : array, shape (frame, channel)
        The smoother's result, which is changed.

    Returns
    -------
    array, shape (channel,), bool
        Channels whose points were left as they are, since smoothing cannot be shown to help.
    """
    share = np.empty(r.size)
    _channel_shares(points.position, points.state, points.level, points.weight, r, mean, variance, share)
    _give_back(points.position, points.state, points.level, points.weight, r, share, mean, variance)
    return share == 0


@njit(cache=True)
def _channel_shares(
    position: Array, state: Array, level: Array, weight: Array, r: Array, mean: Array, variance: Array, share: Array
) -> None:
    """Into `share`: of the smoothed positions of each channel, from its mean square difference."""
    n_frames, n_channels = position.shape
    for channel in range(n_channels):
        squares, free, n = 0.0, 0.0, 0
        for frame in range(n_frames):
            if state[frame, channel // 2] >= 3:
                w = weight[level[frame, channel // 2]] / r[channel]
                difference = position[frame, channel] - mean[frame, channel]
                squares += w * difference * difference
                free += max(1.0 - w * variance[frame, channel], 0.0)
                n += 1
        share[channel] = 1.0
        if n > 0:
            if free <= 0.0 or free * free < LEAST_GAIN * n * squares or free < LEAST_GAIN * n:
                share[channel] = 0.0


@njit(cache=True)
def _give_back(
    position: Array, state: Array, level: Array, weight: Array, r: Array, share: Array, mean: Array, variance: Array
) -> None:
    n_frames, n_channels = position.shape
    product = np.zeros(n_frames)
    for channel in range(n_channels):
        node = channel // 2
        scale = 1.0 / r[channel]
        last = 0.0
        n = 0
        frames = np.empty(n_frames, np.int64)
        for frame in range(n_frames):
            if state[frame, node] >= 3:
                here = (position[frame, channel] - mean[frame, channel]) * math.sqrt(weight[level[frame, node]] * scale)
                product[n] = here * last
                frames[n] = frame
                last = here
                n += 1
        for i in range(n):
            frame = frames[i]
            total, k = 0.0, 0
            for j in range(max(1, i - 1), min(n, i + 3)):
                total += product[j]
                k += 1
            own = 1.0 / (weight[level[frame, node]] * scale)
            v = variance[frame, channel]
            free = max(1.0 - v / own, 1e-6)
            moved = 0.0
            if k > 0:
                moved = max(0.0, total / k - DEV * free / math.sqrt(k))
            a = share[channel] * free / (free + moved)
            mean[frame, channel] += (1.0 - a) * (position[frame, channel] - mean[frame, channel])
            b = (1.0 - a) * (1.0 - a)
            variance[frame, channel] = b * own + (1.0 - b) * v
