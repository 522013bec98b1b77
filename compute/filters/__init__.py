"""Filters: tracks in, tracks with the same frames and nodes out.

Every filter is a pure function ``name(tracks, *, parameter_with_unit=default)``. Parameters are numbers, strings,
lists or None, so that a database row holds them. The simpler filters share the keyword ``gated``: first leave out
wrong placements, see `compute.filters.gate`.

Examples
--------
>>> sorted(FILTERS)[:3]
['gaussian', 'interpolate', 'kalman']
>>> default_parameters("gaussian")
{'sigma_s': 0.02, 'max_gap_s': 0.1, 'gated': False}
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from compute.errors import FilterError
from compute.filters.gate import SCORE_EXPONENT_ATTRIBUTE
from compute.filters.gaussian import gaussian
from compute.filters.interpolate import interpolate
from compute.filters.kalman import kalman
from compute.filters.median import median
from compute.filters.one_euro import one_euro
from compute.filters.per_node import per_node
from compute.filters.raw import raw
from compute.filters.savitzky_golay import savitzky_golay
from compute.tracks import Tracks

__all__ = ["FILTERS", "apply_filter", "default_parameters"]

FILTERS: dict[str, Callable[..., Tracks]] = {
    function.__name__: function
    for function in (raw, interpolate, median, gaussian, savitzky_golay, one_euro, kalman, per_node)
}
"""The filters by name."""


def apply_filter(tracks: Tracks, name: str, parameters: Mapping[str, Any]) -> Tracks:
    """Filter tracks by the name of the filter.

    Parameters
    ----------
    tracks : Tracks
        What is filtered. Their attribute ``score_exponent``, where there is one, is that of a filter and of a gate to
        which the parameters give none.
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
    known_exponent = tracks.attributes.get(SCORE_EXPONENT_ATTRIBUTE)
    if "score_exponent" in known and parameters.get("score_exponent") is None and known_exponent is not None:
        parameters = {**parameters, "score_exponent": known_exponent}
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
