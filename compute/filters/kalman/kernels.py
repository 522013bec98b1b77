"""Compiled Kalman filter and Rauch-Tung-Striebel smoother, many channels side by side.

A channel is one coordinate (x or y) of one node. Its state is position (px) and velocity (px/s), driven by white noise
of density q (px²/s³), or also acceleration (px/s²), driven by white jerk (px²/s⁵); a point is measured with variance r
(px²) divided by the point's weight.

Forward states are kept for one segment of frames only: the first pass notes the state before each segment, the
backward pass recomputes a segment's states from that note. So the memory needed besides input and output is small, and
stays in the processor's cache.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.filters.kalman.steps import (
    ADJOINT_ROW,
    LANES,
    LOG,
    MEASURED,
    PRODUCT,
    ROW,
    SQUARES,
    STATE_ROW,
    SUM_Q,
    SUM_QD,
    SUM_R,
    SUM_RD,
    WEIGHT,
    backward_acceleration,
    backward_velocity,
    copy,
    forward_acceleration,
    forward_velocity,
    take_logarithm,
)

Array = NDArray[Any]

LONGEST_SEGMENT = 256
"""Frames whose forward states are kept at a time, at the most."""

PRIOR = np.array([100.0**2, 2000.0**2])
"""Variance of position (px²) and velocity (px²/s²) where a filter starts: the first point alone says where the node is,
and nothing but what a face can do says how fast it moves."""

PRIOR_ACCELERATION = np.array([*PRIOR, 50_000.0**2])
"""The same with acceleration (px²/s⁴): a prior of three numbers makes a smoother of constant acceleration."""

_LOG_EVERY = 16
"""Weights between logarithms."""


@njit(cache=True)
def _load(work: Array, position: Array, weight: Array, start: int, stop: int, first: int, n_lanes: int) -> None:
    """Copy the points and weights of frames start..stop-1 and channels first.. into the rows of `work`."""
    for frame in range(start, stop):
        row, points, weights = work[frame - start], position[frame], weight[frame]
        for lane in range(n_lanes):
            row[MEASURED + lane] = points[first + lane]
        for pair in range(n_lanes // 2):
            row[WEIGHT + 2 * pair] = weights[first // 2 + pair]
            row[WEIGHT + 2 * pair + 1] = weights[first // 2 + pair]


@njit(cache=True)
def _log_of_weights(weight: Array, node: int) -> tuple[float, int]:
    """Sum of the logarithms of the weights of a node's used points, and their number."""
    total, n, product = 0.0, 0, 1.0
    for frame in range(weight.shape[0]):
        if weight[frame, node] != 0.0:
            product *= abs(weight[frame, node])
            n += 1
            if n % _LOG_EVERY == 0:
                total += math.log(product)
                product = 1.0
    return total + math.log(product), n


@njit(cache=True)
def smooth(
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
        Density of the process noise (px²/s³; px²/s⁵ for constant acceleration) in each segment, the time before its
        first frame included. The last row holds for all segments that follow.
    r : array, shape (channel,), float64
        Variance of a point of weight 1 (px²).
    prior : array, shape (2,) or (3,), float64
        Variance of position (px²), velocity (px²/s²) and, for constant acceleration, acceleration (px²/s⁴) where the
        filter starts, around the point found there, 0 and 0.
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
    work = np.zeros((segment_frames, ROW))
    notes = np.empty((n_segments, STATE_ROW))
    lanes_q, inverse_r = np.zeros(LANES), np.zeros(LANES)
    of_acceleration = prior.size == 3
    for first in range(0, n_channels, LANES):
        n_lanes = min(LANES, n_channels - first)
        adjoint, state = np.zeros(ADJOINT_ROW), np.zeros(STATE_ROW)
        likelihood, forgotten = np.zeros(3 * LANES), np.ones(3 * LANES)
        likelihood[PRODUCT : PRODUCT + LANES] = 1.0
        inverse_r[:n_lanes] = 1.0 / r[first : first + n_lanes]
        work[:] = 0.0
        for segment in range(n_segments):
            start, stop = segment * segment_frames, min(n_frames, (segment + 1) * segment_frames)
            copy(state, 0, notes[segment], STATE_ROW)
            copy(q[min(segment, q.shape[0] - 1)], first, lanes_q, n_lanes)
            _load(work, position, weight, start, stop, first, n_lanes)
            if of_acceleration:
                forward_acceleration(state, work, dt, start, stop, lanes_q, inverse_r, prior, likelihood, True)
            else:
                forward_velocity(state, work, dt, start, stop, lanes_q, inverse_r, prior, likelihood, True)
        take_logarithm(likelihood)
        for segment in range(n_segments - 1, -1, -1):
            start, stop = segment * segment_frames, min(n_frames, (segment + 1) * segment_frames)
            copy(q[min(segment, q.shape[0] - 1)], first, lanes_q, n_lanes)
            _load(work, position, weight, start, stop, first, n_lanes)
            note = notes[segment]
            if of_acceleration:
                forward_acceleration(note, work, dt, start, stop, lanes_q, inverse_r, prior, forgotten, False)
                backward_acceleration(work, dt, start, stop, adjoint, inverse_r, mean, variance, first, n_lanes)
            else:
                forward_velocity(note, work, dt, start, stop, lanes_q, inverse_r, prior, forgotten, False)
                backward_velocity(work, dt, start, stop, adjoint, inverse_r, mean, variance, first, n_lanes)
            for lane in range(n_lanes):
                slopes[0, segment, first + lane] = adjoint[SUM_Q + lane]
                slopes[1, segment, first + lane] = adjoint[SUM_QD + lane]
                adjoint[SUM_Q + lane] = adjoint[SUM_QD + lane] = 0.0
        for lane in range(n_lanes):
            channel = first + lane
            log_weights, n_used = _log_of_weights(weight, channel // 2)
            constant = n_used * math.log(2.0 * math.pi * r[channel]) - log_weights
            sums[0, channel] = -0.5 * (constant + likelihood[SQUARES + lane] + likelihood[LOG + lane])
            sums[1, channel] = adjoint[SUM_R + lane]
            sums[2, channel] = adjoint[SUM_RD + lane]
    return sums, slopes
