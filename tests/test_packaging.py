"""Version, date and contents of what is released agree, and a built wheel works outside the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
SETTINGS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT: dict[str, Any] = SETTINGS["project"]
PACKAGES = [
    name.removesuffix("*")
    for name in SETTINGS["tool"]["setuptools"]["packages"]["find"]["include"]
    if (ROOT / name.removesuffix("*")).is_dir()
]
CITATION: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text())


def test_version_and_date_are_the_same_everywhere() -> None:
    sections = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert sections[0] == (PROJECT["version"], CITATION["date-released"])
    assert CITATION["version"] == PROJECT["version"]


def test_the_citation_follows_its_format() -> None:
    """Citation File Format 1.2.0: the required keys, and no other than it knows."""
    assert CITATION["cff-version"] == "1.2.0"
    assert {"authors", "message", "title"} <= set(CITATION)
    known = {"abstract", "authors", "cff-version", "date-released", "keywords", "license", "message", "title", "type"}
    assert set(CITATION) <= known | {"version", "repository-code", "url", "doi"}
    assert CITATION["license"] == PROJECT["license"]
    assert all(
        set(author) <= {"name", "given-names", "family-names", "orcid", "affiliation"} for author in CITATION["authors"]
    )


def test_every_declared_package_has_a_tested_version() -> None:
    constraints = (ROOT / "constraints.txt").read_text().lower().replace("_", "-")
    tested = set(re.findall(r"^([a-z0-9.-]+)==", constraints, re.M))
    declared = [
        *PROJECT["dependencies"],
        *(line for name, extra in PROJECT["optional-dependencies"].items() if name != "gui" for line in extra),
    ]
    names = {re.split(r"[\[<>=]", line)[0].lower() for line in declared}
    assert names - {PROJECT["name"]} <= tested  # an extra may hold another


def test_every_package_says_that_it_has_types() -> None:
    assert all((ROOT / package / "py.typed").exists() for package in PACKAGES)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the tree, built from a copy: setuptools would also pack what an earlier build left behind."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in (*PACKAGES, "pyproject.toml", "README.md", "LICENSE"):
        source = ROOT / name
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(source, folder / name, ignore=ignored) if source.is_dir() else shutil.copy(source, folder)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder / "dist", folder]
    subprocess.run(command, check=True, capture_output=True)
    (built,) = (folder / "dist").iterdir()
    return built


@pytest.mark.slow
def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    packed = {name for name in names if not name.split("/")[0].endswith(".dist-info")}
    here = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == here
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program of a new environment that has the wheel, and sees the packages that are installed here."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True)
    subprocess.run([folder / "bin" / "pip", "install", "--quiet", "--no-deps", wheel], check=True, capture_output=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "packages.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(program: str, *words: object, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [str(folder / "bin" / program), *map(str, words)]
        environment = {**inherited, **variables}
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.mark.slow
def test_a_copied_lab_is_asked_exported_and_plotted_outside_the_checkout(
    installed: Callable[..., subprocess.CompletedProcess[str]], small_lab: Any, tmp_path: Path
) -> None:
    from pipeline.database.connection import close_connection, open_connection

    settings = small_lab.settings
    close_connection()
    try:
        subprocess.run(["cp", "-a", settings.data_folder, tmp_path / "lab"], check=True)  # with owners: PostgreSQL's
    finally:
        open_connection(settings)
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(parent.stat().st_mode | 0o011)  # root's PostgreSQL runs as another user
    where = installed("python", "-c", "import pipeline; print(pipeline.__file__)").stdout
    assert not where.startswith(str(ROOT))

    def orofacial(*words: object) -> str:
        options = ("--data-folder", tmp_path / "lab")
        return installed("orofacial", *options, *words, OROFACIAL_SCHEMA_PREFIX=settings.schema_prefix).stdout

    assert PROJECT["version"] in installed("orofacial", "--version").stdout
    orofacial("tracks", "--node", "jaw_tip", "--filter", "kalman", "-o", tmp_path / "jaw.csv")
    assert len((tmp_path / "jaw.csv").read_text().splitlines()) == 1 + 6 * 200  # 3 mice, 2 cameras
    orofacial("export", "slp", "-o", tmp_path / "slp")
    assert len(list((tmp_path / "slp").rglob("*.slp"))) == 6
    orofacial("report", "-o", tmp_path / "report.html")
    assert "<svg" in (tmp_path / "report.html").read_text() or "<img" in (tmp_path / "report.html").read_text()
