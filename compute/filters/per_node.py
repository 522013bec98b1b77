"""Another filter for each node: a jaw that licks and a snout that breathes want different smoothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np

from compute.errors import FilterError
from compute.filters.registry import apply_filter, check_parameters, register_filter
from compute.filters.result import filter_result
from compute.tracks import Tracks
from compute.value_rules import ValueRule

OTHERWISE = {"filter": "kalman", "parameters": {}}
"""The filter of nodes that are not named."""


def _are_entries(filters: Any) -> bool:
    """Whether this is a mapping of nodes; an entry that cannot be is an error of its own, which names the node."""
    if not isinstance(filters, Mapping):
        return False
    for node, entry in filters.items():
        if not isinstance(entry, Mapping) or set(entry) != set(OTHERWISE):
            raise FilterError(f"per_node: node {node} has {entry!r}, expected its filter and parameters")
        if entry["filter"] == "per_node":
            raise FilterError(f"per_node: node {node} names per_node itself, expected another filter")
        if not isinstance(entry["filter"], str) or not isinstance(entry["parameters"], Mapping):
            raise FilterError(f"per_node: node {node} has {entry!r}, expected its filter and parameters")
        try:
            check_parameters(entry["filter"], entry["parameters"])
        except FilterError as error:
            raise FilterError(f"per_node: node {node}: {error}") from error
    return True


Entries = Annotated[Mapping[str, Mapping[str, Any]], ValueRule("for each node its filter and parameters", _are_entries)]


@register_filter(version=1, lag="symmetric", color="#000000", uses=("kalman",))
def per_node(tracks: Tracks, *, filters: Entries | None = None) -> Tracks:
    """Filter each node with the filter and parameters that its name says.

    Parameters
    ----------
    tracks : Tracks
        Tracks with NaN where a node was not found.
    filters : mapping or None
        For each node ``{"filter": name, "parameters": {...}}``. A node that is not named gets the Kalman smoother with
        its default parameters; one that the tracks do not have is left aside, since one row of a database serves
        several skeletons.

    Returns
    -------
    Tracks
        With ``sd``, ``rejected`` and ``filled`` of each node's own filter (NaN and False where it gives none), and
        what a filter found out about its nodes in ``attributes["filter"]["fitted"]``.

    Raises
    ------
    FilterError
        If an entry has another form, there is no such filter or parameter, or a parameter is outside its range.
    """
    position = np.full_like(tracks.position, np.nan)
    arrays = {
        "sd": np.full_like(tracks.position, np.nan),
        "rejected": np.zeros(tracks.found.shape, np.bool_),
        "filled": np.zeros(tracks.found.shape, np.bool_),
    }
    given: set[str] = set()
    fitted: dict[str, Any] = {}
    for name, parameters, nodes in _groups(tracks.nodes, filters or {}):
        index = [tracks.node_index(node) for node in nodes]
        part = apply_filter(tracks.select(nodes), name, parameters)
        position[:, index] = part.position
        for array, values in arrays.items():
            if getattr(part, array) is not None:
                values[:, index] = getattr(part, array)
                given.add(array)
        fitted |= part.attributes["filter"].get("fitted", {})
    return filter_result(
        tracks,
        "per_node",
        {"filters": None if filters is None else {node: dict(entry) for node, entry in filters.items()}},
        fitted,
        None,
        position=position,
        **{array: values if array in given else None for array, values in arrays.items()},
    )


def _groups(
    nodes: tuple[str, ...], filters: Mapping[str, Mapping[str, Any]]
) -> list[tuple[str, Mapping[str, Any], list[str]]]:
    """Filter, parameters, and the nodes that share them: wrong placements are known better from several nodes."""
    groups: list[tuple[str, Mapping[str, Any], list[str]]] = []
    for node in nodes:
        entry = filters.get(node, OTHERWISE)
        for name, parameters, members in groups:
            if (name, parameters) == (entry["filter"], entry["parameters"]):
                members.append(node)
                break
        else:
            groups.append((entry["filter"], entry["parameters"], [node]))
    return groups
