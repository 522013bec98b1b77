"""The shape of the project: imports go down only and never in a circle, modules stay short, rooms stay small."""

from __future__ import annotations

import ast
import graphlib
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ("compute", "schemas", "ingest", "pipeline", "orofacial")
"""From the bottom up; each may import those before it."""

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for layer in LAYERS
    for path in sorted((ROOT / layer).rglob("*.py"))
}
"""Path of every module of the project, by its dotted name."""


def imports_of(module: str) -> set[str]:
    """Modules of the project that one imports, anywhere in its file but under ``if TYPE_CHECKING``."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    typing_only = {
        id(statement)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for statement in ast.walk(block)
    }
    found = set()
    for statement in ast.walk(tree):
        if id(statement) in typing_only:
            continue
        if isinstance(statement, ast.Import):
            found |= {alias.name for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            # "from package import module" imports the module, "from module import name" does not.
            names = {f"{statement.module}.{alias.name}" for alias in statement.names}
            found |= (names & MODULES.keys()) or {statement.module}
    return {name for name in found if name in MODULES} - {module}


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_only(module: str) -> None:
    above = LAYERS[LAYERS.index(module.split(".")[0]) + 1 :]
    assert not [name for name in imports_of(module) if name.split(".")[0] in above]


def test_no_modules_import_each_other_in_a_circle() -> None:
    # A package's __init__ that collects names of its modules is no circle: importing a module runs it anyway.
    graph = {module: {name for name in imports_of(module) if not module.startswith(f"{name}.")} for module in MODULES}
    try:
        tuple(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_no_folders_import_each_other_in_a_circle() -> None:
    def room(module: str) -> str:
        path = MODULES[module].relative_to(ROOT)
        return "/".join(path.parts[:2]) if len(path.parts) > 2 else path.parts[0]

    graph: dict[str, set[str]] = {}
    for module in MODULES:
        # Modules that lie directly in a layer (such as compute/video.py) are rooms of their own.
        graph.setdefault(room(module), set())
    for module in MODULES:
        here = room(module)
        graph[here] |= {room(name) for name in imports_of(module)} - {here} - set(LAYERS)
    graph = {here: rooms for here, rooms in graph.items() if here not in LAYERS}
    try:
        tuple(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("module", MODULES)
def test_no_module_is_over_400_lines(module: str) -> None:
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= 400


def test_no_room_holds_more_than_a_third_of_the_code() -> None:
    n_lines: Counter[Path] = Counter()
    for path in MODULES.values():
        n_lines[path.parent] += len(path.read_text(encoding="utf-8").splitlines())
    total = sum(n_lines.values())
    assert {str(folder.relative_to(ROOT)): n / total for folder, n in n_lines.items() if n > total / 3} == {}


def test_one_module_writes_json_so_that_none_holds_nan() -> None:
    """`compute.json_text`; tables and their keys (schemas) leave it to DataJoint."""
    writers = [
        str(path.relative_to(ROOT))
        for folder in ("compute", "ingest", "pipeline", "orofacial")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "json.dump" in path.read_text(encoding="utf-8")
    ]
    assert writers == ["compute/json_text.py"]
