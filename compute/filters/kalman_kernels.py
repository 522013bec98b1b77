"""Compiled Kalman filter and Rauch-Tung-Striebel smoother, constant velocity, many channels side by side.

A channel is one coordinate (x or y) of one node. Its state is position (px) and velocity (px/s); white noise of
density q (px²/s³) drives the velocity, and a point is measured with variance r (px²) divided by the point's weight.

The backward pass carries the adjoint of the state (Bryson and Frazier 1963; de Jong 1989, doi:10.2307/2290087) in
place of the smoothed state: the same posterior as Rauch-Tung-Striebel's to rounding, without inverting a matrix, and
what it carries is the exact gradient of the likelihood too (Koopman and Shephard 1992, doi:10.1093/biomet/79.4.823).

`LANES` channels are computed by the same instructions. Forward states are kept for one block of frames only: the
first pass notes the state before each block, the backward pass recomputes a block's states from that note. So the
memory needed besides input and output is small, and stays in the processor's cache.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

LANES = 16
"""Channels computed side by side."""

BLOCK = 64
"""Frames whose forward states are kept at a time."""

# Where the quantities of a frame stand in its row of the work array, each LANES wide.
MEASURED, WEIGHT, POSITION, VELOCITY, P00, P01, P11 = (index * LANES for index in range(7))
ROW = 7 * LANES
# The row that is carried backward: the adjoint's vector and matrix, the frame's result, then sums over frames.
A0, A1, A00, A01, A11, MEAN, VARIANCE, SUM_Q, SUM_QD, SUM_R, SUM_RD = (index * LANES for index in range(11))
ADJOINT_ROW = 11 * LANES
# The row of the likelihood: squared innovations, product and log of their relative variances.
SQUARES, PRODUCT, LOG = (index * LANES for index in range(3))
_LOG_EVERY = 8
"""Frames between logarithms: a product of so many relative variances stays far from overflow."""


@njit(cache=True)
def _load(work: Array, position: Array, weight: Array, first: int, n_lanes: int, start: int, stop: int) -> None:
    """Copy the points and weights of frames start..stop-1 into the rows 1.. of `work`."""
    for frame in range(start, stop):
        row = work[frame - start + 1]
        for lane in range(n_lanes):
            row[MEASURED + lane] = position[frame, first + lane]
        for pair in range(n_lanes // 2):
            row[WEIGHT + 2 * pair] = weight[frame, first // 2 + pair]
            row[WEIGHT + 2 * pair + 1] = weight[frame, first // 2 + pair]


@njit(cache=True, fastmath={"contract"}, error_model="numpy")
def _step_forward(
    before: Array, row: Array, dt: float, q: Array, inverse_r: Array, prior: Array, likelihood: Array
) -> None:
    """Predict over dt seconds from the filtered row `before`, then update; a negative weight starts afresh."""
    dt2 = dt * dt / 2
    dt3 = dt * dt * dt / 3
    prior_position, prior_velocity = prior[0], prior[1]
    for lane in range(LANES):
        p01 = before[P01 + lane] + dt * before[P11 + lane]
        p00 = before[P00 + lane] + dt * (before[P01 + lane] + p01) + dt3 * q[lane]
        p01 += dt2 * q[lane]
        p11 = before[P11 + lane] + dt * q[lane]
        velocity = before[VELOCITY + lane]
        predicted = before[POSITION + lane] + dt * velocity
        precision = row[WEIGHT + lane] * inverse_r[lane]
        measured = row[MEASURED + lane] if precision != 0.0 else 0.0
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
        row[POSITION + lane] = predicted + p00 * gain * innovation
        row[VELOCITY + lane] = velocity + k1 * innovation
        # Not p00 - gain * p00 * p00, which loses digits where the filter starts afresh.
        row[P00 + lane] = p00 * inverse
        row[P01 + lane] = p01 * inverse
        row[P11 + lane] = p11 - k1 * p01
        likelihood[SQUARES + lane] += innovation * innovation * gain
        likelihood[PRODUCT + lane] *= relative


@njit(cache=True, fastmath={"contract"}, error_model="numpy")
def _step_backward(row: Array, adjoint: Array, dt: float, q: Array, inverse_r: Array) -> None:
    """Smoothed position and variance of a row; then take the adjoint through its update and the dt seconds before."""
    dt2 = dt * dt
    dt3 = dt * dt * dt / 3
    for lane in range(LANES):
        a0, a1 = adjoint[A0 + lane], adjoint[A1 + lane]
        a00, a01, a11 = adjoint[A00 + lane], adjoint[A01 + lane], adjoint[A11 + lane]
        h0, h1 = row[P00 + lane], row[P01 + lane]
        g0 = a00 * h0 + a01 * h1
        g1 = a01 * h0 + a11 * h1
        mean = row[POSITION + lane] + a0 * h0 + a1 * h1
        variance = h0 - g0 * h0 - g1 * h1
        adjoint[MEAN + lane] = mean
        adjoint[VARIANCE + lane] = variance
        precision = row[WEIGHT + lane] * inverse_r[lane]
        measured = row[MEASURED + lane] if precision != 0.0 else 0.0
        keep = 0.0 if precision < 0.0 else 1.0
        precision = abs(precision)
        residual = measured - mean
        pull = precision * residual
        free = 1.0 - precision * variance
        adjoint[SUM_R + lane] += pull * residual
        adjoint[SUM_RD + lane] += free if precision > 0.0 else 0.0
        b0 = keep * (a0 + pull)
        b1 = keep * a1
        b00 = keep * (a00 - 2.0 * precision * g0 + precision * free)
        b01 = keep * (a01 - precision * g1)
        b11 = keep * a11
        adjoint[SUM_Q + lane] += b0 * (dt3 * b0 + dt2 * b1) + dt * b1 * b1
        adjoint[SUM_QD + lane] += dt3 * b00 + dt2 * b01 + dt * b11
        adjoint[A0 + lane] = b0
        adjoint[A1 + lane] = b1 + dt * b0
        adjoint[A00 + lane] = b00
        adjoint[A11 + lane] = b11 + dt * (2.0 * b01 + dt * b00)
        adjoint[A01 + lane] = b01 + dt * b00


@njit(cache=True)
def _take_logarithm(likelihood: Array) -> None:
    """Move the logarithm of the product of relative variances into its sum."""
    for lane in range(LANES):
        likelihood[LOG + lane] += math.log(likelihood[PRODUCT + lane])
        likelihood[PRODUCT + lane] = 1.0


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
    position: Array, weight: Array, dt: Array, q: Array, r: Array, prior: Array, mean: Array, variance: Array
) -> Array:
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
    q, r : array, shape (channel,), float64
        Density of the process noise (px²/s³) and variance of a point of weight 1 (px²).
    prior : array, shape (2,), float64
        Variance of position (px²) and velocity (px²/s²) where the filter starts, around the point found there and 0.
    mean, variance : array, shape (frame, channel), float32 or float64
        Are given the smoothed position (px) and its variance (px²). Of shape (0, 0) they are left alone.

    Returns
    -------
    array, shape (5, channel), float64
        The log likelihood L, then the four sums that make its gradient:
        dL/dlog(q) = q (sums[1] - sums[2]) / 2 and dL/dlog(r) = (sums[3] - sums[4]) / 2.
    """
    n_frames, n_channels = position.shape
    n_blocks = (n_frames + BLOCK - 1) // BLOCK
    sums = np.zeros((5, n_channels))
    work = np.zeros((BLOCK + 1, ROW))
    notes = np.empty((n_blocks, ROW))
    for first in range(0, n_channels, LANES):
        n_lanes = min(LANES, n_channels - first)
        adjoint, likelihood = np.zeros(ADJOINT_ROW), np.zeros(3 * LANES)
        lanes_q, inverse_r = np.zeros(LANES), np.zeros(LANES)
        lanes_q[:n_lanes] = q[first : first + n_lanes]
        inverse_r[:n_lanes] = 1.0 / r[first : first + n_lanes]
        likelihood[PRODUCT : PRODUCT + LANES] = 1.0
        work[:] = 0.0
        for block in range(n_blocks):
            start, stop = block * BLOCK, min(n_frames, (block + 1) * BLOCK)
            notes[block] = work[0]
            _load(work, position, weight, first, n_lanes, start, stop)
            for frame in range(start, stop):
                i = frame - start
                _step_forward(work[i], work[i + 1], dt[frame], lanes_q, inverse_r, prior, likelihood)
                if i % _LOG_EVERY == _LOG_EVERY - 1:
                    _take_logarithm(likelihood)
            work[0] = work[stop - start]
        _take_logarithm(likelihood)
        forgotten = np.ones(3 * LANES)
        for block in range(n_blocks - 1, -1, -1):
            start, stop = block * BLOCK, min(n_frames, (block + 1) * BLOCK)
            work[0] = notes[block]
            _load(work, position, weight, first, n_lanes, start, stop)
            for frame in range(start, stop):
                i = frame - start
                _step_forward(work[i], work[i + 1], dt[frame], lanes_q, inverse_r, prior, forgotten)
            forgotten[:] = 1.0
            for frame in range(stop - 1, start - 1, -1):
                _step_backward(work[frame - start + 1], adjoint, dt[frame], lanes_q, inverse_r)
                if mean.shape[0] > 0:
                    for lane in range(n_lanes):
                        mean[frame, first + lane] = adjoint[MEAN + lane]
                        variance[frame, first + lane] = adjoint[VARIANCE + lane]
        for lane in range(n_lanes):
            channel = first + lane
            log_weights, n_used = _log_of_weights(weight, channel // 2)
            constant = n_used * math.log(2.0 * math.pi * r[channel]) - log_weights
            sums[0, channel] = -0.5 * (constant + likelihood[SQUARES + lane] + likelihood[LOG + lane])
            for k, column in enumerate((SUM_Q, SUM_QD, SUM_R, SUM_RD)):
                sums[1 + k, channel] = adjoint[column + lane]
    return sums
