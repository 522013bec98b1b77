"""Filters: tracks in, tracks with the same frames and nodes out.

Every filter is a pure function ``name(tracks, *, parameter_with_unit=default)`` in a module of its own, registered
there with `compute.filters.registry.register`. Parameters are numbers, strings, lists or None, so that a database row
holds them. The simpler filters share the keyword ``gated``: first leave out wrong placements, see
`compute.filters.gate`.

Importing this package is cheap; a filter's module, and with it SciPy and Numba, is imported when the filter is used.

Examples
--------
>>> "kalman" in registered()
True
>>> default_parameters("gaussian")
{'sigma_s': 0.02, 'max_gap_s': 0.1, 'gated': False}
>>> registered()["one_euro"].lag
'causal'
"""

from compute.filters.registry import (
    SCORE_EXPONENT_ATTRIBUTE,
    Registration,
    apply_filter,
    check_parameters,
    default_parameters,
    registered,
    registration,
    version_of,
)

__all__ = [
    "SCORE_EXPONENT_ATTRIBUTE",
    "Registration",
    "apply_filter",
    "check_parameters",
    "default_parameters",
    "registered",
    "registration",
    "version_of",
]
