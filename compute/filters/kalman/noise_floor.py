"""How much noise the points can have at the most: what no movement explains.

Differences between frames hold the noise of the points and whatever moves within a frame or two. So where a node moves
fast, a fit takes movement for noise, and what is then smoothed is movement. Two things are below that: the part of the
spectrum where there is least (movement is in some frequencies, white noise is in all), and the frames in which least
happens (movement is in some frames, noise is in all).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_LEAST_PX2 = 1e-4
_ABOVE_FLOOR = 1.15
"""The most noise over the estimate of it."""

_SPECTRUM_FRAMES = {64: 2.0, 32: 1.88, 16: 1.66}
"""Frames of a segment whose spectrum is taken, and by how much the noise's variance is above what is found of it."""
_SPECTRUM_QUANTILE = 0.25
_LEAST_SEGMENTS = 8
_MOST_SEGMENTS = 64

_QUIET_QUANTILE = 0.25
_CHI_SQUARE_AT_QUIET = 0.10153
"""Quantile of chi-square with one degree of freedom."""
_FEWEST_DIFFERENCES = 50
_MOST_DIFFERENCES = 4096
_MOST_EQUAL = 0.05
"""With more differences of 0 the positions are on a grid, and the quiet frames say nothing of its noise."""


def noise_limits_px2(position: Array, weight: Array) -> tuple[Array, Array]:
    """The least and the most noise (px²) that a point of weight 1 can have, shape (channel,) each.

    The least is what rounding to a grid makes. The most is a little above the smaller of two estimates, each of
    which is right for white noise and a slow movement; infinite where there are too few points.

    Parameters
    ----------
    position : array, shape (frame, channel)
        x and y of each node side by side (px).
    weight : array, shape (frame, node)
        Precision of a point relative to weight 1; 0: not used. Signs do not matter.
    """
    if not len(position):
        return np.full(position.shape[1], _LEAST_PX2), np.full(position.shape[1], np.inf)
    floor = np.minimum(_floor_of_spectrum(position, weight), _floor_of_quiet_frames(position, weight))
    used = weight != 0
    typical = np.median(np.abs(weight[:: max(1, len(weight) // _MOST_DIFFERENCES)]), axis=0)
    least = np.maximum(grid_step_px(position, used) ** 2 / 12 * np.repeat(typical, 2), _LEAST_PX2)
    return least, np.maximum(_ABOVE_FLOOR * floor, least)


def _floor_of_spectrum(position: Array, weight: Array) -> Array:
    """From the frequencies in which there is least, of stretches without a gap, in the middle stretch."""
    n_channels = position.shape[1]
    floor = np.full(n_channels, np.inf)
    used = np.ascontiguousarray(weight.T) != 0
    for node in range(weight.shape[1]):
        n_before = np.concatenate([[0], np.cumsum(used[node], dtype=np.int32)])
        for n_frames, above in _SPECTRUM_FRAMES.items():
            starts = _whole_stretches(n_before, n_frames)
            if starts.size < _LEAST_SEGMENTS:
                continue
            starts = starts[:: -(-starts.size // _MOST_SEGMENTS)]
            index = starts[:, None] + np.arange(n_frames)
            share = (1 / np.abs(weight[index, node])).mean(axis=1)
            values = position[index, 2 * node : 2 * node + 2].astype(np.float64)
            level = _least_power(values) / share[:, None]
            floor[2 * node : 2 * node + 2] = above * np.median(level, axis=0)
            break
    return floor


def _whole_stretches(n_before: Array, n_frames: int) -> Array:
    """First frames of stretches of so many used points, at most one for each so many frames.

    `n_before` counts the used points before each frame.
    """
    starts = np.flatnonzero(n_before[n_frames:] - n_before[:-n_frames] == n_frames)
    return starts[np.flatnonzero(np.diff(starts // n_frames, prepend=-1))]


def _least_power(values: Array) -> Array:
    """Low quantile over frequencies of the smoothed periodogram of (stretch, frame, axis), in px²."""
    n_frames = values.shape[1]
    window = np.hanning(n_frames + 2)[1:-1]
    ramp = np.linspace(-1, 1, n_frames)
    values = values - values.mean(axis=1, keepdims=True)
    slope = np.einsum("sfa,f->sa", values, ramp) / np.sum(ramp**2)
    values = values - slope[:, None] * ramp[:, None]
    power = np.abs(np.fft.rfft(values * window[:, None], axis=1)) ** 2 / np.sum(window**2)
    smooth = (power[:, 1:-3] + power[:, 2:-2] + power[:, 3:-1]) / 3
    return np.asarray(np.quantile(smooth, _SPECTRUM_QUANTILE, axis=1))


def _floor_of_quiet_frames(position: Array, weight: Array) -> Array:
    """From the frames with the smallest second differences."""
    floor = np.full(position.shape[1], np.inf)
    step = max(1, (len(position) - 2) // _MOST_DIFFERENCES)
    middle = np.arange(1, len(position) - 1, step)
    if not middle.size:
        return floor
    here = np.abs([weight[middle - 1], weight[middle], weight[middle + 1]])
    whole = np.asarray((here > 0).all(axis=0))
    with np.errstate(divide="ignore"):
        share = 1 / here[0] + 4 / here[1] + 1 / here[2]
    difference = position[middle - 1] - 2 * position[middle] + position[middle + 1]
    for channel in range(position.shape[1]):
        known = whole[:, channel // 2]
        squares = difference[known, channel].astype(np.float64) ** 2 / share[known, channel // 2]
        if squares.size >= _FEWEST_DIFFERENCES and np.mean(squares == 0) <= _MOST_EQUAL:
            floor[channel] = np.quantile(squares, _QUIET_QUANTILE) / _CHI_SQUARE_AT_QUIET
    return floor


def grid_step_px(position: Array, used: Array) -> Array:
    """Step (px) of the grid that positions are rounded to, where many equal the one before; else 0. Shape (channel,).

    Parameters
    ----------
    position : array, shape (frame, channel)
        x and y of each node side by side (px).
    used : array, shape (frame, node), bool
        Points that are looked at.
    """
    step_px = np.zeros(position.shape[1])
    after = np.arange(1, len(position), max(1, (len(position) - 1) // _MOST_DIFFERENCES))
    whole = np.asarray(used[after - 1] & used[after])
    difference = np.abs(position[after] - position[after - 1])
    for channel in range(position.shape[1]):
        known = difference[whole[:, channel // 2], channel]
        moved = known[known > 0]
        if moved.size >= _FEWEST_DIFFERENCES and moved.size < (1 - _MOST_EQUAL) * known.size:
            step_px[channel] = np.quantile(moved, 0.1)
    return step_px
