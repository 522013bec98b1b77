"""Filter methods: filters with the parameters that a lab wants of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compute.errors import FilterError
from schemas.track import FilterMethod


def add_filter_method(filter_method: str, filter_name: str, changed: Mapping[str, Any]) -> bool:
    """Add a row of `FilterMethod`, with the filter's version and all its parameters; return whether it is new.

    Parameters
    ----------
    filter_method : str
        Name of the row, up to 64 letters, digits and underscores.
    filter_name : str
        The filter.
    changed : mapping
        The parameters that are not the filter's defaults.

    Raises
    ------
    FilterError
        If there is no such filter or parameter, a parameter is outside its range, the name cannot be one, or it is
        taken by a row with other contents.
    """
    row = FilterMethod().checked(
        {"filter_method": filter_method, "filter_name": filter_name, "filter_parameters": changed}
    )
    key = {"filter_method": filter_method}
    if not FilterMethod & key:
        FilterMethod.insert1(row)
        return True
    there = (FilterMethod & key).fetch1()
    if there != row:
        raise FilterError(
            f"filter method {filter_method} is there already: {filter_method_differences(there, row)}."
            " Its tracks depend on it, so it stays as it is; choose another name"
        )
    return False


def filter_method_differences(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """What differs between two rows of `FilterMethod`, in words."""
    if there["filter_name"] != wanted["filter_name"]:
        return f"filter is {there['filter_name']}, not {wanted['filter_name']}"
    parameters = [
        f"{name} is {there['filter_parameters'].get(name)!r}, not {value!r}"
        for name, value in wanted["filter_parameters"].items()
        if there["filter_parameters"].get(name) != value
    ]
    if there["filter_version"] != wanted["filter_version"]:
        parameters.append(f"its version of the filter is {there['filter_version']}, not {wanted['filter_version']}")
    gone = there["filter_parameters"].keys() - wanted["filter_parameters"].keys()
    return "; ".join([*parameters, *(f"it has the parameter {name}" for name in sorted(gone))])
