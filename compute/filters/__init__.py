"""Filters: tracks in, tracks with the same frames and nodes out.

Every filter is a pure function ``name(tracks, *, parameter_with_unit=default)``. Parameters are numbers, strings,
lists or None, so that a database row holds them.

Examples
--------
>>> sorted(FILTERS)[:3]
['gaussian', 'kalman', 'median']
>>> default_parameters("gaussian")
{'sigma_s': 0.02, 'max_gap_s': 0.1}
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from compute.errors import FilterError
from compute.filters.gaussian import gaussian
from compute.filters.kalman import kalman
from compute.filters.median import median
from compute.filters.raw import raw
from compute.tracks import Tracks

__all__ = ["FILTERS", "apply_filter", "default_parameters"]

FILTERS: dict[str, Callable[..., Tracks]] = {
    function.__name__: function for function in (raw, gaussian, median, kalman)
}
"""The filters by name."""


def apply_filter(tracks: Tracks, name: str, parameters: Mapping[str, Any]) -> Tracks:
    """Filter tracks by the name of the filter.

    Parameters
    ----------
    tracks : Tracks
        What is filtered.
    name : str
        One of `FILTERS`.
    parameters : mapping
        The filter's keywords; those not named keep their defaults.

    Raises
    ------
    FilterError
        If there is no such filter or parameter, or a parameter is outside its range.
    """
    known = default_parameters(name)
    for parameter in parameters:
        if parameter not in known:
            raise FilterError(
                f"filter {name} has no parameter {parameter!r}; it has {', '.join(known) if known else 'none'}"
            )
    return FILTERS[name](tracks, **parameters)


def default_parameters(name: str) -> dict[str, Any]:
    """All parameters of a filter with their defaults, from the function's own signature.

    Raises
    ------
    FilterError
        If there is no such filter.
    """
    if name not in FILTERS:
        raise FilterError(f"no filter {name!r}; there are {', '.join(FILTERS)}")
    signature = inspect.signature(FILTERS[name])
    return {
        parameter.name: parameter.default
        for parameter in signature.parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
