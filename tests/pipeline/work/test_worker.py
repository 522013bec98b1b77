"""Jobs have one owner; who lost one can do nothing with it; who is dead gives it back."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeline.settings import Settings

DEAD_PID = 2**22 + 1  # above the kernel's largest


def _faults() -> ModuleType:
    """The benchmark, which knows how to fill the tables; nothing of it is an installed package."""
    folder = Path(__file__).parents[3] / "benchmarks"
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location("faults", folder / "faults.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def poses(database: Settings) -> Settings:
    """Two videos with poses, so sixteen jobs of FilteredTrack."""
    _faults().fill(16)
    return database


@pytest.fixture
def filtered(poses: Settings) -> Iterator[Any]:
    """FilteredTrack, empty, with its jobs pending."""
    from pipeline.work.jobs import refresh_jobs, retry_failed_jobs
    from schemas.track import FilteredTrack

    FilteredTrack.delete(prompt=False)
    refresh_jobs()
    retry_failed_jobs()
    yield FilteredTrack()
    FilteredTrack.jobs.delete()


def _owner(pid: int | None = None) -> dict[str, Any]:
    import datajoint as dj

    connection_id = dj.conn().connection_id if pid is None else 2**40
    return {"host": platform.node(), "pid": pid or os.getpid(), "connection_id": connection_id}


def _steal(table: Any, key: dict[str, Any], pid: int) -> None:
    """Make a job somebody else's."""
    table.jobs.update1({**key, **_owner(pid), "status": "reserved"})


def test_a_worker_computes_everything_and_leaves_an_empty_queue(filtered: Any) -> None:
    from pipeline.work.worker import JobWorker
    from schemas.worker import Worker as WorkerTable

    summary = JobWorker("cpu", until_empty=True).run()
    assert summary.computed["FilteredTrack"] == 16
    assert len(filtered) == 16
    assert not filtered.jobs
    assert not WorkerTable()


def test_pending_is_counted_by_what_jobs_need(filtered: Any) -> None:
    from pipeline.work.jobs import pending_jobs
    from schemas.track import FilteredTrack

    counts = pending_jobs((FilteredTrack,))
    assert (counts["cpu"].pending, counts["cpu"].reserved, counts["cpu"].memory_gb) == (16, 0, 2)
    assert counts["gpu"].pending == 0


def test_who_lost_a_job_can_neither_insert_nor_give_it_back(filtered: Any, poses: Settings) -> None:
    from pipeline.work.jobs import LostJobError, WaitingJob, finish_job, put_back_job, set_job_error

    key = WaitingJob(filtered, {"filter_method": "median"}).reserve()
    assert key is not None
    _steal(filtered, key, DEAD_PID)
    files = set(poses.tracks_store.rglob("*"))
    fetched = filtered.make_fetch(key)
    result = filtered.make_compute(key, *fetched)
    with pytest.raises(LostJobError, match="another worker"):
        finish_job(filtered, key, _owner(), lambda: filtered.make_insert(key, *result))
    assert not put_back_job(filtered, key, _owner())
    assert not set_job_error(filtered, key, _owner(), "error", "stack")
    assert (filtered.jobs & key).fetch1("pid") == DEAD_PID
    assert not filtered & key
    assert set(poses.tracks_store.rglob("*")) == files
    finish_job(filtered, key, _owner(DEAD_PID), lambda: filtered.make_insert(key, *result))
    assert len(filtered & key) == 1 and not filtered.jobs & key


def test_a_dead_workers_job_goes_back_and_after_three_deaths_aside(filtered: Any) -> None:
    from pipeline.work.dead_workers import release_dead_workers
    from pipeline.work.jobs import WaitingJob, retry_failed_jobs

    key = WaitingJob(filtered, {}).reserve()
    assert key is not None
    for _ in range(2):
        _steal(filtered, key, DEAD_PID)
        assert release_dead_workers() == 1
        assert (filtered.jobs & key).fetch1("status") == "pending"
    _steal(filtered, key, DEAD_PID)
    release_dead_workers()
    status, message = (filtered.jobs & key).fetch1("status", "error_message")
    assert status == "error"
    assert "3 workers died with this job" in message and "orofacial retry" in message
    assert retry_failed_jobs() == 1
    _steal(filtered, key, DEAD_PID)
    release_dead_workers()
    assert (filtered.jobs & key).fetch1("status") == "pending"  # counted anew


def test_files_of_a_dead_worker_are_removed_and_nobody_elses(filtered: Any, poses: Settings) -> None:
    from pipeline.work.dead_workers import release_dead_workers
    from pipeline.work.jobs import WaitingJob, finish_job

    done = WaitingJob(filtered, {"filter_method": "median", "session_number": 0}).reserve()
    key = WaitingJob(filtered, {"filter_method": "median", "session_number": 1}).reserve()
    assert done is not None and key is not None
    result = filtered.make_compute(done, *filtered.make_fetch(done))
    finish_job(filtered, done, _owner(), lambda: filtered.make_insert(done, *result))

    def files() -> set[Path]:
        return {path for path in poses.tracks_store.rglob("*") if path.is_file()}

    # What deleted rows left in this job's folder is an orphan too.
    of_the_job = {f"{poses.schema_prefix}track", "session_number=1", "filter_method=median"}
    others = {path for path in files() if not of_the_job <= set(path.parts)}
    filtered.connection.start_transaction()
    filtered.insert1({**key, "tracks": result[0]}, allow_direct_insert=True)
    filtered.connection.cancel_transaction()  # what is left of a process killed before its commit
    assert files() > others
    _steal(filtered, key, DEAD_PID)
    assert release_dead_workers() == 1
    assert files() == others


def test_a_folder_that_another_worker_removes_meanwhile_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name is there, and nothing behind it."""
    import tempfile

    from pipeline.work.temporary import own_temporary_folder

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / f"orofacial-worker-{platform.node()}-{DEAD_PID}-1-gone").symlink_to(tmp_path / "gone")
    with own_temporary_folder() as folder:
        assert folder.parent == tmp_path


def test_a_living_process_keeps_its_job_though_its_connection_is_gone(filtered: Any) -> None:
    from pipeline.work.dead_workers import release_dead_workers
    from pipeline.work.jobs import WaitingJob

    key = WaitingJob(filtered, {}).reserve()
    assert key is not None
    _steal(filtered, key, os.getppid())
    assert release_dead_workers() == 0
    assert (filtered.jobs & key).fetch1("status") == "reserved"


def test_a_real_error_stays_with_its_traceback_until_retry(
    filtered: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pipeline.work.jobs import retry_failed_jobs
    from pipeline.work.worker import JobWorker
    from schemas.track import FilterMethod

    compute = type(filtered).make_compute

    def broken(self: Any, key: dict[str, Any], *fetched: Any) -> Any:
        if key["filter_method"] == "broken":
            raise ValueError("no such tracks")
        return compute(self, key, *fetched)

    monkeypatch.setattr(type(filtered), "make_compute", broken)
    FilterMethod.insert1({"filter_method": "broken", "filter_name": "median", "filter_parameters": {}})
    try:
        summary = JobWorker("cpu", until_empty=True).run()
        assert [failure["key"]["filter_method"] for failure in summary.failed] == ["broken", "broken"]
        stacks = filtered.jobs.errors.to_arrays("error_stack")
        assert all("Traceback" in stack for stack in stacks)
        assert not JobWorker("cpu", until_empty=True).run().failed
        assert retry_failed_jobs(restriction={"mouse_id": "mouse01"}) == 2
    finally:
        filtered.jobs.delete()
        (FilterMethod & {"filter_method": "broken"}).delete(prompt=False)


def test_a_stop_that_a_library_turns_into_its_own_error_puts_the_job_back(
    filtered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As omegaconf does, whose clean-up fails when the signal comes while a model is loaded."""
    import signal

    from pipeline.work.worker import JobWorker

    def interrupted(self: Any, key: dict[str, Any], *fetched: Any) -> Any:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            raise AttributeError("'NoneType' object has no attribute '_invalidate'")

    monkeypatch.setattr(type(filtered), "make_compute", interrupted)
    summary = JobWorker(tables=(type(filtered),), until_empty=True).run()
    assert (summary.stopped_by, summary.failed) == (signal.SIGTERM, [])
    assert len(filtered.jobs.pending) == 16


def test_status_tells_a_killed_worker_and_all_that_is_left_to_do(filtered: Any, poses: Settings) -> None:
    from pipeline.stores.deletion import plan_session_deletion
    from pipeline.work.status import status
    from schemas.worker import Worker as WorkerTable

    key = filtered.jobs.pending.keys()[0]
    session = {name: key[name] for name in ("mouse_id", "session_date", "session_number")}
    _steal(filtered, key, DEAD_PID)
    WorkerTable.insert1({**_owner(DEAD_PID), "process_started_s": 0, "device": "cpu"})
    try:
        (worker,) = status().workers
        assert not worker.alive
        assert worker.job.startswith("FilteredTrack mouse01/2026-03-02_")
        assert plan_session_deletion(session).n_running == 0
    finally:
        WorkerTable.delete_quick()
    counts = status().others
    assert counts["LabelError"].to_do == 0
    assert set(counts) == {
        *("Training", "ModelEvaluation", "FilterComparison", "Bouts", "LabeledVideo", "LabelError", "TrackCalibration")
    }


def test_status_says_who_works_on_what(filtered: Any) -> None:
    from pipeline.work.jobs import WaitingJob, job_text
    from pipeline.work.status import status
    from schemas.worker import Worker

    key = WaitingJob(filtered, {}).reserve()
    told = {"table_name": "FilteredTrack", "n_done": 30, "n_total": 120, "steps_per_s": 15.0}
    Worker.insert1({**_owner(), "process_started_s": 0.0, "device": "cpu", **told})
    try:
        (worker,) = status().workers
        assert key is not None
        assert worker.job == f"FilteredTrack {job_text(key)}"
        assert (worker.n_done, worker.n_total, worker.steps_per_s) == (30, 120, 15.0)
        assert status().stages["FilteredTrack"].running == 1
    finally:
        Worker.delete_quick()


def test_a_waiting_worker_has_imported_nothing_that_computes(filtered: Any, poses: Settings) -> None:
    """A process as a person starts it, that did its jobs of TrackQuality and waits; stopped, it lists its modules."""
    from pipeline.work.worker import JobWorker
    from schemas.track import TrackQuality
    from schemas.worker import Worker as WorkerTable

    JobWorker("cpu", until_empty=True).run()
    TrackQuality.delete(prompt=False)
    says = "import atexit, sys; atexit.register(lambda: print(*sys.modules)); from pipeline.cli import main; main()"
    command = [sys.executable, "-c", says, "--data-folder", str(poses.data_folder), "work", "--cpu"]
    variables = {"PYTHONPATH": str(Path(__file__).parents[3]), "OROFACIAL_SCHEMA_PREFIX": poses.schema_prefix}
    worker = subprocess.Popen(command, env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while len(TrackQuality()) < 2 or TrackQuality.jobs or not WorkerTable & {"pid": worker.pid}:
        assert time.monotonic() < deadline and worker.poll() is None
        time.sleep(0.1)
    worker.terminate()
    modules = set(worker.communicate(timeout=30)[0].split())
    assert {"datajoint", "pipeline.work.worker", "schemas.metric"} <= modules
    heavy = {"torch", "sleap_nn", "sleap_io", "numba", "scipy", "cv2", "av", "h5py", "duckdb", "polars", "matplotlib"}
    assert not heavy & modules


def test_watch_takes_a_session_when_its_marker_is_there(
    database: Settings, tmp_path: Path, make_session: Callable[..., Path]
) -> None:
    from ingest.watching import watch_raw_folder

    folder = make_session("mouse07/2026-04-01_1")
    outcomes = watch_raw_folder(tmp_path / "raw", marker="done", scan_every_s=1)
    assert next(outcomes).status == "waiting"
    (folder / "done").touch()
    assert next(outcomes).status == "ingested"
    bad = make_session("mouse07/2026-04-02_1")
    (bad / "side.mp4").write_bytes(b"no video")
    (bad / "done").touch()
    refused = next(outcomes)
    assert refused.status == "refused" and "side.mp4" in refused.message
    outcomes.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["postgresql", "mariadb"])
def test_nothing_is_lost_or_doubled_when_workers_and_servers_are_killed(name: str) -> None:
    import json

    script = Path(__file__).parents[3] / "benchmarks" / "faults.py"
    options = ["--json", "--seconds", "40", "--jobs", "80", "--workers", "4", "--database", name]
    done = subprocess.run([sys.executable, str(script), *options], stdout=subprocess.PIPE, text=True, check=True)
    result = json.loads(done.stdout)[name]
    assert {result[what] for what in ("lost", "doubled", "stuck", "orphaned_rows")} == {0}
    assert result["computed"] <= result["jobs"] + result["kills"]
