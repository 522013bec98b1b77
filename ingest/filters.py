"""Filter methods: filters with the parameters that a lab wants of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from compute.errors import FilterError
from compute.filters import default_parameters
from compute.text import known_names_text
from ingest.known_rows import compare_known_row, refuse_other_spelling, take_in_row
from schemas.labels import Skeleton
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
        If there is no such filter or parameter, a parameter is outside its range, or names a node that no skeleton
        has, the name cannot be one, it is taken by a row with other contents, or another row has it in other case.
    """
    refuse_other_spelling("filter method", filter_method, FilterMethod.to_arrays("filter_method"), FilterError)
    row = FilterMethod().checked(
        {"filter_method": filter_method, "filter_name": filter_name, "filter_parameters": changed}
    )
    _check_nodes_are_known(row)
    key = {"filter_method": filter_method}
    advice = "Its tracks depend on it, so it stays as it is; choose another name"
    what = f"filter method {filter_method}"
    for there in (FilterMethod & key).to_dicts():  # of another filter, its parameters say nothing
        compared = compare_known_row({"filter": there["filter_name"]}, {"filter": filter_name})
        compared.refuse(what, FilterError, advice)
        row = {**row, "filter_parameters": _said_by(row["filter_parameters"], there)}
    return take_in_row(FilterMethod, key, row, what=what, error=FilterError, advice=advice).is_new


def _said_by(parameters: Mapping[str, Any], there: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters without the defaults that a row made by an older orofacial does not name: they are what it does."""
    defaults = default_parameters(there["filter_name"])
    known = there["filter_parameters"]
    return {name: value for name, value in parameters.items() if name in known or value != defaults[name]}


def _check_nodes_are_known(row: Mapping[str, Any]) -> None:
    """Refuse parameters that name a node which no skeleton has: they would do nothing, or fail in every video."""
    known = set(Skeleton.Node.to_arrays("node"))
    if not known:
        return  # the lab has no model and no labels yet
    for node in _named_nodes(row["filter_parameters"]):
        if node not in known:
            raise FilterError(
                f"filter method {row['filter_method']}: the parameters of {row['filter_name']} name the node {node!r},"
                f" which no skeleton has; {known_names_text(node, known)}. Nothing was added"
            )


def _named_nodes(parameters: Mapping[str, Any]) -> Iterator[str]:
    """Nodes that a filter's parameters name."""
    for name in ("rigid_groups", "same_x", "same_y"):
        for group in parameters.get(name) or ():
            yield from group
    for node, entry in (parameters.get("filters") or {}).items():
        yield node
        yield from _named_nodes(entry["parameters"])
