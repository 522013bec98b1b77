"""The recipes of CONTRIBUTING.md hold: what they name exists, and nothing that they ask for was forgotten."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import datajoint as dj
import pytest

import compute.estimators
import compute.filters
import compute.formats
import compute.measures
import schemas
from compute.filters import registered_filters
from compute.formats import FORMATS
from pipeline.cli import COMMANDS
from pipeline.query.question import Question
from pipeline.work.jobs import TABLES
from pipeline.work.status import STAGES
from schemas.session import METADATA, Session, Video
from schemas.subject import Mouse

ROOT = Path(__file__).parent.parent
RECIPES = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TESTS = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("test_*.py")))


def modules_of(package: Any) -> list[pkgutil.ModuleInfo]:
    return list(pkgutil.iter_modules(package.__path__, f"{package.__name__}."))


SCHEMA_MODULES = [
    module
    for found in modules_of(schemas)
    if not found.ispkg and hasattr(module := importlib.import_module(found.name), "schema")
]
ALL_TABLES = [
    table
    for module in SCHEMA_MODULES
    for cls, _ in module.schema.declare_list
    for table in (cls, *(part for part in vars(cls).values() if isinstance(part, type) and issubclass(part, dj.Part)))
]


OLD_NUMBERS = {"fps_denominator", "pid", *(f"score_p{level}" for level in ("25", "50", "75", "95"))}
"""Columns of the first version. To change a comment takes a migration."""


def named(expression: str) -> list[str]:
    """What CONTRIBUTING.md names in backticks, of one form."""
    words = sorted(set(re.findall(r"`([^`\n]+)`", RECIPES)))
    return [word for word in words if re.fullmatch(expression, word)]


@pytest.mark.parametrize("path", named(r"[\w.-]+/[\w./-]*"))
def test_every_path_that_is_named_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("name", named(r"(compute|schemas|ingest|pipeline|orofacial)\.[\w.]+"))
def test_every_name_of_the_code_exists(name: str) -> None:
    thing, rest = importlib.import_module(name.split(".")[0]), name.split(".")[1:]
    for index, part in enumerate(rest):
        if not hasattr(thing, part):
            importlib.import_module(".".join([name.split(".")[0], *rest[: index + 1]]))
        thing = getattr(thing, part)


@pytest.mark.parametrize("words", named(r"orofacial [a-z -]+.*"))
def test_every_command_that_is_named_exists(words: str) -> None:
    assert words.split()[1] in COMMANDS


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: str(table.__qualname__))
def test_every_table_says_what_it_is_and_every_number_its_unit(table: Any) -> None:
    assert table.__doc__
    assert "%" not in table.definition, "PostgreSQL's driver takes it for a place of an argument"
    unit = re.compile(r"_(px|px2|mm|mm2|s|hz|bytes|index)$|^n_")
    for line in table.definition.splitlines():
        number = re.match(r"\s*(\w+)\s*(?:=[^:]*)?:\s*(int16|int32|int64|float64)\s*(#.+)?", line)
        if number:
            said = number[3] or unit.search(number[1]) or number[1] in OLD_NUMBERS
            assert said, f"{table.__qualname__}.{number[1]} has neither unit nor comment"


def test_every_module_of_tables_is_activated() -> None:
    assert {module.__name__.rpartition(".")[2] for module in SCHEMA_MODULES} == set(schemas.table_schema_names(""))


def test_steps_of_migrations_are_numbered_without_a_gap() -> None:
    names = sorted(path.name for path in (ROOT / "schemas" / "migrations").glob("m[0-9]*_*.py"))
    numbers = [int(name[1:5]) for name in names]
    assert numbers == list(range(1, len(names) + 1)), names


def test_every_computed_table_is_in_the_queue() -> None:
    computed = {table for table in ALL_TABLES if issubclass(table, dj.Computed)}
    assert set(TABLES) == computed
    assert set(STAGES) <= computed


@pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table.__name__))
def test_every_computed_table_has_resources_provenance_and_a_test(table: Any) -> None:
    assert table.resources.device in ("gpu", "cpu")
    assert any(table.resources.memory_on(device) for device in ("gpu", "cpu"))
    assert re.search(r"^\s*\w+_provenance=null : json", table.definition, re.MULTILINE)
    assert re.search(rf"\b{table.__name__}\b", TESTS)


def test_metadata_have_names_of_their_own() -> None:
    names = [column.name for column in METADATA]
    assert len(set(names)) == len(names)
    # A secondary column of one name in two tables breaks the join that a question is.
    for table in ALL_TABLES:
        if table not in (Mouse, Session, Video):
            columns = re.findall(r"^\s*(\w+)\s*(?:=[^:\n]*)?:", table.definition, re.MULTILINE)
            assert not set(names) & set(columns), table.__qualname__
    taken = {*Question.__dataclass_fields__, "node", "time_span_s", "skip_broken", "model_name", "fps", "file", "nodes"}
    assert not set(names) & taken
    keys = [column.toml_key for column in (*Session.metadata, *Video.metadata)]
    assert len({*keys, "mouse"}) == len(keys) + 1


@pytest.mark.parametrize("column", METADATA, ids=lambda column: str(column.name))
def test_metadata_are_documented(column: Any) -> None:
    from ingest.session_files import session_file_places, session_file_table

    assert column.text
    assert column in session_file_places().values()
    assert f"`{column.name}`" in session_file_table()
    for page in ("conf.py", "own_data.md"):  # the first puts the table into the second
        assert "<!-- everything that session.toml may say -->" in (ROOT / "docs" / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("column", METADATA, ids=lambda column: str(column.name))
def test_metadata_are_columns_of_queries(column: Any) -> None:
    from pipeline.query.columns import DETAILS, MANIFEST, columns_schema
    from pipeline.query.question import TEXTS

    assert column.name in DETAILS
    assert column.name in columns_schema(MANIFEST).names
    assert (column.name in TEXTS) == column.is_text


def test_the_key_in_files_is_the_key_of_queries() -> None:
    from compute.formats.parquet_folder import KEYS
    from pipeline.query.columns import KEY

    assert list(KEYS) == list(KEY)


def test_every_module_of_a_format_registers_one() -> None:
    """A module that registers none is one that others import."""
    layers = ("compute", "ingest", "pipeline")
    source = "".join(path.read_text(encoding="utf-8") for layer in layers for path in (ROOT / layer).rglob("*.py"))
    registering = {one.write.__module__ for one in FORMATS.values()}
    beside = {found.name for found in modules_of(compute.formats)} - registering
    assert not [name for name in beside if f"from {name} import" not in source]
    assert all(len(importlib.import_module(name).__doc__ or "") > 80 for name in registering)


def test_the_list_of_formats_imports_no_library_of_a_format() -> None:
    code = (
        "import sys; from compute.formats import FORMATS; assert FORMATS;"
        "print([one for one in ('h5py', 'pandas', 'pyarrow', 'pynwb', 'scipy', 'sleap_io') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_a_test_of_its_own(name: str) -> None:
    used = re.compile(rf'"{name}"|import {FORMATS[name].write.__module__.rpartition(".")[2]}\b')
    tests = (ROOT / "tests" / "compute" / "formats").rglob("test_*.py")
    assert any(used.search(path.read_text(encoding="utf-8")) for path in tests)


def filters() -> list[str]:
    """The modules of `compute.filters` that hold a function of their own name."""
    found = {one.name: importlib.import_module(one.name) for one in modules_of(compute.filters)}
    return [
        short for name, module in found.items() if callable(getattr(module, short := name.rpartition(".")[2], None))
    ]


@pytest.mark.parametrize("name", filters())
def test_every_filter_is_registered_and_has_a_test(name: str) -> None:
    assert name in registered_filters()
    assert re.search(rf"\b{name}\b", TESTS)


@pytest.mark.parametrize("name", [name for name, one in registered_filters().items() if one.in_every_lab])
def test_every_filter_of_every_lab_is_documented(name: str) -> None:
    assert f"| `{name}` |" in (ROOT / "docs" / "filters.md").read_text(encoding="utf-8")


def test_every_estimator_is_registered_and_has_a_test() -> None:
    beside = {"estimator", "registry", "bundle_info", "training_results", "evaluation_results"}
    for name in {found.name.rpartition(".")[2] for found in modules_of(compute.estimators)} - beside:
        assert name in compute.estimators.registered_estimators(), f"{name} offers no ESTIMATOR of its name"
        path = ROOT / "tests" / "compute" / "estimators" / f"test_{name}.py"
        assert path.exists() and "def test_" in path.read_text(encoding="utf-8"), f"{path} has no test"


def test_every_measure_has_a_test() -> None:
    for found in modules_of(compute.measures):
        assert re.search(rf"\b{found.name}\b", TESTS), found.name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_test(name: str) -> None:
    module = importlib.import_module(f"pipeline.cli.{COMMANDS[name][0]}")
    assert hasattr(module, name.replace("-", "_"))
    assert re.search(rf"""["' ]({name}|{name.replace("-", "_")})["' (]""", TESTS)


def test_every_format_stands_in_the_table_of_the_docs() -> None:
    page = (ROOT / "docs" / "out_of_here.md").read_text(encoding="utf-8")
    table = "".join(line for line in page.splitlines(keepends=True) if line.startswith("| `"))
    assert [name for name in FORMATS if f"`{name}`" not in table] == []
