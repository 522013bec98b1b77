"""The tables. Call `activate` with a connection before using them.

Their modules import at their top what is light. What a `make` computes with (filters, labels, estimators: Numba, SciPy,
OpenCV, SLEAP) is imported by the `make` itself: a worker that waits, or only measures distances, needs half the memory,
and commands that only ask the database start sooner.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
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
    "is_active",
    "labels",
    "metric",
    "model",
    "names",
    "pose",
    "session",
    "subject",
    "tables",
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
            with _without_type_warnings():
                _declare_jobs(columns)
    _check_columns(columns)


def _activate(schema: Any, name: str, connection: Any, creates: bool) -> None:
    if schema.database == name and schema.connection is connection:
        return
    schema.database = None
    try:
        with nullcontext() if creates else _without_first_rows(schema):
            schema.activate(name, connection=connection, create_schema=creates)
    except (AccessError, DataJointError) as error:
        raise _incomplete(name, " ".join(str(part) for part in error.args)) from error
    missing = [] if creates else [cls.__name__ for cls, _ in schema.declare_list if not cls().is_declared]
    if missing:
        schema.database = None
        raise _incomplete(name, f"no table {', '.join(missing)}")


@contextmanager
def _without_first_rows(schema: Any) -> Iterator[None]:
    """Keep DataJoint from inserting the rows that lookup tables start with: they are the administrator's to make."""
    contents = {cls: vars(cls)["contents"] for cls, _ in schema.declare_list if "contents" in vars(cls)}
    try:
        for cls in contents:
            cls.contents = ()
        yield
    finally:
        for cls, rows in contents.items():
            cls.contents = rows


def is_active(prefix: str, connection: Any) -> bool:
    """Whether the tables are bound to the schemas of this prefix on this connection."""
    return all(
        module.schema.database == name and module.schema.connection is connection
        for module, name in zip(_MODULES, names(prefix), strict=True)
    )


def tables() -> list[Any]:
    """The classes of all tables, without their parts."""
    return [cls for module in _MODULES for cls, _ in module.schema.declare_list]


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


@contextmanager
def _without_type_warnings() -> Iterator[None]:
    """Hold back DataJoint's warnings about the types of columns in its own job tables, which nobody here declares."""
    logger = logging.getLogger("datajoint")
    logger.addFilter(_is_no_type_warning)
    try:
        yield
    finally:
        logger.removeFilter(_is_no_type_warning)


def _is_no_type_warning(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("Native type ")


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
