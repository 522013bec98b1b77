"""Compiled Kalman filter and smoother, many channels side by side.

A channel is one coordinate (x or y) of one node. Its state is position (px) and velocity (px/s), driven by white noise
of density q (px²/s³); a point is measured with variance r (px²) divided by the point's weight.

`smoothing_kernel` takes the video segment by segment. Forward states are kept for one segment only: the first pass
notes the state before each segment, the backward pass recomputes a segment's states from that note. So the memory
needed besides input and output is small, and stays in the processor's cache.

The backward pass carries the adjoint of the state (Bryson and Frazier 1963; de Jong 1989, doi:10.2307/2290087) in
place of the smoothed state: the same posterior as Rauch-Tung-Striebel's to rounding, without inverting a matrix, and
what it carries is the exact gradient of the likelihood too (Koopman and Shephard 1992, doi:10.1093/biomet/79.4.823).

`LANES` channels are computed by the same instructions. Functions take whole segments, since a call a frame would cost
as much as the arithmetic.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

LONGEST_SEGMENT = 256
"""Frames whose forward states are kept at a time, at the most."""

PRIOR = np.array([100.0**2, 2000.0**2])
"""Variance of position (px²) and velocity (px²/s²) where a filter starts: the first point alone says where the node is,
and nothing but what a face can do says how fast it moves."""

LANES = 16
"""Channels computed side by side."""

# Where the quantities of a frame stand in its row of the work array, each LANES wide.
_MEASURED, _WEIGHT, _POSITION, _P00, _P01 = (index * LANES for index in range(5))
_ROW = 5 * LANES
# The state that is carried forward: position, velocity and their covariances.
_S_POSITION, _S_VELOCITY, _S_P00, _S_P01, _S_P11 = (index * LANES for index in range(5))
_STATE_ROW = 5 * LANES
# The row that is carried backward: the adjoint's vector and matrix, the frame's result, then sums over frames.
_A0, _A1, _A00, _A01, _A11, _MEAN, _VARIANCE = (index * LANES for index in range(7))
_SUM_Q, _SUM_QD, _SUM_R, _SUM_RD = (index * LANES for index in range(7, 11))
_ADJOINT_ROW = 11 * LANES
# The row of the likelihood: squared innovations, product and log of their relative variances.
_SQUARES, _PRODUCT, _LOG = (index * LANES for index in range(3))
_LOG_EVERY = 16
"""Factors between logarithms: a product of so many weights or relative variances stays far from overflow."""


@njit(cache=True)
def smoothing_kernel(
    position: Array,
    weight: Array,
    dt: Array,
    q: Array,
    r: Array,
    prior: Array,
    segment_frames: int,
    mean: Array,
    variance: Array,
) -> tuple[Array, Array]:
    """Smooth all channels.

    Parameters
    ----------
    position : array, shape (frame, channel), float32
        Points in px; x and y of a node stand side by side. Read only where the weight is not 0.
    weight : array, shape (frame, node), float32
        Precision of a point in units of 1/r: 0 where there is no point to use; negative at a point where the
        filter starts afresh (the first, and after a long gap).
    dt : array, shape (frame,), float64
        Seconds since the frame before; anything finite for the first.
    q : array, shape (segment, channel), float64
        Density of the process noise (px²/s³) in each segment, the time before its first frame included. The last row
        holds for all segments that follow.
    r : array, shape (channel,), float64
        Variance of a point of weight 1 (px²).
    prior : array, shape (2,), float64
        Variance of position (px²) and velocity (px²/s²) where the filter starts, around the point found there and 0.
    segment_frames : int
        Frames of a segment, 1 to `LONGEST_SEGMENT`.
    mean, variance : array, shape (frame, channel), float32 or float64
        Are given the smoothed position (px) and its variance (px²). Of shape (0, 0) they are left alone.

    Returns
    -------
    sums : array, shape (3, channel), float64
        The log likelihood L, then two sums: dL/dlog(r) = (sums[1] - sums[2]) / 2.
    slopes : array, shape (2, segment, channel), float64
        For each segment of the video two sums: dL/dlog(q) = q (slopes[0] - slopes[1]) / 2.
    """
    n_frames, n_channels = position.shape
    n_segments = (n_frames + segment_frames - 1) // segment_frames
    sums = np.zeros((3, n_channels))
    slopes = np.zeros((2, n_segments, n_channels))
    work = np.zeros((segment_frames, _ROW))
    notes = np.empty((n_segments, _STATE_ROW))
    lanes_q, inverse_r = np.zeros(LANES), np.zeros(LANES)
    log_weights, n_used = _logs_of_weights(weight)
    for first in range(0, n_channels, LANES):
        n_lanes = min(LANES, n_channels - first)
        adjoint, state = np.zeros(_ADJOINT_ROW), np.zeros(_STATE_ROW)
        likelihood, forgotten = np.zeros(3 * LANES), np.ones(3 * LANES)
        likelihood[_PRODUCT : _PRODUCT + LANES] = 1.0
        inverse_r[:n_lanes] = 1.0 / r[first : first + n_lanes]
        work[:] = 0.0
        for segment in range(n_segments):
            start, stop = segment * segment_frames, min(n_frames, (segment + 1) * segment_frames)
            _copy(state, 0, notes[segment], _STATE_ROW)
            _copy(q[min(segment, q.shape[0] - 1)], first, lanes_q, n_lanes)
            _load(work, position, weight, start, stop, first, n_lanes)
            _forward(state, work, dt, start, stop, lanes_q, inverse_r, prior, likelihood, True)
        _take_logarithm(likelihood)
        for segment in range(n_segments - 1, -1, -1):
            start, stop = segment * segment_frames, min(n_frames, (segment + 1) * segment_frames)
            _copy(q[min(segment, q.shape[0] - 1)], first, lanes_q, n_lanes)
            _load(work, position, weight, start, stop, first, n_lanes)
            note = notes[segment]
            _forward(note, work, dt, start, stop, lanes_q, inverse_r, prior, forgotten, False)
            _backward(work, dt, start, stop, adjoint, inverse_r, mean, variance, first, n_lanes)
            for lane in range(n_lanes):
                slopes[0, segment, first + lane] = adjoint[_SUM_Q + lane]
                slopes[1, segment, first + lane] = adjoint[_SUM_QD + lane]
                adjoint[_SUM_Q + lane] = adjoint[_SUM_QD + lane] = 0.0
        for lane in range(n_lanes):
            channel = first + lane
            constant = n_used[channel // 2] * math.log(2.0 * math.pi * r[channel]) - log_weights[channel // 2]
            sums[0, channel] = -0.5 * (constant + likelihood[_SQUARES + lane] + likelihood[_LOG + lane])
            sums[1, channel] = adjoint[_SUM_R + lane]
            sums[2, channel] = adjoint[_SUM_RD + lane]
    return sums, slopes


@njit(cache=True)
def _load(work: Array, position: Array, weight: Array, start: int, stop: int, first: int, n_lanes: int) -> None:
    """Copy the points and weights of frames start..stop-1 and channels first.. into the rows of `work`."""
    for frame in range(start, stop):
        row, points, weights = work[frame - start], position[frame], weight[frame]
        for lane in range(n_lanes):
            row[_MEASURED + lane] = points[first + lane]
        for pair in range(n_lanes // 2):
            row[_WEIGHT + 2 * pair] = weights[first // 2 + pair]
            row[_WEIGHT + 2 * pair + 1] = weights[first // 2 + pair]


@njit(cache=True)
def _copy(source: Array, start: int, target: Array, n: int) -> None:
    """Copy n values from `start` on: a slice's copy costs more than it copies here."""
    for index in range(n):
        target[index] = source[start + index]


@njit(cache=True, fastmath={"contract"}, error_model="numpy")
def _forward(
    state: Array,
    work: Array,
    dt: Array,
    start: int,
    stop: int,
    q: Array,
    inverse_r: Array,
    prior: Array,
    likelihood: Array,
    count: bool,
) -> None:
    """Take the state through the frames in the rows of `work`: predict over dt seconds, update, note it in the row.

    A negative weight starts afresh. `likelihood` is added to where `count` says so.
    """
    prior_position, prior_velocity = prior[0], prior[1]
    for i in range(stop - start):
        row = work[i]
        step = dt[start + i]
        dt2 = step * step / 2
        dt3 = step * step * step / 3
        for lane in range(LANES):
            p01 = state[_S_P01 + lane] + step * state[_S_P11 + lane]
            p00 = state[_S_P00 + lane] + step * (state[_S_P01 + lane] + p01) + dt3 * q[lane]
            p01 += dt2 * q[lane]
            p11 = state[_S_P11 + lane] + step * q[lane]
            velocity = state[_S_VELOCITY + lane]
            predicted = state[_S_POSITION + lane] + step * velocity
            precision = row[_WEIGHT + lane] * inverse_r[lane]
            measured = row[_MEASURED + lane] if precision != 0.0 else 0.0
            afresh = precision < 0.0
            p00 = prior_position if afresh else p00
            p01 = 0.0 if afresh else p01
            p11 = prior_velocity if afresh else p11
            velocity = 0.0 if afresh else velocity
            predicted = measured if afresh else predicted
            precision = abs(precision)
            relative = 1.0 + p00 * precision
            inverse = 1.0 / relative
            gain = precision * inverse
            k1 = p01 * gain
            innovation = measured - predicted
            # Not p00 - gain * p00 * p00, which loses digits where the filter starts afresh.
            state[_S_POSITION + lane] = row[_POSITION + lane] = predicted + p00 * gain * innovation
            state[_S_VELOCITY + lane] = velocity + k1 * innovation
            state[_S_P00 + lane] = row[_P00 + lane] = p00 * inverse
            state[_S_P01 + lane] = row[_P01 + lane] = p01 * inverse
            state[_S_P11 + lane] = p11 - k1 * p01
            likelihood[_SQUARES + lane] += innovation * innovation * gain
            likelihood[_PRODUCT + lane] *= relative
        if i % _LOG_EVERY == _LOG_EVERY - 1:
            if count:
                _take_logarithm(likelihood)
            else:
                likelihood[_PRODUCT : _PRODUCT + LANES] = 1.0


@njit(cache=True)
def _take_logarithm(likelihood: Array) -> None:
    """Move the logarithm of the product of relative variances into its sum."""
    for lane in range(LANES):
        likelihood[_LOG + lane] += math.log(likelihood[_PRODUCT + lane])
        likelihood[_PRODUCT + lane] = 1.0


@njit(cache=True, fastmath={"contract"}, error_model="numpy")
def _backward(
    work: Array,
    dt: Array,
    start: int,
    stop: int,
    adjoint: Array,
    inverse_r: Array,
    mean: Array,
    variance: Array,
    first: int,
    n_lanes: int,
) -> None:
    """From the last frame to the first: smoothed position and variance, then the adjoint before the frame."""
    row = np.empty(_ROW)
    for i in range(stop - start - 1, -1, -1):
        _copy(work[i], 0, row, _ROW)  # the compiler does not vectorise over rows that are walked backward
        step = dt[start + i]
        dt2 = step * step
        dt3 = step * step * step / 3
        for lane in range(LANES):
            a0, a1 = adjoint[_A0 + lane], adjoint[_A1 + lane]
            a00, a01, a11 = adjoint[_A00 + lane], adjoint[_A01 + lane], adjoint[_A11 + lane]
            h0, h1 = row[_P00 + lane], row[_P01 + lane]
            g0 = a00 * h0 + a01 * h1
            g1 = a01 * h0 + a11 * h1
            position = row[_POSITION + lane] + a0 * h0 + a1 * h1
            spread = h0 - g0 * h0 - g1 * h1
            adjoint[_MEAN + lane] = position
            adjoint[_VARIANCE + lane] = spread
            precision = row[_WEIGHT + lane] * inverse_r[lane]
            measured = row[_MEASURED + lane] if precision != 0.0 else 0.0
            keep = 0.0 if precision < 0.0 else 1.0
            precision = abs(precision)
            residual = measured - position
            pull = precision * residual
            free = 1.0 - precision * spread
            adjoint[_SUM_R + lane] += pull * residual
            adjoint[_SUM_RD + lane] += free if precision > 0.0 else 0.0
            b0 = keep * (a0 + pull)
            b1 = keep * a1
            b00 = keep * (a00 - 2.0 * precision * g0 + precision * free)
            b01 = keep * (a01 - precision * g1)
            b11 = keep * a11
            adjoint[_SUM_Q + lane] += b0 * (dt3 * b0 + dt2 * b1) + step * b1 * b1
            adjoint[_SUM_QD + lane] += dt3 * b00 + dt2 * b01 + step * b11
            adjoint[_A0 + lane] = b0
            adjoint[_A1 + lane] = b1 + step * b0
            adjoint[_A00 + lane] = b00
            adjoint[_A11 + lane] = b11 + step * (2.0 * b01 + step * b00)
            adjoint[_A01 + lane] = b01 + step * b00
        if mean.shape[0] > 0:
            mean_row, variance_row = mean[start + i], variance[start + i]
            for lane in range(n_lanes):
                mean_row[first + lane] = adjoint[_MEAN + lane]
                variance_row[first + lane] = adjoint[_VARIANCE + lane]


@njit(cache=True)
def _logs_of_weights(weight: Array) -> tuple[Array, Array]:
    """Sum of the logarithms of the weights of each node's used points, and their number."""
    n_frames, n_nodes = weight.shape
    total, n, product = np.zeros(n_nodes), np.zeros(n_nodes, np.int64), np.ones(n_nodes)
    for frame in range(n_frames):
        for node in range(n_nodes):
            if weight[frame, node] != 0.0:
                product[node] *= abs(weight[frame, node])
                n[node] += 1
                if n[node] % _LOG_EVERY == 0:
                    total[node] += math.log(product[node])
                    product[node] = 1.0
    return total + np.log(product), n
