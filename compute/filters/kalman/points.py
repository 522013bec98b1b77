"""The points of a video as the Kalman smoother sees them, and what is thought of each so far."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from compute.filters.kalman import judgement as kalman_gate
from compute.filters.kalman.judgement import BARRED, DOUBTED, MISSING, PERSON, REJECTED, USED
from compute.filters.kalman.kernels import smooth
from compute.filters.kalman.noise import Noise
from compute.filters.score_noise import PERSON_LEVEL, level_weight, score_level
from compute.tracks import Tracks

WIDE_WINDOW_S = 0.5
"""Window of the running median that wrong placements are far from."""

_FAR_SD = 6.0
"""Standard deviations from it, in x and y each, that are certainly wrong."""

_RIGID_SD = 6.0
"""Standard deviations from the rest of a rigid group, in x and y each, that are certainly wrong."""

_LEVELS_TOGETHER = 9
"""Levels of score that are looked at as one when it is learned what wrong placements look like: 28 bins."""

_PRIOR_POINTS = 50
"""Points that a bin of scores must have to say as much as all points together."""

_SHAPE_FRAMES = 4096

Array = NDArray[Any]


@dataclass
class Points:
    """All points of some frames; `state` is changed by what judges them.

    Parameters
    ----------
    position : array, shape (frame, channel), float32
        x and y of each node side by side (px).
    level, state : array, shape (frame, node), uint8
        Level of the score (see `score_noise`), and what is thought of the point (see `kalman_gate`).
    time : array, shape (frame,), float64
        In seconds.
    weight, threshold : array, shape (level,), float32
        Of a point of each level: its precision, and its largest squared distance from the prediction.
    max_gap_s : float
        The filter starts afresh after a longer gap.
    gate_minimum_px : float
        A point nearer to where it should be is no wrong placement.
    """

    position: Array
    level: Array
    state: Array
    time: Array
    weight: Array
    threshold: Array
    max_gap_s: float
    gate_minimum_px: float

    @classmethod
    def of(
        cls,
        tracks: Tracks,
        *,
        max_gap_s: float | None,
        score_exponent: float,
        gate_probability: float | None,
        gate_minimum_px: float,
    ) -> Points:
        """The points of tracks; with a gate those far from a wide running median are already rejected."""
        level = score_level(tracks.score)
        state = np.where(level == PERSON_LEVEL, np.uint8(PERSON), np.uint8(USED))
        state[~tracks.found] = MISSING
        points = cls(
            position=np.ascontiguousarray(tracks.position).reshape(tracks.n_frames, 2 * len(tracks.nodes)),
            level=level,
            state=state,
            time=tracks.time,
            weight=level_weight(score_exponent),
            threshold=np.full(PERSON_LEVEL + 1, np.inf, np.float32),
            max_gap_s=math.inf if max_gap_s is None else max_gap_s,
            gate_minimum_px=gate_minimum_px,
        )
        if gate_probability is not None and points.used.any():
            points._reject_far(-2 * math.log(gate_probability))
        return points

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.time.size)

    @property
    def dt(self) -> Array:
        """Seconds since the frame before, 0 for the first."""
        return np.diff(self.time, prepend=self.time[:1])

    @property
    def used(self) -> NDArray[np.bool_]:
        """Points that the smoother uses, shape (frame, node)."""
        return np.asarray(self.state >= DOUBTED)

    @property
    def rejected(self) -> NDArray[np.bool_]:
        """Wrong placements, shape (frame, node)."""
        return (self.state == REJECTED) | (self.state == BARRED)

    def effective_weight(self) -> Array:
        """Weights as `kalman_kernels.smooth` takes them."""
        effective = np.empty(self.state.shape, np.float32)
        kalman_gate.effective_weight(self.state, self.level, self.weight, self.time, self.max_gap_s, effective)
        return effective

    def smooth(
        self, noise: Noise, prior: Array, segment_frames: int, mean: Array, variance: Array
    ) -> tuple[Array, Array]:
        """Fill in smoothed position (px) and its variance, shape (frame, channel); return the kernel's sums."""
        weight = self.effective_weight()
        result: tuple[Array, Array] = smooth(
            self.position, weight, self.dt, noise.q, noise.r, prior, segment_frames, mean, variance
        )
        return result

    def judge(self, r: Array, mean: Array, variance: Array) -> int:
        """Hold each point against a smoothing with the measurement variances r; how many changed sides."""
        arrays = (self.position, self.level, self.weight, self.threshold, r, mean, variance)
        return int(kalman_gate.judge(*arrays, self.gate_minimum_px, self.state))

    def bar_misplaced(self, group: Array) -> None:
        """Never use points that are far from where the others of their rigid group say they should be."""
        position = self.position.reshape(self.n_frames, -1, 2)[:, group]
        found = self.state[:, group] != MISSING
        whole = np.flatnonzero(found.all(axis=1))
        whole = whole[:: max(1, whole.size // _SHAPE_FRAMES)]
        if not whole.size:
            return
        sample = position[whole]
        shape = np.median(sample - np.median(sample, axis=1, keepdims=True), axis=0).astype(np.float64)
        deviation = np.empty(position.shape, np.float32)
        kalman_gate.rigid_deviation(position, found, shape, deviation)
        variance = np.median(deviation[whole], axis=0) / 0.4549  # median of chi-square, 1 degree
        variance = np.maximum(variance, max(self.gate_minimum_px / _RIGID_SD, 1e-2) ** 2)
        with np.errstate(invalid="ignore"):
            far = (deviation / variance).sum(axis=-1) > 2 * _RIGID_SD**2
        self.state[:, group] = np.where(far & (self.state[:, group] != PERSON), np.uint8(BARRED), self.state[:, group])

    def _reject_far(self, middle: float) -> None:
        """Reject what is far from a wide running median, and learn from its scores what wrong placements look like.

        The gate's threshold is chi-square's (`middle`) for a score that says nothing about wrong placements, and moves
        with the odds as Bayes' rule wants it. A score at which most points are wrong is rejected wherever it lies:
        the gate takes back those that fit.
        """
        interval = float(np.median(self.dt[1:])) if self.n_frames > 1 else 1.0
        deviation = np.empty(self.state.shape, np.float32)
        half = max(2, round(WIDE_WINDOW_S / interval / 2))
        kalman_gate.wide_deviation(self.position, self.state, half, self.gate_minimum_px / _FAR_SD, deviation)
        far_limit = 2 * _FAR_SD**2
        odds, needed = self._odds_of_wrong(deviation > far_limit)
        self.threshold = np.clip(middle - 2 * odds, 0.3 * middle, 1.5 * middle).astype(np.float32)
        limit = (far_limit * np.clip(1 - odds / needed, 0, 1)).astype(np.float32)
        self.state[(self.state == USED) & (deviation >= limit[self.level])] = REJECTED

    def _odds_of_wrong(self, far: Array) -> tuple[Array, float]:
        """Log odds of a wrong placement at each level of score less those of all points, and how far they are from 0.

        They fall with the score (isotonic regression).
        """
        used = self.state == USED
        bins = np.arange(PERSON_LEVEL + 1) // _LEVELS_TOGETHER
        n_bins = bins[-1] + 1
        n_all = np.bincount(self.level[used], minlength=bins.size)
        n_far = np.bincount(self.level[used & far], minlength=bins.size)
        n_all, n_far = (np.bincount(bins, counts, n_bins) for counts in (n_all, n_far))
        share = (n_far.sum() + 0.5) / (n_all.sum() + 1.0)
        fraction = (n_far + _PRIOR_POINTS * share) / (n_all + _PRIOR_POINTS)
        fraction = isotonic_regression(fraction, weights=n_all + 1e-3, increasing=False).x
        odds = np.log(fraction / (1 - fraction)) - math.log(share / (1 - share))
        return odds[bins], max(-math.log(share / (1 - share)), 1.0)
