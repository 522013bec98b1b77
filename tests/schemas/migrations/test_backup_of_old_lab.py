"""A backup of an older version's database is restored as it was, on the same kind of server, and upgraded then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

PRINT = "print(sorted(map(repr, everything().items())))"

EMPTY = """
from pipeline.database.table_statements import drop_tables

drop_tables(connection, prefix)
"""

INTERRUPT = """
connection.query("CREATE DATABASE orofacial_worker")
connection.query("CREATE TABLE orofacial_worker.`~unfinished_restore` (begun INT)")
connection.query("CREATE DATABASE orofacial_track")
connection.query("CREATE TABLE orofacial_track.half (begun INT)")
"""
"""What a killed process leaves on MySQL, whose statements that make tables are committed one by one."""


def upgraded_answers(lab: Any, path: Path) -> dict[str, Any]:
    """All rows and answers after the upgrade, but for when that was."""
    lab.orofacial("upgrade")
    lab.run(HERE / "answers.py", path)
    said: dict[str, Any] = json.loads(path.read_text())
    del said["rows"]["worker.DatabaseVersion"]
    return said


def test_a_backup_of_an_older_version(old_lab: Any, tmp_path: Path) -> None:
    old_lab.orofacial("backup", tmp_path / "backup")
    before = old_lab.program(PRINT)
    expected = upgraded_answers(old_lab, tmp_path / "expected.json")
    folder = tmp_path / "other" / "data"
    folder.mkdir(parents=True)
    other = type(old_lab)(old_lab.backend, folder, old_lab.run_command, old_lab.server, old_lab.environment)
    if old_lab.backend == "mysql":
        other.program(EMPTY)
        other.program(INTERRUPT)
        assert "run that orofacial restore again" in other.orofacial("status", expect=1).replace("\n", " ")
    said = other.orofacial("restore", tmp_path / "backup")
    assert "next: orofacial upgrade" in said
    assert other.program(PRINT) == before
    assert upgraded_answers(other, tmp_path / "found.json") == expected
