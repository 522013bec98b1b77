"""Noise of a Kalman smoother by maximum likelihood, for all channels at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.filters.kalman_kernels import smooth

Array = NDArray[Any]

PRIOR_POSITION_SD_PX = 100.0
"""Uncertainty of the position around the first point; that point alone says where the node is."""
PRIOR_VELOCITY_SD_PX_PER_S = 2000.0
"""Uncertainty of the velocity at the first point, around standing still."""
PRIOR = np.array([PRIOR_POSITION_SD_PX**2, PRIOR_VELOCITY_SD_PX_PER_S**2])

_LIMITS = np.log([[1e-2, 1e10], [1e-4, 1e6]])
"""Of process noise (px²/s³) and measurement variance (px²)."""

_FIRST_BANDWIDTHS_HZ = (0.5, 1.5, 4.0, 10.0, 25.0)
_MAXIMAL_STEPS = 10
_TOLERANCE = 0.05
"""Largest last change of a logarithm: what depends on it changes by its square."""
_LARGEST_STEP = 2.0
_DIFFERENCE = 0.05
_NOTHING = np.empty((0, 0), np.float32)


@dataclass(frozen=True)
class Noise:
    """Noise of each channel (x and y of each node side by side), shape (channel,).

    Parameters
    ----------
    q : array
        Density of the process noise (px²/s³).
    r : array
        Variance of a point of weight 1 (px²).
    """

    q: Array
    r: Array


def first_noise(position: Array, used: Array, weight: Array, dt: Array) -> Noise:
    """The likeliest of some process noises, each with the measurement variance that the second differences leave it.

    A fit that starts at the wrong end can take movement for noise and stay there.

    Parameters
    ----------
    position : array, shape (frame, channel)
        Points in px.
    used : array, shape (frame, node), bool
        Points to look at.
    weight : array, shape (frame, node)
        As `compute.filters.kalman_kernels.smooth` takes it.
    dt : array, shape (frame,)
        Seconds since the frame before.
    """
    interval = float(np.median(dt[1:])) if dt.size > 1 else 1.0
    variance = _second_difference_variance(np.where(np.repeat(used, 2, axis=1), position, np.nan))
    best = Noise(np.ones_like(variance), np.maximum(variance / 6, np.exp(_LIMITS[1, 0])))
    highest = np.full(variance.shape, -np.inf)
    for bandwidth_hz in _FIRST_BANDWIDTHS_HZ:
        # White-noise acceleration: the second difference has the variance 6 r + (2/3) q dt³.
        q = noise_of_bandwidth(bandwidth_hz, variance / 6, interval)
        r = np.maximum(variance - (2 / 3) * q * interval**3, 0.2 * variance) / 6
        likelihood = smooth(position, weight, dt, q, r, PRIOR, _NOTHING, _NOTHING)[0]
        better = likelihood > highest
        highest = np.where(better, likelihood, highest)
        best = Noise(np.where(better, q, best.q), np.where(better, r, best.r))
    return best


def noise_of_bandwidth(bandwidth_hz: float, r: Array, interval_s: float) -> Array:
    """Process noise (px²/s³) with which the smoother halves the amplitude of a movement of this frequency.

    The smoother's gain at the angular frequency w is 1 / (1 + w⁴ r dt / q), as the Wiener filter has it.
    """
    return np.asarray(r * interval_s * (2 * np.pi * bandwidth_hz) ** 4)


def _second_difference_variance(values: Array) -> Array:
    """Robust variance of each channel's second difference from frame to frame; 1 where there is none."""
    if len(values) < 3:
        return np.ones(values.shape[1])
    difference = np.abs(values[2:] - 2 * values[1:-1] + values[:-2])
    difference[:, np.isnan(difference).all(axis=0)] = 1.0
    return np.maximum((np.nanmedian(difference, axis=0) / 0.6745) ** 2, 1e-6)


def fit_noise(position: Array, weight: Array, dt: Array, start: Noise, *, free: tuple[bool, bool]) -> Noise:
    """The noise with the greatest likelihood.

    Newton's method for each channel by itself, with the kernel's exact gradient and differences of it; where the
    likelihood is not concave, MacKay's (1992, doi:10.1162/neco.1992.4.3.415) step.

    Parameters
    ----------
    position, weight, dt
        As `compute.filters.kalman_kernels.smooth` takes them.
    start : Noise
        Where to begin; what is not free stays.
    free : (bool, bool)
        Whether q and r are looked for.
    """
    values = np.log([start.q, start.r])
    wanted = np.array(free)[:, None] & (np.repeat(weight, 2, axis=1) != 0).any(axis=0)
    for _ in range(_MAXIMAL_STEPS):
        if not wanted.any():
            break
        step = np.where(wanted, _step(position, weight, dt, values, wanted), 0)
        values = np.where(wanted, np.clip(values + step, _LIMITS[:, :1], _LIMITS[:, 1:]), values)
        if np.abs(step).max() < _TOLERANCE:
            break
    return Noise(*np.exp(values))


def _step(position: Array, weight: Array, dt: Array, values: Array, wanted: Array) -> Array:
    """Change of log(q) and log(r), shape (2, channel)."""

    def gradient(at: Array) -> tuple[Array, Array]:
        q, r = np.exp(at)
        sums = smooth(position, weight, dt, q, r, PRIOR, _NOTHING, _NOTHING)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.log(np.stack([sums[1] / sums[2], sums[3] / sums[4]]))
        return np.stack([q * (sums[1] - sums[2]), sums[3] - sums[4]]) / 2, np.nan_to_num(ratios, posinf=0, neginf=0)

    slope, mackay = gradient(values)
    slope = np.where(wanted, slope, 0)
    curvature = np.empty((2, 2, values.shape[1]))
    for index in range(2):
        moved = values.copy()
        moved[index] += _DIFFERENCE
        curvature[index] = (np.where(wanted, gradient(moved)[0], 0) - slope) / _DIFFERENCE
    cross = (curvature[0, 1] + curvature[1, 0]) / 2
    a = np.where(wanted[0], curvature[0, 0], -1.0)
    b = np.where(wanted[1], curvature[1, 1], -1.0)
    determinant = a * b - cross**2
    with np.errstate(divide="ignore", invalid="ignore"):
        newton = np.stack([cross * slope[1] - b * slope[0], cross * slope[0] - a * slope[1]]) / determinant
    concave = (a < 0) & (determinant > 0)
    return np.asarray(np.clip(np.where(concave, newton, mackay), -_LARGEST_STEP, _LARGEST_STEP))
