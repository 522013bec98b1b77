"""Compiled steps of the Kalman smoother: a segment of frames forward or backward, constant velocity or acceleration.

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

LANES = 16
"""Channels computed side by side."""

# Where the quantities of a frame stand in its row of the work array, each LANES wide.
MEASURED, WEIGHT, POSITION, P00, P01, P02 = (index * LANES for index in range(6))
ROW = 6 * LANES
# The state that is carried forward: position, velocity, acceleration and their covariances.
S_POSITION, S_VELOCITY, S_ACCELERATION, S_P00, S_P01, S_P11, S_P02, S_P12, S_P22 = (i * LANES for i in range(9))
STATE_ROW = 9 * LANES
# The row that is carried backward: the adjoint's vector and matrix, the frame's result, then sums over frames.
A0, A1, A2, A00, A01, A11, A02, A12, A22, MEAN, VARIANCE = (index * LANES for index in range(11))
SUM_Q, SUM_QD, SUM_R, SUM_RD = (index * LANES for index in range(11, 15))
ADJOINT_ROW = 15 * LANES
# The row of the likelihood: squared innovations, product and log of their relative variances.
SQUARES, PRODUCT, LOG = (index * LANES for index in range(3))
_LOG_EVERY = 16
"""Frames between logarithms: a product of so many relative variances stays far from overflow."""


@njit(cache=True)
def copy(source: Array, start: int, target: Array, n: int) -> None:
    """Copy n values from `start` on: a slice's copy costs more than it copies here."""
    for index in range(n):
        target[index] = source[start + index]


@njit(cache=True)
def take_logarithm(likelihood: Array) -> None:
    """Move the logarithm of the product of relative variances into its sum."""
    for lane in range(LANES):
        likelihood[LOG + lane] += math.log(likelihood[PRODUCT + lane])
        likelihood[PRODUCT + lane] = 1.0


@njit(cache=True, fastmath={"contract"}, error_model="numpy")
def forward_velocity(
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
            p01 = state[S_P01 + lane] + step * state[S_P11 + lane]
            p00 = state[S_P00 + lane] + step * (state[S_P01 + lane] + p01) + dt3 * q[lane]
            p01 += dt2 * q[lane]
            p11 = state[S_P11 + lane] + step * q[lane]
            velocity = state[S_VELOCITY + lane]
            predicted = state[S_POSITION + lane] + step * velocity
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
            # Not p00 - gain * p00 * p00, which loses digits where the filter starts afresh.
            state[S_POSITION + lane] = row[POSITION + lane] = predicted + p00 * gain * innovation
            state[S_VELOCITY + lane] = velocity + k1 * innovation
            state[S_P00 + lane] = row[P00 + lane] = p00 * inverse
            state[S_P01 + lane] = row[P01 + lane] = p01 * inverse
            state[S_P11 + lane] = p11 - k1 * p01
            likelihood[SQUARES + lane] += innovation * innovation * gain
            likelihood[PRODUCT + lane] *= relative
        if i % _LOG_EVERY == _LOG_EVERY - 1:
            if count:
                take_logarithm(likelihood)
            else:
                likelihood[PRODUCT : PRODUCT + LANES] = 1.0


@njit(cache=True, fastmath={"contract"}, error_model="numpy")
def backward_velocity(
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
    row = np.empty(ROW)
    for i in range(stop - start - 1, -1, -1):
        copy(work[i], 0, row, ROW)  # the compiler does not vectorise over rows that are walked backward
        step = dt[start + i]
        dt2 = step * step
        dt3 = step * step * step / 3
        for lane in range(LANES):
            a0, a1 = adjoint[A0 + lane], adjoint[A1 + lane]
            a00, a01, a11 = adjoint[A00 + lane], adjoint[A01 + lane], adjoint[A11 + lane]
            h0, h1 = row[P00 + lane], row[P01 + lane]
            g0 = a00 * h0 + a01 * h1
            g1 = a01 * h0 + a11 * h1
            position = row[POSITION + lane] + a0 * h0 + a1 * h1
            spread = h0 - g0 * h0 - g1 * h1
            adjoint[MEAN + lane] = position
            adjoint[VARIANCE + lane] = spread
            precision = row[WEIGHT + lane] * inverse_r[lane]
            measured = row[MEASURED + lane] if precision != 0.0 else 0.0
            keep = 0.0 if precision < 0.0 else 1.0
            precision = abs(precision)
            residual = measured - position
            pull = precision * residual
            free = 1.0 - precision * spread
            adjoint[SUM_R + lane] += pull * residual
            adjoint[SUM_RD + lane] += free if precision > 0.0 else 0.0
            b0 = keep * (a0 + pull)
            b1 = keep * a1
            b00 = keep * (a00 - 2.0 * precision * g0 + precision * free)
            b01 = keep * (a01 - precision * g1)
            b11 = keep * a11
            adjoint[SUM_Q + lane] += b0 * (dt3 * b0 + dt2 * b1) + step * b1 * b1
            adjoint[SUM_QD + lane] += dt3 * b00 + dt2 * b01 + step * b11
            adjoint[A0 + lane] = b0
            adjoint[A1 + lane] = b1 + step * b0
            adjoint[A00 + lane] = b00
            adjoint[A11 + lane] = b11 + step * (2.0 * b01 + step * b00)
            adjoint[A01 + lane] = b01 + step * b00
        if mean.shape[0] > 0:
            mean_row, variance_row = mean[start + i], variance[start + i]
            for lane in range(n_lanes):
                mean_row[first + lane] = adjoint[MEAN + lane]
                variance_row[first + lane] = adjoint[VARIANCE + lane]


@njit(cache=True, fastmath={"contract"}, error_model="numpy")
def forward_acceleration(
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
    """As `forward_velocity`, with an acceleration that white jerk drives."""
    prior_position, prior_velocity, prior_acceleration = prior[0], prior[1], prior[2]
    for i in range(stop - start):
        row = work[i]
        step = dt[start + i]
        half = step * step / 2
        q00, q01, q02 = step**5 / 20, step**4 / 8, step**3 / 6
        q11, q12 = step**3 / 3, half
        for lane in range(LANES):
            p02, p12, p22 = state[S_P02 + lane], state[S_P12 + lane], state[S_P22 + lane]
            p01, p11 = state[S_P01 + lane], state[S_P11 + lane]
            # F P, then (F P) F' + Q.
            m00 = state[S_P00 + lane] + step * p01 + half * p02
            m01 = p01 + step * p11 + half * p12
            m02 = p02 + step * p12 + half * p22
            m11 = p11 + step * p12
            m12 = p12 + step * p22
            p00 = m00 + step * m01 + half * m02 + q00 * q[lane]
            p01 = m01 + step * m02 + q01 * q[lane]
            p02 = m02 + q02 * q[lane]
            p11 = m11 + step * m12 + q11 * q[lane]
            p12 = m12 + q12 * q[lane]
            p22 = p22 + step * q[lane]
            acceleration = state[S_ACCELERATION + lane]
            velocity = state[S_VELOCITY + lane] + step * acceleration
            predicted = state[S_POSITION + lane] + step * state[S_VELOCITY + lane] + half * acceleration
            precision = row[WEIGHT + lane] * inverse_r[lane]
            measured = row[MEASURED + lane] if precision != 0.0 else 0.0
            afresh = precision < 0.0
            p00 = prior_position if afresh else p00
            p11 = prior_velocity if afresh else p11
            p22 = prior_acceleration if afresh else p22
            p01 = 0.0 if afresh else p01
            p02 = 0.0 if afresh else p02
            p12 = 0.0 if afresh else p12
            velocity = 0.0 if afresh else velocity
            acceleration = 0.0 if afresh else acceleration
            predicted = measured if afresh else predicted
            precision = abs(precision)
            relative = 1.0 + p00 * precision
            inverse = 1.0 / relative
            gain = precision * inverse
            k1 = p01 * gain
            k2 = p02 * gain
            innovation = measured - predicted
            state[S_POSITION + lane] = row[POSITION + lane] = predicted + p00 * gain * innovation
            state[S_VELOCITY + lane] = velocity + k1 * innovation
            state[S_ACCELERATION + lane] = acceleration + k2 * innovation
            state[S_P00 + lane] = row[P00 + lane] = p00 * inverse
            state[S_P01 + lane] = row[P01 + lane] = p01 * inverse
            state[S_P02 + lane] = row[P02 + lane] = p02 * inverse
            state[S_P11 + lane] = p11 - k1 * p01
            state[S_P12 + lane] = p12 - k1 * p02
            state[S_P22 + lane] = p22 - k2 * p02
            likelihood[SQUARES + lane] += innovation * innovation * gain
            likelihood[PRODUCT + lane] *= relative
        if i % _LOG_EVERY == _LOG_EVERY - 1:
            if count:
                take_logarithm(likelihood)
            else:
                likelihood[PRODUCT : PRODUCT + LANES] = 1.0


@njit(cache=True, fastmath={"contract"}, error_model="numpy")
def backward_acceleration(
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
    """As `backward_velocity`, with an acceleration that white jerk drives."""
    row = np.empty(ROW)
    for i in range(stop - start - 1, -1, -1):
        copy(work[i], 0, row, ROW)  # the compiler does not vectorise over rows that are walked backward
        step = dt[start + i]
        half = step * step / 2
        q00, q01, q02 = step**5 / 20, step**4 / 8, step**3 / 6
        q11, q12 = step**3 / 3, half
        for lane in range(LANES):
            a0, a1, a2 = adjoint[A0 + lane], adjoint[A1 + lane], adjoint[A2 + lane]
            a00, a01, a02 = adjoint[A00 + lane], adjoint[A01 + lane], adjoint[A02 + lane]
            a11, a12, a22 = adjoint[A11 + lane], adjoint[A12 + lane], adjoint[A22 + lane]
            h0, h1, h2 = row[P00 + lane], row[P01 + lane], row[P02 + lane]
            g0 = a00 * h0 + a01 * h1 + a02 * h2
            g1 = a01 * h0 + a11 * h1 + a12 * h2
            g2 = a02 * h0 + a12 * h1 + a22 * h2
            position = row[POSITION + lane] + a0 * h0 + a1 * h1 + a2 * h2
            spread = h0 - g0 * h0 - g1 * h1 - g2 * h2
            adjoint[MEAN + lane] = position
            adjoint[VARIANCE + lane] = spread
            precision = row[WEIGHT + lane] * inverse_r[lane]
            measured = row[MEASURED + lane] if precision != 0.0 else 0.0
            keep = 0.0 if precision < 0.0 else 1.0
            precision = abs(precision)
            residual = measured - position
            pull = precision * residual
            free = 1.0 - precision * spread
            adjoint[SUM_R + lane] += pull * residual
            adjoint[SUM_RD + lane] += free if precision > 0.0 else 0.0
            b0, b1, b2 = keep * (a0 + pull), keep * a1, keep * a2
            b00 = keep * (a00 - 2.0 * precision * g0 + precision * free)
            b01 = keep * (a01 - precision * g1)
            b02 = keep * (a02 - precision * g2)
            b11, b12, b22 = keep * a11, keep * a12, keep * a22
            adjoint[SUM_Q + lane] += (
                q00 * b0 * b0 + q11 * b1 * b1 + step * b2 * b2 + 2.0 * (q01 * b0 * b1 + q02 * b0 * b2 + q12 * b1 * b2)
            )
            adjoint[SUM_QD + lane] += q00 * b00 + q11 * b11 + step * b22 + 2.0 * (q01 * b01 + q02 * b02 + q12 * b12)
            # F' b, and F' B F column by column.
            adjoint[A0 + lane] = b0
            adjoint[A1 + lane] = step * b0 + b1
            adjoint[A2 + lane] = half * b0 + step * b1 + b2
            c01 = step * b00 + b01
            c02 = half * b00 + step * b01 + b02
            c12 = half * b01 + step * b11 + b12
            adjoint[A00 + lane] = b00
            adjoint[A01 + lane] = c01
            adjoint[A02 + lane] = c02
            adjoint[A11 + lane] = step * (c01 + b01) + b11
            adjoint[A12 + lane] = step * c02 + c12
            adjoint[A22 + lane] = half * (c02 + b02) + step * (c12 + b12) + b22
        if mean.shape[0] > 0:
            mean_row, variance_row = mean[start + i], variance[start + i]
            for lane in range(n_lanes):
                mean_row[first + lane] = adjoint[MEAN + lane]
                variance_row[first + lane] = adjoint[VARIANCE + lane]
