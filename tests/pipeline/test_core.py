"""The core alone: what works without the extras, and what says which extra it needs.

The packages of the extras are hidden from the commands: `core` has neither `formats` nor `sleap`, `with_formats` has
the first. `make test-core` runs this where SLEAP's packages are not installed at all.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from compute.formats import FORMATS
from compute.labels import write_package
from compute.simulated_mouse.anatomy import EDGES, NODES

pytestmark = pytest.mark.core

REPOSITORY = Path(__file__).parents[2]
SLEAP = ("sleap_nn", "torch", "torchvision", "lightning", "cv2", "sklearn", "skimage", "loguru", "omegaconf")
FORMATS_PACKAGES = ("sleap_io", "imageio", "skia", "shapely", "yaml", "tables", "blosc2", "numexpr", "xarray")
HIDING = """
from importlib.machinery import PathFinder
find_spec = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name in {hidden} else find_spec(name, *rest)
"""
EXTRA = "pip install 'orofacial[sleap]'"
FORMATS_EXTRA = "pip install 'orofacial[formats]'"
LEFT = "left to other workers: 1 ModelEvaluation, 2 PoseEstimation"
WITHOUT_EXTRAS = (
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
def core(small_lab: Any, run_command: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run `orofacial` on the small lab where no package of an extra can be imported."""
    return _runner(small_lab, run_command, tmp_path_factory.mktemp("core"), SLEAP + FORMATS_PACKAGES)


@pytest.fixture(scope="module")
def with_formats(small_lab: Any, run_command: Any, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run `orofacial` on the small lab where only SLEAP's packages cannot be imported."""
    return _runner(small_lab, run_command, tmp_path_factory.mktemp("with_formats"), SLEAP)


def _runner(small_lab: Any, run_command: Any, folder: Path, hidden: tuple[str, ...]) -> Run:
    (folder / "sitecustomize.py").write_text(HIDING.format(hidden=hidden))
    environment = {
        "PYTHONPATH": f"{folder}{os.pathsep}{REPOSITORY}",
        "OROFACIAL_DATA_FOLDER": str(small_lab.settings.data_folder),
        "OROFACIAL_SCHEMA_PREFIX": small_lab.settings.schema_prefix,
    }

    def run(*words: object, expect: int = 0) -> subprocess.CompletedProcess[str]:
        done: subprocess.CompletedProcess[str] = run_command(*words, folder=folder, **environment)
        assert done.returncode == expect, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What a command said on stderr, without the line breaks of a narrow terminal."""
    return done.stderr.replace("\n", " ")


@pytest.mark.parametrize("words", WITHOUT_EXTRAS, ids=" ".join)
def test_it_works_without_an_extra(core: Run, words: list[str]) -> None:
    core(*words)


def test_every_format_is_written_and_one_becomes_another(core: Run, with_formats: Run, tmp_path: Path) -> None:
    for name, form in FORMATS.items():
        words = ["export", name, "-o", tmp_path / name, "--mouse", "mouse01", "--camera", "side"]
        if name in ("dlc-h5", "slp"):
            assert FORMATS_EXTRA in said(core(*words, expect=1))
            assert not list(tmp_path.rglob(f"*{form.ending}"))
            with_formats(*words)
        else:
            core(*words)
        assert list((tmp_path / name).rglob(f"*{form.ending}")), name
    (slp,) = (tmp_path / "slp").rglob("*.slp")
    assert FORMATS_EXTRA in said(core("convert", slp, tmp_path / "no.csv", expect=1))
    with_formats("convert", slp, tmp_path / "converted.dlc.h5")
    assert FORMATS_EXTRA in said(core("convert", tmp_path / "converted.dlc.h5", tmp_path / "no.nwb", expect=1))


def test_poses_of_deeplabcut_need_the_extra(core: Run, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "sideDLC.h5", "w") as file:
        file.create_group("df_with_missing")
    assert FORMATS_EXTRA in said(core("model", "import", tmp_path / "sideDLC.h5", "--camera", "side", expect=1))


def test_labels_are_imported(core: Run, with_formats: Run, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 64), np.uint8)
    position = np.random.default_rng(1).uniform(5, 40, (3, len(NODES), 2))
    sources = [("raw/mouse03/2026-03-02_1/side.mp4", index) for index in range(3)]
    write_package(tmp_path / "new.pkg.slp", images, position, NODES, EDGES, sources)
    words = ["labels", "import", tmp_path / "new.pkg.slp", "--camera", "side"]
    assert FORMATS_EXTRA in said(core(*words, expect=1))
    imported = json.loads(with_formats(*words, "--json").stdout)
    assert (imported["is_new"], imported["n_labeled_frames"]) == (True, 3)


def test_doctor_calls_it_no_fault(core: Run) -> None:
    checks = {check["name"]: check for check in json.loads(core("doctor", "--json").stdout)["checks"]}
    assert checks["estimator"]["ok"] is None
    assert EXTRA in checks["estimator"]["found"] and FORMATS_EXTRA in checks["estimator"]["found"]
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
        assert EXTRA in said(core(*words, expect=1)), words
    assert not (tmp_path / "demo").exists()


def test_jobs_that_need_an_extra_are_left_to_other_workers(
    core: Run, with_formats: Run, small_lab: Any, make_session: Callable[..., Path], tmp_path: Path
) -> None:
    # The training that the test before asked for is not to be done by anybody.
    from schemas.model import TrainingTask
    from schemas.pose import PoseEstimation
    from schemas.track import FilteredTrack

    (TrainingTask & "training_config != 'small'").delete(prompt=False)
    make_session("mouse04/2026-03-03_1")
    core("ingest", tmp_path / "raw", "--stable-after", 0)
    from schemas.evaluation import LabeledVideo

    populated = core("populate", expect=1)
    n_left = LabeledVideo.jobs.progress()["pending"]
    assert n_left and not len(LabeledVideo.jobs.errors)
    assert f"{n_left} LabeledVideo" in populated.stderr and FORMATS_EXTRA in said(populated)
    with_formats("populate")  # finds which labeled frames are of which video: that needs no SLEAP
    assert not LabeledVideo.jobs.progress()["pending"]
    populated = core("populate", expect=1)
    assert LEFT in populated.stderr and EXTRA in said(populated)
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
