"""Wrong placements that are told before anything is smoothed: far from a wide running median."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from compute.filters.kalman.noise_floor import grid_step_px
from compute.filters.kalman.points import REJECTED, USED, KalmanPoints
from compute.filters.score_noise import PERSON_LEVEL

Array = NDArray[Any]

WIDE_WINDOW_S = 0.5
"""Window of the running median that wrong placements are far from."""

_FAR_SD = 6.0
"""Standard deviations from it, in x and y each, that are certainly wrong."""

_LEVELS_TOGETHER = 9
"""Levels of score that are looked at as one when it is learned what wrong placements look like: 28 bins."""

_PRIOR_POINTS = 50
"""Prior weight, in points, of the overall rate of wrong placements."""

_LEAST_WRONG_ODDS = 0.01
"""Odds of a wrong placement at the least, of all points: not all lie far from the running median."""

_TYPICAL = 0.7
"""Share of the threshold of a score that says nothing, down to which a score is that of most points."""

_MEDIAN_SAMPLES = 15
"""Points that a wide median looks at; of more in the window, evenly spaced ones."""

_SD_SAMPLES = 2048
_MAD_TO_SD = 1.4826


def reject_far_points(points: KalmanPoints, gate_probability: float) -> None:
    """Reject what is far from a wide running median, and learn from its scores what wrong placements look like.

    The threshold of the later judgement is chi-square's (`middle`) for a score that says nothing about wrong
    placements. It falls with the odds as Bayes' rule wants it. It rises faster: a fast movement has long tails, so a
    point far from its prediction whose score is that of good points is movement. A score at which most points are
    wrong is rejected wherever it lies: the judgement takes back those that fit.

    Parameters
    ----------
    points : Points
        Their `state`, `threshold`, `typical` and `wrong_odds` are changed.
    gate_probability : float
        Probability that a good point of average score is rejected.
    """
    middle = -2 * math.log(gate_probability)
    interval = float(np.median(points.dt[1:])) if points.n_frames > 1 else 1.0
    deviation = np.empty(points.state.shape, np.float32)
    half = max(2, round(WIDE_WINDOW_S / interval / 2))
    far_limit = 2 * _FAR_SD**2
    step_px = grid_step_px(points.position, points.used)
    minimum_sd_px = np.maximum(step_px / math.sqrt(12), max(points.gate_minimum_px / math.sqrt(far_limit), 1e-3))
    _wide_deviation(points.position, points.state, half, minimum_sd_px, deviation)
    odds, overall = _odds_of_wrong(*_count_by_level(points.state, points.level, deviation, far_limit))
    threshold = np.where(odds > 0, middle - 2 * odds, middle * np.exp(-odds / 2))
    points.threshold = np.clip(threshold, 0.3 * middle, 5 * middle).astype(np.float32)
    points.typical = threshold >= _TYPICAL * middle
    limit = (far_limit * np.clip(1 - odds / max(-overall, 1.0), 0, 1)).astype(np.float32)
    points.wrong_odds = np.exp(odds + max(overall, math.log(_LEAST_WRONG_ODDS)))
    _reject_beyond(points.state, points.level, deviation, limit)


@njit(cache=True)
def _count_by_level(state: Array, level: Array, deviation: Array, far_limit: float) -> tuple[Array, Array]:
    """Used points of each level of score, and those of them that are far."""
    n_all, n_far = np.zeros(PERSON_LEVEL + 1), np.zeros(PERSON_LEVEL + 1)
    for frame in range(state.shape[0]):
        for node in range(state.shape[1]):
            if state[frame, node] == USED:
                n_all[level[frame, node]] += 1
                n_far[level[frame, node]] += deviation[frame, node] > far_limit
    return n_all, n_far


@njit(cache=True)
def _reject_beyond(state: Array, level: Array, deviation: Array, limit: Array) -> None:
    """Reject used points whose deviation is at least the limit of their level of score."""
    for frame in range(state.shape[0]):
        for node in range(state.shape[1]):
            if state[frame, node] == USED and deviation[frame, node] >= limit[level[frame, node]]:
                state[frame, node] = REJECTED


def _odds_of_wrong(n_all: Array, n_far: Array) -> tuple[Array, float]:
    """Log odds of a wrong placement at each level of score less those of all points, and those of all points.

    The former fall with the score (isotonic regression). Given are the points of each level, and those that are far.
    """
    bins = np.arange(PERSON_LEVEL + 1) // _LEVELS_TOGETHER
    n_bins = bins[-1] + 1
    n_all, n_far = (np.bincount(bins, counts, n_bins) for counts in (n_all, n_far))
    share = (n_far.sum() + 0.5) / (n_all.sum() + 1.0)
    fraction = (n_far + _PRIOR_POINTS * share) / (n_all + _PRIOR_POINTS)
    fraction = isotonic_regression(fraction, weights=n_all + 1e-3, increasing=False).x
    overall = math.log(share / (1 - share))
    return (np.log(fraction / (1 - fraction)) - overall)[bins], overall


@njit(cache=True)
def _sorted_median(values: Array, n: int) -> float:
    """Median of the first n values, which are sorted in place."""
    for i in range(1, n):
        value = values[i]
        j = i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value
    return float((values[(n - 1) // 2] + values[n // 2]) / 2)


@njit(cache=True)
def _wide_medians(position: Array, state: Array, half: int) -> Array:
    """Median of the used points around every half-th frame, shape (anchor, channel); NaN for a node without any.

    Where there is none around a frame, the one before it stands, or the first one.
    """
    n_frames, n_channels = position.shape
    anchors = np.full(((n_frames - 1) // half + 2, n_channels), np.nan)
    buffer = np.empty(_MEDIAN_SAMPLES)
    for anchor in range(anchors.shape[0]):
        start, stop = max(0, (anchor - 1) * half), min(n_frames, (anchor + 1) * half + 1)
        step = max(1, (stop - start + _MEDIAN_SAMPLES - 1) // _MEDIAN_SAMPLES)
        for channel in range(n_channels):
            n = 0
            for frame in range(start, stop, step):
                if state[frame, channel // 2] >= USED:
                    buffer[n] = position[frame, channel]
                    n += 1
            if n > 0:
                anchors[anchor, channel] = _sorted_median(buffer, n)
            elif anchor > 0:
                anchors[anchor, channel] = anchors[anchor - 1, channel]
    for anchor in range(anchors.shape[0] - 2, -1, -1):
        for channel in range(n_channels):
            if math.isnan(anchors[anchor, channel]):
                anchors[anchor, channel] = anchors[anchor + 1, channel]
    return anchors


@njit(cache=True)
def _from_median(position: Array, anchors: Array, half: int, frame: int, channel: int) -> float:
    """Distance (px) of a point from the medians on both sides of it, interpolated."""
    left = frame // half
    share = (frame - left * half) / half
    middle = anchors[left, channel] + share * (anchors[left + 1, channel] - anchors[left, channel])
    return abs(position[frame, channel] - middle)


@njit(cache=True)
def _robust_sd(position: Array, state: Array, anchors: Array, half: int, minimum_sd_px: Array) -> Array:
    """Standard deviation (px) of each channel's used points around the median, from some frames; wide for bouts."""
    n_frames, n_channels = position.shape
    step = max(1, n_frames // _SD_SAMPLES)
    sd = minimum_sd_px.copy()
    buffer = np.empty((n_frames + step - 1) // step)
    for channel in range(n_channels):
        n = 0
        for frame in range(0, n_frames, step):
            if state[frame, channel // 2] >= USED:
                buffer[n] = _from_median(position, anchors, half, frame, channel)
                n += 1
        if n > 0:
            sample = buffer[:n].copy()
            sd[channel] = max(np.quantile(sample, 0.9) / 1.645, _MAD_TO_SD * np.median(sample), sd[channel])
    return sd


@njit(cache=True)
def _wide_deviation(position: Array, state: Array, half: int, minimum_sd_px: Array, deviation: Array) -> None:
    """Squared distance of each point from a wide running median, in robust variances, x and y summed.

    The median is taken every `half` frames, of up to `_MEDIAN_SAMPLES` used points within `half` frames, and
    interpolated. The robust standard deviation is that of the node's own points around it, so movement counts.

    Parameters
    ----------
    position : array, shape (frame, channel)
        Points in px.
    state : array, shape (frame, node)
        Only used points and a person's are looked at.
    half : int
        Half the window in frames.
    minimum_sd_px : array, shape (channel,)
        The robust standard deviation is taken to be at least this.
    deviation : array, shape (frame, node), float32
        Is given the result; 0 where there is no point.
    """
    anchors = _wide_medians(position, state, half)
    inverse_sd = 1.0 / _robust_sd(position, state, anchors, half, minimum_sd_px)
    for anchor in range(anchors.shape[0] - 1):
        for frame in range(anchor * half, min(state.shape[0], (anchor + 1) * half)):
            share = (frame - anchor * half) / half
            for node in range(state.shape[1]):
                deviation[frame, node] = 0.0
                if state[frame, node] >= USED:
                    for channel in range(2 * node, 2 * node + 2):
                        left, right = anchors[anchor, channel], anchors[anchor + 1, channel]
                        middle = left + share * (right - left)
                        scaled = (position[frame, channel] - middle) * inverse_sd[channel]
                        deviation[frame, node] += scaled * scaled
