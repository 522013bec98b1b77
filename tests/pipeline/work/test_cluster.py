"""Workers as processes of this machine: as many as the queue needs, and never more. Slurm: see test_slurm.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from pipeline.settings import Settings, SettingsError, WorkerSettings, load_settings

N_SESSIONS = 3


@pytest.fixture(scope="module")
def environment(database: Settings) -> dict[str, str]:
    """What leads another process to this module's tables."""
    return {
        "OROFACIAL_DATA_FOLDER": str(database.data_folder),
        "OROFACIAL_SCHEMA_PREFIX": database.schema_prefix,
        "OROFACIAL_CPU_WORKERS": json.dumps({"max_workers": 2}),
        "OROFACIAL_GPU_WORKERS": json.dumps({"max_workers": 0}),
    }


@pytest.fixture(scope="module")
def tracked(database: Settings, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Sessions whose poses are estimated, and nothing after that: real rows and files, without a training."""
    from compute.tracks import Tracks
    from ingest.labels import insert_label_skeleton
    from schemas.metric import NodePair
    from schemas.model import DeployedModel, Model
    from schemas.pose import PoseEstimation
    from schemas.session import Session, Video
    from schemas.subject import Mouse

    nodes = ("left_snout_tip", "right_snout_tip")
    skeleton_id = insert_label_skeleton(nodes, ())
    bundle = tmp_path_factory.mktemp("model")
    (bundle / "weights").write_text("none")
    model = {"model_id": "0123456789abcdef", "camera": "side", "skeleton_id": skeleton_id, "bundle": bundle}
    Model.insert1({**model, "estimator": "sleap", "model_name": "none"})
    DeployedModel.insert1({"camera": "side", "model_id": model["model_id"]})
    NodePair.insert1({"skeleton_id": skeleton_id, "node_a": nodes[0], "node_b": nodes[1], "pair_kind": "rigid"})
    size = {"width_px": 64, "height_px": 48, "fps_numerator": 100, "fps_denominator": 1, "n_frames": 500}
    for number in range(N_SESSIONS):
        Mouse.insert1({"mouse_id": f"mouse{number}"})
        key = {"mouse_id": f"mouse{number}", "session_date": "2026-03-02", "session_number": 1}
        Session.insert1({**key, "session_folder": "elsewhere"})
        video = {**key, "camera": "side"}
        file = {"video_file": "elsewhere", "file_size_bytes": 1, "content_hash": f"{number:064}"}
        Video.insert1({**video, **size, **file})
        position = np.random.default_rng(number).normal(30, 1, (500, 2, 2)).astype(np.float32)
        tracks = Tracks(position, np.ones((500, 2), np.float32), np.arange(500) / 100, nodes)
        row = {**video, "model_id": model["model_id"], "tracks": tracks, "device": "cpu", "estimation_duration_s": 1.0}
        PoseEstimation.insert1(row, allow_direct_insert=True)


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def up(environment: dict[str, str], run_python: Any, tmp_path: Path) -> Run:
    """`orofacial cluster up --here --json`."""

    def run(*arguments: str) -> dict[str, Any]:
        command = ("cluster", "up", "--here", "--json", *arguments)
        return dict(json.loads(run_python("orofacial", tmp_path, *command, **environment).stdout))

    return run


def workers(settings: Settings) -> list[psutil.Process]:
    from pipeline.work.cluster import _local_workers, cluster_worker_command

    return [psutil.Process(pid) for pid in _local_workers(cluster_worker_command(settings, "cpu"))]


@pytest.fixture(autouse=True)
def nothing_left(database: Settings) -> Iterator[None]:
    yield
    for process in workers(database):
        process.kill()


@pytest.mark.slow
def test_as_many_workers_as_jobs_up_to_the_limit_and_each_result_once(
    tracked: None, database: Settings, up: Run, environment: dict[str, str], run_python: Any, tmp_path: Path
) -> None:
    from schemas.metric import FilterComparison
    from schemas.track import FilteredTrack, TrackQuality

    would = up("--dry-run")
    assert [one["n_started"] for one in would["classes"]] == [0, 2]
    assert not workers(database) and not len(FilteredTrack.jobs)
    with_slurm = run_python("orofacial", tmp_path, "cluster", "up", "--here", "--dry-run", **environment).stdout
    assert "would start" in with_slurm
    # Two at once: one waits for the other, and finds nothing left to start.
    command = [sys.executable, "-m", "pipeline.cli", "cluster", "up", "--here", "--json"]

    variables = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), **environment}
    passes = [
        subprocess.Popen(
            command, cwd=tmp_path, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    reports = [json.loads(one.communicate()[0]) for one in passes]
    assert sorted(report["classes"][1]["n_started"] for report in reports) == [0, 2]
    deadline = time.monotonic() + 120
    while len(FilterComparison()) < 8 * N_SESSIONS:
        assert time.monotonic() < deadline
        up()
        assert len(workers(database)) <= 2
    assert len(FilteredTrack()) == 8 * N_SESSIONS and len(TrackQuality()) == N_SESSIONS
    while workers(database):
        assert time.monotonic() < deadline, "workers end when nothing is left"
        time.sleep(0.1)
    last = up()
    assert [(one["n_pending"], one["n_reserved"], one["n_started"]) for one in last["classes"]] == [(0, 0, 0)] * 2


def test_too_little_memory_for_a_table_is_said_with_both_numbers(
    environment: dict[str, str], run_python: Any, tmp_path: Path
) -> None:
    limits = {
        "OROFACIAL_GPU_WORKERS": json.dumps({"max_workers": 0, "memory": "5G"}),
        "OROFACIAL_CPU_WORKERS": json.dumps({"max_workers": 0, "memory": "1500"}),
    }
    done = run_python(
        "orofacial", tmp_path, "cluster", "up", "--here", "--dry-run", "--json", **{**environment, **limits}
    )
    gpu, cpu = json.loads(done.stdout)["warnings"]
    assert "gpu_workers.memory is 5G (5.37 GB), and a job of Training needs up to 6 GB" in gpu
    assert "cpu_workers.memory is 1500 (1.57 GB), and a job of PoseEstimation needs up to 2 GB" in cpu
    assert done.stderr.count("warning:") == 2 and gpu in done.stderr and cpu in done.stderr


@pytest.mark.parametrize(
    ("memory", "memory_gb"),
    [("", None), ("0", None), ("2000M", 2.097152), ("2", 0.002097152), ("2048K", 0.002097152), ("1T", 1099.511627776)],
)
def test_memory_is_read_as_sbatch_reads_it(memory: str, memory_gb: float | None) -> None:
    assert WorkerSettings(memory=memory).memory_gb == memory_gb


@pytest.mark.parametrize(("memory", "n_warnings"), [("", 0), ("0", 0), ("2G", 0), ("1G", 1)])
def test_enough_memory_and_the_clusters_own_default_are_fine(memory: str, n_warnings: int) -> None:
    from pipeline.work.cluster import cluster_memory_warnings

    assert len(cluster_memory_warnings(Settings(cpu_workers={"memory": memory}))) == n_warnings


def test_slurm_and_the_embedded_database_do_not_go_together(database: Settings) -> None:
    from pipeline.work.cluster import ClusterError
    from pipeline.work.cluster import start_cluster_workers as start_workers

    with pytest.raises(ClusterError, match="orofacial db init"):
        start_workers(database, on_slurm=True)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('memory = "lots"', "memory"),
        ("max_workers = -1", "max_workers"),
        ('time_limit = "soon"', "time_limit"),
        ('sbatch_options = ["; rm -r /"]', "sbatch_options"),
        ("max_worker = 3", "max_worker"),
    ],
)
def test_a_limit_that_sbatch_would_not_take_is_refused(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "settings.toml").write_text(f"[gpu_workers]\n{line}\n")
    with pytest.raises(SettingsError, match=said):
        load_settings(tmp_path)


def test_a_table_of_limits_keeps_the_other_defaults(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('[gpu_workers]\npartition = "gpu"\n[cpu_workers]\nmax_workers = 16\n')
    settings = load_settings(tmp_path)
    assert (settings.gpu_workers.partition, settings.gpu_workers.gres, settings.gpu_workers.max_workers) == (
        "gpu",
        "gpu:1",
        1,
    )
    assert (settings.cpu_workers.max_workers, settings.cpu_workers.gres) == (16, "")
