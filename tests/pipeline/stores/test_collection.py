"""Garbage is what no row points at, and nothing else, also while workers write, are killed, and roll back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.stores.collection import CollectionError, collect, is_collection_referenced, references

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_a_file_is_covered_by_its_row_and_by_the_folder_that_a_row_points_at() -> None:
    referenced = {("tracks", "s/t/a.parquet"), ("models", "s/m/bundle_1")}
    assert is_collection_referenced("tracks", "s/t/a.parquet", referenced)
    assert is_collection_referenced("models", "s/m/bundle_1/deep/weights", referenced)
    assert is_collection_referenced("models", "s/m/bundle_1.manifest.json", referenced)
    assert not is_collection_referenced("models", "s/m/bundle_10/weights", referenced)
    assert not is_collection_referenced("models", "s/t/a.parquet", referenced)  # another store
    assert not is_collection_referenced("tracks", "s/t/a.parquet.saving", referenced)


def test_what_rows_point_at_is_never_garbage(small_lab: Any) -> None:
    found = collect(dry_run=True, grace_s=1)
    assert found.n_files > 20
    assert not found.garbage
    assert {store for store, _ in references()} == {"tracks", "models", "labels"}


def make_garbage(small_lab: Any) -> Path:
    """A row that somebody deleted with DataJoint alone leaves its file."""
    from schemas.track import FilteredTrack

    key = {"mouse_id": "mouse03", "camera": "side", "filter_method": "gaussian"}
    path = small_lab.settings.tracks_store / (FilteredTrack & key).fetch1("tracks").path
    (FilteredTrack & key).delete(prompt=False)
    assert path.exists()
    return Path(path)


@pytest.mark.slow
def test_old_garbage_goes_and_young_files_stay(small_lab: Any, orofacial: Run) -> None:
    path = make_garbage(small_lab)
    (path.parent / "tracks_abc.parquet.saving").write_bytes(b"half")  # of a worker that was killed
    labels = small_lab.settings.labels_store / "_schema" / "nobody.pkg.slp"
    labels.write_bytes(b"labelled")
    stranger = small_lab.settings.tracks_store / "_schema" / "another_project" / "a.npy"
    stranger.parent.mkdir()
    stranger.write_bytes(b"theirs")
    try:
        assert len(collect().young) == 2
        time.sleep(1.1)
        assert [file.path for file in collect(dry_run=True, grace_s=1).garbage if path.name in file.path]
        done = orofacial("collect", "--grace-hours", 1 / 3600, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["n_removed"] == 2
        assert not path.exists()
        assert labels.exists()
        assert stranger.exists()
        assert "0 of" in orofacial("collect").stdout
    finally:
        labels.unlink()
        stranger.unlink()


def test_an_old_mtime_does_not_make_a_new_file_old(small_lab: Any) -> None:
    """Copying a model's folder keeps the times of its files."""
    path = make_garbage_file(small_lab)
    os.utime(path, (1e9, 1e9))
    assert [file.path.rpartition("/")[2] for file in collect(grace_s=60).young] == [path.name]
    path.unlink()


def make_garbage_file(small_lab: Any) -> Path:
    folder = small_lab.settings.tracks_store / "_schema" / f"{small_lab.settings.schema_prefix}track"
    path = Path(folder) / "tracks_new.parquet"
    path.write_bytes(b"new")
    return path


@pytest.mark.slow
def test_a_store_that_is_mostly_strange_is_left_alone(small_lab: Any, orofacial: Run) -> None:
    paths = [make_garbage_file(small_lab).with_name(f"{index}.parquet") for index in range(100)]
    for path in paths:
        path.write_bytes(b"of another database")
    time.sleep(1.1)
    with pytest.raises(CollectionError, match="another database"):
        collect(grace_s=1)
    assert all(path.exists() for path in paths)
    assert "--even-most" in orofacial("collect", "--grace-hours", 1 / 3600).stderr
    with pytest.raises(CollectionError, match="grace age"):
        collect(grace_s=0)
    collect(grace_s=1, even_most=True)
    assert not any(path.exists() for path in paths)


WRITER = """
import random, sys, time
import datajoint as dj, schemas
from pathlib import Path
from pipeline.settings import Settings
from pipeline.database.connection import open_connection
settings = Settings(data_folder=Path(sys.argv[1]), schema_prefix=sys.argv[2])
schemas.activate(settings.schema_prefix, open_connection(settings))
from schemas.stored.publishing import published_or_removed
from schemas.pose import PoseEstimation
from schemas.track import FilteredTrack, FilterMethod

name, n, pause_s = sys.argv[3], int(sys.argv[4]), float(sys.argv[5])
rng = random.Random(name)
source = PoseEstimation.keys(limit=1)[0]
tracks = (PoseEstimation & source).fetch1("tracks").tracks()
for index in range(n):
    method = f"{name}_{index}"
    FilterMethod.insert1({"filter_method": method, "filter_name": "raw", "filter_parameters": {}})
    key = {**source, "filter_method": method}
    fails = rng.random() < 0.2
    try:
        with published_or_removed(), FilteredTrack.connection.transaction:
            FilteredTrack.insert1({**key, "tracks": tracks}, allow_direct_insert=True)
            print("written", flush=True)
            sys.stdin.readline() if name == "patient" else time.sleep(rng.uniform(0, 2 * pause_s))
            if fails:
                raise RuntimeError
    except RuntimeError:
        continue
    if rng.random() < 0.2:
        (FilteredTrack & key).delete(prompt=False)  # leaves its file
"""


def writer(small_lab: Any, name: str, n: int, pause_s: float) -> subprocess.Popen[str]:
    where = (str(small_lab.settings.data_folder), small_lab.settings.schema_prefix)
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, *where, name, str(n), str(pause_s)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def assert_every_row_has_its_file() -> int:
    from schemas.track import FilteredTrack

    n_rows = 0
    for reference in FilteredTrack.to_arrays("tracks"):
        if reference is not None:
            assert reference.tracks().n_frames == 200
            n_rows += 1
    return n_rows


@pytest.mark.slow
def test_no_row_loses_its_file_while_workers_write(small_lab: Any) -> None:
    """Workers hold their transactions longer than the grace age; one of them is killed in the middle of one."""
    slow = [writer(small_lab, f"slow{index}", 3, 2.5) for index in range(2)]
    fast = writer(small_lab, "fast", 80, 0.02)
    killed = writer(small_lab, "killed", 1, 100)
    workers = [*slow, fast, killed]
    n_removed = 0
    try:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "written\n"
        killed.kill()
        killed.wait(timeout=60)
        while any(worker.poll() is None for worker in workers):
            n_removed += len(collect(grace_s=1, even_most=True).removed)
            time.sleep(0.05)
    finally:
        for worker in workers:
            worker.kill()
            _, error = worker.communicate()
            assert "Traceback" not in error, error
    assert all(worker.returncode == 0 for worker in (*slow, fast))
    assert assert_every_row_has_its_file() > 50
    time.sleep(1.1)
    n_removed += len(collect(grace_s=1, even_most=True).removed)
    assert n_removed > 5  # deleted rows' files, and that of the killed worker
    left = collect(dry_run=True, grace_s=1)
    assert not left.garbage
    assert not left.young


def test_a_file_whose_transaction_is_open_waits_however_old_it_is(small_lab: Any) -> None:
    before = set(small_lab.settings.tracks_store.rglob("*.parquet"))
    worker = writer(small_lab, "patient", 1, 0)
    assert worker.stdout is not None
    assert worker.stdout.readline() == "written\n"  # its transaction is open until it is told to go on
    (written,) = set(small_lab.settings.tracks_store.rglob("*.parquet")) - before
    while time.time() - written.stat().st_mtime <= 1.1:  # older than the grace age, and no row to be seen yet
        time.sleep(0.05)
    found = collect(grace_s=1, even_most=True)
    assert not found.removed
    assert len(found.young) == 1
    worker.communicate("\n", timeout=60)
    assert_every_row_has_its_file()
