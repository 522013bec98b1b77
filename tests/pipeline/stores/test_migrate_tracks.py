"""Arrays that a lab has in DataJoint become tracks files; nothing of the old table changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import datajoint as dj
import numpy as np
import pytest

from compute.errors import DatabaseError, TracksError
from pipeline.settings import Settings
from pipeline.stores.migrate_tracks import migrate_tracks

NODES = ("jaw_tip", "left snout")


@pytest.fixture(scope="module")
def old(database: Settings) -> Iterator[tuple[str, type[dj.Manual]]]:
    """A lab's own table with a blob and an .npy column."""
    name = f"{database.schema_prefix}old"
    schema = dj.Schema(name, connection=dj.conn())

    @schema
    class Pose(dj.Manual):
        definition = """
        mouse : varchar(32)
        day : int32
        ---
        points : <blob>  # frame, node, x y
        scored : <npy@tracks>  # frame, node, x y score
        """

    rng = np.random.default_rng(0)
    for day in range(3):
        points = rng.normal(100, 5, (40 + day, 2, 2))
        points[3, 1] = np.nan
        scored = np.concatenate([points, rng.uniform(0.1, 1, (40 + day, 2, 1))], axis=-1)
        Pose.insert1({"mouse": '"; drop table', "day": day, "points": points, "scored": scored})
    Pose.insert1({"mouse": "odd", "day": 0, "points": np.zeros((5, 3, 2)), "scored": np.zeros(7)})
    yield name, Pose
    schema.drop(prompt=False)


@pytest.mark.parametrize("column", ["points", "scored"])
def test_arrays_become_tracks(old: tuple[str, type[dj.Manual]], column: str) -> None:
    name, pose = old
    before = {(row["mouse"], row["day"]): np.asarray(row[column]) for row in pose.to_dicts()}
    steps: list[tuple[int, int]] = []
    result = migrate_tracks(name, "Pose", column, nodes=NODES, fps=50, progress=lambda *step: steps.append(step))
    assert (result.n_migrated, result.n_known) == (3, 0)
    assert len(result.refused) == 1
    assert "'odd'" in result.refused[0]
    assert "(frame, 2, 2)" in result.refused[0]
    assert steps[-1] == (4, 4)
    new = dj.VirtualModule("new", name, connection=dj.conn()).PoseTracks
    for row in new.to_dicts():
        tracks, array = row["tracks"].tracks(), before[row["mouse"], row["day"]]
        np.testing.assert_array_equal(tracks.position, array[..., :2].astype(np.float32))
        np.testing.assert_array_equal(tracks.time, np.arange(len(array)) / 50)
        assert tracks.score[3, 1] == 0
        if column == "scored":
            np.testing.assert_array_equal(tracks.score[:, 0], array[:, 0, 2].astype(np.float32))
    after = {(row["mouse"], row["day"]): np.asarray(row[column]) for row in pose.to_dicts()}
    assert before.keys() == after.keys()
    for key, array in before.items():
        np.testing.assert_array_equal(after[key], array)
    again = migrate_tracks(name, "Pose", column, nodes=NODES, fps=50)
    assert (again.n_migrated, again.n_known, len(again.refused)) == (0, 3, 1)
    new.drop(prompt=False)


def test_a_file_that_reads_back_otherwise_leaves_neither_row_nor_file(database: Settings) -> None:
    """A trigger of the server lets the second row point at the first one's file, which is not what was written."""
    name = f"{database.schema_prefix}swapped"
    schema = dj.Schema(name, connection=dj.conn())

    @schema
    class Pose(dj.Manual):
        definition = """
        day : int32
        ---
        points : <blob>
        """

    try:
        Pose.insert1({"day": 0, "points": np.zeros((5, 2, 2))})
        migrate_tracks(name, "Pose", "points", nodes=NODES, fps=50)
        dj.conn().query(
            f"""
            CREATE FUNCTION "{name}".swap() RETURNS trigger AS $$ BEGIN
            NEW.tracks := (SELECT tracks FROM "{name}"."pose_tracks" WHERE day = 0);
            RETURN NEW; END $$ LANGUAGE plpgsql;
            CREATE TRIGGER swap BEFORE INSERT ON "{name}"."pose_tracks" FOR EACH ROW EXECUTE FUNCTION "{name}".swap();
            """
        )
        store = Path(dj.config.get_store_spec("tracks")["location"])
        before = sorted(path for path in store.rglob("*") if path.is_file())
        Pose.insert1({"day": 1, "points": np.ones((5, 2, 2))})
        with pytest.raises(DatabaseError, match=r"'day': 1.*the store gave back another position than was written"):
            migrate_tracks(name, "Pose", "points", nodes=NODES, fps=50)
        new = dj.VirtualModule("new", name, connection=dj.conn()).PoseTracks
        assert new.to_arrays("day").tolist() == [0]
        assert sorted(path for path in store.rglob("*") if path.is_file()) == before
        dj.conn().query(f'DROP TRIGGER swap ON "{name}"."pose_tracks"')
        assert migrate_tracks(name, "Pose", "points", nodes=NODES, fps=50).n_migrated == 1
    finally:
        schema.drop(prompt=False)


def test_what_is_not_there_is_said(old: tuple[str, type[dj.Manual]]) -> None:
    name, _ = old
    for arguments, said in (
        (("nowhere", "Pose", "points"), "no schema 'nowhere'"),
        ((name, "Poses", "points"), "there are Pose"),
        ((name, "Pose", "point"), "there are points, scored"),
    ):
        with pytest.raises(DatabaseError, match=said):
            migrate_tracks(*arguments, nodes=NODES, fps=50)
    with pytest.raises(TracksError, match="fps is 0"):
        migrate_tracks(name, "Pose", "points", nodes=NODES, fps=0)
