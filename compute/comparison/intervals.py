"""Confidence intervals over mice: mice are independent samples, frames of one mouse are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

CONFIDENCE_LEVEL = 0.95
MINIMUM_MICE = 3
"""Fewer mice give no interval: two say next to nothing about how far mice differ."""


@dataclass(frozen=True)
class Interval:
    """A value over mice with its 95 % confidence interval.

    Parameters
    ----------
    value : float or None
        The statistic; None where there is nothing to compute it from.
    low, high : float or None
        The interval; None with fewer than `MINIMUM_MICE` mice (in one of the groups).
    n_mice : int
        Number of mice; of a ratio that of the smaller group.
    """

    value: float | None
    low: float | None
    high: float | None
    n_mice: int


NOTHING = Interval(None, None, None, 0)


def interval_of_geometric_mean(values: Sequence[float]) -> Interval:
    """Geometric mean of one positive value a mouse, with Student's t interval of the logarithms.

    Errors, variances and ratios differ between mice by factors, so that their logarithms are nearly normal. The
    interval covers the geometric mean in 94 to 96 % of samples from three mice on (`interval_coverage_mice` of
    `benchmarks/filters.py`), where a percentile bootstrap over mice covers it in 75 % with three, and 86 % with six. It
    is not one of the arithmetic mean, which it would cover in 85 to 94 % where mice differ much; so that is not
    reported. No interval of few mice covers what a rare mouse unlike all others would change.

    Parameters
    ----------
    values : sequence of float, shape (mouse,)
        Not negative. With a 0 among them the mean is 0 and has no interval.

    Examples
    --------
    >>> one = interval_of_geometric_mean([1.0, 2.0, 4.0])
    >>> round(one.value, 3), round(one.low, 2), round(one.high, 1), one.n_mice
    (2.0, 0.36, 11.2, 3)
    >>> interval_of_geometric_mean([1.0, 4.0])
    Interval(value=2.0, low=None, high=None, n_mice=2)
    """
    if not len(values):
        return NOTHING
    if min(values) <= 0:
        return Interval(0.0, None, None, len(values))
    return _exponential(_t_interval(np.log(values)))


def interval_of_mean(values: Sequence[float]) -> Interval:
    """Mean of one value a mouse, of either sign, with Student's t interval.

    Parameters
    ----------
    values : sequence of float, shape (mouse,)

    Examples
    --------
    >>> one = interval_of_mean([-1.0, 0.0, 1.0])
    >>> one.value, round(one.low, 2), round(one.high, 2)
    (0.0, -2.48, 2.48)
    """
    return _t_interval(np.asarray(values, np.float64)) if len(values) else NOTHING


def interval_of_ratio(above: Sequence[float], below: Sequence[float]) -> Interval:
    """Ratio of the geometric means of two groups of mice, with Welch's t interval of the logarithms.

    Parameters
    ----------
    above, below : sequence of float, shape (mouse,)
        Not negative, such as variances of held-out and of training mice. The ratio is None with a 0 in `below`, and 0
        without an interval with one in `above`.

    Examples
    --------
    >>> one = interval_of_ratio([2.0, 3.0, 4.0], [1.0, 1.2, 1.1])
    >>> round(one.value, 2), round(one.low, 2), round(one.high, 2), one.n_mice
    (2.63, 1.18, 5.85, 3)
    """
    n_mice = min(len(above), len(below))
    if not n_mice or min(below) <= 0:
        return NOTHING
    if min(above) <= 0:
        return Interval(0.0, None, None, n_mice)
    logs = [np.log(group) for group in (above, below)]
    value = float(logs[0].mean() - logs[1].mean())
    if n_mice < MINIMUM_MICE:
        return _exponential(Interval(value, None, None, n_mice))
    errors = [log.var(ddof=1) / log.size for log in logs]
    if not sum(errors):
        return _exponential(Interval(value, value, value, n_mice))
    degrees = sum(errors) ** 2 / sum(error**2 / (log.size - 1) for error, log in zip(errors, logs, strict=True))
    half = _quantile(degrees) * np.sqrt(sum(errors))
    return _exponential(Interval(value, value - half, value + half, n_mice))


def interval_text(interval: Interval, digits: int) -> str:
    """A value with its interval, for people, or that there are too few mice for one.

    Examples
    --------
    >>> interval_text(Interval(0.5, 0.25, 1.0, 4), 2), interval_text(Interval(0.5, None, None, 2), 1)
    ('0.50 [0.25-1.00]', '0.5 [few mice]')
    """
    if interval.value is None:
        return "-"
    text = f"{round(interval.value, digits) + 0.0:.{digits}f}"  # no minus before 0
    if interval.low is None or interval.high is None:
        return f"{text} [few mice]" if interval.n_mice < MINIMUM_MICE else text
    return f"{text} [{round(interval.low, digits) + 0.0:.{digits}f}-{round(interval.high, digits) + 0.0:.{digits}f}]"


def _t_interval(values: NDArray[np.float64]) -> Interval:
    value, n_mice = float(values.mean()), int(values.size)
    if n_mice < MINIMUM_MICE:
        return Interval(value, None, None, n_mice)
    half = _quantile(n_mice - 1) * float(values.std(ddof=1) / np.sqrt(n_mice))
    return Interval(value, value - half, value + half, n_mice)


def _quantile(degrees_of_freedom: float) -> float:
    return float(stdtrit(degrees_of_freedom, (1 + CONFIDENCE_LEVEL) / 2))


def _exponential(interval: Interval) -> Interval:
    """An interval of logarithms as one of the values."""
    value, low, high = (
        None if end is None else float(np.exp(end)) for end in (interval.value, interval.low, interval.high)
    )
    return Interval(value, low, high, interval.n_mice)
