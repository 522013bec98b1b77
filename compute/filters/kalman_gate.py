"""Compiled: which points a smoother uses. Each works on the state of every point, shape (frame, node), uint8."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

MISSING, REJECTED, BARRED, USED, TAKEN_BACK, PERSON = range(6)
"""State of a point; from `USED` on it is used. A rejected one may be taken back once, a barred one never."""

_MEDIAN_SAMPLES = 25
"""Points that a wide median looks at; of more in the window, evenly spaced ones."""

_TIME_TOLERANCE_S = 1e-6
_MAD_TO_SD = 1.4826


@njit(cache=True)
def effective_weight(
    state: Array, level: Array, weight: Array, time: Array, max_gap_s: float, effective: Array
) -> None:
    """Weight of each point as the smoother takes it: 0 where not used, negative where the filter starts afresh.

    It starts at a node's first used point, and at the first after a gap longer than `max_gap_s` (may be infinite).
    """
    n_frames, n_nodes = state.shape
    last_s = np.full(n_nodes, -np.inf)
    for frame in range(n_frames):
        for node in range(n_nodes):
            if state[frame, node] >= USED:
                first = last_s[node] == -np.inf or time[frame] - last_s[node] > max_gap_s + _TIME_TOLERANCE_S
                here = weight[level[frame, node]]
                effective[frame, node] = -here if first else here
                last_s[node] = time[frame]
            else:
                effective[frame, node] = 0


@njit(cache=True)
def judge(
    position: Array,
    level: Array,
    weight: Array,
    threshold: Array,
    r: Array,
    mean: Array,
    variance: Array,
    state: Array,
) -> int:
    """Hold each point against what the smoother says without it, x and y together, and change its state.

    The squared distance of a good point to its prediction, in units of its variance, is chi-square with two degrees
    of freedom. A used point's leave-one-out prediction follows from the smoother's result (de Jong 1989,
    doi:10.2307/2290087): its residual e and posterior variance v give e²/(r - v). A rejected one had no part in the
    prediction: e²/(r + v).

    Parameters
    ----------
    position, mean, variance : array, shape (frame, channel)
        Points, and the smoother's result for them.
    level, state : array, shape (frame, node)
        Level of the score, and state, which is changed.
    weight, threshold : array, shape (level,)
        Of a point of each level: its weight (r divided by it is its variance), and the largest distance to be kept.
    r : array, shape (channel,)
        Variance of a point of weight 1 (px²).

    Returns
    -------
    int
        Points whose state changed.
    """
    n_changed = 0
    for frame in range(state.shape[0]):
        for node in range(state.shape[1]):
            kind = state[frame, node]
            if kind != USED and kind != REJECTED and kind != TAKEN_BACK:
                continue
            sign = 1.0 if kind == REJECTED else -1.0
            distance = 0.0
            for channel in range(2 * node, 2 * node + 2):
                residual = position[frame, channel] - mean[frame, channel]
                own = r[channel] / weight[level[frame, node]]
                distance += residual * residual / max(own + sign * variance[frame, channel], 1e-6 * own)
            far = distance > threshold[level[frame, node]]
            if kind != REJECTED and far:
                # A second time is for good: two that disturb each other would go in and out for ever.
                state[frame, node] = REJECTED if kind == USED else BARRED
                n_changed += 1
            elif kind == REJECTED and not far:
                state[frame, node] = TAKEN_BACK
                n_changed += 1
    return n_changed


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
def _wide_median(position: Array, state: Array, channel: int, half: int, anchors: Array) -> bool:
    """Median of the used points around every half-th frame; false where there is none at all."""
    n_frames, node = position.shape[0], channel // 2
    buffer = np.empty(2 * _MEDIAN_SAMPLES)
    previous = np.nan
    for anchor in range(anchors.size):
        start, stop = max(0, (anchor - 1) * half), min(n_frames, (anchor + 1) * half + 1)
        step = max(1, (stop - start + _MEDIAN_SAMPLES - 1) // _MEDIAN_SAMPLES)
        n = 0
        for frame in range(start, stop, step):
            if state[frame, node] >= USED:
                buffer[n] = position[frame, channel]
                n += 1
        if n > 0:
            previous = _sorted_median(buffer, n)
        anchors[anchor] = previous
    for anchor in range(anchors.size - 2, -1, -1):
        if math.isnan(anchors[anchor]):
            anchors[anchor] = anchors[anchor + 1]
    return not math.isnan(previous)


@njit(cache=True)
def wide_deviation(position: Array, state: Array, half: int, deviation: Array) -> None:
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
    deviation : array, shape (frame, node), float32
        Is given the result; 0 where there is no point.
    """
    n_frames, n_nodes = state.shape
    anchors = np.empty((n_frames - 1) // half + 2)
    distance = np.empty(n_frames, np.float32)
    deviation[:] = 0
    for channel in range(2 * n_nodes):
        node = channel // 2
        if not _wide_median(position, state, channel, half, anchors):
            continue
        n = 0
        for frame in range(n_frames):
            if state[frame, node] >= USED:
                left = frame // half
                share = (frame - left * half) / half
                middle = anchors[left] + share * (anchors[left + 1] - anchors[left])
                distance[n] = abs(position[frame, channel] - middle)
                n += 1
        sample = distance[0 : n : max(1, n // 2048)].copy()
        sd = max(np.quantile(sample, 0.9) / 1.645, _MAD_TO_SD * np.median(sample), 1e-3)
        n = 0
        for frame in range(n_frames):
            if state[frame, node] >= USED:
                scaled = distance[n] / sd
                deviation[frame, node] += scaled * scaled
                n += 1


@njit(cache=True)
def rigid_deviation(position: Array, found: Array, shape: Array, deviation: Array) -> None:
    """Squared distance (px²) of each point from where the others of its rigid group say it should be.

    In each frame the group's shift is the median, over its found nodes, of the point minus the node's place in the
    shape, of x and y each; with three nodes or more a wrong one hardly moves it.

    Parameters
    ----------
    position : array, shape (frame, node, 2)
        Points of the group's nodes.
    found : array, shape (frame, node), bool
        Which of them there are.
    shape : array, shape (node, 2)
        The group's shape in px.
    deviation : array, shape (frame, node, 2), float32
        Is given the squares for x and y; NaN where there is no point or fewer than three nodes are found.
    """
    n_frames, n_nodes = found.shape
    buffer = np.empty(n_nodes)
    for frame in range(n_frames):
        for axis in range(2):
            n = 0
            for node in range(n_nodes):
                if found[frame, node]:
                    buffer[n] = position[frame, node, axis] - shape[node, axis]
                    n += 1
            shift = _sorted_median(buffer, n) if n > 2 else np.nan
            for node in range(n_nodes):
                difference = position[frame, node, axis] - shape[node, axis] - shift
                deviation[frame, node, axis] = difference * difference if found[frame, node] else np.nan
