"""Databases that commit 7ef26b9 made, on both backends, and programs that work on them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pymysql
import pytest
from servers import MariaDB

RunCommand = Callable[..., subprocess.CompletedProcess[str]]

REPOSITORY = Path(__file__).parents[3]
DATA = Path(__file__).parent / "data"

CONNECT = """
import warnings

warnings.simplefilter("ignore")  # what is printed is read as JSON
import schemas
from pipeline.database.connection import open_connection
from pipeline.settings import load_settings
from schemas.migrations.database import MigratedDatabase
from schemas.migrations.steps import MigrationStep
from schemas.migrations.upgrade import plan_tables_upgrade, upgrade_tables

settings = load_settings()
connection = open_connection(settings)
prefix = settings.schema_prefix


def everything():
    # Columns and rows of every table that there is, and its keys and references.
    query = connection.query
    found = {}
    for name in schemas.table_schema_names(prefix):
        tables = query(
            "SELECT table_name FROM information_schema.tables"
            f" WHERE table_schema = '{name}' AND table_type = 'BASE TABLE'"
        ).fetchall()
        for (table,) in tables:
            where = f"WHERE table_schema = '{name}' AND table_name = '{table}'"
            columns = query(
                "SELECT column_name, data_type, column_default, is_nullable, character_maximum_length"
                f" FROM information_schema.columns {where}"
            ).fetchall()
            keys = query(f"SELECT constraint_type FROM information_schema.table_constraints {where}").fetchall()
            rows = query(f"SELECT * FROM {connection.adapter.make_full_table_name(name, table)}").fetchall()
            rows = [[bytes(value) if isinstance(value, memoryview) else value for value in row] for row in rows]
            found[name, table] = [sorted(map(repr, part)) for part in (columns, keys, rows)]
    return found

"""
"""How a test's program begins."""


@dataclass
class OldLab:
    """A lab as commit 7ef26b9 left it.

    Attributes
    ----------
    backend : {"postgresql", "mysql"}
    data_folder : Path
        With the stores; of PostgreSQL, also with the embedded database.
    run_command : callable
        Runs a command or a program in a process of its own; see `tests/command_server.py`.
    server : MariaDB or None
        Where the database is, if it is not embedded.
    """

    backend: str
    data_folder: Path
    run_command: RunCommand
    server: MariaDB | None = None
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        return {"OROFACIAL_DATA_FOLDER": str(self.data_folder), "TZ": "UTC", **self.environment}

    def start(self, *command: object, **options: Any) -> subprocess.Popen[str]:
        """Start Python, with the lab configured."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DJ_", "OROFACIAL_"))}
        own = {"PYTHONPATH": str(REPOSITORY), **self.variables}
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", *map(str, command)],
            env={**inherited, **own},
            cwd=self.data_folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )

    def start_program(self, text: str, *arguments: object) -> subprocess.Popen[str]:
        """Start a program that is connected; see `CONNECT`."""
        return self.start("-c", CONNECT + text, *arguments)

    def run(self, *command: object, expect: int = 0) -> str:
        """Run Python, and return what it printed."""
        process = self.start(*command)
        out, err = process.communicate(timeout=300)
        assert process.returncode == expect, out + err
        return out + err

    def program(self, text: str, *arguments: object, expect: int = 0) -> str:
        """Run a program that is connected; see `CONNECT`."""
        return self._said(arguments, expect, program=CONNECT + text)

    def orofacial(self, *words: object, expect: int = 0) -> str:
        """Run the command."""
        return self._said(words, expect)

    def _said(self, words: tuple[object, ...], expect: int, **program: str) -> str:
        done = self.run_command(*words, **program, folder=self.data_folder, **self.variables)
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="session")
def restored_lab() -> ModuleType:
    """The module beside the dumps that restores them."""
    spec = importlib.util.spec_from_file_location("restored_lab", DATA / "restored_lab.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def restored_folder(restored_lab: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with PostgreSQL's dump, stopped; to be copied."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"  # initdb writes the time zone down
    try:
        folder = tmp_path_factory.mktemp("restored") / "data"
        restored_lab.restore_postgresql(folder)
    finally:
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    return folder


@pytest.fixture(scope="module")
def mariadb(request: pytest.FixtureRequest) -> Iterator[MariaDB]:
    """A MariaDB, empty."""
    if shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin") is None:
        pytest.fail("these tests need MariaDB's server: apt-get install mariadb-server")
    server = MariaDB()
    try:
        server.start("--default-time-zone=+00:00")
        yield server
    finally:
        server.stop()


@pytest.fixture(params=["postgresql", pytest.param("mysql", marks=pytest.mark.slow)])
def old_lab(
    request: pytest.FixtureRequest, restored_lab: ModuleType, run_command: RunCommand, tmp_path: Path
) -> OldLab:
    """A lab that commit 7ef26b9 left, the test's own."""
    folder = tmp_path / "data"
    if request.param == "postgresql":
        restored = request.getfixturevalue("restored_folder")
        subprocess.run(["cp", "-a", restored, folder], check=True)
        return OldLab("postgresql", folder, run_command)
    server: MariaDB = request.getfixturevalue("mariadb")
    with pymysql.connect(unix_socket=str(server.socket), user="root") as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT schema_name FROM information_schema.schemata WHERE schema_name REGEXP '^(orofacial|fresh)_'"
        )
        for (name,) in cursor.fetchall():
            cursor.execute("SET foreign_key_checks = 0")
            cursor.execute(f"DROP DATABASE `{name}`")
    folder.mkdir()
    restored_lab.restore_mysql(folder, port=server.port, user=server.user, password=server.password)
    return OldLab("mysql", folder, run_command, server, dict(server.environment))
