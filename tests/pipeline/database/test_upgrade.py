"""`orofacial upgrade`, `db init` and the first command on a database that lacks a step.

The step is the test's own, after all that there are: `new` is an orofacial that has it, `old` is one that has not.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[3]

STEP = """
DESCRIPTION = "mice have cages"


def upgrade(database):
    database.execute(f"DELETE FROM {database.table('subject', 'mouse')}")
    database.add_column("subject", "mouse", "cage='' : varchar(16)  # where the mouse lives")
    # then
"""

WITH_STEP = """
import sys
from pipeline.database.datajoint_setup import import_datajoint

import_datajoint()
import schemas.migrations

schemas.migrations.__path__.append(sys.argv.pop(1))
from pipeline.cli import main

main()
"""

CONNECT = """
import schemas
from pipeline.database.connection import open_connection
from pipeline.settings import load_settings

settings = load_settings()
connection = open_connection(settings)
schemas.activate(settings.schema_prefix, connection)
from schemas.subject import Mouse
"""


@dataclass
class Lab:
    """A data folder, and folders that are configured as the test says."""

    folder: Path
    step: Path
    run_command: Callable[..., subprocess.CompletedProcess[str]]
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        return {"OROFACIAL_DATA_FOLDER": str(self.folder / "data"), **self.environment}

    def command(self, *words: object, step: bool) -> tuple[list[str], dict[str, str]]:
        start = ["-c", WITH_STEP, str(self.step)] if step else ["-m", "pipeline.cli"]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DJ_", "OROFACIAL_"))}
        own = {"PYTHONPATH": str(REPOSITORY), **self.variables}
        return [sys.executable, "-W", "ignore", *start, *map(str, words)], {**inherited, **own}

    def run(self, *words: object, step: bool, expect: int = 0, **environment: str) -> str:
        program = {"program": WITH_STEP} if step else {}
        named = (self.step, *words) if step else words
        done = self.run_command(*named, **program, folder=self.folder, **{**self.variables, **environment})
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout if expect == 0 else done.stdout + done.stderr

    def old(self, *words: object, expect: int = 0, **environment: str) -> str:
        return self.run(*words, step=False, expect=expect, **environment)

    def new(self, *words: object, expect: int = 0, **environment: str) -> str:
        return self.run(*words, step=True, expect=expect, **environment)

    def python(self, program: str) -> str:
        done = self.run_command(program=CONNECT + program, folder=self.folder, **self.variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def on_a_terminal(self, *words: object, answer: str) -> tuple[int, str]:
        """Run the new command as a person does, who answers its question."""
        command, variables = self.command(*words, step=True)
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.execve(command[0], command, {**variables, "TERM": "dumb", "COLUMNS": "200"})
        said = b""
        with contextlib.suppress(OSError):  # Linux: the program closed its end
            while part := os.read(terminal, 4096):
                said += part
                if b"[y/N]" in said and answer:
                    os.write(terminal, f"{answer}\n".encode())
                    answer = ""
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode()


def write_step(folder: Path, then: str = "") -> Path:
    folder.mkdir()
    (folder / "m9998_cages.py").write_text(STEP.replace("# then", then))
    return folder


@pytest.fixture
def lab(tmp_path: Path, run_command: Any) -> Lab:
    """A new embedded database with one mouse."""
    made = Lab(tmp_path, write_step(tmp_path / "step"), run_command)
    made.python('Mouse.insert1({"mouse_id": "mouse01"})')
    return made


MICE = "print(*Mouse.to_arrays('mouse_id'))"


def test_the_embedded_database_is_upgraded_after_a_backup_that_brings_it_back(lab: Lab) -> None:
    refused = lab.new("status", expect=1)
    assert "orofacial upgrade" in refused
    assert "9998: mice have cages" in lab.new("upgrade", "--dry-run")
    assert lab.python(MICE) == "mouse01\n"
    done = json.loads(lab.new("upgrade", "--json"))
    assert (done["version_after"], len(done["steps"])) == (9998, 1)
    assert Path(done["backup"]).parent == lab.folder / "data" / "backups"
    assert json.loads(lab.new("status", "--json"))["sessions"] == {}
    assert json.loads(lab.new("upgrade", "--json"))["steps"] == []
    newer = lab.old("status", expect=1)
    assert "9998" in newer and "Update orofacial" in newer
    subprocess.run(done["how_to_go_back"], shell=True, check=True)
    assert lab.python(MICE) == "mouse01\n"
    assert json.loads(lab.new("upgrade", "--json"))["version_after"] == 9998


def test_a_person_is_asked_by_the_first_command(lab: Lab) -> None:
    code, said = lab.on_a_terminal("status", answer="n")
    assert code == 1 and "mice have cages" in said and "orofacial upgrade" in said
    assert lab.python(MICE) == "mouse01\n"
    code, said = lab.on_a_terminal("status", answer="y")
    assert code == 0 and "backup:" in said and "to go back" in said
    assert not lab.new("status", expect=0).startswith("error")


def test_a_step_that_fails_leaves_the_database_and_says_so(lab: Lab) -> None:
    (lab.step / "m9998_cages.py").write_text(STEP.replace("# then", "raise RuntimeError('no cage')"))
    said = lab.new("upgrade", expect=1)
    assert "no cage" in said and "as it was before" in said.replace("\n", " ")
    assert lab.python(MICE) == "mouse01\n"


def test_an_embedded_database_in_use_is_not_upgraded(lab: Lab) -> None:
    command, variables = lab.command(step=False)
    command = [sys.executable, "-c", CONNECT + "print('connected', flush=True); input()"]
    with subprocess.Popen(
        command, env=variables, cwd=lab.folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == "connected\n"
        assert "other processes use" in lab.new("upgrade", expect=1)
        other.communicate("\n")
    assert lab.python(MICE) == "mouse01\n"
    lab.new("upgrade")


@pytest.mark.slow
def test_a_labs_server_is_upgraded_by_its_administrator_only(
    lab_server: Any, run_command: Callable[..., Any], tmp_path: Path
) -> None:
    lab = Lab(tmp_path, write_step(tmp_path / "step"), run_command)
    lab.old("db", "init", "--server", lab_server.url, DJ_PASS=lab_server.password)

    def role(name: str) -> dict[str, str]:
        password = (tmp_path / ".secrets" / f"{name}.password").read_text().strip()
        return lab_server.variables(f"orofacial_{name}", password)

    lab.old("status", **role("reader"))
    for name in ("reader", "ingester", "worker", "admin"):
        said = lab.new("status", expect=1, **role(name)).replace("\n", " ")
        assert "administrator" in said and "orofacial db init" in said
        assert "orofacial db init" in lab.new("upgrade", expect=1, **role(name)).replace("\n", " ")
        assert "mice have cages" in lab.new("upgrade", "--dry-run", **role(name))
    said = lab.new("db", "init", "--server", lab_server.url, DJ_PASS=lab_server.password)
    assert "to 9998" in said
    for name in ("reader", "ingester", "worker", "admin"):
        lab.new("status", **role(name))
        assert "Update orofacial" in lab.old("status", expect=1, **role(name)).replace("\n", " ")
