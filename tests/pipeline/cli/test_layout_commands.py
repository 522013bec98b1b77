"""`orofacial layout test`: what a person sees before anything is taken in. No database is started by it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
FLAT = "{mouse}_{date:%Y%m%d}_{camera}.avi"


@pytest.fixture
def run(run_command: Run, tmp_path: Path) -> Run:
    """Run `orofacial layout test` with settings of its own."""
    return partial(run_command, "layout", "test", OROFACIAL_DATA_FOLDER=str(tmp_path / "data"))


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Empty files: none is opened."""
    folder = tmp_path / "raw"
    folder.mkdir()
    for name in ("m1_20260302_side.avi", "m1_20260302_bottom.avi", "m1_side.avi", "m1DLC_labeled.mp4", "notes.txt"):
        (folder / name).touch()
    return folder


def test_every_file_is_told_apart_and_nothing_is_made(run: Run, raw: Path, tmp_path: Path) -> None:
    said = run(raw, "--layout", FLAT, OROFACIAL_CAMERA_ALIASES='{"bottom": "lower"}')
    assert said.returncode == 1
    assert said.stdout.splitlines()[:4] == [
        "m1/2026-03-02_1 lower: m1_20260302_bottom.avi",
        "m1/2026-03-02_1 side: m1_20260302_side.avi",
        "left out: m1DLC_labeled.mp4 (*_labeled.*)",
        "fits nothing: m1_side.avi: 'm1_side' is not {mouse}_{date:%Y%m%d}_{camera}",
    ]
    assert "2 videos of 1 session, 0 refused, 1 fit nothing, 1 left out" in " ".join(said.stdout.split())
    assert not (tmp_path / "data").exists()


def test_a_layout_that_fits_all_says_what_comes_next(run: Run, raw: Path, tmp_path: Path) -> None:
    (raw / "m1_side.avi").unlink()
    said = run(raw, "--layout", FLAT)
    assert (said.returncode, said.stderr) == (0, "")
    assert f"layout = '{FLAT}' in settings.toml" in " ".join(said.stdout.split())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "settings.toml").write_text(f'layout = "{FLAT}"\nnot_recordings = []\n')
    said = run(raw, "--json")
    found = json.loads(said.stdout)
    assert said.returncode == 1  # what DeepLabCut drew is no recording of this layout
    assert (found["layout"], found["counts"]["recordings"], found["counts"]["left_out"]) == (FLAT, 2, 0)
    assert found["recordings"][0] == {
        "file": "m1_20260302_bottom.avi",
        "session": "m1/2026-03-02_1",
        "mouse": "m1",
        "date": "2026-03-02",
        "number": 1,
        "camera": "bottom",
        "part": None,
    }


def test_a_text_that_is_no_layout_is_an_error(run: Run, raw: Path) -> None:
    said = run(raw, "--layout", "{mouse}/{camera}.avi", "--json")
    assert said.returncode == 1
    assert "lacks {date}" in json.loads(said.stdout)["error"]
