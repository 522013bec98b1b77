"""Filters: tracks in, tracks with the same frames and nodes out.

Every filter is a pure function ``name(tracks, *, parameter_with_unit=default)`` in a module of its name. Parameters are
numbers, strings, lists or None, so that a database row holds them. The simpler filters share the keyword ``gated``:
first leave out wrong placements, see `compute.filters.gate`.

Importing this package is cheap; a filter's module, and with it SciPy and Numba, is imported when the filter is used.

Examples
--------
>>> sorted(FILTERS)[:3]
['gaussian', 'interpolate', 'kalman']
>>> default_parameters("gaussian")
{'sigma_s': 0.02, 'max_gap_s': 0.1, 'gated': False}
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from compute.errors import FilterError
from compute.tracks import Tracks

__all__ = ["FILTERS", "SCORE_EXPONENT_ATTRIBUTE", "apply_filter", "default_parameters"]

FILTERS = ("raw", "interpolate", "median", "gaussian", "savitzky_golay", "one_euro", "kalman", "per_node")
"""The filters: modules of this package, each with a function of the same name."""

SCORE_EXPONENT_ATTRIBUTE = "score_exponent"
"""Attribute of tracks under which a pipeline says what the model's labeled frames say of its scores."""


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
    return _by_name(name)(tracks, **parameters)


def default_parameters(name: str) -> dict[str, Any]:
    """All parameters of a filter with their defaults, from the function's own signature.

    Raises
    ------
    FilterError
        If there is no such filter.
    """
    signature = inspect.signature(_by_name(name))
    return {
        parameter.name: parameter.default
        for parameter in signature.parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def _by_name(name: str) -> Callable[..., Tracks]:
    if name not in FILTERS:
        raise FilterError(f"no filter {name!r}; there are {', '.join(FILTERS)}")
    function: Callable[..., Tracks] = getattr(importlib.import_module(f"compute.filters.{name}"), name)
    return function
