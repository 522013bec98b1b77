"""Which points a smoother uses: first masks without a model, then a gate against the smoother's own prediction.

All functions work on the state of each point, an array of shape (frame, node) of the constants below.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

MISSING, USED, REJECTED, BARRED, PERSON, TAKEN_BACK = range(6)
"""State of a point. A gate takes a rejected one back once, a barred one never; a person's is always used."""

_MAD_TO_SD = 1.4826
"""Median absolute deviation of normal values times this is their standard deviation."""

_MEDIAN_SAMPLES = 25
"""Points that a wide median looks at; of more in the window, evenly spaced ones."""

_TIME_TOLERANCE_S = 1e-6


@njit(cache=True)
def effective_weight(
    state: Array, level: Array, weight: Array, time: Array, max_gap_s: float, effective: Array
) -> None:
    """Weight of each point as the smoother takes it: 0 where not used, negative after a gap longer than `max_gap_s`.

    Writes into `effective`, shape (frame, node). Infinite `max_gap_s`: negative only at the first used point.
    """
    n_frames, n_nodes = state.shape
    last_s = np.full(n_nodes, -np.inf)
    for frame in range(n_frames):
        for node in range(n_nodes):
            kind = state[frame, node]
            if kind == USED or kind == PERSON or kind == TAKEN_BACK:
                gap_s = time[frame] - last_s[node]
                afresh = gap_s > max_gap_s + _TIME_TOLERANCE_S or last_s[node] == -np.inf
                here = weight[level[frame, node]]
                effective[frame, node] = -here if afresh else here
                last_s[node] = time[frame]
            else:
                effective[frame, node] = 0


@njit(cache=True)
def gate(
    position: Array,
    level: Array,
    weight: Array,
    threshold: Array,
    r: Array,
    mean: Array,
    variance: Array,
    state: Array,
) -> int:
    """Judge each point against what the smoother says without it; x and y together.

    The squared distance of a point to its prediction, in units of its variance, is chi-square with two degrees of
    freedom. A used point's leave-one-out prediction follows from the smoother's result (de Jong 1989): its residual e
    and posterior variance v give e²/(r - v). A rejected one had no part in the prediction: e²/(r + v).

    Parameters
    ----------
    position, mean, variance : array, shape (frame, channel)
        Points, and the smoother's result for them.
    level, state : array, shape (frame, node)
        Level of the score, and state (is changed).
    weight, threshold : array, shape (level,)
        Of a point of each level: its weight (r divided by it is its variance), and the largest distance if good.
    r : array, shape (channel,)
        Variance of a point of weight 1 in px².

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
                free = r[channel] / weight[level[frame, node]] + sign * variance[frame, channel]
                distance += residual * residual / max(free, 1e-6 * r[channel])
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
def _median_of(values: Array, n: int) -> float:
    """Median of the first n values, which are sorted in place."""
    for i in range(1, n):
        value = values[i]
        j = i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value
    return (values[(n - 1) // 2] + values[n // 2]) / 2


@njit(cache=True)
def wide_deviation(position: Array, state: Array, half: int, deviation: Array) -> None:
    """Distance of each point from a wide running median, in robust standard deviations, as squares of x and y summed.

    The median is taken every `half` frames, of up to `_MEDIAN_SAMPLES` used points within `half` frames, and
    interpolated. Its robust standard deviation is that of the node's own points around it, so movement counts.

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
    n_anchors = (n_frames - 1) // half + 2
    anchors = np.empty(n_anchors)
    buffer = np.empty(_MEDIAN_SAMPLES)
    distance = np.empty(n_frames, np.float32)
    deviation[:] = 0
    for channel in range(2 * n_nodes):
        node = channel // 2
        previous = np.nan
        for anchor in range(n_anchors):
            start, stop = max(0, (anchor - 1) * half), min(n_frames, (anchor + 1) * half + 1)
            step = max(1, (stop - start + _MEDIAN_SAMPLES - 1) // _MEDIAN_SAMPLES)
            n = 0
            for frame in range(start, stop, step):
                if state[frame, node] == USED or state[frame, node] == PERSON:
                    buffer[n] = position[frame, channel]
                    n += 1
            if n > 0:
                previous = _median_of(buffer, n)
            anchors[anchor] = previous
        for anchor in range(n_anchors - 2, -1, -1):
            if np.isnan(anchors[anchor]):
                anchors[anchor] = anchors[anchor + 1]
        n = 0
        for frame in range(n_frames):
            if state[frame, node] == USED or state[frame, node] == PERSON:
                left = frame // half
                share = (frame - left * half) / half
                middle = anchors[left] + share * (anchors[left + 1] - anchors[left])
                distance[n] = abs(position[frame, channel] - middle)
                n += 1
        if n == 0:
            continue
        sample = distance[0 : n : max(1, n // 2048)]
        sd = max(np.quantile(sample, 0.9) / 1.645, _MAD_TO_SD * np.median(sample), 1e-3)
        n = 0
        for frame in range(n_frames):
            if state[frame, node] == USED or state[frame, node] == PERSON:
                scaled = distance[n] / sd
                deviation[frame, node] += scaled * scaled
                n += 1


@njit(cache=True)
def rigid_deviation(position: Array, state: Array, shape: Array, deviation: Array) -> None:
    """Distance in px of each point from where the others of its rigid group say it should be.

    In each frame the group's shift is the median over its found nodes of the point minus the node's place in the
    shape, of x and y each; with three nodes or more a wrong one does not move it.

    Parameters
    ----------
    position : array, shape (frame, node, 2)
        Points of the group's nodes.
    state : array, shape (frame, node)
        Which of them there are.
    shape : array, shape (node, 2)
        The group's shape in px.
    deviation : array, shape (frame, node), float32
        Is given the result; 0 where there is no point or fewer than three nodes are found.
    """
    n_frames, n_nodes = state.shape
    buffer = np.empty(n_nodes)
    for frame in range(n_frames):
        for node in range(n_nodes):
            deviation[frame, node] = 0
        for axis in range(2):
            n = 0
            for node in range(n_nodes):
                if state[frame, node] != MISSING:
                    buffer[n] = position[frame, node, axis] - shape[node, axis]
                    n += 1
            if n < 3:
                continue
            shift = _median_of(buffer, n)
            for node in range(n_nodes):
                if state[frame, node] != MISSING:
                    difference = position[frame, node, axis] - shape[node, axis] - shift
                    deviation[frame, node] += difference * difference
        for node in range(n_nodes):
            deviation[frame, node] = np.sqrt(deviation[frame, node])
