"""Noise of a Kalman smoother: what the differences of points say first, then by maximum likelihood, window by window.

A face rests and moves in bouts. One process noise for a whole video either smooths the bouts away or lets the noise of
all the rest pass; so each node's process noise is fitted for short windows of the video, each drawn towards the node at
rest as by a prior. Maximum likelihood is reached by MacKay's (1992, doi:10.1162/neco.1992.4.3.415) fixed point, with
sums that the kernel returns beside each smoothing: a step costs no pass over the video of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import convolve1d

from compute.filters.kalman.kernels import LONGEST_SEGMENT

Array = NDArray[Any]

_LAG_S = 0.03
"""Second differences over this time hold a movement of 5 to 25 Hz, and little of a slower one."""

_NOISE_MARGIN = 1.2
"""Squares of differences up to this many times what noise alone gives are no movement yet: a window at rest starts at
rest, instead of half of them moving."""

_SHORTEST_SEGMENT = 8
_NEIGHBOURS = np.array([0.5, 1.0, 0.5])
"""How much a window and the ones beside it say about the window's process noise."""

_PRIOR_POINTS = 4.0
"""Well measured points that the prior of a window's process noise is worth."""

_LARGEST_FACTOR = 20.0
"""A step changes no noise by more than this factor, which prevents oscillation far from the optimum."""

_DIFFERENCES = 4096
_FEWEST_DIFFERENCES = 8


@dataclass(frozen=True)
class Noise:
    """Noise of each channel (x and y of each node side by side).

    Parameters
    ----------
    q : array, shape (segment, channel)
        Density of the process noise (px²/s³) in each window of the video; one row: the same in the whole video.
    r : array, shape (channel,)
        Variance of a point of weight 1 (px²).
    """

    q: Array
    r: Array


@dataclass(frozen=True)
class NoiseFit:
    """What is looked for, and within which limits.

    Parameters
    ----------
    process_noise_px2_per_s3, measurement_sd_px : float or None
        A noise that is given; None: it is fitted.
    bandwidth_hz : (float, float)
        Limits of the fitted process noise, as the frequency of which the smoother halves the amplitude.
    segment_frames : int
        Frames of a window.
    windowed : bool
        Whether each window has a process noise of its own.
    interval_s : float
        Seconds between frames.
    noise_limits_px2 : (array, array), shape (channel,) each
        Limits of the fitted variance of a point, see `compute.filters.kalman.noise_floor`.
    """

    process_noise_px2_per_s3: float | None
    measurement_sd_px: float | None
    bandwidth_hz: tuple[float, float]
    segment_frames: int
    windowed: bool
    interval_s: float
    noise_limits_px2: tuple[Array, Array]

    @property
    def is_given(self) -> bool:
        """Whether there is nothing to fit."""
        return self.process_noise_px2_per_s3 is not None and self.measurement_sd_px is not None

    def first(self, position: Array, weight: Array) -> Noise:
        """The noise before anything is smoothed, from differences between frames.

        The fourth difference from frame to frame holds the points' noise and next to nothing of a movement; the second
        difference over 30 ms holds the movement (white-noise acceleration over t seconds gives it (2/3) q t³) and a
        known share of the noise.

        Parameters
        ----------
        position : array, shape (frame, channel), float32
            Points in px.
        weight : array, shape (frame, node), float32
            As `compute.filters.kalman.kernels.smoothing_kernel` takes it.
        """
        r = np.clip(_measurement_variance(position, weight), *self.noise_limits_px2)
        lag = max(1, round(_LAG_S / self.interval_s))
        n_segments = -(-len(position) // self.segment_frames)
        sums = np.zeros((3, n_segments, position.shape[1]))
        _sum_second_differences(position, weight, lag, self.segment_frames, sums)
        sums = convolve1d(sums, _NEIGHBOURS, axis=1, mode="constant") if self.windowed else sums.sum(1, keepdims=True)
        squares, shares, counts = sums
        movement = (
            (squares - _NOISE_MARGIN * r * shares) / np.maximum(counts, 1) / ((2 / 3) * (lag * self.interval_s) ** 3)
        )
        return self._limited(movement, r)

    def better(self, noise: Noise, sums: Array, slopes: Array) -> Noise:
        """The noise after one more step, from what `kernels.smoothing_kernel` returned for it."""
        q = noise.q
        with np.errstate(divide="ignore", invalid="ignore"):
            r = noise.r * np.where(sums[2] > 0, sums[1] / sums[2], 1)
        pulled, free = q * slopes
        if self.windowed:
            pulled, free = convolve1d(np.stack([pulled, free]), _NEIGHBOURS, axis=1, mode="constant")
        else:
            pulled, free = pulled.sum(0, keepdims=True), free.sum(0, keepdims=True)
        # An inverse gamma prior, whose scale is the likeliest for the q of all windows: their harmonic mean.
        at_rest = 1 / np.mean(1 / q, axis=0)
        factor = (pulled + _PRIOR_POINTS * at_rest / q) / (free + _PRIOR_POINTS)
        return self._limited(q * np.clip(factor, 1 / _LARGEST_FACTOR, _LARGEST_FACTOR), r)

    def _noise_of_bandwidth(self, bandwidth_hz: float, r: Array) -> Array:
        """Process noise with which the smoother halves the amplitude of a movement of this frequency.

        The smoother's gain at the angular frequency w is 1 / (1 + w⁴ r dt / q), as the Wiener filter has it.
        """
        return np.asarray(r * self.interval_s * (2 * np.pi * bandwidth_hz) ** 4)

    def _limited(self, q: Array, r: Array) -> Noise:
        """Noise within the limits, or as it was given."""
        r = np.clip(r, *self.noise_limits_px2)
        if self.measurement_sd_px is not None:
            r = np.full_like(r, self.measurement_sd_px**2)
        low, high = (self._noise_of_bandwidth(bandwidth, r) for bandwidth in self.bandwidth_hz)
        if self.process_noise_px2_per_s3 is not None:
            return Noise(np.full((1, r.size), float(self.process_noise_px2_per_s3)), r)
        return Noise(np.clip(q, low, high), r)


def noise_segment_frames(window_s: float, interval_s: float) -> int:
    """Frames of a window: as many as its time holds, but enough to say something and few enough for the kernel."""
    return int(np.clip(round(window_s / interval_s), _SHORTEST_SEGMENT, LONGEST_SEGMENT))


def _measurement_variance(position: Array, weight: Array) -> Array:
    """Robust variance of a point of weight 1, shape (channel,); 1 where too few points stand side by side."""
    step = max(1, len(position) // _DIFFERENCES)
    squares = np.full((max(0, len(position) - 4 + step - 1) // step, position.shape[1]), np.nan)
    _square_fourth_differences(position, weight, step, squares)
    result = np.ones(position.shape[1])
    for channel in range(position.shape[1]):
        known = squares[:, channel][~np.isnan(squares[:, channel])]
        if known.size >= _FEWEST_DIFFERENCES:
            result[channel] = np.median(known) / 0.4549  # median of chi-square with one degree of freedom
    return result


@njit(cache=True)
def _square_fourth_differences(position: Array, weight: Array, step: int, squares: Array) -> None:
    """Squares of fourth differences in units of their variance's share of r, NaN where a point is not used."""
    for row in range(squares.shape[0]):
        frame = 2 + row * step
        for channel in range(position.shape[1]):
            node = channel // 2
            difference, share, whole = 0.0, 0.0, True
            for offset, factor in ((-2, 1.0), (-1, -4.0), (0, 6.0), (1, -4.0), (2, 1.0)):
                here = abs(weight[frame + offset, node])
                if here == 0.0:
                    whole = False
                    break
                difference += factor * position[frame + offset, channel]
                share += factor * factor / here
            if whole:
                squares[row, channel] = difference * difference / share


@njit(cache=True)
def _sum_second_differences(position: Array, weight: Array, lag: int, segment_frames: int, sums: Array) -> None:
    """Into `sums`: squares of second differences over `lag` frames, their variances' shares of r, their number."""
    for frame in range(lag, position.shape[0] - lag):
        segment = frame // segment_frames
        for node in range(weight.shape[1]):
            before, here, after = weight[frame - lag, node], weight[frame, node], weight[frame + lag, node]
            if before == 0.0 or here == 0.0 or after == 0.0:
                continue
            share = 1.0 / abs(before) + 4.0 / abs(here) + 1.0 / abs(after)
            for channel in range(2 * node, 2 * node + 2):
                difference = (
                    position[frame - lag, channel] - 2 * position[frame, channel] + position[frame + lag, channel]
                )
                sums[0, segment, channel] += difference * difference
                sums[1, segment, channel] += share
                sums[2, segment, channel] += 1.0
