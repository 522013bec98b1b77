"""Intervals over mice contain the truth as often as they say, with as few mice as a lab has."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from comparisons import interval_coverage

from compute.comparison.intervals import (
    MINIMUM_MICE,
    Interval,
    interval_of_geometric_mean,
    interval_of_mean,
    interval_of_ratio,
    interval_text,
)

N_STUDIES = 1000
GAMMA_SHAPE = 4.0
"""Of mice whose errors are skewed otherwise than a lognormal: a standard deviation of half the mean."""


def coverage(truth: float, study: Callable[[np.random.Generator], Interval]) -> float:
    """Fraction of simulated studies whose interval contains the truth."""
    rng = np.random.default_rng(0)
    intervals = [study(rng) for _ in range(N_STUDIES)]
    assert all(one.low is not None and one.high is not None for one in intervals)
    return float(np.mean([one.low <= truth <= one.high for one in intervals]))  # type: ignore[operator]


@pytest.mark.parametrize("n_mice", [3, 6, 11])
@pytest.mark.parametrize("sd_of_log", [0.2, 0.8])
def test_the_interval_of_a_geometric_mean_covers_the_truth(n_mice: int, sd_of_log: float) -> None:
    lognormal = coverage(3.0, lambda rng: interval_of_geometric_mean(3 * np.exp(rng.normal(0, sd_of_log, n_mice))))
    assert lognormal == pytest.approx(0.95, abs=0.02)
    truth = float(np.exp(np.log(np.random.default_rng(1).gamma(GAMMA_SHAPE, size=10**6)).mean()))
    skewed = coverage(truth, lambda rng: interval_of_geometric_mean(rng.gamma(GAMMA_SHAPE, size=n_mice)))
    assert skewed == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("n_mice", [3, 6, 11])
def test_the_interval_of_a_mean_covers_the_truth(n_mice: int) -> None:
    assert coverage(-2.0, lambda rng: interval_of_mean(rng.normal(-2, 5, n_mice))) == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(("n_above", "n_below"), [(3, 3), (3, 8), (6, 6), (4, 20)])
@pytest.mark.parametrize(("sd_above", "sd_below"), [(0.3, 0.3), (0.6, 0.2), (0.2, 0.6)])
def test_the_interval_of_a_ratio_covers_the_truth(n_above: int, n_below: int, sd_above: float, sd_below: float) -> None:
    def study(rng: np.random.Generator) -> Interval:
        above, below = np.exp(rng.normal(1, sd_above, n_above)), np.exp(rng.normal(0, sd_below, n_below))
        return interval_of_ratio(above.tolist(), below.tolist())

    assert 0.92 <= coverage(float(np.e), study) <= 0.98


def test_the_comparisons_intervals_cover_the_truth_with_3_to_20_mice() -> None:
    """All kinds of values at once, as `interval_coverage_mice` of `benchmarks/filters.py`."""
    assert min(interval_coverage(1500, (3, 4, 5, 8, 11, 20)).values()) > 0.92


def test_too_few_mice_are_said() -> None:
    assert interval_text(interval_of_geometric_mean([1.0, 4.0]), 1) == "2.0 [few mice]"
    assert interval_text(interval_of_geometric_mean([2.0] * 3), 1) == "2.0 [2.0-2.0]"
    assert interval_text(interval_of_geometric_mean([0.0, 1.0, 2.0]), 1) == "0.0"
    assert interval_text(Interval(None, None, None, 0), 1) == "-"


def test_fewer_than_three_mice_give_a_value_and_no_interval() -> None:
    assert MINIMUM_MICE == 3
    for interval_of in (interval_of_mean, interval_of_geometric_mean):
        assert interval_of([]) == Interval(None, None, None, 0)
        for values in ([2.0], [2.0, 2.0]):
            one = interval_of(values)
            assert (one.value, one.low, one.high, one.n_mice) == (pytest.approx(2), None, None, len(values))
    assert interval_of_ratio([1.0] * 9, [2.0] * 2).low is None
    assert interval_of_ratio([1.0] * 9, [2.0] * 2).n_mice == 2
    assert interval_of_ratio([1.0], []) == interval_of_ratio([], [1.0]) == Interval(None, None, None, 0)


def test_mice_that_are_all_alike_have_an_interval_without_width() -> None:
    for one in (
        interval_of_mean([2.0] * 4),
        interval_of_geometric_mean([2.0] * 4),
        interval_of_ratio([4.0] * 3, [2] * 3),
    ):
        assert (one.value, one.low, one.high) == (pytest.approx(2), pytest.approx(2), pytest.approx(2))


def test_a_mouse_without_any_error_leaves_no_interval() -> None:
    assert interval_of_geometric_mean([0.0, 1.0, 2.0]) == Interval(0.0, None, None, 3)
    assert interval_of_ratio([0.0, 1.0, 2.0], [1.0] * 3) == Interval(0.0, None, None, 3)
    assert interval_of_ratio([1.0] * 3, [0.0, 1.0, 2.0]) == Interval(None, None, None, 0)
