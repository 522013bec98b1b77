"""The tables. Call `activate` with a connection before using them.

Their modules import at their top what is light. What a `make` computes with (filters, labels, estimators: Numba, SciPy,
OpenCV, SLEAP) is imported by the `make` itself: a worker that waits, or only measures distances, needs half the memory,
and commands that only ask the database start sooner.
"""

from __future__ import annotations

import re
from contextlib import nullcontext
from typing import Any

from datajoint import Computed, Part
from datajoint.errors import AccessError, DataJointError

from compute.errors import DatabaseError
from schemas import labels, metric, model, pose, session, subject, track, worker
from schemas.making.locks import holding
from schemas.stored import codecs

_ATTRIBUTE = re.compile(r"^[ \t]*(\w+)[ \t]*(?:=[^:\n]*)?:", re.MULTILINE)
"""A line of a table's definition that declares a column; not a foreign key, an index or a comment."""

_MODULES = (subject, session, labels, model, pose, track, metric, worker)

__all__ = [
    "activate",
    "codecs",
    "computed_tables",
    "labels",
    "metric",
    "model",
    "names",
    "pose",
    "session",
    "subject",
    "track",
    "worker",
]


def activate(prefix: str, connection: Any) -> None:
    """Bind every table to the database schema `<prefix><module>`, creating what is missing.

    With DataJoint's ``create_tables`` off (production) nothing is created.

    Parameters
    ----------
    prefix : str
        Start of the schemas' names, such as ``orofacial_``.
    connection : datajoint.Connection
        Where the schemas live. Activating again, also elsewhere, binds the tables anew.

    Raises
    ------
    DatabaseError
        If something is missing and may not be created, or a table lacks a column: an older version made it.
    """
    creates = connection._config.database.create_tables
    # Processes that start together would create the same tables.
    with holding(connection, f"{prefix} tables") if creates else nullcontext():
        for module, name in zip(_MODULES, names(prefix), strict=True):
            _activate(module.schema, name, connection, creates)
        columns = _columns(connection)
        if creates:
            _declare_jobs(columns)
    _check_columns(columns)


def _activate(schema: Any, name: str, connection: Any, creates: bool) -> None:
    if schema.database == name and schema.connection is connection:
        return
    schema.database = None
    try:
        schema.activate(name, connection=connection, create_schema=creates)
    except (AccessError, DataJointError) as error:
        raise _incomplete(name, " ".join(str(part) for part in error.args)) from error
    missing = [] if creates else [cls.__name__ for cls, _ in schema.declare_list if not cls().is_declared]
    if missing:
        schema.database = None
        raise _incomplete(name, f"no table {', '.join(missing)}")


def computed_tables() -> tuple[type[Computed], ...]:
    """The tables that workers fill, each after those that it needs: in the order in which they are declared."""
    return tuple(cls for module in _MODULES for cls, _ in module.schema.declare_list if issubclass(cls, Computed))


def names(prefix: str) -> list[str]:
    """Names of the database schemas."""
    return [prefix + str(module.__name__.rpartition(".")[2]) for module in _MODULES]


def _columns(connection: Any) -> dict[tuple[str, str], set[str]]:
    """Names of the columns of every table, by schema and table, in one query."""
    listed = ", ".join(f"'{module.schema.database}'" for module in _MODULES)
    found: dict[tuple[str, str], set[str]] = {}
    for schema, table, column in connection.query(
        f"SELECT table_schema, table_name, column_name FROM information_schema.columns WHERE table_schema IN ({listed})"
    ):
        found.setdefault((schema, table), set()).add(column)
    return found


def _declare_jobs(columns: dict[tuple[str, str], set[str]]) -> None:
    """Create the job tables that are missing; DataJoint would at their first use, by each of several workers."""
    for module in _MODULES:
        for cls, _ in module.schema.declare_list:
            if issubclass(cls, Computed) and (module.schema.database, f"~~{cls.table_name[2:]}") not in columns:
                _ = cls().jobs


def _check_columns(columns: dict[tuple[str, str], set[str]]) -> None:
    """Compare the columns of all tables with their definitions; DataJoint itself never does."""
    for schema in [module.schema for module in _MODULES]:
        for table in (one for cls, _ in schema.declare_list for one in (cls, *_parts(cls))):
            found = columns.get((schema.database, table.table_name))
            # A table without a column is one that this user may not see.
            missing = [name for name in _ATTRIBUTE.findall(table.definition) if found and name not in found]
            if missing:
                name, schema.database = schema.database, None
                raise DatabaseError(
                    f"table {table.__qualname__} in schema {name} has no column {', '.join(missing)}: an older version"
                    " of orofacial made it. Go on with that version, or name another data folder (or schema_prefix)"
                    " for this one"
                )


def _parts(cls: type) -> list[Any]:
    return [part for part in vars(cls).values() if isinstance(part, type) and issubclass(part, Part)]


def _incomplete(name: str, found: str) -> DatabaseError:
    return DatabaseError(
        f"schema {name} in the database is not what this version needs, and must not or cannot be changed from here"
        f" ({found.strip()}); an administrator runs: orofacial db init --server URL"
    )
