"""What the Kalman smoother finds out about a video before it smooths: good points, noise of each channel, of scores."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.filters import gating, kalman_kernels, score_noise
from compute.filters.median import running_median
from compute.tracks import Tracks

PRIOR_POSITION_SD_PX = 100.0
"""Where the filter starts, around the point found there: wide beside any noise."""

PRIOR_VELOCITY_SD_PX_PER_S = 2000.0
"""Where the filter starts, around 0: as fast as a jaw moves."""

PRIOR = np.array([PRIOR_POSITION_SD_PX**2, PRIOR_VELOCITY_SD_PX_PER_S**2])

_FIT_FRAMES, _FIT_CHUNKS = 8192, 32
"""Noise is fitted on this many frames, in pieces spread over the video: more would not make it better."""

_MAX_FIT_STEPS = 60
_FIT_TOLERANCE = 0.03
"""Largest change of a logarithm of q or r in the last step: far below what a result depends on."""

_DAMPING = 0.75
"""Part of a step that is taken: whole ones swing to and fro around the maximum."""

_Q_BOUNDS = (1e-6, 1e12)
_R_BOUNDS = (1e-6, 1e6)
_MAX_GATES = 8
_FAR_SD2 = 2 * 6.0**2
"""Squared distance from a running median, x and y summed in units of their variance: certainly wrong."""


@dataclass(frozen=True)
class Noise:
    """Noise of each channel (x and y of each node side by side), shape (channel,)."""

    q: NDArray[np.float64]
    r: NDArray[np.float64]


@dataclass(frozen=True)
class Points:
    """The points of some frames, and what is thought of them so far; `state` is changed by the gate."""

    position: NDArray[np.float32]
    level: NDArray[np.uint8]
    state: NDArray[np.uint8]
    time: NDArray[np.float64]
    max_gap_s: float

    def take(self, frames: NDArray[np.int_]) -> Points:
        """A copy of some frames."""
        return replace(
            self,
            position=self.position[frames],
            level=self.level[frames],
            state=self.state[frames],
            time=self.time[frames],
        )


@dataclass(frozen=True)
class Tables:
    """What a score's level means, shape (level,): weight of a point, and the gate's threshold."""

    weight: NDArray[np.float32]
    threshold: NDArray[np.float32]


def points_of(tracks: Tracks, max_gap_s: float | None) -> Points:
    """All points of tracks, every one that was found taken as good."""
    level = score_noise.score_level(tracks.score)
    state = np.where(level == score_noise.PERSON_LEVEL, gating.PERSON, gating.USED).astype(np.uint8)
    state[~tracks.found] = gating.MISSING
    return Points(
        position=tracks.position.reshape(tracks.n_frames, -1),
        level=level,
        state=state,
        time=tracks.time,
        max_gap_s=math.inf if max_gap_s is None else max_gap_s,
    )


def frames_to_fit(n_frames: int) -> NDArray[np.int_]:
    """Frames on which noise is fitted: all of a short video, else pieces spread evenly over it."""
    if n_frames <= 2 * _FIT_FRAMES:
        return np.arange(n_frames)
    length = _FIT_FRAMES // _FIT_CHUNKS
    starts = np.linspace(0, n_frames - length, _FIT_CHUNKS).astype(np.int_)
    return (starts[:, None] + np.arange(length)).ravel()


def smooth_points(
    points: Points,
    noise: Noise,
    weight: NDArray[np.float32],
    mean: NDArray[np.float32],
    variance: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Smooth the used points into mean and variance, shape (frame, channel); see `kalman_kernels.smooth`."""
    effective = np.empty(points.state.shape, np.float32)
    gating.effective_weight(points.state, points.level, weight, points.time, points.max_gap_s, effective)
    dt = np.diff(points.time, prepend=points.time[:1])
    return kalman_kernels.smooth(points.position, effective, dt, noise.q, noise.r, PRIOR, mean, variance)


def gate_points(
    points: Points, noise: Noise, tables: Tables, mean: NDArray[np.float32], variance: NDArray[np.float32]
) -> int:
    """Judge each point once; the number of those whose state changed."""
    return gating.gate(
        points.position, points.level, tables.weight, tables.threshold, noise.r, mean, variance, points.state
    )


def gate_until_stable(points: Points, noise: Noise, tables: Tables) -> tuple[Any, Any, Any]:
    """Smooth and judge until no point changes its state (or a few times); the last smoothing's result."""
    mean, variance = np.empty(points.position.shape, np.float32), np.empty(points.position.shape, np.float32)
    enough = 1e-5 * points.state.size
    for _ in range(_MAX_GATES):
        sums = smooth_points(points, noise, tables.weight, mean, variance)
        n = gate_points(points, noise, tables, mean, variance)
        print("gate", n)
        if n <= enough:
            break
    return mean, variance, sums


def first_thresholds(points: Points, wide, gate_probability: float) -> NDArray[np.float32]:
    """The gate's threshold for each level of score, from how often points of that level are certainly wrong.

    The threshold is chi-square's at the gate's probability for a score that says nothing about wrong placements.
    Otherwise it moves as the odds do (Bayes' rule for a point that is good or anywhere).
    """
    far = (gating_deviation(points, half_frames=2) > _FAR_SD2) | wide
    used = points.state == gating.USED
    odds = score_noise.outlier_log_odds(points.level[used], far[used])
    middle = -2 * math.log(gate_probability)
    return np.clip(middle - 2 * odds, 0.3 * middle, 1.5 * middle).astype(np.float32), odds


def gating_deviation(points: Points, half_frames: int) -> NDArray[np.float32]:
    """Squared distance from a short running median in robust variances, x and y summed; 0 where there is no point."""
    deviation = np.zeros(points.state.shape, np.float32)
    for channel in range(points.position.shape[1]):
        node = channel // 2
        used = (points.state[:, node] == gating.USED) | (points.state[:, node] == gating.PERSON)
        if used.any():
            values = np.where(used, points.position[:, channel], np.nan).astype(np.float32)
            difference = np.abs(values - running_median(values, half_frames))
            # Not the median: in steady movement most points are their own running median.
            sd = max(np.nanquantile(difference, 0.9) / 1.645, 1e-3)
            deviation[used, node] += (difference[used] / sd) ** 2
    return deviation


def fit_noise(points: Points, noise: Noise, tables: Tables, free: tuple[bool, bool], gated: bool) -> tuple[Noise, int]:
    """Find the noise with the greatest likelihood, judging points after each step.

    The step is MacKay's (1992) for a variance: the gradient's positive part over its negative part.
    """
    mean, variance = np.empty(points.position.shape, np.float32), np.empty(points.position.shape, np.float32)
    last_step = np.zeros((2, noise.q.size))
    for step in range(_MAX_FIT_STEPS):
        sums = smooth_points(points, noise, tables.weight, mean, variance)
        n_changed = gate_points(points, noise, tables, mean, variance) if gated and 1 < step < 8 else 0
        with np.errstate(divide="ignore", invalid="ignore"):
            change = np.log([sums[1] / sums[2], sums[3] / sums[4]])
        change = np.where(np.isfinite(change), np.clip(change, -3, 3), 0) * np.array(free, float)[:, None]
        noise = Noise(
            np.clip(noise.q * np.exp(_DAMPING * change[0]), *_Q_BOUNDS),
            np.clip(noise.r * np.exp(_DAMPING * change[1]), *_R_BOUNDS),
        )
        import os

        if os.environ.get("DBG"):
            print(step, n_changed, np.abs(change).max(1), change[:, 0])
        if np.abs(change).max(initial=0) < _FIT_TOLERANCE and (not gated or step > 7):
            break
        last_step = change
    return noise, step
