"""`orofacial doctor`: what it looks at, and what it need not load for that."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

from pipeline.settings import Settings

SCRIPT = """
import sys
from pathlib import Path
from pipeline.doctor import doctor_checks
from pipeline.settings import Settings
settings = Settings(data_folder=Path(sys.argv[1]), schema_prefix=sys.argv[2])
for load in (False, True):
    (found,) = [one.found for one in doctor_checks(settings, load_estimators=load) if one.name == "estimator"]
    print(found)
    print("torch" in sys.modules)
"""


def test_versions_of_estimators_are_told_without_loading_them(database: Settings) -> None:
    """Loading torch takes seconds; only what it runs on needs that."""
    words = [sys.executable, "-c", SCRIPT, database.data_folder, database.schema_prefix]
    repository = Path(__file__).parents[2]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=repository)
    quick, is_loaded, slow, is_loaded_then = done.stdout.splitlines()[-4:]
    assert (is_loaded, is_loaded_then) == ("False", "True")
    versions = f"torch {importlib.metadata.version('torch')})"
    assert f"{versions} (its device says orofacial doctor --load)" in quick
    assert any(f"{versions} on {device}" in slow for device in ("cpu", "cuda", "mps"))
