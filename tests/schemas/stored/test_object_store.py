"""Stores in S3: what is written comes back, and only what is asked for travels."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datajoint as dj
import numpy as np
import pytest

from compute.errors import DatabaseError
from compute.tracks import Tracks
from pipeline.database.connection import open_connection
from pipeline.settings import Settings
from schemas.stored.fetching import fetch_local_copy
from schemas.stored.object_store import S3FileSystem
from schemas.stored.publishing import published_or_removed

TESTS = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("s3_store", TESTS / "s3_store.py")
assert _spec and _spec.loader
s3_store = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(s3_store)

NODES = tuple(f"node {index}" for index in range(7))
TRACKS = Tracks(
    np.random.default_rng(0).normal(150, 5, (50_000, 7, 2)),
    np.random.default_rng(1).uniform(0.5, 1, (50_000, 7)),
    np.arange(50_000) / 100,
    NODES,
)


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with s3_store.LocalS3() as running:
        yield running


@pytest.fixture(scope="module")
def table(database: Settings, server: Any) -> Iterator[type[dj.Manual]]:
    """A table whose tracks and bundles lie in S3, by configuration alone."""
    before = dict(dj.config.stores)
    dj.config.stores = {**before, "tracks": server.store("tracks"), "models": server.store("models")}
    from pipeline.database.connection import close_connection

    configured = dict(dj.config.stores)
    close_connection()
    dj.config.stores = configured
    open_connection(database)
    schema = dj.Schema(f"{database.schema_prefix}s3", connection=dj.conn())

    @schema
    class Item(dj.Manual):
        definition = """
        item : varchar(64)
        ---
        tracks=null : <tracks@tracks>
        bundle=null : <bundle@models>
        """

    yield Item
    schema.drop(prompt=False)
    close_connection()
    dj.config.stores = {}


def test_tracks_come_back(table: type[dj.Manual]) -> None:
    table.insert1({"item": '"; drop #? %22', "tracks": TRACKS})
    reference = (table & {"item": '"; drop #? %22'}).fetch1("tracks")
    assert reference.address.startswith("s3://lab/tracks/")
    assert reference.shape == (50_000, 7, 2)
    np.testing.assert_array_equal(reference.tracks().position, TRACKS.position)
    np.testing.assert_array_equal(reference.time, TRACKS.time)


def test_one_node_of_seven_costs_its_share(table: type[dj.Manual], server: Any) -> None:
    table.insert1({"item": "share", "tracks": TRACKS})
    reference = (table & {"item": "share"}).fetch1("tracks")
    size = reference._backend.size(reference.path)
    before = server.sent_bytes()
    one = reference.tracks(nodes=["node 3"])
    assert server.sent_bytes() - before <= 1.3 / 7 * size
    np.testing.assert_array_equal(one.position[:, 0], TRACKS.position[:, 3])
    before = server.sent_bytes()
    assert reference.footer().n_frames == 50_000
    assert server.sent_bytes() - before <= 100_000  # the end of the file only


def test_bundles_and_removed_files(table: type[dj.Manual], tmp_path: Path) -> None:
    (tmp_path / "model" / "deep").mkdir(parents=True)
    (tmp_path / "model" / "deep" / "weights").write_bytes(b"123")
    table.insert1({"item": "model", "tracks": TRACKS, "bundle": tmp_path / "model"})
    row = (table & {"item": "model"}).fetch1()
    with fetch_local_copy(row["bundle"]) as folder:
        assert (folder / "deep" / "weights").read_bytes() == b"123"
    backend = row["tracks"]._backend

    def listed() -> list[str]:
        return [path for path in backend.fs.find("lab") if not path.endswith("/")]

    before = listed()
    with pytest.raises(dj.errors.DuplicateError), published_or_removed():
        table.insert1({"item": "model", "tracks": TRACKS, "bundle": tmp_path / "model"})
    assert listed() == before
    backend.remove(row["tracks"].path)
    with pytest.raises(DatabaseError, match="item=model"):
        row["tracks"].tracks()


def test_duckdb_reads_the_same_objects(table: type[dj.Manual]) -> None:
    import duckdb

    table.insert1({"item": "sql", "tracks": TRACKS})
    reference = (table & {"item": "sql"}).fetch1("tracks")
    with duckdb.connect() as connection:
        connection.register_filesystem(reference.filesystem)
        found = connection.execute(
            f"""select count(*), avg("node 2_x") from read_parquet(['{reference.address}'])"""
        ).fetchall()
    assert found == [(50_000, pytest.approx(TRACKS.position[:, 2, 0].astype(float).mean()))]


def test_a_server_that_is_gone_is_said(table: type[dj.Manual], database: Settings) -> None:
    """A store at an address where nobody answers: one error with the path, no traceback of the network."""
    from schemas.stored.fetching import TracksReference
    from schemas.stored.object_store import S3FileSystem

    table.insert1({"item": "away", "tracks": TRACKS})
    reference = (table & {"item": "away"}).fetch1("tracks")
    stored = {"path": reference.path, "n_frames": 50_000, "nodes": NODES}
    away = TracksReference(stored, reference._backend.__class__(reference._backend.spec))
    away._backend._fs = S3FileSystem("test", "test", {"endpoint_url": "http://127.0.0.1:9"})
    with pytest.raises(DatabaseError, match="item=away"):
        away.tracks()


@pytest.mark.slow
def test_the_command_line_uses_a_configured_store(server: Any, run_command: Any, tmp_path: Path) -> None:
    stores = {name: server.store(f"cli/{name}") for name in ("tracks", "models", "labels")}

    def run(stores: dict[str, Any]) -> dict[str, Any]:
        words = ("--data-folder", tmp_path / "data", "doctor", "--json")
        result = run_command(*words, folder=tmp_path, DJ_STORES=json.dumps(stores))
        checks: dict[str, Any] = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
        return checks["stores"]

    works = run(stores)
    assert works["ok"], works
    assert "s3: lab/cli/tracks" in works["found"]
    away = run({**stores, "tracks": {**stores["tracks"], "bucket": "nowhere"}})
    assert not away["ok"]
    assert "tracks" in away["found"]
    assert "nowhere" in away["found"]


STORE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from query_store import build, open_store
build(Path(sys.argv[2]), 4, 500, lambda said: None)
print("null")
"""
LOSE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from query_store import open_store
open_store(Path(sys.argv[2]))
from schemas.pose import PoseEstimation
from schemas.track import FilteredTrack, TrackQuality
lost = "mouse_id='mouse001'"
for table in (FilteredTrack, TrackQuality.Node, TrackQuality, PoseEstimation):
    (table & lost).delete_quick()
print("null")
"""


@pytest.mark.slow
def test_sessions_in_s3_are_asked_deleted_and_collected(server: Any, run_command: Any, tmp_path: Path) -> None:
    """The command line on a lab whose stores lie in S3: what a row points at stays, what none points at goes."""
    stores = {name: server.store(f"whole/{name}") for name in ("tracks", "models", "labels")}
    data_folder = tmp_path / "data"
    data_folder.mkdir()

    def run(*words: object, program: str | None = None) -> Any:
        result = run_command(*words, program=program, folder=tmp_path, DJ_STORES=json.dumps(stores))
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def orofacial(*arguments: str) -> Any:
        return run("--data-folder", data_folder, *arguments, "--json")

    def mice_with_files() -> list[str]:
        files = S3FileSystem("test", "test", {"endpoint_url": server.url}).find("lab/whole/tracks")
        return sorted(file.partition("mouse_id=")[2].partition("/")[0] for file in files if file.endswith(".parquet"))

    def mice_asked() -> list[str]:
        return [row["mouse_id"] for row in orofacial("sql", "select distinct mouse_id from tracks order by 1")["rows"]]

    mice = [f"mouse00{index}" for index in range(4)]
    run(TESTS.parent / "benchmarks", data_folder, program=STORE)
    assert mice_asked() == mice_with_files() == mice
    assert orofacial("collect", "--dry-run")["n_removed"] == 0

    run(TESTS.parent / "benchmarks", data_folder, program=LOSE)
    assert mice_asked() == ["mouse000", "mouse002", "mouse003"]
    assert orofacial("collect")["n_removed"] == 0  # too young
    assert mice_with_files() == mice
    time.sleep(2.1)  # S3 tells times in whole seconds
    assert orofacial("collect", "--grace-hours", str(1 / 3600))["n_removed"] == 1
    assert mice_with_files() == ["mouse000", "mouse002", "mouse003"]

    orofacial("delete", "session", "mouse002/2026-01-03_1", "--yes")
    assert mice_asked() == mice_with_files() == ["mouse000", "mouse003"]
