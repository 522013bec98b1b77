"""Eight workers, 400 jobs, and for three minutes something is killed: what is lost, doubled, stuck or orphaned.

    python benchmarks/faults.py [--json] [--seconds 180] [--jobs 400] [--workers 8] [--database mariadb]

Without --database: the embedded PostgreSQL, and MariaDB where it is installed.

Every few seconds a random one of: SIGKILL of a worker, SIGTERM of a worker, its connection cut by the server. Once: the
database killed and started again, and the disk full for some workers (a limit on the size of their files: a worker
sees "file too large" where a full disk says "no space left"). A worker that ended is started again, as Slurm or systemd
would. The jobs are real ones (`FilteredTrack` on small tracks), made longer by a pause.

One object per database:

jobs           keys to compute
kills          things done to workers and the server
computed       jobs begun in all; above `jobs` only for what was killed
lost           keys without a result at the end
doubled        keys with more than one result
stuck          jobs that are still reserved, failed or pending
orphaned_rows  results whose file is not there
orphaned_files files that no result points at
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import numpy as np
from servers import MariaDB, PostgreSQL

SERVERS = (PostgreSQL.name, MariaDB.name)
N_FRAMES = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--jobs", type=int, default=400)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--database", choices=SERVERS, action="append")
    parser.add_argument("--run-worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--one", choices=SERVERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run_worker:
        run_worker(options.run_worker, options)
        return
    if options.one:
        print(json.dumps(run(options)))
        return
    results = {name: _in_process(name, options) for name in options.database or _installed()}
    if options.json:
        print(json.dumps(results))
    else:
        for name, result in results.items():
            print(f"{name}: " + ", ".join(f"{count} {what}" for what, count in result.items()))


def _installed() -> list[str]:
    """Databases that can be started here: the embedded one comes with this project, MariaDB with the system."""
    if MariaDB.is_installed():
        return list(SERVERS)
    print("mariadb is left out: it is not installed here (apt-get install mariadb-server)", file=sys.stderr)
    return [PostgreSQL.name]


def _in_process(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One database in a process of its own: DataJoint has one configuration a process."""
    numbers = {"--seconds": options.seconds, "--jobs": options.jobs, "--workers": options.workers}
    arguments = [str(word) for pair in {**numbers, "--seed": options.seed}.items() for word in pair]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("DJ_", "OROFACIAL_"))}
    clean["DJ_LOG_STREAM"] = "stderr"  # DataJoint says on the standard output that it connects again
    done = subprocess.run(
        [sys.executable, __file__, "--one", name, *arguments], stdout=subprocess.PIPE, text=True, check=False, env=clean
    )
    if done.returncode:
        sys.exit(done.returncode)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def run(options: argparse.Namespace) -> dict[str, Any]:
    data_folder = Path(tempfile.mkdtemp(prefix="orofacial-faults-"))
    os.chdir(data_folder)
    server = PostgreSQL(data_folder) if options.one == PostgreSQL.name else MariaDB()
    try:
        server.start()
        os.environ.update(server.environment)
        _connect(data_folder)
        fill(options.jobs)
        kills = disturb(server, data_folder, options)
        return {**count(data_folder, options.jobs), "kills": kills} | {"computed": _n_begun(data_folder)}
    finally:
        from pipeline.database.connection import close_connection

        close_connection()
        server.stop()
        if not os.environ.get("OROFACIAL_KEEP"):
            shutil.rmtree(data_folder, ignore_errors=True)


def _connect(data_folder: Path) -> Any:
    import schemas
    from pipeline.database.connection import open_connection
    from pipeline.settings import Settings

    settings = Settings(data_folder=data_folder)
    connection = open_connection(settings)
    schemas.activate(settings.schema_prefix, connection)
    return settings


def fill(n_jobs: int) -> None:
    """Videos with poses, to each of which every filter is to be applied."""
    from compute.tracks import Tracks
    from ingest.labels import insert_label_skeleton
    from schemas.model import Model
    from schemas.pose import PoseEstimation
    from schemas.session import Session, Video
    from schemas.subject import Mouse
    from schemas.track import FilterMethod

    nodes = ("left_snout_tip", "right_snout_tip")
    with tempfile.TemporaryDirectory() as bundle:
        (Path(bundle) / "weights").write_bytes(b"none")
        row = {"model_id": "0" * 16, "camera": "side", "estimator": "sleap", "model_name": "none", "bundle": bundle}
        Model.insert1({**row, "skeleton_id": insert_label_skeleton(nodes, ((nodes[0], nodes[1]),))})
    Mouse.insert1({"mouse_id": "mouse01"})
    generator = np.random.default_rng(0)
    if n_jobs % len(FilterMethod()):
        sys.exit(f"--jobs {n_jobs}: expected a multiple of {len(FilterMethod())}, the number of filters")
    for number in range(n_jobs // len(FilterMethod())):
        key = {"mouse_id": "mouse01", "session_date": "2026-03-02", "session_number": number}
        Session.insert1({**key, "session_folder": f"/nowhere/{number}"})
        video = {"camera": "side", "video_file": f"/nowhere/{number}/side.mp4", "file_size_bytes": 1}
        size = {"n_frames": N_FRAMES, "fps_numerator": 100, "fps_denominator": 1, "width_px": 64, "height_px": 48}
        Video.insert1({**key, **video, **size, "content_hash": f"{number:064d}"})
        position = np.cumsum(generator.normal(0, 1, (N_FRAMES, 2, 2)), axis=0)
        tracks = Tracks(position, np.ones((N_FRAMES, 2)), np.arange(N_FRAMES) / 100, nodes)
        PoseEstimation.insert1(
            {
                **{**key, "camera": "side", "model_id": "0" * 16, "tracks": tracks},
                **{"device": "none", "estimation_duration_s": 0.0},
            },
            allow_direct_insert=True,
        )


def run_worker(data_folder: Path, options: argparse.Namespace) -> None:
    """A worker whose jobs are longer, and which writes down each job that it begins."""
    os.chdir(data_folder)
    _connect(data_folder)
    from pipeline.cli.workers_commands import _log_lines
    from pipeline.work.worker import JobWorker
    from schemas.making import progress
    from schemas.track import FilteredTrack

    compute = FilteredTrack.make_compute
    mean_s = 0.8 * options.seconds * options.workers / options.jobs

    def slow_compute(self: Any, key: dict[str, Any], *fetched: Any) -> Any:
        with (data_folder / "begun").open("a") as file:
            file.write("x")
        for step in range(10):
            time.sleep(random.uniform(0.2, 1.8) * mean_s / 10)
            progress.report_progress(step, 10)
        return compute(self, key, *fetched)

    FilteredTrack.make_compute = slow_compute  # type: ignore[method-assign]
    _log_lines()
    JobWorker(tables=(FilteredTrack,)).run()


def _start_worker(data_folder: Path, options: argparse.Namespace) -> subprocess.Popen[bytes]:
    command = [sys.executable, __file__, "--run-worker", str(data_folder), "--seconds", str(options.seconds)]
    command += ["--jobs", str(options.jobs), "--workers", str(options.workers)]
    with (data_folder / "workers.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


def disturb(server: PostgreSQL | MariaDB, data_folder: Path, options: argparse.Namespace) -> int:
    """Kill things for a while, then let the workers finish; return how many things were done."""
    from pipeline.database import connection as database

    chance = random.Random(options.seed)
    workers = [_start_worker(data_folder, options) for _ in range(options.workers)]
    _wait_for(workers)
    started, n_kills = time.monotonic(), 0
    once = {"restart": 0.35 * options.seconds, "disk full": 0.6 * options.seconds}
    full: list[int] = []
    try:
        while time.monotonic() - started < options.seconds:
            time.sleep(chance.uniform(0.5, 1.5) * max(options.seconds / 60, 2))
            elapsed_s = time.monotonic() - started
            due = next((name for name, at_s in once.items() if elapsed_s > at_s), None)
            if due == "restart":
                server.restart()
                database.reconnect()
                n_kills += 1
            elif due == "disk full":
                full = [worker.pid for worker in workers if worker.poll() is None]
                _limit_files(full, 100)
                time.sleep(options.seconds / 30)
                _limit_files(full, resource.RLIM_INFINITY)
                n_kills += len(full)
            else:
                n_kills += _kill_one(server, chance.choice(workers), chance)
            once.pop(due or "", None)
            workers = [worker if worker.poll() is None else _start_worker(data_folder, options) for worker in workers]
        _wait_until_done(options)
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(60)
        database.reconnect()
    return n_kills


def _wait_for(workers: list[subprocess.Popen[bytes]]) -> None:
    """Wait until all are at work. That all of them start at once is a test of its own."""
    from schemas.worker import Worker

    while len(Worker()) < len(workers):
        if any(worker.poll() is not None for worker in workers):
            sys.exit("a worker ended while it started: see workers.log (OROFACIAL_KEEP=1 keeps the folder)")
        time.sleep(0.2)


def _limit_files(pids: list[int], size_bytes: int) -> None:
    """Let these processes write no more than so much into a file: what a full disk is, for them alone."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


def _kill_one(server: PostgreSQL | MariaDB, worker: subprocess.Popen[bytes], chance: random.Random) -> int:
    how = chance.choice(["kill", "terminate", "cut"])
    if how == "cut":
        return _cut(server, worker.pid)
    worker.send_signal(signal.SIGKILL if how == "kill" else signal.SIGTERM)
    worker.wait(60)
    return 1


def _cut(server: PostgreSQL | MariaDB, pid: int) -> int:
    """Let the server end a worker's connection."""
    from schemas.worker import Worker

    ids = (Worker & {"pid": pid}).to_arrays("connection_id")
    for connection_id in ids:
        with contextlib.suppress(Exception):  # it is cut already: the second time in a row
            Worker().connection.query(server.cut_statement(int(connection_id)))
    return len(ids)


def _wait_until_done(options: argparse.Namespace) -> None:
    from schemas.track import FilteredTrack

    deadline = time.monotonic() + 60 + options.seconds
    while len(FilteredTrack()) < options.jobs and time.monotonic() < deadline:
        time.sleep(0.5)


def _n_begun(data_folder: Path) -> int:
    return (data_folder / "begun").stat().st_size


def count(data_folder: Path, n_jobs: int) -> dict[str, Any]:
    """What is there at the end."""
    from pipeline.work.dead_workers import release_dead_workers
    from schemas.track import FilteredTrack

    release_dead_workers()
    rows = FilteredTrack.to_dicts()
    keys = [tuple(str(row[name]) for name in FilteredTrack.primary_key) for row in rows]
    store = data_folder / "store" / "tracks"
    paths = {str(store / row["tracks"].path) for row in rows if row["tracks"] is not None}
    files = {str(path) for path in store.rglob("*") if path.is_file() and "__filtered_track" in str(path)}
    return {
        "jobs": n_jobs,
        "lost": n_jobs - len(set(keys)),
        "doubled": len(keys) - len(set(keys)),
        "stuck": len(FilteredTrack.jobs),
        "orphaned_rows": len(paths - files),
        "orphaned_files": len(files - paths),
    }


if __name__ == "__main__":
    main()
