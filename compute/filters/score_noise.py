"""How much a point counts, by its score."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]

DEFAULT_SCORE_EXPONENT = 2.0
"""Precision of a point falls as its score to this power, where no labels say better: the noise is as 1 / score.

SLEAP's score is the peak of the confidence map, which falls as the map's blob spreads or moves off its grid.
"""

MINIMUM_WEIGHT = 0.05
"""Weight of a point whose score is 0: not nothing, since the estimator did place it."""

PERSON_WEIGHT = 4.0
"""Weight of a point that a person placed: half the noise of the estimator's best."""

LEVELS_PER_UNIT = 250
PERSON_LEVEL = LEVELS_PER_UNIT + 1

_MINIMUM_POINTS = 30
_LARGEST_EXPONENT = 6.0
_SMALLEST_RESIDUAL_PX = 0.05


def score_level(score: ArrayLike) -> NDArray[np.uint8]:
    """Scores on a grid from 0 to 1 in steps of 1 / `LEVELS_PER_UNIT`, or `PERSON_LEVEL`.

    Parameters
    ----------
    score : array, any shape
        The estimator's score. Above 1 says no more than 1; NaN is a person's point, the most trusted kind.

    Returns
    -------
    array, the same shape, uint8
    """
    values = np.asarray(score, np.float32)
    level = np.empty(values.shape, np.uint8)
    _fill_levels(values.ravel(), level.reshape(-1))
    return level


@njit(cache=True)
def _fill_levels(score: Array, level: Array) -> None:
    for index in range(score.size):
        value = score[index]
        if math.isnan(value):
            level[index] = PERSON_LEVEL
        else:
            level[index] = int(min(max(value, 0.0), 1.0) * LEVELS_PER_UNIT + 0.5)


def score_level_weight(exponent: float = DEFAULT_SCORE_EXPONENT) -> NDArray[np.float32]:
    """Precision of a point relative to one of score 1, for each level, shape (level,).

    Between `MINIMUM_WEIGHT` and 1; `PERSON_WEIGHT` for a person's point.

    Parameters
    ----------
    exponent : float
        Power of the score. 0: all of the estimator's points count the same.
    """
    weight = np.maximum((np.arange(PERSON_LEVEL) / LEVELS_PER_UNIT) ** exponent, MINIMUM_WEIGHT)
    return np.append(weight, PERSON_WEIGHT).astype(np.float32)


def score_weight(score: ArrayLike, exponent: float = DEFAULT_SCORE_EXPONENT) -> NDArray[np.float32]:
    """Precision of points relative to one of score 1: `score_level_weight` of their `score_level`.

    Examples
    --------
    >>> score_weight([0.5, 1.0, 1.7, np.nan]).tolist()
    [0.25, 1.0, 1.0, 4.0]
    """
    return score_level_weight(exponent)[score_level(score)]


def fit_score_exponent(score: ArrayLike, residual_px: ArrayLike) -> float | None:
    """The exponent of `score_weight`, from points whose true place a person labelled.

    The slope of the logarithm of the residual's length over that of the score is minus half the exponent. A logarithm
    is moved little by wrong placements. With few points the slope is drawn towards the default's, as by a prior
    worth `_MINIMUM_POINTS` points.

    Parameters
    ----------
    score : array, shape (point,)
        Scores of the estimator; NaN is left out.
    residual_px : array, shape (point,)
        Distance of the estimator's point from the labelled one in px; NaN is left out.

    Returns
    -------
    float or None
        Between 0 and 6; None with fewer than 30 points, or when all scores are the same: nothing is known.
    """
    scores, residual = np.asarray(score, np.float64), np.asarray(residual_px, np.float64)
    known = np.isfinite(scores) & np.isfinite(residual) & (scores > 0)
    if np.count_nonzero(known) < _MINIMUM_POINTS:
        return None
    x = np.log(np.clip(scores[known], MINIMUM_WEIGHT, 1))
    y = np.log(np.maximum(residual[known], _SMALLEST_RESIDUAL_PX))
    spread = x.var()
    if spread < 1e-6:
        return None
    slope = np.mean((x - x.mean()) * (y - y.mean())) / spread
    share = x.size / (x.size + _MINIMUM_POINTS)
    exponent = share * -2 * slope + (1 - share) * DEFAULT_SCORE_EXPONENT
    return float(np.clip(exponent, 0, _LARGEST_EXPONENT))
