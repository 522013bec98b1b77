"""`orofacial labels`: what a person reads."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from compute.labels import write_package
from pipeline.settings import Settings

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run(database: Settings, run_command: Run) -> Run:
    """Run the command on this module's database, 80 columns wide."""
    environment = {
        "OROFACIAL_DATA_FOLDER": str(database.data_folder),
        "OROFACIAL_SCHEMA_PREFIX": database.schema_prefix,
        "COLUMNS": "80",
    }
    return partial(run_command, "labels", **environment)


def test_long_names_are_listed_in_80_columns_and_a_node_never_placed_is_said(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "CollectedData_of_the_left_rig_by_ann_second_round.pkg.slp"
    images = np.random.default_rng(0).integers(0, 256, (4, 40, 60), np.uint8)
    position = np.full((4, 2, 2), 9.0)
    position[:, 1] = np.nan
    write_package(path, images, position, ("snout", "jaw_tip"), (), [("a.mp4", index) for index in range(4)])
    imported = run("import", path, "--camera", "lower", "--mouse", "mouse01-with-a-name-that-is-long")
    assert imported.returncode == 0, imported.stderr
    assert "never placed in any frame: jaw_tip" in imported.stderr
    assert "no session of mouse mouse01-with-a-name-that-is-long is here" in " ".join(imported.stderr.split())
    moved = tmp_path / "moved.pkg.slp"
    write_package(moved, images, position + 9, ("snout", "jaw_tip"), (), [("a.mp4", index) for index in range(4)])
    said = run("import", moved, "--camera", "lower")
    assert "4 images of these labels have other points in labels" in " ".join(said.stderr.split())
    assert json.loads(run("import", moved, "--camera", "lower", "--json").stdout)["contradicting"][0]["n_frames"] == 4
    assert run("delete", json.loads(run("list", "--json").stdout)[-1]["labels_id"], "--yes").returncode == 0
    lines = run("list").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    (first,) = [line for line in lines if "CollectedData_of_the" in line]
    assert first.split()[2:] == ["lower", "4", "0", "0"]
    assert len(lines) <= 11  # a few lines for one set, not a column of letters
