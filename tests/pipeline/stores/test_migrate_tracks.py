"""Arrays that a lab has in DataJoint become tracks files; nothing of the old table changes."""

from __future__ import annotations

from collections.abc import Iterator

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
