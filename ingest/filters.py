"""Filter methods: filters with the parameters that a lab wants of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compute.errors import FilterError
from ingest.known_rows import compare_known_row, take_in_row
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
    advice = "Its tracks depend on it, so it stays as it is; choose another name"
    what = f"filter method {filter_method}"
    for there in (FilterMethod & key).to_dicts():  # of another filter, its parameters say nothing
        compared = compare_known_row({"filter": there["filter_name"]}, {"filter": filter_name})
        compared.refuse(what, FilterError, advice)
    return take_in_row(FilterMethod, key, row, what=what, error=FilterError, advice=advice).is_new
