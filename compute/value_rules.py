"""What a value from outside may be, in words and as a check: a filter's parameter, a pair, a setting of a training."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ValueRule:
    """What a value may be.

    Parameters
    ----------
    expected : str
        In words, as an error says it.
    holds : callable
        Whether a value keeps the rule.
    """

    expected: str
    holds: Callable[[Any], bool]


def is_finite_number(value: Any) -> bool:
    """Whether a value is a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def number_rule(expected: str, holds: Callable[[float], bool]) -> ValueRule:
    """A finite number of which something more holds."""
    return ValueRule(expected, lambda value: is_finite_number(value) and holds(value))


def whole_number_rule(expected: str, holds: Callable[[int], bool]) -> ValueRule:
    """A whole number of which something more holds; 2.0 is none."""
    return ValueRule(expected, lambda value: is_finite_number(value) and isinstance(value, int) and holds(value))
