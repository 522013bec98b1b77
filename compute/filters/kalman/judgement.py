"""Compiled: which points a smoother uses. Each works on the state of every point, shape (frame, node), uint8."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

MISSING, REJECTED, BARRED, DOUBTED, USED, TAKEN_BACK, PERSON = range(7)
"""State of a point; from `DOUBTED` on it is used. A rejected one may be taken back once, a barred one never. A doubted
one is as unlikely as a rejected one, but too near to be a wrong placement: it hardly counts."""

DOUBTED_SHARE = 0.05
"""How much a doubted point counts, of what its score says."""

_MEDIAN_SAMPLES = 15
"""Points that a wide median looks at; of more in the window, evenly spaced ones."""

_SD_SAMPLES = 2048
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
            if state[frame, node] >= DOUBTED:
                first = last_s[node] == -np.inf or time[frame] - last_s[node] > max_gap_s + _TIME_TOLERANCE_S
                here = weight[level[frame, node]]
                if state[frame, node] == DOUBTED:
                    here *= DOUBTED_SHARE
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
    minimum_px: float,
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
    minimum_px : float
        A point that is nearer to its prediction is doubted at the most.

    Returns
    -------
    int
        Points that were rejected or taken back.
    """
    n_changed = 0
    for frame in range(state.shape[0]):
        for node in range(state.shape[1]):
            kind = state[frame, node]
            if kind in (MISSING, BARRED, PERSON):
                continue
            out = kind in (REJECTED, DOUBTED)
            sign = 1.0 if out else -1.0
            share = 1.0 / weight[level[frame, node]]
            x, y = 2 * node, 2 * node + 1
            own_x, own_y = r[x] * share, r[y] * share
            variance_x = max(own_x + sign * variance[frame, x], 1e-6 * own_x)
            variance_y = max(own_y + sign * variance[frame, y], 1e-6 * own_y)
            residual_x, residual_y = position[frame, x] - mean[frame, x], position[frame, y] - mean[frame, y]
            # Both distances over their variances, multiplied out: divisions would take half the time.
            distance = residual_x * residual_x * variance_y + residual_y * residual_y * variance_x
            far = distance > threshold[level[frame, node]] * variance_x * variance_y
            near = residual_x * residual_x + residual_y * residual_y <= minimum_px * minimum_px
            if far and near:
                n_changed += kind == REJECTED
                state[frame, node] = DOUBTED
            elif far and kind != REJECTED:
                # A second time is for good: two that disturb each other would go in and out for ever.
                state[frame, node] = BARRED if kind == TAKEN_BACK else REJECTED
                n_changed += 1
            elif out and not far:
                n_changed += kind == REJECTED
                state[frame, node] = TAKEN_BACK if kind == REJECTED else USED
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
def _robust_sd(position: Array, state: Array, anchors: Array, half: int, minimum_sd_px: float) -> Array:
    """Standard deviation (px) of each channel's used points around the median, from some frames; wide for bouts."""
    n_frames, n_channels = position.shape
    step = max(1, n_frames // _SD_SAMPLES)
    sd = np.full(n_channels, max(minimum_sd_px, 1e-3))
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
def wide_deviation(position: Array, state: Array, half: int, minimum_sd_px: float, deviation: Array) -> None:
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
    minimum_sd_px : float
        The robust standard deviation is taken to be at least this.
    deviation : array, shape (frame, node), float32
        Is given the result; 0 where there is no point.
    """
    anchors = _wide_medians(position, state, half)
    sd = _robust_sd(position, state, anchors, half, minimum_sd_px)
    for frame in range(state.shape[0]):
        for node in range(state.shape[1]):
            deviation[frame, node] = 0.0
            if state[frame, node] >= USED:
                for channel in range(2 * node, 2 * node + 2):
                    scaled = _from_median(position, anchors, half, frame, channel) / sd[channel]
                    deviation[frame, node] += scaled * scaled


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
