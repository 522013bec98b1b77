"""Table classes bound to a database whose tables are not what they say, yet."""

from __future__ import annotations

from typing import Any

from datajoint.heading import Heading

from schemas.migrations.database import parts


def bind_tables(schemas: dict[str, Any], connection: Any) -> None:
    """Bind table classes, and create the database schemas that are missing, but no tables.

    DataJoint's own `activate` would also fill lookup tables, with values for columns that are not there yet.

    Parameters
    ----------
    schemas : dict
        DataJoint's schema by its name in the database.
    connection : datajoint.Connection
        Where they are.
    """
    for name, schema in schemas.items():
        schema.database, schema.connection = name, connection
        connection.register(schema)
        if not schema.exists:
            connection.query(connection.adapter.create_schema_sql(name))
        for cls, context in schema.declare_list:
            _bind_table(cls, schema, dict(context, self=cls, **{cls.__name__: cls}))
            for part in parts(cls):
                part._master = cls
                _bind_table(part, schema, dict(context, master=cls, self=part, **{cls.__name__: cls}))


def _bind_table(cls: Any, schema: Any, context: dict[str, Any]) -> None:
    cls.database, cls._connection, cls.declaration_context = schema.database, schema.connection, context
    info = {"conn": schema.connection, "database": schema.database, "table_name": cls.table_name, "context": context}
    cls._heading = Heading(table_info=info)
    cls._support = [cls.full_table_name]


def unbind_tables(schemas: dict[str, Any]) -> None:
    """Let the next `activate` bind the classes anew."""
    for schema in schemas.values():
        schema.database = None
