"""What a score says about a point: how noisy it is, and how likely a wrong placement.

Scores are looked up on a grid of levels, 1/200 apart, up to 1.25; one more level is for points that a person placed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression

from compute.errors import FilterError

LEVELS_PER_UNIT = 200
PERSON_LEVEL = 251
_GRID = np.arange(PERSON_LEVEL) / LEVELS_PER_UNIT

PERSON_WEIGHT = 4.0
"""A person's point has half the noise of an estimator's best."""

_RAYLEIGH_MEDIAN = 1.1774
"""Median length of a normal 2-D error of standard deviation 1 in x and y."""

_MIN_BIN = 50
"""Points in a bin of scores, at least, for a robust estimate of their noise."""


def score_level(score: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Level of each score on the grid; NaN (a person's point) is the last one.

    Parameters
    ----------
    score : array, any shape
        Scores; those above 1.25 count as 1.25.

    Returns
    -------
    array, the same shape, uint8
    """
    level = np.clip(np.nan_to_num(score, nan=0.0), 0, 1.25) * np.float32(LEVELS_PER_UNIT) + np.float32(0.5)
    result = level.astype(np.uint8)
    result[np.isnan(score)] = PERSON_LEVEL
    return result


def weight_table(calibration: Sequence[Sequence[float]]) -> NDArray[np.float32]:
    """Weight of a point of each level: its precision relative to a point of score 1.

    Parameters
    ----------
    calibration : sequence of (score, standard deviation)
        Noise at some scores, increasing in score. Between them its logarithm is interpolated, outside it is constant.
        Only ratios matter. Without any, all points count the same.

    Returns
    -------
    array, shape (level,), float32

    Raises
    ------
    FilterError
        If scores do not increase or a standard deviation is not above 0.
    """
    knots = np.array(calibration, np.float64).reshape(-1, 2) if len(calibration) else np.array([[1.0, 1.0]])
    if not np.isfinite(knots).all() or (np.diff(knots[:, 0]) <= 0).any() or (knots[:, 1] <= 0).any():
        raise FilterError(
            f"score_calibration is {list(calibration)}, expected pairs (score, standard deviation)"
            " with increasing scores and standard deviations above 0"
        )
    log_sd = np.interp(_GRID, knots[:, 0], np.log(knots[:, 1]))
    weight = np.exp(-2 * (log_sd - log_sd[LEVELS_PER_UNIT]))
    return np.append(weight, PERSON_WEIGHT * weight.max()).astype(np.float32)


def fit_score_calibration(score: ArrayLike, residual_px: ArrayLike, *, n_bins: int = 8) -> list[list[float]]:
    """Noise as a function of score, from points whose true place is known.

    In each of some bins with equally many points the noise is the median length of the residuals, which wrong
    placements do not move, divided by 1.1774 (that of a normal error of standard deviation 1 px in x and y). It is
    then made to fall with the score (isotonic regression).

    Parameters
    ----------
    score : array, shape (point,)
        Scores of the estimator; NaN is left out.
    residual_px : array, shape (point,) or (point, 2)
        Distance of the estimator's point from the labelled one, or its x and y, in px; NaN is left out.
    n_bins : int
        Number of bins, fewer if there are fewer than 50 points in each.

    Returns
    -------
    list of [score, standard deviation in px]
        The parameter ``score_calibration`` of `kalman`. Empty with fewer than 50 points: nothing is known.
    """
    residual = np.asarray(residual_px, np.float64)
    length = np.hypot(residual[:, 0], residual[:, 1]) if residual.ndim == 2 else np.abs(residual)
    scores = np.asarray(score, np.float64)
    known = np.isfinite(scores) & np.isfinite(length)
    scores, length = scores[known], length[known]
    n_bins = min(n_bins, scores.size // _MIN_BIN)
    if n_bins == 0:
        return []
    order = np.array_split(np.argsort(scores, kind="stable"), n_bins)
    middle = np.array([np.median(scores[index]) for index in order])
    log_sd = np.log([max(np.median(length[index]) / _RAYLEIGH_MEDIAN, 1e-3) for index in order])
    return _knots(middle, log_sd, np.array([index.size for index in order]))


def calibration_from_ratios(
    level: NDArray[np.uint8], squares: NDArray[np.float64], free: NDArray[np.float64], *, n_bins: int = 8
) -> list[list[float]]:
    """Noise as a function of score, relative, from a smoother's own residuals.

    The maximum-likelihood step for a variance (MacKay 1992): squared residuals, in units of the variance assumed, over
    the degrees of freedom that the smoother left them.

    Parameters
    ----------
    level : array, shape (point,)
        Levels of used points of an estimator.
    squares, free : array, shape (point,)
        Squared residual of x and y together over the assumed variance of weight 1; degrees of freedom left.

    Returns
    -------
    list of [score, relative standard deviation]
    """
    n_bins = min(n_bins, level.size // (4 * _MIN_BIN))
    if n_bins < 2:
        return []
    order = np.array_split(np.argsort(level, kind="stable"), n_bins)
    middle = np.array([np.median(level[index]) for index in order]) / LEVELS_PER_UNIT
    variance = np.array([squares[index].sum() / max(free[index].sum(), 1.0) for index in order])
    return _knots(middle, 0.5 * np.log(np.maximum(variance, 1e-3)), np.array([index.size for index in order]))


def outlier_log_odds(level: NDArray[np.uint8], far: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How much more likely than on average a point of each level is a wrong placement, as a difference of log odds.

    Parameters
    ----------
    level : array, shape (point,)
        Levels of points of an estimator.
    far : array, shape (point,)
        Points that are certainly wrong; not all that are.

    Returns
    -------
    array, shape (level,), float64
        Falls with the level; 0 everywhere where the score says nothing. The last one (a person's) is minus infinity.
    """
    counts = np.bincount(level, minlength=PERSON_LEVEL + 1)[:PERSON_LEVEL]
    far_counts = np.bincount(level[far], minlength=PERSON_LEVEL + 1)[:PERSON_LEVEL]
    average = (far_counts.sum() + 0.5) / (counts.sum() + 1.0)
    edges = np.searchsorted(np.cumsum(counts), np.linspace(0, counts.sum(), 25)[1:-1])
    bins = np.searchsorted(edges, np.arange(PERSON_LEVEL), side="left")
    n = np.bincount(bins, counts, minlength=24)
    share = (np.bincount(bins, far_counts, minlength=24) + 4 * average) / (n + 4)
    falling = isotonic_regression(share, weights=n + 4, increasing=False).x[bins]
    odds = np.log(falling / (1 - falling)) - np.log(average / (1 - average))
    return np.append(odds, -np.inf)


def _knots(score: NDArray[np.float64], log_sd: NDArray[np.float64], n: NDArray[np.int_]) -> list[list[float]]:
    """Pairs of distinct score and standard deviation that falls with it."""
    falling = np.exp(isotonic_regression(log_sd, weights=n, increasing=False).x)
    distinct = np.append(True, np.diff(score) > 0)
    return [[float(s), float(sd)] for s, sd in zip(score[distinct], falling[distinct], strict=True)]
