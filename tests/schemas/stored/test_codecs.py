"""What the tables keep in a store comes back as it was, and nothing is left of what failed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import datajoint as dj
import numpy as np
import pytest
from datajoint.storage import StorageBackend

from compute.errors import DatabaseError, TracksError
from compute.tracks import Tracks
from pipeline.settings import Settings
from schemas.stored.fetching import TracksReference, fetch_local_copy
from schemas.stored.publishing import published_or_removed


@pytest.fixture(scope="module")
def table(database: Settings) -> Iterator[type[dj.Manual]]:
    schema = dj.Schema(f"{database.schema_prefix}codecs", connection=dj.conn())

    @schema
    class Item(dj.Manual):
        definition = """
        item : varchar(64)
        ---
        tracks=null : <tracks@tracks>
        times=null : <array@tracks>
        bundle=null : <bundle@models>
        """

    yield Item
    schema.drop(prompt=False)


TRACKS = Tracks(
    position=np.random.default_rng(0).normal(50, 5, (30, 3, 2)),
    score=np.full((30, 3), 0.9),
    time=np.arange(30) / 100,
    nodes=("jaw_tip", "left snout", "größe_x"),
    filled=np.zeros((30, 3), bool),
)


def test_tracks_are_read_when_asked_for(table: type[dj.Manual]) -> None:
    table.insert1({"item": '"; drop table', "tracks": TRACKS})
    reference = (table & {"item": '"; drop table'}).fetch1("tracks")
    assert (reference.n_frames, reference.nodes) == (30, TRACKS.nodes)
    np.testing.assert_array_equal(reference.tracks().position, TRACKS.position)
    two = reference.tracks(["größe_x", "jaw_tip"])
    assert two.nodes == ("größe_x", "jaw_tip")
    np.testing.assert_array_equal(two.position, TRACKS.position[:, [2, 0]])
    with pytest.raises(TracksError, match="jaw_tip, left snout"):
        reference.tracks(["tongue"])


def test_an_address_is_whole_where_the_store_is_told_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that is told the address works in another folder."""
    (tmp_path / "store").mkdir()
    monkeypatch.chdir(tmp_path)
    backend = StorageBackend({"protocol": "file", "location": "store"})
    reference = TracksReference({"n_frames": 1, "nodes": ["jaw_tip"], "path": "mouse_id=a b/x.parquet"}, backend)
    assert reference.address == f"{tmp_path}/store/mouse_id=a b/x.parquet"


def test_a_damaged_or_missing_file_is_named(table: type[dj.Manual], database: Settings) -> None:
    table.insert1({"item": "damaged", "tracks": TRACKS})
    reference = (table & {"item": "damaged"}).fetch1("tracks")
    file = database.tracks_store / reference.path
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(DatabaseError, match="item=damaged"):
        reference.tracks()
    file.unlink()
    with pytest.raises(DatabaseError, match="item=damaged"):
        reference.tracks()


def test_arrays_and_folders_come_back(table: type[dj.Manual], tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"123")
    times = np.linspace(0, 1, 11)
    table.insert1({"item": "both", "times": times, "bundle": tmp_path / "model"})
    row = (table & {"item": "both"}).fetch1()
    np.testing.assert_array_equal(np.asarray(row["times"]), times)
    with fetch_local_copy(row["bundle"]) as folder:
        assert (folder / "weights").read_bytes() == b"123"


def test_a_row_that_was_not_inserted_leaves_no_file(table: type[dj.Manual], database: Settings, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"123")
    row = {"item": "twice", "tracks": TRACKS, "times": np.arange(3.0), "bundle": tmp_path / "model"}
    table.insert1(row)
    before = set(database.data_folder.joinpath("store").rglob("*"))
    with pytest.raises(dj.errors.DuplicateError), published_or_removed():
        table.insert1(row)
    assert set(database.data_folder.joinpath("store").rglob("*")) == before
    assert (table & {"item": "twice"}).fetch1("tracks").tracks().n_frames == 30


def test_only_tracks_are_stored_as_tracks(table: type[dj.Manual]) -> None:
    with pytest.raises(TracksError, match="ndarray"):
        table.insert1({"item": "array", "tracks": np.zeros(3)})
