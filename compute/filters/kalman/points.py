"""The points of a video as the Kalman smoother sees them: how much each counts, and which are used.

Each point has a state, which changes as the smoother learns more. What changes it before anything is smoothed stands in
`compute.filters.kalman.far_points`; here a point is judged by what the smoother says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.filters.gaps import connecting_limit_s
from compute.filters.score_noise import PERSON_LEVEL, score_level, score_level_weight
from compute.tracks import Tracks

Array = NDArray[Any]

MISSING, REJECTED, BARRED, DOUBTED, USED, TAKEN_BACK, PERSON = range(7)
"""State of a point; from `DOUBTED` on it is used. A rejected one may be taken back once, a barred one never. A doubted
one is as unlikely as a rejected one, but too near to be a wrong placement: it hardly counts."""

DOUBTED_SHARE = 0.05
"""How much a doubted point counts, of what its score says."""

_LASTING_S = 0.07
_FEWEST_LASTING = 3
_MOST = 0.6
"""A point is a movement's and no wrong placement if most points of so many seconds (and at least so many frames),
before it or after it, lie where it lies: a step has a place that lasts on either side."""

_SAME_PLACE = 0.06
"""They lie there if their squared distance is less than this share of that from the point to where it should be."""


JUMP_BIN_PX = 6.0
"""Jumps that differ by less in x and y are alike."""

_LEAST_JUMP = 3.0
"""A movement's jump is longer than so many times the distance at which a point is never wrong."""


@dataclass
class KalmanPoints:
    """All points of some frames; `state` is changed by what judges them.

    Parameters
    ----------
    position : array, shape (frame, channel), float32
        x and y of each node side by side (px).
    level, state : array, shape (frame, node), uint8
        Level of the score (see `compute.filters.score_noise`), and the state, one of those above.
    time : array, shape (frame,), float64
        In seconds.
    weight, threshold : array, shape (level,), float32
        Of a point of each level: its precision, and its largest squared distance from the prediction.
    typical : array, shape (level,), bool
        Scores that wrong placements do not have more often than most.
    wrong_odds : array, shape (level,)
        Odds of a wrong placement, by its score.
    jump_odds : array, shape (node, bin, bin)
        Odds up to which a far point is taken for a movement of the node, by how far it is in x and y, in bins of
        `JUMP_BIN_PX` whose middle one is 0; see `compute.filters.kalman.jumps`.
    max_gap_s : float
        The filter starts afresh after a longer gap, see `compute.filters.gaps.connecting_limit_s`.
    gate_minimum_px : float
        A point nearer to where it should be is no wrong placement.
    """

    position: Array
    level: Array
    state: Array
    time: Array
    weight: Array
    threshold: Array
    typical: Array
    wrong_odds: Array
    jump_odds: Array
    max_gap_s: float
    gate_minimum_px: float

    @classmethod
    def of(
        cls, tracks: Tracks, *, max_gap_s: float | None, score_exponent: float, gate_minimum_px: float
    ) -> KalmanPoints:
        """The points of tracks, all of which are used. Without a threshold no point is judged wrong."""
        level = score_level(tracks.score)
        state = np.where(level == PERSON_LEVEL, np.uint8(PERSON), np.uint8(USED))
        state[~tracks.found] = MISSING
        return cls(
            position=np.ascontiguousarray(tracks.position).reshape(tracks.n_frames, 2 * len(tracks.nodes)),
            level=level,
            state=state,
            time=tracks.time,
            weight=score_level_weight(score_exponent),
            threshold=np.full(PERSON_LEVEL + 1, np.inf, np.float32),
            typical=np.ones(PERSON_LEVEL + 1, np.bool_),
            wrong_odds=np.zeros(PERSON_LEVEL + 1),
            jump_odds=np.zeros((state.shape[1], 1, 1)),
            max_gap_s=connecting_limit_s(tracks, max_gap_s),
            gate_minimum_px=gate_minimum_px,
        )

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.time.size)

    @cached_property
    def dt(self) -> Array:
        """Seconds since the frame before, 0 for the first."""
        return np.diff(self.time, prepend=self.time[:1])

    @cached_property
    def n_lasting(self) -> int:
        """Frames of a place that lasts."""
        interval_s = float(np.median(self.dt[1:])) if self.n_frames > 1 else 1.0
        return max(_FEWEST_LASTING, round(_LASTING_S / max(interval_s, 1e-3)))

    @property
    def used(self) -> NDArray[np.bool_]:
        """Points that the smoother uses, shape (frame, node)."""
        return np.asarray(self.state >= DOUBTED)

    @property
    def rejected(self) -> NDArray[np.bool_]:
        """Wrong placements, shape (frame, node)."""
        return (self.state == REJECTED) | (self.state == BARRED)

    def bar(self, wrong: NDArray[np.bool_]) -> None:
        """Never use these points, shape (frame, node), but those that a person placed."""
        self.state[wrong & (self.state != MISSING) & (self.state != PERSON)] = BARRED

    def effective_weight(self) -> Array:
        """Weights as `compute.filters.kalman.kernels.smoothing_kernel` takes them."""
        effective = np.empty(self.state.shape, np.float32)
        _effective_weight(self.state, self.level, self.weight, self.time, self.max_gap_s, effective)
        return effective

    def judge(self, r: Array, mean: Array, variance: Array) -> int:
        """Compare each point with a smoothing that took the measurement variances r; how many changed state."""
        of_level = (self.weight, self.threshold, self.typical, self.wrong_odds)
        arrays = (self.position, self.level, *of_level, self.jump_odds, r, mean, variance)
        return int(_judge(*arrays, self.gate_minimum_px, self.n_lasting, self.state))


@njit(cache=True)
def _effective_weight(
    state: Array, level: Array, weight: Array, time: Array, max_gap_s: float, effective: Array
) -> None:
    """Weight of each point as the smoother takes it: 0 where not used, negative where the filter starts afresh.

    It starts at a node's first used point, and at the first after a gap longer than `max_gap_s` (may be infinite).
    """
    n_frames, n_nodes = state.shape
    last_s = np.full(n_nodes, -np.inf)
    for frame in range(n_frames):
        for node in range(n_nodes):
            if state[frame, node] >= DOUBTED:
                first = last_s[node] == -np.inf or time[frame] - last_s[node] > max_gap_s
                here = weight[level[frame, node]]
                if state[frame, node] == DOUBTED:
                    here *= DOUBTED_SHARE
                effective[frame, node] = -here if first else here
                last_s[node] = time[frame]
            else:
                effective[frame, node] = 0


@njit(cache=True)
def _goes_on(
    position: Array, state: Array, level: Array, typical: Array, frame: int, node: int, square_px2: float, n: int
) -> bool:
    """Whether most of the n points before or after have a typical score and lie within a squared distance (px²)."""
    x, y = 2 * node, 2 * node + 1
    for step in (-1, 1):
        n_near, n_there = 0, 0
        for other in range(frame + step, frame + (n + 1) * step, step):
            if 0 <= other < state.shape[0] and state[other, node] not in (MISSING, BARRED):
                shift_x, shift_y = position[other, x] - position[frame, x], position[other, y] - position[frame, y]
                n_near += typical[level[other, node]] and shift_x * shift_x + shift_y * shift_y <= square_px2
                n_there += 1
        if n_there >= 2 and n_near >= _MOST * n_there:
            return True
    return False


@njit(cache=True)
def _odds_of_jump(odds: Array, x_px: float, y_px: float, minimum_px: float) -> float:
    """Entry of `odds`, shape (bin, bin), for a jump; 0 for a short one, which noise with long tails makes too."""
    half = odds.shape[0] // 2
    column, row = half + round(x_px / JUMP_BIN_PX), half + round(y_px / JUMP_BIN_PX)
    if x_px * x_px + y_px * y_px <= max(_LEAST_JUMP * minimum_px, JUMP_BIN_PX) ** 2:
        return 0.0
    return float(odds[column, row]) if 0 <= column < odds.shape[0] and 0 <= row < odds.shape[1] else 0.0


@njit(cache=True)
def _judge(
    position: Array,
    level: Array,
    weight: Array,
    threshold: Array,
    typical: Array,
    wrong_odds: Array,
    jump_odds: Array,
    r: Array,
    mean: Array,
    variance: Array,
    minimum_px: float,
    n_lasting: int,
    state: Array,
) -> int:
    """Compare each point with what the smoother says without it, x and y together, and change its state.

    The squared distance of a good point to its prediction, in units of its variance, is chi-square with two degrees
    of freedom. A used point's leave-one-out prediction follows from the smoother's result (de Jong 1989,
    doi:10.2307/2290087): its residual e and posterior variance v give e²/(r - v). A rejected one had no part in the
    prediction: e²/(r + v).

    Parameters
    ----------
    position, mean, variance : array, shape (frame, channel)
        Points, and the smoother's result for them.
    level, state : array, shape (frame, node)
        Level of the score, and state, which is changed.
    weight, threshold : array, shape (level,)
        Of a point of each level: its weight (r divided by it is its variance), and the largest distance to be kept.
    typical, wrong_odds : array, shape (level,)
        Levels whose points are witnesses, see `_goes_on`; odds of a wrong placement.
    jump_odds : array, shape (node, bin, bin)
        See `KalmanPoints`.
    r : array, shape (channel,)
        Variance of a point of weight 1 (px²).
    minimum_px : float
        A point that is nearer to its prediction is doubted at the most.
    n_lasting : int
        Points before or after that show that a far one is no wrong placement.

    Returns
    -------
    int
        Points that were rejected or taken back.
    """
    n_changed = 0
    share_of_level = 1.0 / weight.astype(np.float64)
    for frame in range(state.shape[0]):
        for node in range(state.shape[1]):
            kind = state[frame, node]
            if kind in (MISSING, BARRED, PERSON):
                continue
            out = kind in (REJECTED, DOUBTED)
            sign = 1.0 if out else -1.0
            share = share_of_level[level[frame, node]]
            x, y = 2 * node, 2 * node + 1
            own_x, own_y = r[x] * share, r[y] * share
            variance_x = max(own_x + sign * variance[frame, x], 1e-6 * own_x)
            variance_y = max(own_y + sign * variance[frame, y], 1e-6 * own_y)
            residual_x, residual_y = position[frame, x] - mean[frame, x], position[frame, y] - mean[frame, y]
            # Both distances over their variances, multiplied out: divisions would take half the time.
            distance = residual_x * residual_x * variance_y + residual_y * residual_y * variance_x
            far = distance > threshold[level[frame, node]] * variance_x * variance_y
            near = far and residual_x * residual_x + residual_y * residual_y <= minimum_px * minimum_px
            if far and not near:
                if not out:  # what it would be without the point
                    residual_x *= own_x / variance_x
                    residual_y *= own_y / variance_y
                square_px2 = _SAME_PLACE * (residual_x * residual_x + residual_y * residual_y)
                odds = _odds_of_jump(jump_odds[node], residual_x, residual_y, minimum_px)
                far = wrong_odds[level[frame, node]] > odds
                far = far and not _goes_on(position, state, level, typical, frame, node, square_px2, n_lasting)
            if far and near:
                n_changed += kind == REJECTED
                state[frame, node] = DOUBTED
            elif far and kind != REJECTED:
                # A second time is for good: two that disturb each other would go in and out for ever.
                state[frame, node] = BARRED if kind == TAKEN_BACK else REJECTED
                n_changed += 1
            elif out and not far:
                n_changed += kind == REJECTED
                state[frame, node] = TAKEN_BACK if kind == REJECTED else USED
    return n_changed
