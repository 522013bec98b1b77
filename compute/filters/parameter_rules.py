"""What a filter's parameter may be, said by the type of the keyword: ``sigma_s: Seconds = 0.02``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Annotated, Any, get_type_hints

from compute.errors import FilterError, OrofacialError
from compute.value_rules import ValueRule, number_rule, whole_number_rule


def _number(smallest: float, largest: float, unit: str = "") -> ValueRule:
    """A number within limits that are allowed themselves."""
    return number_rule(f"a number {unit}from {smallest:g} to {largest:g}", lambda value: smallest <= value <= largest)


def _are_node_lists(value: Any, has_size: Callable[[int], bool]) -> bool:
    """Whether it is a list of lists of different names of nodes, each of a size that is allowed."""
    return _is_list(value) and all(
        _is_list(nodes)
        and all(isinstance(node, str) for node in nodes)
        and len(set(nodes)) == len(nodes)
        and has_size(len(nodes))
        for nodes in value
    )


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


# Every range ends: within it a filter's arithmetic stays finite, and no window is larger than a memory.
Seconds = Annotated[float, _number(1e-4, 10, "of seconds ")]
"""Length of a window; a face moves in less than 10 s."""

GapSeconds = Annotated[float, _number(1e-4, 3600, "of seconds ")]
"""Length of a gap."""

Hertz = Annotated[float, _number(0.01, 1000, "of Hz ")]
Pixels = Annotated[float, _number(1e-3, 1000, "of px ")]
ProcessNoise = Annotated[float, _number(1e-6, 1e12, "of px²/s³ ")]
HertzPerSpeed = Annotated[float, _number(1e-6, 1000, "of Hz per px/s ")]
Exponent = Annotated[float, _number(0, 10)]
NotNegative = Annotated[float, _number(0, 1e9)]
Probability = Annotated[float, number_rule("a number between 0 and 1", lambda value: 0 < value < 1)]
PolynomialOrder = Annotated[int, whole_number_rule("a whole number from 0 to 9", lambda value: 0 <= value <= 9)]
Flag = Annotated[bool, ValueRule("true or false", lambda value: isinstance(value, bool))]
NodeName = Annotated[str, ValueRule("the name of a node", lambda value: isinstance(value, str) and value != "")]
RigidGroups = Annotated[
    Sequence[Sequence[str]],
    ValueRule(
        "a list of rigid groups, each a list of three or more different nodes",
        lambda value: _are_node_lists(value, lambda n_nodes: n_nodes >= 3),
    ),
]
NodePairs = Annotated[
    Sequence[Sequence[str]],
    ValueRule(
        "a list of pairs, each a list of two different nodes",
        lambda value: _are_node_lists(value, lambda n_nodes: n_nodes == 2),
    ),
]


def check_parameter_values(
    function_name: str,
    function: Callable[..., Any],
    values: Mapping[str, Any],
    error: type[OrofacialError] = FilterError,
) -> None:
    """Refuse values that break the rules of a function's keywords.

    Parameters
    ----------
    function_name : str
        As the error says it.
    function : callable
        Its keywords' types say the rules.
    values : mapping
        Values of keywords, not necessarily of all.
    error : type
        What is raised, `FilterError` by default.

    Raises
    ------
    OrofacialError
        With the function, the parameter, its value, and what is expected.
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
            raise error(f"{function_name}: {name} is {value!r}, expected {rule.expected}{otherwise}")


def check_rising_parameters(
    function_name: str, function: Callable[..., Any], values: Mapping[str, Any], names: Sequence[str]
) -> None:
    """Refuse values of which one is smaller than the one before it; what is not given has its default, None no limit.

    Raises
    ------
    FilterError
        With the function, both parameters and their values.
    """
    given = {**(function.__kwdefaults__ or {}), **values}
    for before, after in pairwise(name for name in names if given[name] is not None):
        if given[before] > given[after]:
            raise FilterError(
                f"{function_name}: {before} is {given[before]!r} and {after} is {given[after]!r},"
                f" expected {before} to be at most {after}"
            )


@cache
def rules_of_parameters(function: Callable[..., Any]) -> dict[str, tuple[ValueRule, bool]]:
    """The rule of each keyword of a filter (or another function), and whether it may be None.

    Raises
    ------
    FilterError
        If a keyword's type says no rule.
    """
    rules: dict[str, tuple[ValueRule, bool]] = {}
    parameters = inspect.signature(function).parameters.values()
    keywords = [one.name for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY]
    hints = get_type_hints(function, include_extras=True)
    for name in keywords:
        kinds = _members(hints[name])
        found = [rule for kind in kinds for rule in getattr(kind, "__metadata__", ()) if isinstance(rule, ValueRule)]
        if len(found) != 1:
            raise FilterError(
                f"filter {function.__name__}: the type of {name} says no rule;"
                " take one of compute.filters.parameter_rules, such as Seconds"
            )
        rules[name] = found[0], type(None) in kinds
    return rules


def _members(hint: Any) -> tuple[Any, ...]:
    """Types of a union; a type by itself."""
    return (hint,) if hasattr(hint, "__metadata__") else getattr(hint, "__args__", (hint,))
