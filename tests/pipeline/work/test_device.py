"""A job wants the device of its model's estimator: a GPU for poses of a network, none for poses read from files."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

N_SESSIONS = 3
N_FRAMES = 20  # of a session that `make_session` makes
NODES = ("snout", "jaw_tip")


@dataclass(frozen=True)
class TwoModels:
    """Sessions of one camera with two deployed models, and no pose yet."""

    network: str
    files: str

    def counts(self) -> dict[str, tuple[int, int]]:
        """Rows and pending jobs of PoseEstimation, of each model."""
        from schemas.pose import PoseEstimation

        return {
            name: (len(PoseEstimation & {"model_id": model}), len(PoseEstimation.jobs.pending & {"model_id": model}))
            for name, model in (("network", self.network), ("files", self.files))
        }


@pytest.fixture
def two_models(emptied: None, make_session: Callable[..., Path], tmp_path: Path) -> TwoModels:
    """One model of each device; the network's weights are no network, so that each job that takes it fails."""
    from ingest.deployment import deploy
    from ingest.models import import_model
    from ingest.sessions import ingest_sessions
    from schemas.model import Model

    folders = [make_session(f"mouse0{number}/2026-03-02_1", cameras=("side",)) for number in range(N_SESSIONS)]
    assert {one.status for one in ingest_sessions(folders[0].parents[1], stable_after_s=0)} == {"ingested"}
    for folder in folders:
        write_poses(folder / "side.csv")
    files = import_model(folders[0] / "side.csv", camera="side")
    bundle = tmp_path / "network"
    bundle.mkdir()
    (bundle / "weights").write_text("none")
    network = {"model_id": "0" * 16, "camera": "side", "estimator": "sleap", "model_name": "none", "bundle": bundle}
    Model.insert1({**network, "skeleton_id": (Model & {"model_id": files}).fetch1("skeleton_id")})
    deploy(files)
    deploy("0" * 16, beside=True)
    return TwoModels("0" * 16, files)


def write_poses(path: Path) -> None:
    """Write poses as Lightning Pose does, long ago."""
    names = [(node, coordinate) for node in NODES for coordinate in ("x", "y", "likelihood")]
    head = [
        ("scorer", *["heatmap_tracker"] * 6),
        ("bodyparts", *(n for n, _ in names)),
        ("coords", *(c for _, c in names)),
    ]
    values = np.random.default_rng(0).uniform(0.1, 1, (N_FRAMES, len(names))) * np.array([40, 40, 1] * len(NODES))
    lines = [*map(",".join, head), *(",".join(map(str, (index, *row))) for index, row in enumerate(values))]
    path.write_text("\n".join(lines) + "\n")
    os.utime(path, (1_700_000_000, 1_700_000_000))


def work(device: Any) -> Any:
    from pipeline.work.worker import JobWorker
    from schemas.pose import PoseEstimation

    return JobWorker(device, tables=(PoseEstimation,), until_empty=True).run()


def test_a_worker_for_cpus_takes_poses_from_files_and_leaves_those_of_a_network(two_models: TwoModels) -> None:
    summary = work("cpu")
    assert (summary.computed, summary.failed) == ({"PoseEstimation": N_SESSIONS}, [])
    assert two_models.counts() == {"network": (0, N_SESSIONS), "files": (N_SESSIONS, 0)}


def test_a_worker_for_gpus_takes_those_of_a_network_and_leaves_the_files(two_models: TwoModels) -> None:
    summary = work("gpu")
    assert summary.computed == {}
    assert [failure["key"]["model_id"] for failure in summary.failed] == [two_models.network] * N_SESSIONS
    assert two_models.counts() == {"network": (0, 0), "files": (0, N_SESSIONS)}


def test_a_worker_for_everything_takes_both(two_models: TwoModels) -> None:
    summary = work(None)
    assert (summary.computed, len(summary.failed)) == ({"PoseEstimation": N_SESSIONS}, N_SESSIONS)
    assert two_models.counts() == {"network": (0, 0), "files": (N_SESSIONS, 0)}


def test_jobs_are_counted_for_the_device_that_they_want(two_models: TwoModels) -> None:
    from ingest.poses import register_pose_files
    from pipeline.work.cluster import _counts
    from pipeline.work.jobs import WaitingJob, pending_jobs, refresh_jobs
    from schemas.pose import PoseEstimation
    from schemas.track import TrackQuality

    register_pose_files()
    n = N_SESSIONS
    assert _counts(refreshed=False) == {"gpu": (n, 0), "cpu": (n, 0)}  # what a refresh would add
    refresh_jobs()
    assert _counts(refreshed=True) == _counts(refreshed=False) == {"gpu": (n, 0), "cpu": (n, 0)}
    assert WaitingJob(PoseEstimation(), {}, "cpu").reserve() is not None
    counts = pending_jobs((PoseEstimation, TrackQuality))
    assert (counts["cpu"].pending, counts["cpu"].reserved, counts["cpu"].memory_gb) == (n - 1, 1, 2)
    assert (counts["gpu"].pending, counts["gpu"].reserved, counts["gpu"].memory_gb) == (n, 0, 4)


def test_a_table_has_workers_of_each_device_that_an_estimator_wants() -> None:
    from pipeline.work.jobs import tables_of_jobs

    names = {device: {table.__name__ for table in tables_of_jobs(device)} for device in ("gpu", "cpu")}
    assert names["gpu"] == {"Training", "ModelEvaluation", "PoseEstimation"}
    assert names["gpu"] & names["cpu"] == {"PoseEstimation"}
