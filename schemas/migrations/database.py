"""What a step works on: the tables of both backends, changed the way DataJoint would have declared them."""

from __future__ import annotations

import re
from typing import Any

import datajoint as dj
from datajoint.declare import compile_attribute, declare
from datajoint.heading import Heading

from compute.errors import DatabaseError

_CHANGES_TABLES = re.compile(r"\s*(ALTER|CREATE|DROP|RENAME)\b", re.IGNORECASE)


class MigratedDatabase:
    """The database during an upgrade.

    Parameters
    ----------
    connection : datajoint.Connection
        Every table class is bound to it.
    prefix : str
        Start of the schemas' names.

    Attributes
    ----------
    backend : {"postgresql", "mysql"}
        The kind of database.
    prefix : str
    notes : list of str
        What people are told after the upgrade, such as jobs that are tried again.
    """

    def __init__(self, connection: Any, prefix: str) -> None:
        self.connection = connection
        self.backend: str = connection.adapter.backend
        self.prefix = prefix
        self.notes: list[str] = []
        self._adapter = connection.adapter

    def schema(self, module: str) -> str:
        """Name of a module's database schema, such as ``orofacial_track``."""
        return self.prefix + module

    def table(self, module: str, table_name: str) -> str:
        """Quoted full name of a table, such as ``"orofacial_track"."#filter_method"``."""
        return str(self._adapter.make_full_table_name(self.schema(module), table_name))

    def execute(self, sql: str, args: tuple[Any, ...] = ()) -> Any:
        """Run a statement; return the cursor. Values stand in `args`, for each ``%s``; without any, % is itself."""
        cursor = self.connection.query(sql, args=args or None)
        if _CHANGES_TABLES.match(sql):
            self._forget_headings()
        return cursor

    def rows(self, sql: str, args: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Rows that a query finds."""
        return [tuple(row) for row in self.execute(sql, args).fetchall()]

    def has_table(self, module: str, table_name: str) -> bool:
        """Whether there is such a table."""
        query = "SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND table_name = %s"
        return bool(self.rows(query, (self.schema(module), table_name)))

    def add_column(self, module: str, table_name: str, definition_line: str) -> None:
        """Add a column, as the last one.

        Parameters
        ----------
        module, table_name : str
            The table.
        definition_line : str
            As it stands in the table's definition, with a default: the rows that there are get it.
        """
        name, sql, _, comment = compile_attribute(definition_line, False, [], {}, self._adapter)
        if not re.match(r"\w+\s*=", definition_line.strip()):
            raise DatabaseError(f"column {name} of {table_name} needs a default for the rows that are there already")
        schema, table = self.schema(module), self.table(module, table_name)
        self._create_enum_types(schema, self._adapter.get_pending_enum_ddl(schema))
        self.execute(f"ALTER TABLE {table} ADD COLUMN {_with_schema(sql, schema)}")
        comment_ddl = self._adapter.column_comment_ddl(table, name, comment or "")
        if comment and comment_ddl:
            self.execute(comment_ddl)

    def collate_like_others(self, module: str) -> None:
        """Give a new schema the collation of the tables that it refers to: on MySQL it has the server's otherwise."""
        if self.backend == "mysql":
            ((collation,),) = self.rows(
                "SELECT table_collation FROM information_schema.tables WHERE table_schema = %s AND table_name = %s",
                (self.schema("model"), "model"),
            )
            self.execute(f"ALTER DATABASE `{self.schema(module)}` COLLATE {collation}")

    def create_table(self, table: type[dj.Table]) -> None:
        """Create a table and its parts from their definitions, where they are missing."""
        for cls in (table, *parts(table)):
            schema = cls.database
            instance = cls()
            if instance.is_declared:
                continue
            sql, _, primary_key, foreign_keys, before, after = declare(
                cls.full_table_name,
                cls.definition,
                cls.declaration_context,
                self._adapter,
                config=self.connection._config,
            )
            # Not DataJoint's own declare: on PostgreSQL it goes on after an enum type that is there already, and the
            # failed statement would have ended the transaction.
            self._create_enum_types(schema, before)
            for statement in (sql, *after):
                self.execute(_with_schema(statement, schema))
            instance._populate_lineage(primary_key, foreign_keys)
        self._forget_headings()

    def rename_table(self, module: str, table_name: str, new_name: str) -> None:
        """Rename a table, with its rows and whatever refers to it; not its parts, and its queue of jobs is dropped."""
        old, new = self.table(module, table_name), self.table(module, new_name)
        self._drop_jobs(module, table_name)
        if self.backend == "postgresql":
            self._make_way_for_indexes(module, table_name, new_name)
            self.execute(f"ALTER TABLE {old} RENAME TO {self._adapter.quote_identifier(new_name)}")
        else:
            self.execute(f"RENAME TABLE {old} TO {new}")
        self.execute(
            f"UPDATE {self.table(module, '~lineage')} SET table_name = %s WHERE table_name = %s", (new_name, table_name)
        )
        origin, new_origin = f"{self.schema(module)}.{table_name}.", f"{self.schema(module)}.{new_name}."
        for schema in self._schemas_with_lineage():
            lineage = self._adapter.make_full_table_name(schema, "~lineage")
            for table, attribute, line in self.rows(f"SELECT table_name, attribute_name, lineage FROM {lineage}"):
                if line.startswith(origin):
                    self.execute(
                        f"UPDATE {lineage} SET lineage = %s WHERE table_name = %s AND attribute_name = %s",
                        (new_origin + line.removeprefix(origin), table, attribute),
                    )

    def drop_table(self, module: str, table_name: str) -> None:
        """Drop a table that no other refers to, with its queue of jobs; its parts are dropped before it."""
        types = self._enum_types(module, table_name)
        self._drop_jobs(module, table_name)
        self.execute(f"DROP TABLE {self.table(module, table_name)}")
        self.execute(f"DELETE FROM {self.table(module, '~lineage')} WHERE table_name = %s", (table_name,))
        for name in types:
            self._drop_type_if_unused(module, name)

    def make_anew(self, module: str, table: type[dj.Table]) -> int:
        """Make a computed table anew from its definition, empty: workers fill it. Return how many rows it had."""
        ((n_rows,),) = self.rows(f"SELECT count(*) FROM {self.table(module, table.table_name)}")
        self.drop_table(module, table.table_name)
        self.create_table(table)
        return int(n_rows)

    def drop_stale_jobs(self) -> None:
        """Drop the queues of tables whose primary key is another one now; they are made anew, and filled by workers."""
        for schema in self._bound():
            module = schema.database.removeprefix(self.prefix)
            for cls, _ in schema.declare_list:
                queue = jobs_name(cls.table_name)
                if issubclass(cls, dj.Computed) and cls().is_declared and self.has_table(module, queue):
                    jobs = dj.FreeTable(self.connection, self.table(module, queue))
                    if list(jobs.primary_key) != list(cls().primary_key):
                        self._drop_jobs(module, cls.table_name)

    def _drop_jobs(self, module: str, table_name: str) -> None:
        """Drop a computed table's queue. What failed is tried again: an old job's key names no job of the new table."""
        queue = jobs_name(table_name)
        if not table_name.startswith("__") or not self.has_table(module, queue):
            return
        jobs = self.table(module, queue)
        ((n_failed,),) = self.rows(f"SELECT count(*) FROM {jobs} WHERE status = 'error'")
        self.execute(f"DROP TABLE {jobs}")
        class_name = "".join(word.capitalize() for word in table_name.lstrip("_").split("_"))
        self.execute(f"DELETE FROM {self.table('worker', 'crash')} WHERE table_name = %s", (class_name,))
        if n_failed:
            self.notes.append(
                f"{n_failed} failed jobs of {class_name} are forgotten, and tried again by the next worker"
            )

    def _forget_headings(self) -> None:
        """Let DataJoint read the tables' columns and references again."""
        for schema in self._bound():
            for cls, _ in schema.declare_list:
                for one in (cls, *parts(cls)):
                    one._heading = Heading(table_info=one._heading.table_info)
        self.connection.dependencies.clear()

    def _bound(self) -> list[Any]:
        """DataJoint's schemas of this project."""
        return [
            schema for schema in self.connection.schemas.values() if (schema.database or "").startswith(self.prefix)
        ]

    def _schemas_with_lineage(self) -> list[str]:
        query = "SELECT table_schema FROM information_schema.tables WHERE table_name = '~lineage'"
        return [schema for (schema,) in self.rows(query) if schema.startswith(self.prefix)]

    # PostgreSQL's own ------------------------------------------------------------------------------------------------

    def _make_way_for_indexes(self, module: str, table_name: str, new_name: str) -> None:
        """Rename a table's indexes with it: DataJoint names them after the table, and names are a schema's own."""
        query = "SELECT indexname FROM pg_indexes WHERE schemaname = %s AND tablename = %s"
        for (index,) in self.rows(query, (self.schema(module), table_name)):
            new_index = index.replace(table_name, new_name, 1)
            if new_index != index:
                quoted = self._adapter.quote_identifier(new_index)
                self.execute(f"ALTER INDEX {self.table(module, index)} RENAME TO {quoted}")

    def _create_enum_types(self, schema: str, statements: list[str]) -> None:
        """Create the types that are missing: named by a hash of the values, they are shared by a schema's tables."""
        there = set() if self.backend == "mysql" else {name for (name,) in self.rows(*_enum_types_of(schema))}
        for statement in statements:
            statement = _with_schema(statement, schema)
            if not any(f'"{name}"' in statement for name in there):
                self.execute(statement)

    def _enum_types(self, module: str, table_name: str) -> set[str]:
        """Names of the enum types that a table uses."""
        if self.backend == "mysql":
            return set()
        query = "SELECT udt_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
        used = {name for (name,) in self.rows(query, (self.schema(module), table_name))}
        return used & {name for (name,) in self.rows(*_enum_types_of(self.schema(module)))}

    def _drop_type_if_unused(self, module: str, name: str) -> None:
        query = "SELECT 1 FROM information_schema.columns WHERE udt_schema = %s AND udt_name = %s LIMIT 1"
        if not self.rows(query, (self.schema(module), name)):
            self.execute(f"DROP TYPE {self.table(module, name)}")


def jobs_name(table_name: str) -> str:
    """Name of a computed table's queue of jobs."""
    return f"~~{table_name.lstrip('_')}"


def parts(table: type) -> list[Any]:
    """The part tables of a table."""
    return [part for part in vars(table).values() if isinstance(part, type) and issubclass(part, dj.Part)]


def _enum_types_of(schema: str) -> tuple[str, tuple[str, ...]]:
    query = (
        "SELECT typname FROM pg_type JOIN pg_namespace n ON n.oid = typnamespace WHERE typtype = 'e' AND nspname = %s"
    )
    return query, (schema,)


def _with_schema(statement: str, schema: str) -> str:
    """A statement of DataJoint's, with the schema in its placeholder."""
    return statement.replace('"{database}".', f'"{schema}".')
