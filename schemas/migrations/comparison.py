"""Tables as they are in the database, compared with their definitions; DataJoint itself never does that."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from datajoint.declare import prepare_declare

import schemas
from schemas.binding import bind_tables, unbind_tables
from schemas.migrations.database import jobs_name, parts
from schemas.migrations.version import Columns, check_version, read_columns

_COLUMN = re.compile(
    r"""[`"](?P<name>\w+)[`"] (?P<type>.+?)(?P<null> NOT NULL)?(?: DEFAULT (?P<default>.+?))?(?: COMMENT .*)?"""
)
"""A column as DataJoint writes it into CREATE TABLE."""

_MARKED = re.compile(r":(.*?):(.*)")
"""A column's comment as DataJoint keeps it: the type as declared, then the text."""

_SAME_TYPE = {
    "timestampwithouttimezone": "timestamp",
    "longtext": "json",
    "bool": "tinyint(1)",
    "boolean": "tinyint(1)",
}
"""The servers' names for types that have another one in a definition."""


class _Column(NamedTuple):
    """What is compared of a column, as text."""

    type: str
    declared: str
    nullable: bool
    default: str
    comment: str


def table_differences(prefix: str, connection: Any) -> list[str]:
    """Differences between the tables and their definitions, a line each; nothing is changed.

    Raises
    ------
    OldDatabaseError
        If an older version of orofacial made the database.
    DatabaseError
        If a newer version of orofacial made the database.
    """
    bound = schemas.table_schemas(prefix)
    columns = read_columns(connection, list(bound))
    if check_version(connection, prefix, columns):
        return []  # a new database: the first command makes its tables
    try:
        bind_tables({name: schema for name, schema in bound.items() if schema_exists(name, columns)}, connection)
        return [line for name, schema in bound.items() for line in _of_schema(name, schema, columns, connection)]
    finally:
        unbind_tables(bound)


def schema_exists(name: str, columns: Columns) -> bool:
    """Whether a database schema has any table."""
    return any(schema == name for schema, _ in columns)


def _of_schema(name: str, schema: Any, columns: Columns, connection: Any) -> list[str]:
    found = []
    for master, _ in schema.declare_list:
        for cls in (master, *parts(master)):
            if (name, cls.table_name) not in columns:
                found.append(f"table {cls.__qualname__} ({name}.{cls.table_name}) is missing")
            else:
                found += [f"table {cls.__qualname__}: {line}" for line in _of_table(cls, connection)]
        queue = jobs_name(master.table_name)
        if master.table_name.startswith("__") and (name, master.table_name) in columns and (name, queue) not in columns:
            found.append(f"the job table of {master.__qualname__} ({name}.{queue}) is missing")
    return found


def _of_table(cls: Any, connection: Any) -> list[str]:
    defined, key = _defined(cls, connection)
    heading = cls().heading
    actual = {name: _actual(attribute) for name, attribute in heading.attributes.items()}
    lines = [f"column {name} is missing" for name in defined if name not in actual]
    lines += [f"column {name} is not in the definition" for name in actual if name not in defined]
    if sorted(heading.primary_key) != sorted(key):
        lines.append(f"primary key is {', '.join(heading.primary_key)}, defined {', '.join(key)}")
    for name in defined.keys() & actual.keys():
        for what, is_, should in zip(_Column._fields, actual[name], defined[name], strict=True):
            if is_ != should:
                lines.append(f"column {name}: {what} is {is_!r}, defined {should!r}")
    return sorted(lines)


def _defined(cls: Any, connection: Any) -> tuple[dict[str, _Column], list[str]]:
    """Columns as the definition says, by name, and the primary key's names."""
    adapter = connection.adapter
    _, key, lines, _, _, _, _, comments = prepare_declare(
        cls.definition, cls.declaration_context, adapter, table_name=cls.table_name, config=connection._config
    )
    adapter.get_pending_enum_ddl(cls.database)  # forgets them: nothing is declared here
    found = {}
    for line in lines:
        match = _COLUMN.fullmatch(line)
        if match is None:
            continue
        name = match["name"]
        # A column that comes with a reference has its parent's type and comment, and none of its own.
        marked = _MARKED.fullmatch(comments.get(name, ""))
        declared, comment = marked.groups() if marked else ("", "")
        found[name] = _Column(
            "" if declared.startswith("<") else _type(match["type"]),
            declared,
            match["null"] is None,
            _default(match["default"]),
            comment,
        )
    return found, key


def _actual(attribute: Any) -> _Column:
    """A column as DataJoint finds it."""
    is_codec = attribute.type.startswith("<")
    declared = attribute.type if is_codec else attribute.original_type or ""
    comment = (attribute.comment or "") if declared else ""
    return _Column(
        "" if is_codec else _type(attribute.type),
        declared,
        bool(attribute.nullable),
        _default(attribute.default),
        comment,
    )


def _type(text: str) -> str:
    plain = re.sub(r'^"[^"]*"\.|[" ]', "", text).lower()
    return _SAME_TYPE.get(plain, plain)


def _default(text: Any) -> str:
    """A default without the quotes and casts that each backend adds; empty: there is none, or it is null."""
    plain = re.sub(r"::[\w .\"]+$", "", str(text or "").strip('"')).strip("'\"").lower()
    plain = re.sub(r"^(current_timestamp)(\(\))?$", r"\1", plain)
    return {"null": "", "false": "0", "true": "1"}.get(plain, plain)
