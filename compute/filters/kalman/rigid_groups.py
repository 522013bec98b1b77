"""Wrong placements that a rigid group tells: nodes that keep their distances while the head shifts and rolls.

In each frame the group's shape is placed on the found points: shifted and turned, never mirrored or scaled. With points
p and places s of the shape as complex numbers, the placement that fits some of them best is (Procrustes in the plane,
Kendall 1989, doi:10.1214/ss/1177012582)::

    turn = sum((p - mean(p)) * conj(s - mean(s))),  turn /= abs(turn)
    p, turned back = (p - mean(p)) * conj(turn) + mean(s)

Which points to fit is found by trying each pair of them (random sample consensus with all samples, Fischler and Bolles
1981, doi:10.1145/358669.358692): the pair with which the others agree best wins, and all that agree are fitted
together. So a wrong placement turns nothing, whereas one of three spoils two of the three angles of pairs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.filters.kalman.points import BARRED, MISSING, PERSON, KalmanPoints

Array = NDArray[Any]

_WRONG_SD = 6.0
"""Standard deviations from where the others say a point should be, in x and y each, that are certainly wrong; nearer
ones agree."""

_MOST_ROLL = math.radians(135)
"""Roll from the group's usual direction. Nodes on a line that change sides look like a roll of 180 degrees."""

_USUAL = 0.5
"""A group has a usual direction if the mean of the frames' directions, as unit vectors, is at least this long."""

_ROLL_COST = 0.5
"""A roll of 180 degrees counts as half a wrong placement: of two placements of the shape that of less roll is right."""

_SHAPE_FRAMES, _SHAPE_STEPS = 4096, 3
_MEDIAN_OF_CHI_SQUARE = 0.4549  # 1 degree of freedom


def bar_far_points_of_group(points: KalmanPoints, group: Array) -> None:
    """Never use points that are far from where the others of their rigid group say they should be.

    The shape is that of the group's median distances, see `_shape`. In each frame it is placed on the points with which
    most agree, see above; a point further than `_WRONG_SD` standard deviations of its node from its place is barred.

    - Nothing is barred where fewer than three points are found, or no more than half of them agree: nobody knows then
      which ones are wrong. So of three or four points one wrong one is found, of five or six two.
    - A node that is never found, or never together with another one of the group, is left out.
    - The head may shift and roll at any speed and in any share of the frames: by up to 135 degrees from its usual
      direction, by any angle where the group turns all the way round. So nodes on a line that change sides are wrong.
    - A mirrored group is wrong: the nodes that changed sides, if most others agree, else nobody knows.
    - The shape is one for the whole video. Turning out of the picture's plane and coming nearer to the camera move the
      nodes away from their places. What lasts (a slow drift) belongs to a node's standard deviation, so less is found.
      What is rare and moves most nodes bars none, as they no longer agree; but if it moves fewer than half of them by
      more than six standard deviations, these look wrong.
    - A node that is wrong in most frames is where the shape has it.

    Parameters
    ----------
    points : KalmanPoints
        Their `state` is changed. A person's point is never barred.
    group : array of int
        Nodes of the group.
    """
    found = points.state[:, group] != MISSING
    position = points.position.reshape(points.n_frames, -1, 2)[:, group].astype(np.float64)
    position = np.where(found, position[..., 0] + 1j * position[..., 1], np.nan)
    several = np.flatnonzero(found.sum(axis=1) > 2)
    sample = position[several[:: max(1, several.size // _SHAPE_FRAMES)]]
    together = _seen_together(sample)
    if together.size < 3:
        return
    group, position, sample = group[together], position[:, together], sample[:, together]
    minimum_px2 = max(points.gate_minimum_px / _WRONG_SD, 1e-2) ** 2
    shape, variance, least_cosine = _shape(np.ascontiguousarray(sample), minimum_px2)
    off = _turned_back(np.ascontiguousarray(position), shape, variance, least_cosine)[0] - shape
    state = points.state[:, group]
    with np.errstate(invalid="ignore"):
        far = off.real**2 / variance[:, 0] + off.imag**2 / variance[:, 1] > 2 * _WRONG_SD**2
    points.state[:, group] = np.where(far & (state != PERSON), np.uint8(BARRED), state)


def _seen_together(sample: Array) -> NDArray[np.int_]:
    """Nodes of which each pair is found in some frame; those that are found least are left out until it is so."""
    found = (~np.isnan(sample)).astype(np.int64)
    kept = np.arange(sample.shape[1])
    while kept.size and not (found[:, kept].T @ found[:, kept]).all():
        kept = np.delete(kept, found[:, kept].sum(axis=0).argmin())
    return kept


def _shape(sample: Array, minimum_px2: float) -> tuple[Array, Array, float]:
    """The group's shape, the variance of its nodes around their places, and the most roll.

    The first shape is that of the median distances (classical scaling, Torgerson 1952, doi:10.1007/BF02288916), which
    no roll changes; of the two that are mirrored, the one that more frames agree with. Then it is the median of the
    frames turned back, and its direction the usual one.

    Parameters
    ----------
    sample : array, shape (frame, node), complex
        Points of some frames in px, NaN where there is none; each pair of nodes is found in some frame.
    minimum_px2 : float
        The variance is at least this.

    Returns
    -------
    shape : array, shape (node,), complex
    variance : array, shape (node, 2)
        Of x and y (px²), turned back.
    least_cosine : float
        Cosine of the most roll.
    """
    distance = np.abs(sample[:, :, None] - sample[:, None])
    middle = _median(distance)
    spread_px2 = np.nanmedian((distance - middle)[:, *np.triu_indices(len(middle), 1)] ** 2) / 2
    variance = np.full((len(middle), 2), max(spread_px2 / _MEDIAN_OF_CHI_SQUARE, minimum_px2))
    centred = np.eye(len(middle)) - 1 / len(middle)
    values, vectors = np.linalg.eigh(-centred @ middle**2 @ centred / 2)
    x, y = (vectors[:, -2:] * np.sqrt(np.maximum(values[-2:], 0))).T
    both = [(one, _turned_back(sample, one, variance, -1.0)[1]) for one in (x + 1j * y, x - 1j * y)]
    shape = max(both, key=lambda one: np.isfinite(one[1]).sum())[0]
    least_cosine = -1.0
    for _ in range(_SHAPE_STEPS):
        turned, turn = _turned_back(sample, shape, variance, least_cosine)
        turn = turn[np.isfinite(turn)]
        if turn.size and abs(turn.mean()) >= _USUAL:
            direction, least_cosine = turn.mean() / abs(turn.mean()), math.cos(_MOST_ROLL)
            shape, turned = shape * direction, turned * direction
        off = turned - shape
        off = np.stack([off.real, off.imag], axis=-1)
        variance = np.maximum(_median(off**2) / _MEDIAN_OF_CHI_SQUARE, minimum_px2)
        shape = shape + _median(off) @ (1, 1j)
    return shape, variance, least_cosine


def _median(values: Array) -> Array:
    """Median over the frames, without NaN; 0 where all are."""
    return np.asarray(np.ma.median(np.ma.masked_invalid(values), axis=0).filled(0))


@njit(cache=True)
def _agree(turned: Array, shape: Array, variance: Array, agreeing: Array) -> tuple[int, float]:
    """Which points agree with a placement (`agreeing` is given it), how many, and what the others and noise cost."""
    n, cost = 0, 0.0
    for node in range(shape.size):
        off = turned[node] - shape[node]
        distance = (off.real**2 / variance[node, 0] + off.imag**2 / variance[node, 1]) / (2 * _WRONG_SD**2)
        agreeing[node] = distance <= 1.0
        n += agreeing[node]
        if not np.isnan(distance):
            cost += min(distance, 1.0)
    return n, cost


@njit(cache=True)
def _place(position: Array, shape: Array, fitted: Array, turned: Array) -> complex:
    """Place the shape on the points that are to be fitted; the turn as a unit complex number, 0 if there is none.

    Parameters
    ----------
    position, shape : array, shape (node,), complex
        Points of a frame, and the shape.
    fitted : array, shape (node,), bool
        Which points are fitted, two at the least.
    turned : array, shape (node,), complex
        Is given all points as they are turned back onto the shape.
    """
    n = 0
    mean, middle = 0j, 0j
    for node in range(position.size):
        if fitted[node]:
            n += 1
            mean += position[node]
            middle += shape[node]
    mean, middle = mean / n, middle / n
    turn = 0j
    for node in range(position.size):
        if fitted[node]:
            turn += (position[node] - mean) * np.conj(shape[node] - middle)
    length = abs(turn)
    if length == 0:
        return 0j
    turn /= length
    for node in range(position.size):
        turned[node] = (position[node] - mean) * np.conj(turn) + middle
    return turn


@njit(cache=True)
def _turned_back(position: Array, shape: Array, variance: Array, least_cosine: float) -> tuple[Array, Array]:
    """Points of each frame turned and shifted back onto the shape, and the turn that the group had.

    Parameters
    ----------
    position : array, shape (frame, node), complex
        Points in px, NaN where there is none.
    shape : array, shape (node,), complex
        Places of the nodes (px).
    variance : array, shape (node, 2)
        Of x and y around them (px²).
    least_cosine : float
        Cosine of the most roll.

    Returns
    -------
    turned : array, shape (frame, node), complex
        NaN where there is no point, and in frames in which no more than half of the points, or of two, agree.
    turn : array, shape (frame,), complex
        Of length 1; NaN in those frames.
    """
    n_frames, n_nodes = position.shape
    turned, turns = np.full((n_frames, n_nodes), np.nan + 0j), np.full(n_frames, np.nan + 0j)
    trial = np.empty(n_nodes, np.complex128)
    pair, agreeing, best = np.empty((3, n_nodes), np.bool_)
    for frame in range(n_frames):
        n_found = n_nodes - np.isnan(position[frame]).sum()
        least_cost, n_best = np.inf, 0
        for a in range(n_nodes if n_found > 2 else 0):
            for b in range(a):
                if np.isnan(position[frame, a]) or np.isnan(position[frame, b]):
                    continue
                pair[:] = False
                pair[a] = pair[b] = True
                turn = _place(position[frame], shape, pair, trial)
                if turn == 0 or turn.real < least_cosine:
                    continue
                n, cost = _agree(trial, shape, variance, agreeing)
                cost += _ROLL_COST * (1 - turn.real) / 2
                if cost < least_cost:
                    least_cost, n_best = cost, n
                    best[:] = agreeing
        if n_best > max(1, n_found / 2):
            turns[frame] = _place(position[frame], shape, best, turned[frame])
    return turned, turns
