"""Rows of `FilterMethod` say of which version of the filter they are; the Kalman smoother has one model of movement."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from schemas.migrations.database import MigratedDatabase

DESCRIPTION = "a filter's row says of which version of the filter it is"

_ACCELERATION = "constant_acceleration"
_NO_VERSION = 0
"""Version of rows that no code can compute any more: their tracks stay, and no new ones are made."""


def upgrade(database: MigratedDatabase) -> None:
    """Add the column, and take the parameter ``motion`` out of the parameters of Kalman smoothers.

    A row with ``constant_velocity`` gives the same tracks without it. One with ``constant_acceleration`` keeps its
    parameters and gets version 0.
    """
    database.add_column("track", "#filter_method", "filter_version=1 : int16  # version of the filter's algorithm")
    table = database.table("track", "#filter_method")
    for method, name, stored in database.rows(f"SELECT filter_method, filter_name, filter_parameters FROM {table}"):
        parameters = json.loads(stored) if isinstance(stored, str | bytes) else stored
        if _ACCELERATION in _motions(name, parameters):
            database.execute(f"UPDATE {table} SET filter_version = %s WHERE filter_method = %s", (_NO_VERSION, method))
            continue
        changed = _without_motion(name, parameters)
        if changed != parameters:
            database.execute(
                f"UPDATE {table} SET filter_parameters = %s WHERE filter_method = %s", (json.dumps(changed), method)
            )


def _motions(name: str, parameters: Mapping[str, Any]) -> set[str]:
    """Models of movement that a filter's parameters name, its own and those of its nodes."""
    if name == "kalman":
        return {parameters["motion"]} if "motion" in parameters else set()
    return {motion for entry in _entries(name, parameters).values() for motion in _motions(**entry)}


def _without_motion(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    if name == "kalman":
        return {parameter: value for parameter, value in parameters.items() if parameter != "motion"}
    entries = {
        node: {"filter": entry["name"], "parameters": _without_motion(**entry)}
        for node, entry in _entries(name, parameters).items()
    }
    return {**parameters, "filters": entries} if entries else dict(parameters)


def _entries(name: str, parameters: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Filter and parameters of each node."""
    filters = (parameters.get("filters") or {}) if name == "per_node" else {}
    return {node: {"name": entry["filter"], "parameters": entry["parameters"]} for node, entry in filters.items()}
