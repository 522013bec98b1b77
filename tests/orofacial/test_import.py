"""`import orofacial` is light, and knows when another module has the name of one of the project's packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(program: str, folder: Path, *, expect: int = 0, path: tuple[Path, ...] = (ROOT,)) -> str:
    """Run a program in a folder and a process of its own; return what it printed, or its last line of error."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DJ_", "OROFACIAL_"))}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, path))
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == expect, done.stderr
    return done.stdout if expect == 0 else done.stderr.split("\nImportError: ")[-1]


def imported_by(program: str, folder: Path) -> set[str]:
    said = f"import sys, json; before = set(sys.modules); {program}; print(json.dumps([*(set(sys.modules) - before)]))"
    return set(json.loads(run(said, folder)))


def test_the_import_brings_nothing_along(tmp_path: Path) -> None:
    imported = imported_by("import orofacial; dir(orofacial)", tmp_path)
    assert {name.split(".")[0] for name in imported} - sys.stdlib_module_names == {"orofacial"}


def test_tracks_need_neither_a_database_nor_torch(tmp_path: Path) -> None:
    imported = imported_by("import orofacial; orofacial.Tracks", tmp_path)
    assert "numpy" in imported
    assert not imported & {"datajoint", "torch", "pipeline", "schemas", "duckdb", "pydantic"}


def test_names_are_found_and_others_refused(tmp_path: Path) -> None:
    said = run("import orofacial; print(*orofacial.__all__, set(orofacial.__all__) <= set(dir(orofacial)))", tmp_path)
    assert said.split() == ["Lab", "Tracks", "connect", "read", "True"]
    program = """
import orofacial
from compute.tracks import Tracks
from orofacial import connect, read
import pipeline.lab
assert orofacial.Tracks is Tracks and connect is pipeline.lab.connect_lab and orofacial.Lab is pipeline.lab.Lab
try:
    orofacial.conect
except AttributeError as error:
    print(error)
"""
    assert run(program, tmp_path) == "module 'orofacial' has no attribute 'conect'; it has Lab, Tracks, connect, read\n"


@pytest.mark.parametrize("first", ["", "import compute; "])
def test_a_file_of_the_users_with_the_name_of_a_package_is_named(tmp_path: Path, first: str) -> None:
    (tmp_path / "compute.py").write_text("answer = 42\n")
    said = run(f"{first}import orofacial", tmp_path, expect=1)
    assert f"orofacial cannot be imported: compute is another module, and not orofacial's own package in {ROOT}" in said
    assert f"compute: {tmp_path / 'compute.py'}{' (imported already)' if first else ''}\n" in said
    assert "rename it, or start Python in another folder" in said


def test_packages_of_the_users_are_all_named_in_one_error(tmp_path: Path) -> None:
    site = tmp_path / "site"
    for name in ("schemas", "pipeline"):
        (site / name).mkdir(parents=True)
        (site / name / "__init__.py").touch()
    said = run("import orofacial", tmp_path, expect=1, path=(site, ROOT))
    assert "schemas and pipeline are another module" in said
    assert f"    schemas: {site / 'schemas'}\n    pipeline: {site / 'pipeline'}\n" in said
    assert "uninstall it, or give orofacial an environment of its own" in said


def test_a_module_made_by_hand_is_named(tmp_path: Path) -> None:
    program = "import sys, types; sys.modules['ingest'] = types.ModuleType('ingest'); import orofacial"
    assert "ingest: a module without a file (imported already)" in run(program, tmp_path, expect=1)


def test_other_modules_beside_are_no_matter(tmp_path: Path) -> None:
    (tmp_path / "analysis.py").write_text("import orofacial\nprint(orofacial.Tracks.__name__)\n")
    assert run("import analysis, compute.tracks, orofacial", tmp_path) == "Tracks\n"
