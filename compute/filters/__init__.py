"""Filters: tracks in, tracks with the same frames and nodes out.

Every filter is a pure function ``name(tracks, *, parameter_with_unit=default)`` in a module of its own, registered
there with `compute.filters.registry.register_filter`. Parameters are numbers, strings, lists or None, so that a
database row holds them. The simpler filters share the keyword ``gated``: first leave out wrong placements, see
`compute.filters.gate`.

Importing this package is cheap: a filter's module, and with it Numba, is imported when its parameters are checked, and
SciPy by the simpler filters when they filter.

Examples
--------
>>> "kalman" in registered_filters()
True
>>> default_parameters("gaussian")
{'sigma_s': 0.02, 'max_gap_s': 0.1, 'gated': False}
>>> registered_filters()["one_euro"].lag
'causal'
"""

from compute.filters.registry import (
    SCORE_EXPONENT_ATTRIBUTE,
    RegisteredFilter,
    apply_filter,
    check_parameters,
    default_parameters,
    registered_filter,
    registered_filters,
    registered_version,
)

__all__ = [
    "SCORE_EXPONENT_ATTRIBUTE",
    "RegisteredFilter",
    "apply_filter",
    "check_parameters",
    "default_parameters",
    "registered_filter",
    "registered_filters",
    "registered_version",
]
