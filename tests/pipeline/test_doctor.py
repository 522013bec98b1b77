"""`orofacial doctor`: what it looks at, and what it need not load for that."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipeline.doctor import DoctorCheck, doctor_checks
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
    assert "ensemble on cpu" in quick  # it needs no package
    assert any(f"{versions} on {device}" in slow for device in ("cpu", "cuda", "mps"))


def test_files_that_are_not_in_their_store_are_said(small_lab: Any) -> None:
    """A store whose disk is not mounted can be written: its folder is there, and empty."""

    def look() -> DoctorCheck:
        return next(one for one in doctor_checks(small_lab.settings) if one.name == "files")

    assert look().ok is True
    store = small_lab.settings.tracks_store
    away = store.rename(store.with_name("away"))
    try:
        gone = look()
        store.mkdir()
        found = look()
    finally:
        shutil.rmtree(store, ignore_errors=True)
        away.rename(store)
    assert (gone.ok, found.ok) == (False, False)
    assert str(store) in gone.found
    assert "are not in the store tracks (file: " in found.found
    assert "mount the store's disk" in found.advice
    assert look().ok is True
