"""A copy of all tables on MySQL, whose statements that change tables cannot be rolled back.

The copy lies in a schema of its own, `<prefix>upgrade`, and is made before the first step:

1. every table is copied there, with the statement that creates it; the tables themselves are only read,
2. a row in ``begun`` says that the copy is whole; from here on the steps change the tables,
3. the new version is written into the database, by one insert: the upgrade is done,
4. the row is deleted, then the schema is dropped.

A step that fails is followed by `restore` at once. After a killed process the next upgrade looks at these marks and
does what is missing (`repair`): up to 2. nothing was changed; after 3. all was; in between the tables are restored.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from schemas.migrations.database import MigratedDatabase

_SCHEMA = "upgrade"


class SavedCopy:
    """The copy; see the module.

    Parameters
    ----------
    database : Database
        Its tables.
    names : list of str
        Its schemas; those that are not there yet are dropped by `restore`.
    """

    def __init__(self, database: MigratedDatabase, names: list[str]) -> None:
        self._database = database
        self._names = names
        self._begun = database.table(_SCHEMA, "begun")
        self._saved = database.table(_SCHEMA, "saved")

    def make(self, target: int) -> None:
        """Copy all tables, before an upgrade to the version `target`; without room for them, nothing stays."""
        try:
            self._copy(target)
        except Exception:
            with contextlib.suppress(Exception):
                self._database.execute(f"DROP DATABASE {self._quoted(self._schema)}")
            raise

    def _copy(self, target: int) -> None:
        run = self._database.execute
        run(f"CREATE DATABASE {self._quoted(self._schema)}")
        run(
            f"CREATE TABLE {self._saved} (copy_name VARCHAR(64) PRIMARY KEY, schema_name VARCHAR(64),"
            " table_name VARCHAR(64), statement MEDIUMTEXT) CHARACTER SET utf8mb4"
        )
        run(f"CREATE TABLE {self._begun} (target INT PRIMARY KEY)")
        for number, (schema, name) in enumerate(self._tables()):
            table, copy = self._full(schema, name), self._full(self._schema, f"copy{number}")
            run(f"CREATE TABLE {copy} LIKE {table}")
            run(f"INSERT INTO {copy} SELECT * FROM {table}")
            ((_, statement),) = self._database.rows(f"SHOW CREATE TABLE {table}")
            run(f"INSERT INTO {self._saved} VALUES (%s, %s, %s, %s)", (f"copy{number}", schema, name, statement))
        run(f"INSERT INTO {self._begun} VALUES (%s)", (target,))

    def restore(self) -> None:
        """Make every table as it was. It may be interrupted and done again."""
        saved = self._database.rows(f"SELECT copy_name, schema_name, table_name, statement FROM {self._saved}")
        run = self._database.execute
        run("SET SESSION foreign_key_checks = 0")
        try:
            for schema, name in self._tables():
                run(f"DROP TABLE {self._full(schema, name)}")
            for schema in self._existing() - {schema for _, schema, _, _ in saved}:
                run(f"DROP DATABASE {self._quoted(schema)}")
            for copy, schema, name, statement in saved:
                run(f"USE {self._quoted(schema)}")  # the statement names its own schema nowhere
                run(statement)
                run(f"INSERT INTO {self._full(schema, name)} SELECT * FROM {self._full(self._schema, copy)}")
        finally:
            run("SET SESSION foreign_key_checks = 1")
        self.discard()

    def discard(self) -> None:
        """Remove the copy."""
        self._database.execute(f"DELETE FROM {self._begun}")
        self._database.execute(f"DROP DATABASE {self._quoted(self._schema)}")

    def repair(self, version: Callable[[], int | None]) -> bool:
        """Finish what a killed process began; return whether the tables were restored.

        Parameters
        ----------
        version : callable
            Version of the database.
        """
        query = "SELECT 1 FROM information_schema.schemata WHERE schema_name = %s"
        if not self._database.rows(query, (self._schema,)):
            return False
        begun: list[tuple[int]] = []
        if self._database.has_table(_SCHEMA, "begun"):
            begun = self._database.rows(f"SELECT target FROM {self._begun}")
        if begun and (version() or 0) < begun[0][0]:
            self.restore()
            return True
        if begun:
            self._database.execute(f"DELETE FROM {self._begun}")
        self._database.execute(f"DROP DATABASE {self._quoted(self._schema)}")
        return False

    @property
    def _schema(self) -> str:
        return self._database.schema(_SCHEMA)

    def _existing(self) -> set[str]:
        query = "SELECT schema_name FROM information_schema.schemata"
        return {schema for (schema,) in self._database.rows(query)} & set(self._names)

    def _tables(self) -> list[tuple[str, str]]:
        """Schema and name of every table, DataJoint's hidden ones too."""
        listed = ", ".join("%s" for _ in self._names)
        query = (
            "SELECT table_schema, table_name FROM information_schema.tables"
            f" WHERE table_type = 'BASE TABLE' AND table_schema IN ({listed}) ORDER BY 1, 2"
        )
        return [(schema, name) for schema, name in self._database.rows(query, tuple(self._names))]

    def _full(self, schema: str, name: str) -> str:
        return f"{self._quoted(schema)}.{self._quoted(name)}"

    def _quoted(self, name: str) -> str:
        return str(self._database.connection.adapter.quote_identifier(name))
