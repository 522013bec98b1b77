"""How much noise the points can have at the most: what no movement explains.

Differences between frames hold the noise of the points and whatever moves within a frame or two. So where a node moves
fast, a fit takes movement for noise, and what is then smoothed is movement. Two things are below that: the part of the
spectrum where there is least (movement is in some frequencies, white noise is in all), and the frames in which least
happens (movement is in some frames, noise is in all).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

_LEAST_PX2 = 1e-4
_ABOVE_FLOOR = 1.15
"""The most noise over the estimate of it."""

_SPECTRUM_FRAMES = {64: 2.0, 32: 1.88, 16: 1.66}
"""Frames of a segment whose spectrum is taken, and by how much the noise's variance is above what is found of it."""
_SPECTRUM_QUANTILE = 0.25
_SEGMENTS_OVERLAP = 4
"""A segment begins after a fourth of the one before: where points are missing, few are whole. Shorter ones, which are
taken instead, show a rhythm of 12 Hz and its harmonics as noise."""
_LEAST_SEGMENTS = 4
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
    floor = np.full(position.shape[1], np.inf)
    for n_frames, above in _SPECTRUM_FRAMES.items():
        nodes, values, shares = [], [], []
        for node in np.flatnonzero(np.isinf(floor[::2])):
            starts = _whole_stretches(weight, node, n_frames)
            if starts.size >= _LEAST_SEGMENTS:
                index = starts[:: -(-starts.size // _MOST_SEGMENTS), None] + np.arange(n_frames)
                nodes.append(node)
                values.append(position[index, 2 * node : 2 * node + 2].astype(np.float64))
                shares.append((1 / np.abs(weight[index, node])).mean(axis=1))
        if nodes:
            levels = _least_power(np.concatenate(values)) / np.concatenate(shares)[:, None]
            ends = np.cumsum([len(share) for share in shares])[:-1]
            for node, level in zip(nodes, np.split(levels, ends), strict=True):
                floor[2 * node : 2 * node + 2] = above * np.median(level, axis=0)
    return floor


@njit(cache=True)
def _whole_stretches(weight: Array, node: int, n_frames: int) -> Array:
    """First frames of stretches of so many used points, at most one in each fourth of so many frames."""
    apart = n_frames // _SEGMENTS_OVERLAP
    starts = np.empty(weight.shape[0] // apart + 1, np.int64)
    n, length, last = 0, 0, -1
    for frame in range(weight.shape[0]):
        length = length + 1 if weight[frame, node] != 0 else 0
        start = frame + 1 - n_frames
        if length >= n_frames and start // apart != last:
            starts[n] = start
            n += 1
            last = start // apart
    return starts[:n]


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
    places = [slice(first, len(position) - 2 + first, step) for first in range(3)]
    if len(position) < 3:
        return floor
    here = np.abs([weight[place] for place in places])
    whole = np.asarray((here > 0).all(axis=0))
    with np.errstate(divide="ignore"):
        share = 1 / here[0] + 4 / here[1] + 1 / here[2]
    before, middle, after = (position[place] for place in places)
    difference = before - 2 * middle + after
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
