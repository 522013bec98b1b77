"""What a filter's parameter may be, said by the type of the keyword: ``sigma_s: Positive = 0.02``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, get_type_hints

from compute.errors import FilterError


@dataclass(frozen=True)
class ParameterRule:
    """What a parameter may be.

    Parameters
    ----------
    expected : str
        In words, as an error says it.
    holds : callable
        Whether a value keeps the rule.
    """

    expected: str
    holds: Callable[[Any], bool]


def is_number_parameter(value: Any) -> bool:
    """Whether a value is a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_groups(value: Any) -> bool:
    return _is_list(value) and all(
        _is_list(group) and len(group) >= 3 and all(isinstance(node, str) for node in group) for group in value
    )


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


Positive = Annotated[float, ParameterRule("a number above 0", lambda value: is_number_parameter(value) and value > 0)]
NotNegative = Annotated[
    float, ParameterRule("a number from 0", lambda value: is_number_parameter(value) and value >= 0)
]
Probability = Annotated[
    float, ParameterRule("a number between 0 and 1", lambda value: is_number_parameter(value) and 0 < value < 1)
]
WholeNumber = Annotated[int, ParameterRule("a whole number from 0", lambda value: _is_whole(value) and value >= 0)]
Flag = Annotated[bool, ParameterRule("true or false", lambda value: isinstance(value, bool))]
RigidGroups = Annotated[
    Sequence[Sequence[str]], ParameterRule("a list of rigid groups, each a list of three or more nodes", _are_groups)
]


def check_parameter_values(filter_name: str, function: Callable[..., Any], values: Mapping[str, Any]) -> None:
    """Refuse values that break the rules of a function's keywords.

    Raises
    ------
    FilterError
        With the filter, the parameter, its value, and what is expected.
    """
    rules = rules_of_parameters(function)
    for name, value in values.items():
        if name not in rules:
            continue  # a keyword that the function does not have is Python's own error
        rule, may_be_none = rules[name]
        if value is None and may_be_none:
            continue
        if value is None or not rule.holds(value):
            otherwise = " or none" if may_be_none else ""
            raise FilterError(f"{filter_name}: {name} is {value!r}, expected {rule.expected}{otherwise}")


@cache
def rules_of_parameters(function: Callable[..., Any]) -> dict[str, tuple[ParameterRule, bool]]:
    """The rule of each keyword of a filter, and whether it may be None.

    Raises
    ------
    FilterError
        If a keyword's type says no rule.
    """
    rules: dict[str, tuple[ParameterRule, bool]] = {}
    keywords = function.__kwdefaults__ or {}
    hints = get_type_hints(function, include_extras=True)
    for name in keywords:
        kinds = _members(hints[name])
        found = [
            rule for kind in kinds for rule in getattr(kind, "__metadata__", ()) if isinstance(rule, ParameterRule)
        ]
        if len(found) != 1:
            raise FilterError(
                f"filter {function.__name__}: the type of {name} says no rule;"
                " take one of compute.filters.parameter_rules, such as Positive"
            )
        rules[name] = found[0], type(None) in kinds
    return rules


def _members(hint: Any) -> tuple[Any, ...]:
    """Types of a union; a type by itself."""
    return (hint,) if hasattr(hint, "__metadata__") else getattr(hint, "__args__", (hint,))
