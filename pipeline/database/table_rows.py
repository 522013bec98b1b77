"""Rows of a lab's tables as JSON, the same from PostgreSQL and from MySQL, and back into either.

A row is a list with a value for each column: numbers, text and null as they are, what a column of JSON holds as JSON,
dates and times in ISO 8601, bytes in base64, true and false as 1 and 0.
"""

from __future__ import annotations

import base64
import graphlib
import hashlib
import itertools
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import schemas
from compute.errors import DatabaseError
from compute.json_text import json_text
from compute.text import count_text

_N_FETCHED, _N_INSERTED = 5000, 1000
_JSON_TYPES = {"json", "jsonb", "longtext"}
"""MariaDB keeps JSON as ``longtext``, which this project uses for nothing else."""


@dataclass(frozen=True)
class StoredColumn:
    """A column as the server describes it: its type, and for times how many digits of a second it keeps."""

    name: str
    type: str
    n_digits: int


@dataclass(frozen=True)
class StoredTable:
    """A table as it is in the database: its schema without the lab's prefix, its name, its columns in order."""

    module: str
    name: str
    columns: tuple[StoredColumn, ...]

    @property
    def label(self) -> str:
        """Name for people and files, such as ``track.__filtered_track``."""
        return f"{self.module}.{self.name}"

    def in_order(self, names: Sequence[str]) -> StoredTable:
        """The same table with its columns in this order.

        Raises
        ------
        DatabaseError
            If it has other columns.
        """
        by_name = {column.name: column for column in self.columns}
        if set(names) != set(by_name):
            raise DatabaseError(
                f"table {self.label} has the columns {', '.join(sorted(by_name))} in this database, and"
                f" {', '.join(sorted(names))} in the backup; 'orofacial doctor' says how the database differs"
            )
        return StoredTable(self.module, self.name, tuple(by_name[name] for name in names))


@dataclass(frozen=True)
class RowsHash:
    """Number and hash of a table's rows: the sum of the rows' SHA-256, so that their order does not matter."""

    n_rows: int
    rows_hash: str

    def __str__(self) -> str:
        return f"{count_text(self.n_rows, 'row')} with hash {self.rows_hash}"


def hash_rows(rows: Iterable[list[Any]]) -> RowsHash:
    """Go through rows, and hash them.

    Examples
    --------
    >>> hash_rows([[1, "a"], [2, "b"]]) == hash_rows([[2, "b"], [1.0, "a"]])
    True
    """
    n_rows = total = 0
    for row in rows:
        line = json_text([_same_on_both(value) for value in row], sort_keys=True)
        total += int.from_bytes(hashlib.sha256(line.encode()).digest(), "big")
        n_rows += 1
    return RowsHash(n_rows, f"{total % 2**256:064x}")


def stored_tables(connection: Any, prefix: str) -> list[StoredTable]:
    """All tables in the lab's schemas, DataJoint's hidden ones too, each after those that it refers to."""
    names = schemas.table_schema_names(prefix)
    listed = ", ".join("%s" for _ in names)
    rows = connection.query(
        "SELECT c.table_schema, c.table_name, c.column_name, c.data_type, c.datetime_precision"
        " FROM information_schema.columns c JOIN information_schema.tables t"
        " ON t.table_schema = c.table_schema AND t.table_name = c.table_name"
        f" WHERE t.table_type = 'BASE TABLE' AND c.table_schema IN ({listed})"
        " ORDER BY c.table_schema, c.table_name, c.ordinal_position",
        args=names,
    ).fetchall()
    columns: dict[tuple[str, str], list[StoredColumn]] = {}
    for schema, table, column, kind, n_digits in rows:
        columns.setdefault((schema, table), []).append(StoredColumn(column, kind, n_digits or 0))
    parents: dict[tuple[str, str], set[tuple[str, str]]] = {key: set() for key in columns}
    for child_schema, child, parent_schema, parent in connection.query(_REFERENCES[connection.adapter.backend]):
        if (child_schema, child) in columns and (parent_schema, parent) in columns:
            parents[child_schema, child].add((parent_schema, parent))
    order = graphlib.TopologicalSorter({key: found - {key} for key, found in parents.items()}).static_order()
    return [StoredTable(schema.removeprefix(prefix), name, tuple(columns[schema, name])) for schema, name in order]


def lab_tables(connection: Any, prefix: str) -> list[StoredTable]:
    """`stored_tables` of a database that has some.

    Raises
    ------
    DatabaseError
        If there are none.
    """
    tables = stored_tables(connection, prefix)
    if not tables:
        raise DatabaseError(f"{connection.name}: there are no tables of a lab; check the data folder and schema_prefix")
    return tables


_REFERENCES = {
    "postgresql": (
        "SELECT cn.nspname, c.relname, pn.nspname, p.relname FROM pg_constraint k"
        " JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace"
        " JOIN pg_class p ON p.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE k.contype = 'f'"
    ),
    "mysql": (
        "SELECT constraint_schema, table_name, unique_constraint_schema, referenced_table_name"
        " FROM information_schema.referential_constraints"
    ),
}
"""Schema and name of every table that refers to another, and of the other."""


def full_name(connection: Any, prefix: str, table: StoredTable) -> str:
    """A table's quoted name in the database."""
    return str(connection.adapter.make_full_table_name(prefix + table.module, table.name))


def read_rows(connection: Any, prefix: str, table: StoredTable, condition: str = "") -> Iterator[list[Any]]:
    """Rows of a table, in any order; only within a transaction, and nothing else may be asked meanwhile."""
    quote, backend = connection.adapter.quote_identifier, connection.adapter.backend
    texts = {"json", "jsonb"} if backend == "postgresql" else set()  # psycopg2 would parse them its own way
    columns = [quote(column.name) + ("::text" if column.type in texts else "") for column in table.columns]
    query = f"SELECT {', '.join(columns)} FROM {full_name(connection, prefix, table)} {condition}"
    kinds = [column.type for column in table.columns]
    for row in _streamed(connection, query):
        yield [_as_json(value, kind) for value, kind in zip(row, kinds, strict=True)]


def _streamed(connection: Any, query: str) -> Iterator[tuple[Any, ...]]:
    """Rows of a query, some at a time: a table may be larger than the memory."""
    if connection.adapter.backend == "postgresql":
        connection.query(f"DECLARE rows_read NO SCROLL CURSOR FOR {query}", args=None)
        while rows := connection.query(f"FETCH {_N_FETCHED} FROM rows_read").fetchall():
            yield from rows
        connection.query("CLOSE rows_read")
        return
    import pymysql

    with connection._conn.cursor(pymysql.cursors.SSCursor) as cursor:
        cursor.execute(query)
        while rows := cursor.fetchmany(_N_FETCHED):
            yield from rows


def insert_rows(connection: Any, prefix: str, table: StoredTable, rows: Iterable[list[Any]]) -> RowsHash:
    """Insert rows into an empty table; within a transaction. Return what it is to hold then."""
    quote = connection.adapter.quote_identifier
    columns = ", ".join(quote(column.name) for column in table.columns)
    statement = f"INSERT INTO {full_name(connection, prefix, table)} ({columns}) VALUES "
    with connection._conn.cursor() as cursor:
        return hash_rows(_inserted(fitted_rows(rows, table), table, cursor, statement, connection.adapter.backend))


def _inserted(
    rows: Iterator[list[Any]], table: StoredTable, cursor: Any, statement: str, backend: str
) -> Iterator[list[Any]]:
    """Insert rows, many with one statement, and pass them on."""
    while batch := list(itertools.islice(rows, _N_INSERTED)):
        values = [
            tuple(_as_sql(value, column.type) for value, column in zip(row, table.columns, strict=True))
            for row in batch
        ]
        if backend == "postgresql":
            from psycopg2.extras import execute_values

            execute_values(cursor, statement + "%s", values, page_size=_N_INSERTED)
        else:
            cursor.executemany(f"{statement}({', '.join('%s' for _ in table.columns)})", values)
        yield from batch


def fitted_rows(rows: Iterable[list[Any]], table: StoredTable) -> Iterator[list[Any]]:
    """Rows as a table can hold them: MySQL's times are of whole seconds, and would be rounded to the next."""
    for row in rows:
        yield [_cut_time(value, column) for value, column in zip(row, table.columns, strict=True)]


def _cut_time(value: Any, column: StoredColumn) -> Any:
    if value is None or column.n_digits > 0 or not column.type.startswith(("timestamp", "datetime")):
        return value
    return value.partition(".")[0]


def _as_json(value: Any, kind: str) -> Any:
    """A value of the database's client as JSON can hold it."""
    if value is None:
        return None
    if kind in _JSON_TYPES:
        return json.loads(value)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value).rstrip(" ") if kind in {"character", "char"} else str(value)  # PostgreSQL pads with blanks


def _as_sql(value: Any, kind: str) -> Any:
    """A value of `_as_json` as the client takes it for such a column."""
    if value is None:
        return None
    if kind in _JSON_TYPES:
        return json_text(value, ascii_only=True)  # as DataJoint writes it
    if kind == "boolean":
        return bool(value)
    if kind == "bytea" or kind.endswith(("blob", "binary")):
        return base64.b64decode(value)
    return value


def _same_on_both(value: Any) -> Any:
    """A value with whole numbers as such: the servers write 1e20 in JSON in ways of their own."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _same_on_both(item) for name, item in value.items()}
    return [_same_on_both(item) for item in value] if isinstance(value, list) else value
