"""The core alone: what works without SLEAP, and what says that it needs SLEAP.

`make test` runs this with SLEAP's packages hidden, `make test-core` in an environment that has none of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compute.formats import FORMATS
from compute.labels import write_package
from compute.simulated_mouse.anatomy import EDGES, NODES

REPOSITORY = Path(__file__).parents[2]
HIDDEN = ("sleap_nn", "torch", "torchvision", "lightning", "cv2", "sklearn", "skimage", "loguru", "omegaconf")
HIDING = f"""
from importlib.machinery import PathFinder
find_spec = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name in {HIDDEN} else find_spec(name, *rest)
"""
EXTRA = "pip install 'orofacial[sleap]'"
LEFT = "left to other workers: 1 ModelEvaluation, 2 PoseEstimation"
WITHOUT_SLEAP = (
    ["--help"],
    ["init"],
    ["model", "list"],
    ["status"],
    ["tracks", "--node", "jaw_tip", "-o", "jaw.csv"],
    ["tracks", "--filter", "kalman", "-o", "kalman.parquet"],
    ["sql", "select mouse_id, avg(jaw_tip_x) from tracks group by 1"],
    ["compare"],
    ["report", "-o", "report.html"],
    ["why", "mouse01/2026-03-02_1", "--filter", "kalman"],
    ["work", "--cpu", "--until-empty"],
    ["collect", "--dry-run"],
)

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def core(small_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run `orofacial` on the small lab where no package of SLEAP's can be imported."""
    folder = tmp_path_factory.mktemp("core")
    (folder / "sitecustomize.py").write_text(HIDING)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{folder}{os.pathsep}{REPOSITORY}",
        "OROFACIAL_DATA_FOLDER": str(small_lab.settings.data_folder),
        "OROFACIAL_SCHEMA_PREFIX": small_lab.settings.schema_prefix,
    }

    def run(*words: object, expect: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pipeline.cli", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
        assert done.returncode == expect, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.mark.parametrize("words", WITHOUT_SLEAP, ids=" ".join)
def test_it_works_without_sleap(core: Run, words: list[str]) -> None:
    core(*words)


def test_every_format_is_written_and_one_becomes_another(core: Run, tmp_path: Path) -> None:
    for name, form in FORMATS.items():
        core("export", name, "-o", tmp_path / name, "--mouse", "mouse01", "--camera", "side")
        assert list((tmp_path / name).rglob(f"*{form.ending}")), name
    (slp,) = (tmp_path / "slp").rglob("*.slp")
    core("convert", slp, tmp_path / "converted.dlc.h5")
    assert (tmp_path / "converted.dlc.h5").exists()


def test_labels_are_imported(core: Run, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 64), np.uint8)
    position = np.random.default_rng(1).uniform(5, 40, (3, len(NODES), 2))
    sources = [("raw/mouse03/2026-03-02_1/side.mp4", index) for index in range(3)]
    write_package(tmp_path / "new.pkg.slp", images, position, NODES, EDGES, sources)
    imported = json.loads(core("labels", "import", tmp_path / "new.pkg.slp", "--camera", "side", "--json").stdout)
    assert (imported["is_new"], imported["n_labeled_frames"]) == (True, 3)


def test_doctor_calls_it_no_fault(core: Run) -> None:
    checks = {check["name"]: check for check in json.loads(core("doctor", "--json").stdout)["checks"]}
    assert checks["estimator"]["ok"] is None and EXTRA in checks["estimator"]["found"]
    assert all(check["ok"] for name, check in checks.items() if name != "estimator")


def test_what_needs_sleap_says_which_extra(core: Run, small_lab: Any, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for name in ("best.ckpt", "training_config.yaml"):
        (tmp_path / "model" / name).touch()
    for words in (
        ["work", "--gpu"],
        ["demo", tmp_path / "demo"],
        ["model", "import", tmp_path / "model", "--camera", "side"],
        ["model", "train", "side.pkg.slp", "--camera", "side"],
    ):
        said = core(*words, expect=1)
        assert EXTRA in said.stderr.replace("\n", " "), words
    assert not (tmp_path / "demo").exists()


def test_jobs_that_need_sleap_are_left_to_other_workers(
    core: Run, small_lab: Any, make_session: Callable[..., Path], tmp_path: Path
) -> None:
    # The training that the test before asked for is not to be done by anybody.
    from schemas.model import TrainingTask
    from schemas.pose import PoseEstimation
    from schemas.track import FilteredTrack

    (TrainingTask & "training_config != 'small'").delete(prompt=False)
    make_session("mouse04/2026-03-03_1")
    core("ingest", tmp_path / "raw", "--stable-after", 0)
    core("populate")  # finds which labeled frames are of which video: that needs no SLEAP
    populated = core("populate", expect=1)
    assert LEFT in populated.stderr and EXTRA in populated.stderr.replace("\n", " ")
    assert json.loads(core("populate", "--json", expect=1).stdout)["left"] == {
        "ModelEvaluation": 1,
        "PoseEstimation": 2,
    }
    worked = core("work", "--until-empty")
    assert "Jobs that need it are left to other workers" in worked.stderr
    assert PoseEstimation.jobs.progress()["pending"] == 2 and not len(PoseEstimation.jobs.errors)
    planned = json.loads(core("cluster", "up", "--dry-run", "--here", "--json").stdout)
    assert all(one["n_started"] == 0 for one in planned["classes"])
    assert any(LEFT in warning for warning in planned["warnings"])

    # What others estimated is filtered here.
    (FilteredTrack & {"mouse_id": "mouse03"}).delete(prompt=False)
    assert "FilteredTrack" in core("populate").stdout
    assert FilteredTrack & {"mouse_id": "mouse03"}
