"""Which tables of the database refer to a table, directly or through others, and by which columns: asked of the server.

Also tables that are none of this project's, such as a lab's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_POSTGRESQL = """
    SELECT child_schema.nspname, child.relname, parent_schema.nspname, parent.relname, reference.oid::text,
        child_column.attname, parent_column.attname
    FROM pg_constraint reference
    CROSS JOIN LATERAL unnest(reference.conkey, reference.confkey) AS pair (child, parent)
    JOIN pg_class child ON child.oid = reference.conrelid
    JOIN pg_namespace child_schema ON child_schema.oid = child.relnamespace
    JOIN pg_class parent ON parent.oid = reference.confrelid
    JOIN pg_namespace parent_schema ON parent_schema.oid = parent.relnamespace
    JOIN pg_attribute child_column ON child_column.attrelid = child.oid AND child_column.attnum = pair.child
    JOIN pg_attribute parent_column ON parent_column.attrelid = parent.oid AND parent_column.attnum = pair.parent
    WHERE reference.contype = 'f'
"""

_MYSQL = """
    SELECT table_schema, table_name, referenced_table_schema, referenced_table_name, constraint_name, column_name,
        referenced_column_name
    FROM information_schema.key_column_usage WHERE referenced_table_name IS NOT NULL
"""

Name = tuple[str, str]
"""Schema and table."""


@dataclass(frozen=True)
class Reference:
    """A table that holds columns of another one's key.

    Attributes
    ----------
    table_name : str
        Quoted full name.
    columns : dict of str to str
        Its columns, by the column that each holds.
    is_direct : bool
        Whether it refers to that table itself.
    """

    table_name: str
    columns: dict[str, str]
    is_direct: bool


def references_to(table: Any, columns: list[str]) -> list[Reference]:
    """The tables that hold these columns of a table's key by foreign keys, each after those that it refers to."""
    connection = table.connection
    rows = connection.query(_POSTGRESQL if connection.adapter.backend == "postgresql" else _MYSQL).fetchall()
    edges: dict[tuple[Name, Name, str], dict[str, str]] = {}
    for child_schema, child, parent_schema, parent, name, child_column, parent_column in rows:
        key = ((parent_schema, parent), (child_schema, child), f"{child_schema}.{name}")
        edges.setdefault(key, {})[parent_column] = child_column
    root = (table.database, table.table_name)
    held: dict[Name, dict[str, str]] = {root: {column: column for column in columns}}
    depths = {root: 0}
    changed = True
    while changed:
        changed = False
        for (parent_name, child_name, _), pairs in edges.items():
            if parent_name not in held or child_name == parent_name:
                continue
            found = {column: pairs[own] for column, own in held[parent_name].items() if own in pairs}
            depth = depths[parent_name] + 1
            if len(found) == len(columns) and depths.get(child_name, -1) < depth:
                held[child_name], depths[child_name], changed = found, depth, True
    direct = {child for parent, child, _ in edges if parent == root}
    return [
        Reference(connection.adapter.make_full_table_name(*name), held[name], name in direct)
        for name in sorted(held, key=lambda one: depths[one])
        if name != root
    ]


def may_update_unchecked(connection: Any) -> bool:
    """Whether this user may update rows without a check of each reference: everybody on MySQL, else a superuser."""
    if connection.adapter.backend == "mysql":
        return True
    return bool(connection.query("SELECT usesuper FROM pg_user WHERE usename = current_user").fetchone()[0])


@contextmanager
def unchecked_references(connection: Any) -> Iterator[None]:
    """Inside of a transaction, let updates neither check references nor cascade: all rows are updated one by one."""
    postgres = connection.adapter.backend == "postgresql"
    off, on = (
        ("SET LOCAL session_replication_role = replica", "SET LOCAL session_replication_role = origin")
        if postgres
        else ("SET SESSION foreign_key_checks = 0", "SET SESSION foreign_key_checks = 1")
    )
    connection.query(off)
    try:
        yield
    except BaseException:
        if not postgres:  # there it ends with the transaction
            connection.query(on)
        raise
    connection.query(on)
