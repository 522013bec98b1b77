"""What the machinery around the computations costs, on the embedded database.

    python benchmarks/overhead.py [--json] [--sessions 50000]

job_overhead_ms   median time of a job of FilteredTrack outside make_compute, all eight filters of a small track
job_overhead_mean_ms  the mean of the same
cluster_up_s      one pass of `orofacial cluster up` with so many sessions done and 100 pending; it may start no worker
status_s          `orofacial status` there, without starting Python
ingest_1000_s     ingesting 1,000 small sessions, less reading their videos
idle_worker_mb    memory (resident) of `orofacial work --cpu` that did a job for each video and waits for more

The overhead of a job is the wall time from the end of one make_compute to the start of the next. Inside make_compute,
and so not counted, are the filter, reading the raw track, and two queries (where the raw track lies, what its model's
scores mean), which take 1-2 ms. Outside, and so counted, are: looking for the next job in the four tables that this
worker takes, reserving it, make_fetch, writing and verifying the track's Parquet file, make_fetch again, the row, the
end of the job, the commit to disk, and, once a second, adding the jobs of other tables that the finished ones made
possible. The median does not see what happens once a second, nor a slow commit now and then; the mean does. Nothing
else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
for _name in [name for name in os.environ if name.startswith(("DJ_", "OROFACIAL_"))]:
    del os.environ[_name]

import numpy as np
import psutil
from faults import _connect, fill


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sessions", type=int, default=50_000)
    options = parser.parse_args()
    data_folder = Path(tempfile.mkdtemp(prefix="orofacial-overhead-"))
    os.chdir(data_folder)
    try:
        settings = _connect(data_folder)
        fill(400)
        result = _Shown()
        result["job_overhead_ms"], result["job_overhead_mean_ms"] = job_overhead_ms()
        result["idle_worker_mb"] = idle_worker_mb(data_folder)
        fill_done(options.sessions)
        result["status_s"] = status_s()
        result["cluster_up_s"] = cluster_up_s(settings)
        result["ingest_1000_s"] = ingest_1000_s(data_folder)
    finally:
        from pipeline.database.connection import close_connection

        close_connection()
        shutil.rmtree(data_folder, ignore_errors=True)
    if options.json:
        print(json.dumps(result))
    else:
        print("\n".join(f"{name} {value:.3g}" for name, value in result.items()))


class _Shown(dict[str, float]):
    """Numbers, each told on stderr as it comes: the whole takes minutes."""

    def __setitem__(self, name: str, value: float) -> None:
        print(f"{name} {value:.3g}", file=sys.stderr, flush=True)
        super().__setitem__(name, value)


def job_overhead_ms() -> tuple[float, float]:
    """Median and mean over 400 jobs of the time between two jobs' ends, less what make_compute took."""
    from pipeline.work.worker import JobWorker
    from schemas.metric import DistanceMetrics, FilterComparison, LabelError
    from schemas.track import FilteredTrack

    compute, marks = FilteredTrack.make_compute, []

    def timed(self: Any, key: dict[str, Any], *fetched: Any) -> Any:
        started = time.perf_counter()
        result = compute(self, key, *fetched)
        marks.append((started, time.perf_counter()))
        return result

    FilteredTrack.make_compute = timed  # type: ignore[method-assign]
    try:
        JobWorker(tables=(FilteredTrack, DistanceMetrics, FilterComparison, LabelError), until_empty=True).run()
    finally:
        FilteredTrack.make_compute = compute  # type: ignore[method-assign]
    between_ms = [1e3 * (after[0] - before[1]) for before, after in pairwise(marks)]
    return float(np.median(between_ms)), float(np.mean(between_ms))


def idle_worker_mb(data_folder: Path) -> float:
    """Resident memory (MB) of a worker that did all jobs of TrackQuality and waits for more."""
    command = [sys.executable, "-m", "pipeline.cli", "--data-folder", str(data_folder), "work", "--cpu"]
    worker = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    from schemas.pose import PoseEstimation
    from schemas.track import TrackQuality
    from schemas.worker import Worker

    deadline = time.monotonic() + 120
    while not (Worker & {"pid": worker.pid}) or len(TrackQuality()) < len(PoseEstimation()):
        assert time.monotonic() < deadline and worker.poll() is None, "the worker does not start"
        time.sleep(0.5)
    time.sleep(3)
    resident = psutil.Process(worker.pid).memory_info().rss
    worker.terminate()
    worker.wait(30)
    return float(resident / 1e6)


def ingest_1000_s(data_folder: Path) -> float:
    """Ingest 1,000 sessions of one video of ten frames, less probing and hashing them."""
    from compute.video import write_video
    from ingest import sessions

    raw = data_folder / "raw"
    generator = np.random.default_rng(0)
    for number in range(1000):
        folder = raw / f"mouse{number % 20:02d}" / f"2026-05-01_{number}"
        folder.mkdir(parents=True)
        write_video(folder / "side.mp4", generator.integers(0, 255, (10, 48, 64), np.uint8), 100)
    reading = 0.0

    def read(*arguments: Any) -> Any:
        nonlocal reading
        started = time.perf_counter()
        try:
            return read_video(*arguments)
        finally:
            reading += time.perf_counter() - started

    read_video, sessions.read_new_video = sessions.read_new_video, read
    started = time.perf_counter()
    try:
        outcomes = list(sessions.ingest_sessions(raw, stable_after_s=0))
    finally:
        sessions.read_new_video = read_video
    assert {outcome.status for outcome in outcomes} == {"ingested"}, outcomes[0]
    return time.perf_counter() - started - reading


def fill_done(n_sessions: int) -> None:
    """So many sessions of two cameras with everything done (every filter, no pair), and 100 without filters."""
    from schemas.pose import PoseEstimation
    from schemas.session import Session, Video
    from schemas.track import FilteredTrack, FilterMethod, TrackQuality

    first = {"mouse_id": "mouse01", "session_date": "2026-03-02", "session_number": 0}
    query = Session.connection.query
    video = (Video & first).fetch1()
    pose = (PoseEstimation & first).fetch1("tracks")
    model_id = "0" * 16
    stored = json.dumps({"path": pose.path, "store": "tracks", "n_frames": 200, "nodes": list(pose.nodes)})
    query("SET session_replication_role = replica")  # the rows fit each other: a check of each takes minutes
    numbers = f"generate_series(0, {n_sessions + 100 - 1}) AS n"
    date = "DATE '2000-01-01' + n / 10"
    columns = "mouse_id, session_date, session_number"
    query(
        f"INSERT INTO {Session.full_table_name} ({columns}, session_folder)"
        f" SELECT 'mouse01', {date}, n %% 10, '/nowhere' FROM {numbers}"
    )
    for camera in ("side", "lower"):
        names = [name for name in video if name not in (*Session.primary_key, "camera", "content_hash", "timestamps")]
        values = ", ".join("NULL" if video[name] is None else f"'{video[name]}'" for name in names)
        query(
            f"INSERT INTO {Video.full_table_name} ({columns}, camera, content_hash, {', '.join(names)})"
            f" SELECT 'mouse01', {date}, n %% 10, '{camera}', '{camera}' || n, {values} FROM {numbers}"
        )
        query(
            f"INSERT INTO {PoseEstimation.full_table_name} ({columns}, camera, model_id, tracks, device,"
            f" estimation_duration_s) SELECT 'mouse01', {date}, n %% 10, '{camera}', '{model_id}', '{stored}', 'none',"
            f" 0 FROM {numbers}"
        )
    done = f"FROM {PoseEstimation.full_table_name} WHERE session_date < '2020-01-01'"
    keys = ", ".join(PoseEstimation.primary_key)
    last = f" AND (session_date - DATE '2000-01-01') * 10 + session_number < {n_sessions}"
    query(f"INSERT INTO {TrackQuality.full_table_name} ({keys}) SELECT {keys} {done}{last}")
    for method in FilterMethod.to_arrays("filter_method"):
        query(
            f"INSERT INTO {FilteredTrack.full_table_name} ({keys}, filter_method)"
            f" SELECT {keys}, '{method}' {done}{last}"
        )
    for table in (Session, Video, PoseEstimation, TrackQuality, FilteredTrack):
        query(f"ANALYZE {table.full_table_name}")
    query("SET session_replication_role = DEFAULT")


def cluster_up_s(settings: Any) -> float:
    """A pass that may start no worker: 100 sessions' jobs are found, counted and left."""
    from pipeline.settings import GPUWorkerSettings, WorkerSettings
    from pipeline.work import cluster

    limits = {"gpu_workers": GPUWorkerSettings(max_workers=0), "cpu_workers": WorkerSettings(max_workers=0)}
    none = settings.model_copy(update=limits)
    started = time.perf_counter()
    import pipeline.database.connection

    pipeline.database.connection._session.settings = none  # type: ignore[union-attr]  # the same connection
    cluster.start_cluster_workers(none, on_slurm=False)
    return time.perf_counter() - started


def status_s() -> float:
    """Reading the state."""
    from pipeline.work.status import status

    started = time.perf_counter()
    status()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
