"""The tables. Call `activate` with a connection before using them.

The modules import only light packages at the top. Heavy ones (filters, labels, estimators: Numba, SciPy,
OpenCV, SLEAP) are imported by `make` itself: a worker that waits, or only measures distances, needs half the memory,
and commands that only ask the database start sooner.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from datajoint.errors import AccessError, DataJointError

from compute.errors import DatabaseError
from schemas import calibration, evaluation, labels, metric, model, pose, session, subject, track, worker
from schemas.binding import bind_tables, unbind_tables
from schemas.making.locks import holding_lock
from schemas.migrations.database import jobs_name, parts
from schemas.migrations.steps import newest_step
from schemas.migrations.version import Columns, check_version, read_columns, write_version
from schemas.stored import codecs
from schemas.tables import TABLE_MODULES, all_tables, computed_tables, table_schema_names, table_schemas

_ATTRIBUTE = re.compile(r"^[ \t]*(\w+)[ \t]*(?:=[^:\n]*)?:", re.MULTILINE)
"""A line of a table's definition that declares a column; not a foreign key, an index or a comment."""

_logger = logging.getLogger("orofacial")

__all__ = [
    "activate",
    "all_tables",
    "calibration",
    "codecs",
    "computed_tables",
    "evaluation",
    "is_active",
    "labels",
    "metric",
    "model",
    "pose",
    "session",
    "subject",
    "table_schema_names",
    "table_schemas",
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
        If something is missing and may not be created, a table lacks a column, or a newer version of orofacial made the
        database.
    OldDatabaseError
        If an older version made the database: see `schemas.migrations`.
    """
    creates = connection._config.database.create_tables
    # Processes that start together would create the same tables.
    with holding_lock(connection, f"{prefix} tables") if creates else nullcontext():
        columns = read_columns(connection, table_schema_names(prefix))
        is_new = check_version(connection, prefix, columns)
        if not is_active(prefix, connection):
            bind_tables(table_schemas(prefix), connection)
        if not _all_declared(columns):
            _declare_tables(prefix, connection, creates, is_new)
            columns = read_columns(connection, table_schema_names(prefix))
            bind_tables(table_schemas(prefix), connection)
        if creates:
            _declare_jobs(columns)
            _insert_first_rows()
    _check_columns(columns)


def _declare_tables(prefix: str, connection: Any, creates: bool, is_new: bool) -> None:
    """Let DataJoint create the tables that are missing, or say which are where none may be created.

    A new database's version is the first that is written.
    """
    schemas = table_schemas(prefix)
    if creates:
        _logger.info("making the tables that are missing")
    try:
        if is_new and creates:
            _activate(worker.schema, f"{prefix}worker", connection, creates)
            write_version(newest_step())
        for name, schema in schemas.items():
            _activate(schema, name, connection, creates)
    finally:
        unbind_tables(schemas)


def _activate(schema: Any, name: str, connection: Any, creates: bool) -> None:
    schema.database = None
    try:
        with _without_first_rows(schema):
            schema.activate(name, connection=connection, create_schema=creates, create_tables=creates)
    except (AccessError, DataJointError) as error:
        raise _incomplete(name, " ".join(str(part) for part in error.args)) from error
    missing = [] if creates else [cls.__name__ for cls, _ in schema.declare_list if not cls().is_declared]
    if missing:
        schema.database = None
        raise _incomplete(name, f"no table {', '.join(missing)}")


@contextmanager
def _without_first_rows(schema: Any) -> Iterator[None]:
    """Keep DataJoint from inserting the initial rows of lookup tables."""
    contents = {cls: vars(cls)["contents"] for cls, _ in schema.declare_list if "contents" in vars(cls)}
    try:
        for cls in contents:
            cls.contents = ()
        yield
    finally:
        for cls, rows in contents.items():
            cls.contents = rows


def _insert_first_rows() -> None:
    """Insert the initial rows of lookup tables that have fewer; on a server only its administrator may."""
    for table in all_tables():
        rows = list(getattr(table(), "contents", ()))
        if rows and len(rows) > len(table()):
            _logger.info("filling table %s: %d rows that every lab has", table.__name__, len(rows))
            table.insert(rows, skip_duplicates=True)


def is_active(prefix: str, connection: Any) -> bool:
    """Whether the tables are bound to the schemas of this prefix on this connection."""
    return all(
        schema.database == name and schema.connection is connection for name, schema in table_schemas(prefix).items()
    )


def _all_declared(columns: Columns) -> bool:
    """Whether every table is there, and the user sees it."""
    return all((table.database, table.table_name) in columns for cls in all_tables() for table in (cls, *parts(cls)))


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


def _declare_jobs(columns: Columns) -> None:
    """Create the missing job tables. DataJoint would create them at first use, in several workers at once."""
    missing = [table for table in computed_tables() if (table.database, jobs_name(table.table_name)) not in columns]
    if missing:
        _logger.info("making the job tables of %d computed tables", len(missing))
    with _without_type_warnings():
        for table in missing:
            table().jobs.declare()


def _check_columns(columns: Columns) -> None:
    """Compare the columns of all tables with their definitions, which DataJoint does not do."""
    for schema in [module.schema for module in TABLE_MODULES]:
        for table in (one for cls, _ in schema.declare_list for one in (cls, *parts(cls))):
            found = columns.get((schema.database, table.table_name))
            # This user may not see the columns of such a table.
            missing = [name for name in _ATTRIBUTE.findall(table.definition) if found and name not in found]
            if missing:
                name, schema.database = schema.database, None
                raise DatabaseError(
                    f"table {table.__qualname__} in schema {name} has no column {', '.join(missing)}, though the"
                    " database is of this version: something else changed it. 'orofacial doctor' lists all differences;"
                    " restore the database from a backup, then run: orofacial upgrade"
                )


def _incomplete(name: str, found: str) -> DatabaseError:
    return DatabaseError(
        f"schema {name} in the database is not what this version needs, and must not or cannot be changed from here"
        f" ({found.strip()}); an administrator runs: orofacial db init --server URL"
    )
