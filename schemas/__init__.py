"""The tables. Call `activate` with a connection before using them.

Their modules import at their top what is light. What a `make` computes with (filters, labels, estimators: Numba, SciPy,
OpenCV, SLEAP) is imported by the `make` itself: a worker that waits, or only measures distances, needs half the memory,
and commands that only ask the database start sooner.
"""

from __future__ import annotations

import re
from typing import Any

from datajoint import Part
from datajoint.errors import AccessError, DataJointError

from compute.errors import DatabaseError
from schemas import codecs, labels, metric, model, pose, session, subject, track, worker

_ATTRIBUTE = re.compile(r"^[ \t]*(\w+)[ \t]*(?:=[^:\n]*)?:", re.MULTILINE)
"""A line of a table's definition that declares a column; not a foreign key, an index or a comment."""

_MODULES = (subject, session, labels, model, pose, track, metric, worker)

__all__ = ["activate", "codecs", "labels", "metric", "model", "names", "pose", "session", "subject", "track", "worker"]


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
    for module, name in zip(_MODULES, names(prefix), strict=True):
        schema = module.schema
        if schema.database == name and schema.connection is connection:
            continue
        schema.database = None
        try:
            schema.activate(name, connection=connection, create_schema=creates)
        except (AccessError, DataJointError) as error:
            raise _incomplete(name, " ".join(str(part) for part in error.args)) from error
        missing = [] if creates else [cls.__name__ for cls, _ in schema.declare_list if not cls().is_declared]
        if missing:
            schema.database = None
            raise _incomplete(name, f"no table {', '.join(missing)}")
    _check_columns(connection)


def names(prefix: str) -> list[str]:
    """Names of the database schemas."""
    return [prefix + str(module.__name__.rpartition(".")[2]) for module in _MODULES]


def _check_columns(connection: Any) -> None:
    """Compare the columns of all tables with their definitions, in one query; DataJoint itself never does."""
    schemas = [module.schema for module in _MODULES]
    listed = ", ".join(f"'{schema.database}'" for schema in schemas)
    found: dict[tuple[str, str], set[str]] = {}
    for database, table, column in connection.query(
        f"SELECT table_schema, table_name, column_name FROM information_schema.columns WHERE table_schema IN ({listed})"
    ):
        found.setdefault((database, table), set()).add(column)
    for schema in schemas:
        for table in (one for cls, _ in schema.declare_list for one in (cls, *_parts(cls))):
            columns = found.get((schema.database, table.table_name))
            # A table without a column is one that this user may not see.
            missing = [name for name in _ATTRIBUTE.findall(table.definition) if columns and name not in columns]
            if missing:
                name, schema.database = schema.database, None
                raise DatabaseError(
                    f"table {table.__qualname__} in schema {name} has no column {', '.join(missing)}: an"
                    " older version of orofacial made it. Go on with that version, or name another data folder (or"
                    " schema_prefix) for this one"
                )


def _parts(cls: type) -> list[Any]:
    return [part for part in vars(cls).values() if isinstance(part, type) and issubclass(part, Part)]


def _incomplete(name: str, found: str) -> DatabaseError:
    return DatabaseError(
        f"schema {name} in the database is not what this version needs, and must not or cannot be changed from here"
        f" ({found.strip()}); an administrator runs: orofacial db init --server URL"
    )
