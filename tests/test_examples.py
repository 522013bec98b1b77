"""The examples in the docstrings run, and give what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for folder in ("compute", "schemas", "ingest", "pipeline", "orofacial")
    for path in (ROOT / folder).rglob("*.py")
    # These need a database: tests/pipeline/query/test_query.py and tests/pipeline/test_why.py run them on one.
    if ">>> " in path.read_text(encoding="utf-8")
    and path.parent != ROOT / "pipeline" / "query"
    and path != ROOT / "pipeline" / "lab.py"
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name: str) -> None:
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert not result.failed
