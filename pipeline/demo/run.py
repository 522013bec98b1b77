"""The demo: a simulated lab goes through the whole pipeline, and the results stand beside the truth."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compute.errors import OrofacialError
from compute.simulated_mouse.anatomy import CAMERAS
from ingest.deployment import deploy
from ingest.labels import import_labels
from ingest.pairs import add_node_pair
from ingest.sessions import ingest_sessions
from ingest.training_tasks import add_training_task
from pipeline.demo.simulated_lab import SimulatedLab, simulate_lab
from pipeline.work.populate import populate
from pipeline.work.worker import WorkerListener, WorkerSummary
from schemas.evaluation import ModelEvaluation
from schemas.model import Training

RIGID_PAIRS = (
    ("left_snout_tip", "right_snout_tip"),
    ("top_snout_tip", "bottom_snout_tip"),
    ("center_snout_tip", "left_snout_tip"),
)
MOVING_PAIRS = (("center_snout_tip", "jaw_tip"), ("bottom_snout_tip", "jaw_tip"))

TRAINING_CONFIG = {
    "filters": 8,
    "max_stride": 32,
    "output_stride": 4,
    "scale": 0.5,
    "sigma": 1.5,
    "learning_rate": 3e-3,
    "epochs": 60,
    "patience_epochs": 0,
}
"""Tiny models: a minute of training each, on one core."""

_MARKER = ".orofacial-demo"


class DemoError(OrofacialError):
    """The demo cannot be run here."""


def prepare_demo_folder(folder: Path) -> None:
    """Empty the demo's folder; a folder that was not made by a demo is not touched.

    Raises
    ------
    DemoError
        If there is such a folder.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARKER).exists():
        raise DemoError(f"{folder} holds files that no demo wrote; name a new folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / _MARKER).touch()


def run_demo(folder: Path, data_folder: Path, listener: WorkerListener, *, n_frames: int = 1000) -> SimulatedLab:
    """Simulate a lab and run everything on it.

    Parameters
    ----------
    folder : Path
        A folder made by `prepare_demo_folder`.
    data_folder : Path
        The data folder that this process is connected to.
    listener : Listener
        Receives the progress.
    n_frames : int
        Frames of each video.

    Returns
    -------
    SimulatedLab
        Where the simulation's files are, with the truth.

    Raises
    ------
    DemoError
        If a session was refused or a job failed.
    """
    listener.started("filming mice", 6)
    lab = simulate_lab(
        folder / "lab", n_frames=n_frames, on_session=lambda done, _: listener.finished("filming mice", 1)
    )
    for camera in CAMERAS:
        labels = import_labels(lab.labels_path(camera), camera=camera)
        add_training_task(labels.labels_id, camera=camera, config=TRAINING_CONFIG)
    for pair in RIGID_PAIRS + MOVING_PAIRS:
        add_node_pair(*pair, kind="rigid" if pair in RIGID_PAIRS else "moving")
    with _second_worker(data_folder):
        _check(populate(listener, tables=(Training, ModelEvaluation)))
    for model_id in Training.to_arrays("model_id"):
        deploy(str(model_id))
    for outcome in ingest_sessions(lab.raw_folder, stable_after_s=0):
        if outcome.status != "ingested":
            raise DemoError(f"{outcome.folder} was {outcome.status}: {outcome.message}")
    with _second_worker(data_folder):
        _check(populate(listener))
    return lab


@contextmanager
def _second_worker(data_folder: Path) -> Iterator[None]:
    """A second process that takes jobs from the same tables."""
    command = [sys.executable, "-m", "pipeline.cli", "--data-folder", str(data_folder), "populate", "--json"]
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield
        _, error_text = worker.communicate()
    except BaseException:
        worker.terminate()
        worker.communicate()
        raise
    if worker.returncode:
        raise DemoError(f"the second worker failed: {error_text.strip()}")


def _check(summary: WorkerSummary) -> None:
    for failure in summary.failed:
        raise DemoError(f"{failure['table']} {failure['key']} failed: {failure['message']}")
