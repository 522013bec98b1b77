"""What a node's own jumps say of a point far from where it should be: movement, or a wrong placement.

At a low frame rate a lick or a short step shows in a single frame, as a wrong placement does. But a node that moves so
does it again and again, by similar distances in the same directions, while wrong placements lie anywhere.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.filters.kalman.points import BARRED, JUMP_BIN_PX, MISSING, REJECTED, USED, KalmanPoints

Array = NDArray[Any]

_BINS = 32
"""Bins of a jump's x and of its y on either side of 0."""

_LENGTHS_PER_BIN = 8
"""Bins of a jump's length for each of those."""

_MOST_JUMPS = 8192
_OWN_JUMPS = 2
"""Jumps that a wrong placement makes itself, there and back: they say nothing for it."""

_FEWEST_WRONG = 10
_SPREAD_PX2 = 2 * 40.0**2
"""Mean squared distance of wrong placements where fewer than these are found."""


def learn_jumps(points: KalmanPoints) -> None:
    """Set up to which odds of a wrong placement, by its score, a far point is one of the node's own jumps.

    A jump there and back within a frame or two is as probable as the jump there, times any jump at least half as
    long. A node that jumps so far also jumps half as far, while a wrong placement may lie at the same distance each
    time (on the other paw): so the rarer of both counts. A wrong placement is as probable as its score says
    (`points.wrong_odds`), spread over all directions.

    Parameters
    ----------
    points : KalmanPoints
        Their `jump_odds` are changed. Jumps from frame to frame count, between points whose score is not that of wrong
        placements, and in both directions, as who jumps comes back.
    """
    step = max(1, points.n_frames // _MOST_JUMPS)
    count, length = _count_jumps(points.position, points.state, points.level, points.typical, step)
    n = np.maximum(length.sum(axis=1), 1)[:, None, None]
    middle = np.arange(-_BINS, _BINS + 1)
    half = (_LENGTHS_PER_BIN / 2 * np.hypot(middle[:, None], middle)).astype(int)
    as_long = np.cumsum(length[:, ::-1], axis=1)[:, ::-1]
    there = np.maximum(count + count[:, ::-1, ::-1] - _OWN_JUMPS, 0) / (2 * n * JUMP_BIN_PX**2)
    halfway = _BINS + np.round(middle / 2).astype(int)
    there = np.minimum(there, there[:, halfway[:, None], halfway])
    points.jump_odds = there * (as_long[:, half] / n) / _density_of_wrong(points)


def _density_of_wrong(points: KalmanPoints) -> float:
    """Of wrong placements around where the node was in the frame before (1/px²), as if normally distributed."""
    square_px2, n = _distance_of_wrong(points.position, points.state)
    return 1 / (math.pi * (square_px2 if n >= _FEWEST_WRONG else _SPREAD_PX2))


@njit(cache=True)
def _count_jumps(position: Array, state: Array, level: Array, typical: Array, step: int) -> tuple[Array, Array]:
    """Jumps, from every `step`-th frame, by x and y, shape (node, bin, bin), and by length, shape (node, bin)."""
    n_frames, n_nodes = state.shape
    count = np.zeros((n_nodes, 2 * _BINS + 1, 2 * _BINS + 1))
    length = np.zeros((n_nodes, _LENGTHS_PER_BIN * 2 * _BINS))
    for frame in range(1, n_frames, step):
        for node in range(n_nodes):
            is_witness = True
            for here in (frame - 1, frame):
                known = state[here, node] != MISSING and state[here, node] != BARRED
                is_witness = is_witness and known and typical[level[here, node]]
            if is_witness:
                x = (position[frame, 2 * node] - position[frame - 1, 2 * node]) / JUMP_BIN_PX
                y = (position[frame, 2 * node + 1] - position[frame - 1, 2 * node + 1]) / JUMP_BIN_PX
                length[node, min(int(_LENGTHS_PER_BIN * math.sqrt(x * x + y * y)), length.shape[1] - 1)] += 1
                if abs(x) <= _BINS and abs(y) <= _BINS:
                    count[node, _BINS + round(x), _BINS + round(y)] += 1
    return count, length


@njit(cache=True)
def _distance_of_wrong(position: Array, state: Array) -> tuple[float, int]:
    """Mean squared distance (px²) of rejected points from the used one before, and their number."""
    total, n = 0.0, 0
    for frame in range(1, state.shape[0]):
        for node in range(state.shape[1]):
            if state[frame, node] == REJECTED and state[frame - 1, node] >= USED:
                for channel in range(2 * node, 2 * node + 2):
                    total += (position[frame, channel] - position[frame - 1, channel]) ** 2
                n += 1
    return total / max(n, 1), n
