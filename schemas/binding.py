"""Table classes bound to the tables of a database, without asking it: who binds knows that they are there."""

from __future__ import annotations

from typing import Any

from datajoint import Computed
from datajoint.heading import Heading
from datajoint.jobs import Job

from schemas.migrations.database import parts


class JobTable(Job):
    """The job table of a computed table.

    DataJoint makes a new one for each object of the table, and asks for all foreign keys of the database each time, to
    know how it would be declared. This one asks only when it is declared.
    """

    def _generate_definition(self) -> str:
        return ""

    @property
    def definition(self) -> str:
        """The table's definition in DataJoint's language."""
        return str(super()._generate_definition())


def bind_tables(schemas: dict[str, Any], connection: Any) -> None:
    """Bind table classes with their parts and job tables. Nothing is asked, created or inserted.

    DataJoint's own `activate` asks several things about each table, and fills lookup tables.

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
    if issubclass(cls, Computed):
        cls._jobs = JobTable(cls())


def unbind_tables(schemas: dict[str, Any]) -> None:
    """Let the next `activate` bind the classes anew."""
    for schema in schemas.values():
        schema.database = None


def create_schemas(schemas: dict[str, Any]) -> None:
    """Create the database schemas that are missing, of classes that are bound; no tables."""
    for name, schema in schemas.items():
        if not schema.exists:
            schema.connection.query(schema.connection.adapter.create_schema_sql(name))
