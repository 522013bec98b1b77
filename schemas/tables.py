"""All tables, and the database schemas that hold them, in the order in which they need each other."""

from __future__ import annotations

from typing import Any

from datajoint import Computed

from schemas import calibration, evaluation, labels, metric, model, pose, session, subject, track, worker

TABLE_MODULES = (subject, session, labels, model, evaluation, pose, track, metric, calibration, worker)
"""A module of tables is a database schema of the same name; each stands after those that it needs."""


def all_tables() -> list[Any]:
    """The classes of all tables, without their parts."""
    return [cls for module in TABLE_MODULES for cls, _ in module.schema.declare_list]


def computed_tables() -> tuple[type[Computed], ...]:
    """The tables that workers fill, each after those that it needs: in the order in which they are declared."""
    return tuple(cls for cls in all_tables() if issubclass(cls, Computed))


def table_schema_names(prefix: str) -> list[str]:
    """Names of the database schemas."""
    return [prefix + str(module.__name__.rpartition(".")[2]) for module in TABLE_MODULES]


def table_schemas(prefix: str) -> dict[str, Any]:
    """DataJoint's schemas by their names in the database."""
    return dict(zip(table_schema_names(prefix), (module.schema for module in TABLE_MODULES), strict=True))
