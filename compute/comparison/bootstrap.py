"""Confidence intervals over mice: mice are independent samples, frames of one mouse are not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

_N_RESAMPLES = 4000
CONFIDENCE_LEVEL = 0.95


@dataclass(frozen=True)
class BootstrapInterval:
    """A value with its 95 % confidence interval.

    Parameters
    ----------
    value : float or None
        The statistic; None where there is nothing to compute it from.
    low, high : float or None
        The interval; None with fewer than two mice (in one of the groups).
    """

    value: float | None
    low: float | None
    high: float | None


NOTHING = BootstrapInterval(None, None, None)


def bootstrap_mean_over_mice(values: Sequence[float]) -> BootstrapInterval:
    """Mean of one value a mouse, with the percentile interval of a bootstrap over mice (Efron and Tibshirani 1993).

    With few mice the interval is too short: with two, it cannot exceed their range.

    Parameters
    ----------
    values : sequence of float, shape (mouse,)

    Examples
    --------
    >>> bootstrap_mean_over_mice([2.0, 4.0])
    BootstrapInterval(value=3.0, low=2.0, high=4.0)
    >>> bootstrap_mean_over_mice([2.0])
    BootstrapInterval(value=2.0, low=None, high=None)
    """
    return _interval((values,), lambda one, axis=-1: one.mean(axis=axis))


def bootstrap_ratio_of_means(above: Sequence[float], below: Sequence[float]) -> BootstrapInterval:
    """Ratio of the means of two groups of mice, each resampled independently.

    Parameters
    ----------
    above, below : sequence of float, shape (mouse,)
        Positive values, such as variances of held-out and of training mice.

    Examples
    --------
    >>> bootstrap_ratio_of_means([2.0, 4.0], [1.0, 1.0])
    BootstrapInterval(value=3.0, low=2.0, high=4.0)
    """
    if not len(below) or not np.mean(below):
        return NOTHING
    return _interval((above, below), lambda one, other, axis=-1: one.mean(axis=axis) / other.mean(axis=axis))


def _interval(groups: tuple[Sequence[float], ...], statistic: Callable[..., Any]) -> BootstrapInterval:
    arrays = tuple(np.asarray(group, np.float64) for group in groups)
    if not all(array.size for array in arrays):
        return NOTHING
    value = float(statistic(*arrays))
    if any(array.size < 2 for array in arrays):
        return BootstrapInterval(value, None, None)
    if all(np.ptp(array) == 0 for array in arrays):
        return BootstrapInterval(value, value, value)
    low, high = stats.bootstrap(
        arrays,
        statistic,
        n_resamples=_N_RESAMPLES,
        confidence_level=CONFIDENCE_LEVEL,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return BootstrapInterval(value, float(low), float(high))
