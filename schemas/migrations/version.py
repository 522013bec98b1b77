"""Which version a database has, and whether this code can work with it."""

from __future__ import annotations

from typing import Any

from compute.errors import DatabaseError, OldDatabaseError
from schemas.migrations.steps import newest_step
from schemas.worker import DatabaseVersion

MOVED_VERSION = 32000
"""Stands beside a database's versions once the lab was moved to another one: every orofacial refuses it then."""

UNFINISHED_RESTORE = "~unfinished_restore"
"""A table in the worker's schema of a MySQL database, while tables of another version are restored into it."""

Columns = dict[tuple[str, str], set[str]]
"""Names of the columns of every table, by schema and table."""


def check_version(connection: Any, prefix: str, columns: Columns) -> bool:
    """Check that this code can work with a database; return whether there is no such database yet.

    Raises
    ------
    OldDatabaseError
        If an older version of orofacial made it.
    DatabaseError
        If a newer version of orofacial made it or upgraded it.
    """
    if (f"{prefix}worker", UNFINISHED_RESTORE) in columns:
        raise DatabaseError(
            "a backup is being restored into this database, or was until it was interrupted; wait for it, or run that"
            " orofacial restore again"
        )
    version, newest = read_version(connection, prefix, columns), newest_step()
    if version is None:
        return True
    refuse_newer_version(version, newest)
    if version < newest:
        raise OldDatabaseError(
            f"the database is of version {version}, made by an older orofacial; this one needs version {newest}."
            " Upgrade it with: orofacial upgrade (--dry-run lists what that changes). A lab's server is upgraded by its"
            " administrator, with: orofacial db init --server URL"
        )
    return False


def refuse_newer_version(version: int, newest: int) -> None:
    """Refuse a database of a version that this code does not know, or whose lab was moved to another database."""
    if version == MOVED_VERSION:
        raise DatabaseError(
            "this lab was moved to another database (orofacial move-to), and what is changed here would be missing"
            " there. Use that one; if the move was interrupted, run it again. To go on here all the same:"
            " orofacial move-to --undo"
        )
    if version > newest:
        raise DatabaseError(
            f"the database is of version {version}, and this orofacial knows versions up to {newest}: a newer orofacial"
            " made or upgraded it. Update orofacial here; the database was not changed"
        )


def read_version(connection: Any, prefix: str, columns: Columns) -> int | None:
    """Version of a database; 0 for one made before versions were kept; None if there are no tables yet.

    The worker's schema is created first, and the version is written into it. So tables that stand there alone are those
    of a database whose creation was interrupted before.
    """
    worker = f"{prefix}worker"
    if (worker, DatabaseVersion.table_name) in columns:
        quote = connection.adapter.quote_identifier
        table = f"{quote(worker)}.{quote(DatabaseVersion.table_name)}"
        (version,) = connection.query(f"SELECT max({quote('database_version')}) FROM {table}").fetchone()
        if version is not None:
            return int(version)
    return 0 if any(schema != worker for schema, _ in columns) else None


def mark_moved(connection: Any, prefix: str, moved: bool) -> bool:
    """Mark a database as one whose lab was moved, or take the mark away; return whether it was marked before."""
    quote = connection.adapter.quote_identifier
    table = connection.adapter.make_full_table_name(f"{prefix}worker", DatabaseVersion.table_name)
    (n_before,) = connection.query(
        f"SELECT count(*) FROM {table} WHERE {quote('database_version')} = {MOVED_VERSION}"
    ).fetchone()
    if moved and not n_before:
        connection.query(f"INSERT INTO {table} ({quote('database_version')}) VALUES ({MOVED_VERSION})")
    if not moved:
        connection.query(f"DELETE FROM {table} WHERE {quote('database_version')} = {MOVED_VERSION}")
    return bool(n_before)


def write_version(version: int) -> None:
    """Write down the version of the database that the tables are bound to."""
    DatabaseVersion.insert1({"database_version": version}, skip_duplicates=True)


def read_columns(connection: Any, names: list[str]) -> Columns:
    """Names of the columns of every table of these database schemas, in one query."""
    listed = ", ".join(f"'{name}'" for name in names)
    found: Columns = {}
    for schema, table, column in connection.query(
        f"SELECT table_schema, table_name, column_name FROM information_schema.columns WHERE table_schema IN ({listed})"
    ):
        found.setdefault((schema, table), set()).add(column)
    return found
