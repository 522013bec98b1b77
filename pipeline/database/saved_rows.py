"""All rows of a lab in a folder, as they were at one moment, and back into an empty database of either kind.

Folder::

    tables/<schema>.<table>.jsonl.gz   a row a line, see `pipeline.database.table_rows`
    statements.json                    how the tables were made, for an older version's on a server of the same kind
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import schemas
from compute.errors import DatabaseError, OrofacialError
from compute.json_text import json_text
from compute.text import count_text
from pipeline.database.table_rows import (
    RowsHash,
    StoredTable,
    fitted_rows,
    full_name,
    hash_rows,
    insert_rows,
    lab_tables,
    read_rows,
    stored_tables,
)
from pipeline.database.table_statements import drop_tables, run_table_statements, table_statements
from schemas.binding import unbind_tables
from schemas.making.locks import holding_lock
from schemas.migrations.database import jobs_name, parts
from schemas.migrations.steps import newest_step
from schemas.migrations.upgrade import refuse_while_workers_run
from schemas.migrations.version import MOVED_VERSION, UNFINISHED_RESTORE
from schemas.session import Camera
from schemas.track import FilterMethod
from schemas.worker import DatabaseVersion, Worker

_VERSIONS = f"worker.{DatabaseVersion.table_name}"
_WORKERS = f"worker.{Worker.table_name}"


@dataclass(frozen=True)
class SavedTable:
    """A table's rows in a file: names of the columns in the order of the values, number and hash of the rows."""

    module: str
    name: str
    columns: tuple[str, ...]
    n_rows: int
    rows_hash: str

    @property
    def label(self) -> str:
        """Name for people and files, as of `StoredTable`."""
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class SavedRows:
    """What `save_rows` wrote: the kind and version of the database, and its tables, each after those it refers to."""

    backend: str
    database_version: int
    schema_prefix: str
    tables: tuple[SavedTable, ...]
    statements_hash: str

    @property
    def n_rows(self) -> int:
        """Rows of all tables."""
        return sum(table.n_rows for table in self.tables)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> SavedRows:
        """Out of what `compute.json_text` made of it."""
        tables = tuple(SavedTable(**{**one, "columns": tuple(one["columns"])}) for one in found["tables"])
        return cls(**{**found, "tables": tables})


@contextmanager
def rows_of_one_moment(connection: Any, prefix: str) -> Iterator[tuple[list[StoredTable], list[str]]]:
    """See the rows of all tables as they are now, whatever others change meanwhile.

    Yields
    ------
    list of StoredTable, list of str
        The tables, and the statements that made them.

    Raises
    ------
    DatabaseError
        If there are no tables.
    """
    backend = connection.adapter.backend
    # Whoever makes or upgrades tables is waited for, and later waits until the rows were read.
    with holding_lock(connection, f"{prefix} tables"):
        if backend == "mysql":
            connection.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.start_transaction()
        try:
            if backend == "postgresql":
                connection.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            tables = lab_tables(connection, prefix)
            if backend == "postgresql":
                listed = ", ".join(full_name(connection, prefix, table) for table in tables)
                connection.query(f"LOCK TABLE {listed} IN ACCESS SHARE MODE")
            statements = table_statements(connection, prefix, tables)
        except BaseException:
            connection.cancel_transaction()
            raise
    try:
        yield tables, statements
    finally:
        connection.cancel_transaction()  # nothing was changed


def save_rows(
    connection: Any, prefix: str, tables: list[StoredTable], statements: list[str], folder: Path
) -> SavedRows:
    """Write all rows into an empty folder; within `rows_of_one_moment`."""
    (folder / "tables").mkdir()
    (folder / "statements.json").write_text(json_text(statements), encoding="utf-8")
    saved, version = [], 0
    quote = connection.adapter.quote_identifier
    for table in tables:
        condition = ""
        if table.label == _VERSIONS:
            condition = f"WHERE {quote('database_version')} < {MOVED_VERSION}"
            query = f"SELECT max({quote('database_version')}) FROM {full_name(connection, prefix, table)} {condition}"
            version = connection.query(query).fetchone()[0] or 0
        with gzip.open(_rows_file(folder, table), "wt", compresslevel=3, encoding="utf-8") as file:
            found = hash_rows(_written(read_rows(connection, prefix, table, condition), file))
        names = tuple(column.name for column in table.columns)
        saved.append(SavedTable(table.module, table.name, names, found.n_rows, found.rows_hash))
    return SavedRows(connection.adapter.backend, version, prefix, tuple(saved), _hash_of(folder / "statements.json"))


def _written(rows: Iterator[list[Any]], file: TextIO) -> Iterator[list[Any]]:
    for row in rows:
        file.write(json_text(row) + "\n")
        yield row


def check_saved_rows(folder: Path, saved: SavedRows) -> None:
    """Read all rows of a folder, and compare number and hash with what is known of them.

    Raises
    ------
    DatabaseError
        If a file is missing or another: which, expected and found.
    """
    found_hash = _hash_of(folder / "statements.json")
    if found_hash != saved.statements_hash:
        raise damaged_file(folder / "statements.json", saved.statements_hash, found_hash)
    for table in saved.tables:
        expected = str(RowsHash(table.n_rows, table.rows_hash))
        try:
            found = str(hash_rows(_saved_rows(folder, table)))
        except (OSError, EOFError, ValueError, zlib.error) as error:
            found = str(error) or type(error).__name__
        if found != expected:
            raise damaged_file(_rows_file(folder, table), expected, found)


def damaged_file(path: Path, expected: str, found: str) -> DatabaseError:
    """The error for a file of a backup that is not what was written."""
    return DatabaseError(
        f"{path}: the backup is not whole: expected {expected}, found {found}. Nothing was restored. Take an earlier"
        " one (--snapshot), or copy that file anew from where the backup was copied"
    )


def needs_rows(connection: Any, prefix: str, folder: Path, saved: SavedRows) -> bool:
    """Whether a database is empty and can have these rows; False if it has exactly them already.

    Raises
    ------
    DatabaseError
        If it has others, or cannot have these: why, and what to do.
    """
    if saved.schema_prefix != prefix:
        raise DatabaseError(
            f"the backup is of a lab with schema_prefix {saved.schema_prefix!r}, this one's is {prefix!r}. Set"
            f" OROFACIAL_SCHEMA_PREFIX={saved.schema_prefix}, or schema_prefix in settings.toml, and try again"
        )
    if saved.database_version > newest_step():
        raise DatabaseError(
            f"the backup is of database version {saved.database_version}, and this orofacial knows versions up to"
            f" {newest_step()}. Update orofacial here, then restore it"
        )
    backend = connection.adapter.backend
    if not _is_defined_here(saved) and saved.backend != backend:
        raise DatabaseError(
            f"the backup has tables of another version (database version {saved.database_version}) or of the lab's own"
            f" ({', '.join(_unknown_tables(saved)) or 'none'}), which only a {saved.backend} server can hold, and this"
            f" is {backend}. Restore it there, run orofacial upgrade, and move it then: orofacial move-to"
        )
    tables = stored_tables(connection, prefix)
    if _is_unfinished(tables):
        return True
    filled = _filled_tables(connection, prefix, tables)
    if filled and not _has_rows(connection, prefix, tables, folder, saved):
        raise DatabaseError(
            f"{connection.name} is not empty: {', '.join(filled[:3])}{' ...' if len(filled) > 3 else ''}. A backup is"
            " restored into an empty lab only, so that no row is lost: name another data folder (OROFACIAL_DATA_FOLDER"
            " or --data-folder) or another database of the server"
        )
    if not filled and any(table.label == _WORKERS for table in tables):
        refuse_while_workers_run(prefix, connection)
    return not filled


def load_rows(connection: Any, prefix: str, folder: Path, saved: SavedRows) -> None:
    """Fill an empty database with the rows of a folder, and read them back: all of them or none.

    Nothing is done where exactly these rows are there already.

    Raises
    ------
    DatabaseError
        As of `needs_rows`, or if rows cannot be inserted or are not read back the same.
    """
    with holding_lock(connection, f"{prefix} tables"):
        if not needs_rows(connection, prefix, folder, saved):
            return
        if _is_unfinished(stored_tables(connection, prefix)):
            drop_tables(connection, prefix)
        if _is_defined_here(saved):
            schemas.activate(prefix, connection)
            with connection.transaction:
                _fill(connection, prefix, folder, saved)
            return
        unbind_tables(schemas.table_schemas(prefix))
        statements = json.loads((folder / "statements.json").read_text(encoding="utf-8"))
        if connection.adapter.backend == "postgresql":
            with connection.transaction:
                drop_tables(connection, prefix)
                run_table_statements(connection, statements)
                _fill(connection, prefix, folder, saved)
            return
        # MySQL commits each statement: a mark says that the tables are not whole yet.
        drop_tables(connection, prefix)
        mark = connection.adapter.make_full_table_name(f"{prefix}worker", UNFINISHED_RESTORE)
        run_table_statements(connection, [f"CREATE DATABASE `{prefix}worker`", f"CREATE TABLE {mark} (begun INT)"])
        run_table_statements(connection, statements)
        with connection.transaction:
            _fill(connection, prefix, folder, saved)
        connection.query(f"DROP TABLE {mark}")


def _is_unfinished(tables: list[StoredTable]) -> bool:
    return any(table.label == f"worker.{UNFINISHED_RESTORE}" for table in tables)


def _is_defined_here(saved: SavedRows) -> bool:
    """Whether the tables are those that this version of the code defines."""
    return saved.database_version == newest_step() and not _unknown_tables(saved)


def _fill(connection: Any, prefix: str, folder: Path, saved: SavedRows) -> None:
    """Replace the rows of all tables, and read them back; within a transaction."""
    there = {table.label: table for table in stored_tables(connection, prefix)}
    for table in reversed(there.values()):
        connection.query(f"DELETE FROM {full_name(connection, prefix, table)}")
    for one in saved.tables:
        table = there[one.label].in_order(one.columns)
        try:
            expected = insert_rows(connection, prefix, table, _saved_rows(folder, one))
        except OrofacialError:
            raise
        except Exception as error:  # psycopg2's and pymysql's have no common base
            reason = " ".join(str(part) for part in error.args).partition("\n")[0]
            raise DatabaseError(
                f"table {one.label}: its rows could not be inserted ({reason}). The database is empty as before; mend"
                " what is named there, and restore again"
            ) from error
        found = hash_rows(read_rows(connection, prefix, table))
        if found != expected or found.n_rows != one.n_rows:
            raise DatabaseError(
                f"table {one.label}: {expected} were inserted, and {found} read back. The database is empty as before;"
                " see the server's log"
            )


def _unknown_tables(saved: SavedRows) -> list[str]:
    """Tables that this version of the code does not define."""
    known = set()
    for module, schema in zip(schemas.table_schema_names(""), schemas.table_schemas("").values(), strict=True):
        for cls, _ in schema.declare_list:
            known |= {f"{module}.{one.table_name}" for one in (cls, *parts(cls))}
            known.add(f"{module}.{jobs_name(cls.table_name)}")
    return [table.label for table in saved.tables if table.label not in known and not _is_datajoints(table.name)]


def _is_datajoints(name: str) -> bool:
    """Whether DataJoint keeps its own books in such a table, and makes it with the schema."""
    return name.startswith("~") and not name.startswith("~~")


def _filled_tables(connection: Any, prefix: str, tables: list[StoredTable]) -> list[str]:
    """Tables with more rows than a new lab has."""
    from compute.filters import registered_filters

    first_rows = {
        f"session.{Camera.table_name}": len(Camera.contents),
        f"track.{FilterMethod.table_name}": sum(len(one.methods) for one in registered_filters().values()),
    }
    found = []
    for table in tables:
        if table.name.startswith("~") or table.label in (_VERSIONS, _WORKERS):
            continue
        (n_rows,) = connection.query(f"SELECT count(*) FROM {full_name(connection, prefix, table)}").fetchone()
        if n_rows > first_rows.get(table.label, 0):
            found.append(f"{table.label} ({count_text(n_rows, 'row')})")
    return found


def _has_rows(connection: Any, prefix: str, tables: list[StoredTable], folder: Path, saved: SavedRows) -> bool:
    """Whether the database has exactly the saved rows; jobs and workers aside, which go on."""
    there = {table.label: table for table in tables}
    for one in saved.tables:
        if one.name.startswith("~") or one.label in (_VERSIONS, _WORKERS):
            continue
        if one.label not in there or set(one.columns) != {column.name for column in there[one.label].columns}:
            return False
        table = there[one.label].in_order(one.columns)
        expected = hash_rows(fitted_rows(_saved_rows(folder, one), table))
        with connection.transaction:
            found = hash_rows(read_rows(connection, prefix, table))
        if found != expected:
            return False
    return True


def _saved_rows(folder: Path, table: SavedTable) -> Iterator[list[Any]]:
    with gzip.open(_rows_file(folder, table), "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _rows_file(folder: Path, table: SavedTable | StoredTable) -> Path:
    return folder / "tables" / f"{table.label}.jsonl.gz"


def _hash_of(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return "no such file"
