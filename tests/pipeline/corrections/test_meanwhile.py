"""Workers go on while names are corrected; a process that is killed in the middle leaves old names or new ones."""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.corrections.renames import move_session, rename_mouse
from pipeline.settings import Settings

ROOT = Path(__file__).parents[3]

WORKER = """
import sys, time
from pipeline.lab import connect_lab

connect_lab(sys.argv[1])
from pipeline.work.worker import JobWorker
from schemas.track import FilteredTrack

compute = FilteredTrack.make_compute


def slow_compute(self, key, *fetched):
    print("begun", flush=True)
    time.sleep(0.15)
    return compute(self, key, *fetched)


FilteredTrack.make_compute = slow_compute
summary = JobWorker(tables=(FilteredTrack,), until_empty=True).run()
print("failed", len(summary.failed), flush=True)
"""

RENAMES = """
import sys
from pipeline.lab import connect_lab

connect_lab(sys.argv[1])
from pipeline.corrections.renames import rename_mouse
from schemas.subject import Mouse

while True:
    (mouse,) = Mouse.to_arrays("mouse_id")
    print(mouse, flush=True)
    rename_mouse(str(mouse), {"mouse01": "M001", "M001": "mouse01"}[mouse])
"""


def start(program: str, settings: Settings) -> subprocess.Popen[str]:
    variables = {"PYTHONPATH": str(ROOT), "OROFACIAL_SCHEMA_PREFIX": settings.schema_prefix}
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program, str(settings.data_folder)],
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def poses(database: Settings) -> Settings:
    """Two sessions of mouse01 with poses, so that there is a job of FilteredTrack for each filter."""
    from schemas.track import FilterMethod

    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        spec = importlib.util.spec_from_file_location("faults", ROOT / "benchmarks" / "faults.py")
        assert spec is not None and spec.loader is not None
        faults = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(faults)
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    faults.fill(2 * len(FilterMethod()))
    return database


def sessions_of_rows() -> dict[str, set[tuple[str, int]]]:
    """Mouse and number of the sessions of all rows, by table."""
    from schemas.pose import PoseEstimation
    from schemas.session import Session, Video
    from schemas.track import FilteredTrack

    return {
        table.__name__: {(row["mouse_id"], row["session_number"]) for row in table.proj().to_dicts()}
        for table in (Session, Video, PoseEstimation, FilteredTrack)
    }


def test_jobs_of_a_renamed_session_are_neither_lost_nor_doubled_nor_failed(poses: Settings) -> None:
    from pipeline.stores.collection import collect
    from schemas.track import FilteredTrack, FilterMethod

    process = start(WORKER, poses)
    assert process.stdout is not None
    said = []
    for number, name in ((2, "M001"), (4, "M002"), (7, "M003")):
        while len(said) < number:
            said.append(process.stdout.readline().strip())
        (mouse,) = {row for row, _ in sessions_of_rows()["Session"]}
        rename_mouse(mouse, name)
        key = {"mouse_id": name, "session_date": "2026-03-02", "session_number": 1}
        move_session(*moved(key))
    said += process.communicate(timeout=120)[0].split("\n")
    assert "failed 0" in said
    assert not FilteredTrack().jobs
    assert len(FilteredTrack()) == 2 * len(FilterMethod())
    assert set(map(frozenset, sessions_of_rows().values())) == {frozenset({("M003", 0), ("M003", 1)})}
    found = collect(dry_run=True)
    assert (found.garbage, found.young) == ([], [])


def moved(key: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """The second session, to another day and back: its key, and the name that it does not have now."""
    from ingest.session_names import SessionName
    from schemas.session import Session

    days = {row["session_number"]: row["session_date"] for row in Session.to_dicts()}
    now = {**key, "session_date": days[1]}
    other = days[0] if days[1] != days[0] else days[0].replace(day=3)
    return now, SessionName(key["mouse_id"], other, 1)


def test_a_worker_whose_input_changed_computes_again(poses: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.work.worker import JobWorker
    from schemas.track import FilteredTrack

    (FilteredTrack & {"filter_method": "median", "session_number": 0}).delete(prompt=False)
    fetch, n_fetched = FilteredTrack.make_fetch, []

    def changing(self: Any, key: dict[str, Any]) -> Any:
        n_fetched.append(1)
        name, parameters = fetch(self, key)
        return name, {**parameters} if len(n_fetched) != 2 else {**parameters, "window_s": 9.0}

    monkeypatch.setattr(FilteredTrack, "make_fetch", changing)
    summary = JobWorker(tables=(FilteredTrack,), until_empty=True).run()
    assert (summary.failed, summary.computed) == ([], {"FilteredTrack": 1})
    assert len(n_fetched) == 4


def test_a_job_by_a_name_that_is_gone_is_forgotten(poses: Settings) -> None:
    """It may come into the queue while a name is corrected."""
    from pipeline.work.worker import JobWorker
    from schemas.track import FilteredTrack

    (key,) = (FilteredTrack & {"filter_method": "median", "session_number": 0}).keys()
    FilteredTrack().jobs.insert1({**key, "mouse_id": "gone", "status": "pending", "priority": 5})
    summary = JobWorker(tables=(FilteredTrack,), until_empty=True).run()
    assert summary.failed == [] and not FilteredTrack().jobs


@pytest.mark.slow
def test_a_rename_that_is_killed_leaves_the_old_or_the_new_state(poses: Settings) -> None:
    from schemas.session import Correction, Session
    from schemas.subject import Mouse

    (mouse,) = Mouse.to_arrays("mouse_id")
    if mouse != "mouse01":
        rename_mouse(str(mouse), "mouse01")
    n_before = len(Correction())
    chance = random.Random(7)
    for _ in range(8):
        process = start(RENAMES, poses)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.uniform(0, 0.4))
        process.kill()
        process.communicate()
        deadline = time.monotonic() + 30
        while True:  # the server may still work on what it was sent
            (mouse,) = Mouse.to_arrays("mouse_id")
            if mouse == ("mouse01", "M001")[(len(Correction()) - n_before) % 2] or time.monotonic() > deadline:
                break
        assert mouse == ("mouse01", "M001")[(len(Correction()) - n_before) % 2]
        assert {name for rows in sessions_of_rows().values() for name, _ in rows} == {mouse}
        assert len(Session()) == 2
