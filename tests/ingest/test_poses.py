"""Poses that another program wrote beside the videos: from the files to rows, as they were when they were found."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from compute.errors import ModelError
from compute.video import video_content_hash

NETWORK = "DLC_resnet50_snoutJan5shuffle1_50000"
NODES = ("snout", "jaw_tip")
N_FRAMES = 20
OLD_S = 1_700_000_000


def write_poses(
    path: Path, seed: int, *, n_rows: int = N_FRAMES, scorer: str = NETWORK, scale: float = 1
) -> NDArray[np.float32]:
    """Write a file of poses that was there long ago; return its numbers, shape (frame, node, 3)."""
    values = np.random.default_rng(seed).uniform(0.01, 1, (n_rows, len(NODES), 3)) * [60 * scale, 40 * scale, 1]
    columns = pd.MultiIndex.from_product(
        [[scorer], NODES, ["x", "y", "likelihood"]], names=["scorer", "bodyparts", "coords"]
    )
    pd.DataFrame(values.reshape(n_rows, -1), columns=columns).to_csv(path)
    os.utime(path, (OLD_S, OLD_S))
    return values.astype(np.float32)


@pytest.fixture
def sessions(emptied: None, make_session: Callable[..., Path]) -> list[Path]:
    """Three sessions that are ingested, without poses."""
    from ingest.sessions import ingest_sessions

    folders = [make_session(f"mouse0{number}/2026-03-02_1", cameras=("side",)) for number in (1, 2, 3)]
    assert [one.status for one in ingest_sessions(folders[0].parents[1], stable_after_s=0)] == ["ingested"] * 3
    return folders


def import_and_deploy(source: Path, **options: Any) -> str:
    from ingest.deployment import deploy
    from ingest.models import import_model

    model_id = import_model(source, camera="side", **options)
    deploy(model_id)
    return model_id


def populate() -> dict[str, Any]:
    """Failures of the jobs of poses, message by mouse."""
    from pipeline.work import populate as work
    from schemas.pose import PoseEstimation

    summary = work.populate(tables=(PoseEstimation,))
    return {failure["key"]["mouse_id"]: failure["message"] for failure in summary.failed}


def poses_of(model_id: str) -> dict[str, Any]:
    """Tracks by mouse."""
    from schemas.pose import PoseEstimation

    rows = (PoseEstimation & {"model_id": model_id}).to_dicts()
    return {row["mouse_id"]: row["tracks"].tracks() for row in rows}


def test_poses_come_from_the_files_and_a_video_without_one_is_no_failure(sessions: list[Path]) -> None:
    from schemas.model import Model
    from schemas.pose import PoseEstimation, PoseFile

    expected = {f"mouse0{i + 1}": write_poses(sessions[i] / f"side{NETWORK}.csv", seed=i) for i in range(2)}
    model_id = import_and_deploy(sessions[0] / f"side{NETWORK}.csv")
    assert populate() == {}
    found = poses_of(model_id)
    assert sorted(found) == ["mouse01", "mouse02"]
    for mouse, values in expected.items():
        np.testing.assert_array_equal(found[mouse].position, values[..., :2])
        np.testing.assert_array_equal(found[mouse].score, values[..., 2])
    assert len(PoseEstimation.jobs.errors) == len(PoseEstimation.jobs.pending) == 0
    row = (PoseFile & {"mouse_id": "mouse02"}).fetch1()
    path = sessions[1] / f"side{NETWORK}.csv"
    assert (row["pose_file"], row["pose_file_hash"]) == (str(path), video_content_hash(path))
    model = (Model & {"model_id": model_id}).fetch1()
    assert (model["estimator"], model["width_px"], model["n_training_frames"]) == ("deeplabcut", None, None)
    assert {row["device"] for row in PoseEstimation.to_dicts()} == {"file"}


def test_a_file_that_comes_later_is_taken_by_the_next_populate_once_it_rests(sessions: list[Path]) -> None:
    write_poses(sessions[0] / f"side{NETWORK}.csv", seed=0)
    model_id = import_and_deploy(sessions[0] / f"side{NETWORK}.csv")
    populate()
    write_poses(sessions[2] / f"side{NETWORK}.csv", seed=2)
    (sessions[2] / f"side{NETWORK}.csv").touch()  # written at this moment
    populate()
    assert sorted(poses_of(model_id)) == ["mouse01"]
    os.utime(sessions[2] / f"side{NETWORK}.csv", (OLD_S, OLD_S))
    populate()
    assert sorted(poses_of(model_id)) == ["mouse01", "mouse03"]


def test_a_search_looks_beside_new_videos_each_time_and_beside_all_the_first_time(
    sessions: list[Path], make_session: Callable[..., Path]
) -> None:
    from ingest.poses import PoseFileSearch
    from ingest.sessions import ingest_sessions
    from schemas.pose import PoseFile
    from schemas.session import Session

    def paths() -> set[str]:
        return set(PoseFile.to_arrays("pose_file"))

    files = [folder / f"side{NETWORK}.csv" for folder in sessions]
    write_poses(files[0], seed=0)
    import_and_deploy(files[0])
    # Ingested long ago, by the database's own clock.
    Session.connection.query(f"UPDATE {Session().full_table_name} SET ingested_at='2026-01-01 00:00:00'")
    search = PoseFileSearch(every_s=1e6)
    assert search.register() == 1
    write_poses(files[1], seed=1)
    new = make_session("mouse01/2026-03-03_1", cameras=("side",))
    assert [one.status for one in ingest_sessions(new, stable_after_s=0)] == ["ingested"]
    write_poses(new / f"side{NETWORK}.csv", seed=3)
    assert search.register() == 1 and paths() == {str(files[0]), str(new / f"side{NETWORK}.csv")}
    write_poses(files[2], seed=2)
    assert search.register() == 0
    assert PoseFileSearch().register() == 2 and {str(files[1]), str(files[2])} <= paths()


def test_a_search_looks_beside_all_videos_for_a_model_that_was_deployed_meanwhile(sessions: list[Path]) -> None:
    from ingest.poses import PoseFileSearch
    from schemas.session import Session

    for seed, folder in enumerate(sessions):
        write_poses(folder / f"side{NETWORK}.csv", seed)
    Session.connection.query(f"UPDATE {Session().full_table_name} SET ingested_at='2026-01-01 00:00:00'")
    search = PoseFileSearch(every_s=1e6)
    assert search.register() == 0
    import_and_deploy(sessions[0] / f"side{NETWORK}.csv")
    assert search.register() == 3
    import_and_deploy(sessions[0] / f"side{NETWORK}.csv", name="another")
    assert (search.register(), search.register()) == (3, 0)


def test_a_file_that_changed_is_refused_and_another_name_takes_it_as_another_model(sessions: list[Path]) -> None:
    from ingest.poses import register_pose_files
    from pipeline.work.jobs import retry_failed_jobs

    paths = [folder / f"side{NETWORK}.csv" for folder in sessions]
    for seed, path in enumerate(paths):
        write_poses(path, seed)
    model_id = import_and_deploy(paths[0])
    assert (register_pose_files(), register_pose_files()) == (3, 0)
    changed = write_poses(paths[1], seed=99)
    paths[2].unlink()
    failed = populate()
    assert sorted(failed) == ["mouse02", "mouse03"] and sorted(poses_of(model_id)) == ["mouse01"]
    assert f"{paths[1]} has the hash {video_content_hash(paths[1])}, expected " in failed["mouse02"]
    assert f"orofacial model import {paths[1]} --name NEW" in failed["mouse02"]
    assert "the hash none, it is gone" in failed["mouse03"]
    again = import_and_deploy(paths[1], name="retrained")
    assert again != model_id
    retry_failed_jobs()
    populate()
    np.testing.assert_array_equal(poses_of(again)["mouse02"].position, changed[..., :2])
    assert sorted(poses_of(model_id)) == ["mouse01"]


def test_a_file_that_changed_is_not_known_already(sessions: list[Path]) -> None:
    """Importing it again says what differs from the poses that were taken in."""
    from ingest.models import import_model
    from ingest.poses import register_pose_files

    path = sessions[0] / f"side{NETWORK}.csv"
    before = write_poses(path, seed=0)
    model_id = import_and_deploy(path)
    register_pose_files()
    assert import_model(path, camera="side") == model_id
    text = path.read_text()
    path.write_text(text + "\n")
    with pytest.raises(ModelError, match="has changed since: its bytes are others; populate has not read its poses"):
        import_model(path, camera="side")
    path.write_text(text)
    assert populate() == {}
    path.write_text(text + "\n")
    with pytest.raises(ModelError, match="its bytes are others; its poses are the same"):
        import_model(path, camera="side")
    lines = text.splitlines()
    cells = lines[3 + 7].split(",")
    lines[3 + 7] = ",".join([*cells[:4], "31.5", *cells[5:]])  # x of jaw_tip in frame 7
    path.write_text("\n".join(lines))
    x, y, likelihood = before[7, 1]
    with pytest.raises(ModelError) as refused:
        import_model(path, camera="side")
    assert f"{path} was taken in as the poses of mouse01/2026-03-02_1 by model {model_id}" in str(refused.value)
    assert (
        f"1 frame of 20 differ, the first is frame 7 with jaw_tip, which was at ({x:g}, {y:g}) with likelihood"
        f" {likelihood:g}, is at (31.5, {y:g}) with likelihood"
    ) in str(refused.value)
    assert f"orofacial model import {path} --camera side --name NEW" in str(refused.value)
    path.write_text("\n".join(lines[:-1]) + "\n99" + ",1" * 6)
    with pytest.raises(ModelError, match=r"now it would be refused .*has frame 99"):
        import_model(path, camera="side")
    assert import_model(path, camera="side", name="NEW") != model_id


def test_a_file_that_does_not_fit_its_video_fails_alone(sessions: list[Path]) -> None:
    for seed, folder in enumerate(sessions):
        write_poses(folder / "side.csv", seed, n_rows=N_FRAMES + seed, scorer="heatmap_tracker")
    model_id = import_and_deploy(sessions[0] / "side.csv")
    failed = populate()
    assert sorted(failed) == ["mouse02", "mouse03"] and sorted(poses_of(model_id)) == ["mouse01"]
    assert "has frame 20, expected frame 0 to frame 19" in failed["mouse02"]


def test_poses_of_another_picture_are_refused(sessions: list[Path]) -> None:
    """The videos are 64 x 48 px: of three files one is of a video ten times larger, one has fractions of its size."""
    for scale, folder in zip((1.2, 10, 1 / 60), sessions, strict=True):
        write_poses(folder / f"side{NETWORK}.csv", seed=0, scale=scale)
    model_id = import_and_deploy(sessions[0] / f"side{NETWORK}.csv")
    failed = populate()
    assert sorted(failed) == ["mouse02", "mouse03"] and sorted(poses_of(model_id)) == ["mouse01"]
    assert f"{sessions[1] / f'side{NETWORK}.csv'} holds no poses of {sessions[1] / 'side.mp4'}" in failed["mouse02"]
    assert "% of the points lie outside the picture of 64 x 48 px: x is " in failed["mouse02"]
    assert "it is of a video of another size or crop" in failed["mouse02"]
    assert "all points lie from 0 to 1" in failed["mouse03"] and "expected pixels" in failed["mouse03"]


def test_the_same_network_is_the_same_model_and_another_camera_is_refused(
    sessions: list[Path], make_session: Callable[..., Path]
) -> None:
    from ingest.models import import_model
    from ingest.sessions import ingest_sessions
    from schemas.model import Model

    both = make_session("mouse04/2026-03-02_1")
    assert [one.status for one in ingest_sessions(both, stable_after_s=0)] == ["ingested"]
    for folder in (*sessions, both):
        write_poses(folder / f"side{NETWORK}.csv", seed=0)
    shutil.copy(both / f"side{NETWORK}.csv", both / f"lower{NETWORK}.csv")
    ids = {import_model(folder / f"side{NETWORK}.csv", camera="side") for folder in sessions}
    assert len(ids) == 1 == len(Model & [{"model_id": one} for one in ids])
    with pytest.raises(ModelError, match=r"lies beside lower\.mp4 of camera lower, not side"):
        import_model(both / f"lower{NETWORK}.csv", camera="side")
    with pytest.raises(ModelError, match="unknown camera 'top'"):
        import_model(both / f"lower{NETWORK}.csv", camera="top")
    with pytest.raises(ModelError, match="is no model of an estimator that is known here"):
        import_model(both / "side.mp4", camera="side")


def test_why_names_file_hash_and_network(sessions: list[Path]) -> None:
    from pipeline.cli.why_commands import describe_why
    from pipeline.why import why_chain
    from pipeline.work.populate import populate as populate_all
    from schemas.track import FilteredTrack

    path = sessions[0] / f"side{NETWORK}.csv"
    write_poses(path, seed=0, n_rows=N_FRAMES - 3)
    model_id = import_and_deploy(path)
    assert not populate_all().failed
    key = (FilteredTrack & {"model_id": model_id, "mouse_id": "mouse01", "filter_method": "raw"}).fetch1("KEY")
    made = why_chain(key)
    estimation = made["estimation"]
    assert (estimation["network"], estimation["n_frames_without_row"]) == (NETWORK, 3)
    assert (estimation["input_file"], estimation["input_file_hash"]) == (str(path), video_content_hash(path))
    assert {"pandas", "tables"} <= set(estimation["provenance"]["packages"])
    text = "\n".join(describe_why(made))
    assert all(said in text for said in (NETWORK, str(path), video_content_hash(path)))
