"""Several models of a camera as one: its poses wait for its members', its mice are theirs, and nothing is half made."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from compute.errors import ModelError
from compute.estimators.ensemble import median_tracks
from compute.video import write_video

NODES = ("snout", "jaw_tip")
N_FRAMES = 20
OLD_S = 1_700_000_000
SEEDS = ("rng=0", "rng=1", "rng=2")
ENSEMBLES = Path(__file__).parents[3] / "shared" / "data" / "ensembles" / "mirror-mouse"


def write_poses(path: Path, seed: int) -> None:
    """Poses of one network, written long ago."""
    values = np.random.default_rng(seed).uniform(0.1, 1, (N_FRAMES, len(NODES), 3)) * [60, 40, 1]
    columns = pd.MultiIndex.from_product(
        [["network"], NODES, ["x", "y", "likelihood"]], names=["scorer", "bodyparts", "coords"]
    )
    pd.DataFrame(values.reshape(N_FRAMES, -1), columns=columns).to_csv(path)
    os.utime(path, (OLD_S, OLD_S))


@pytest.fixture
def seeds(emptied: None, make_session: Callable[..., Path]) -> tuple[list[Path], list[str]]:
    """Two sessions with the poses of three networks each, and the networks' models, none of which is deployed."""
    from ingest.models import import_model
    from ingest.sessions import ingest_sessions

    folders = [make_session(f"mouse0{number}/2026-03-02_1", cameras=("side",)) for number in (1, 2)]
    assert [one.status for one in ingest_sessions(folders[0].parents[1], stable_after_s=0)] == ["ingested"] * 2
    for index, folder in enumerate(folders):
        for number, seed in enumerate(SEEDS):
            write_poses(folder / f"side.{seed}.csv", 10 * index + number)
    ids = [import_model(folders[0] / f"side.{seed}.csv", camera="side", name=seed) for seed in SEEDS]
    return folders, ids


def populate() -> Any:
    from pipeline.work.populate import populate as work

    summary = work()
    assert not summary.failed
    return summary


def poses_of(model_id: str, mouse: str) -> Any:
    from schemas.pose import PoseEstimation

    return (PoseEstimation & {"model_id": model_id, "mouse_id": mouse}).fetch1("tracks").tracks()


def test_an_ensemble_is_a_model_whose_tracks_are_the_median_of_its_members(seeds: tuple[list[Path], list[str]]) -> None:
    from ingest.deployment import deploy
    from ingest.ensembles import make_ensemble
    from pipeline import query
    from schemas.model import Model
    from schemas.pose import PoseEstimation
    from schemas.track import FilteredTrack

    _, ids = seeds
    made = make_ensemble("three seeds", SEEDS)
    assert (made.is_new, made.camera, made.model_name) == (True, "side", "three seeds")
    assert (Model & {"model_id": made.model_id}).fetch1("n_training_frames") is None
    deploy(made.model_id)
    populate()
    assert len(PoseEstimation()) == 2 * 4
    for mouse in ("mouse01", "mouse02"):
        expected, found = median_tracks([poses_of(model_id, mouse) for model_id in ids]), poses_of(made.model_id, mouse)
        for name in ("position", "score", "spread", "time"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        assert found.attributes["members"] == sorted(ids)
    assert FilteredTrack & {"model_id": made.model_id, "filter_method": "kalman"}
    frame = query.tracks(filter="kalman").to_pandas()  # of the deployed model: no member is
    assert set(frame["model_id"]) == {made.model_id} and len(frame) == 2 * N_FRAMES * len(NODES)
    assert (frame["spread_px"] > 0).all()
    statement = "select count(*), min(snout_spread) from tracks"
    ((n_frames, least),) = query.sql(statement, filter="raw").fetchall()
    assert n_frames == 2 * N_FRAMES and least > 0
    qualities = query.qualities().to_pylist()
    assert len(qualities) == 4 and all(row["n_disputed"] is not None for row in qualities)
    assert {row["n_disputed"] for row in query.qualities(model=ids[0]).to_pylist()} == {None}


def test_a_video_waits_until_every_member_has_its_tracks(seeds: tuple[list[Path], list[str]]) -> None:
    from ingest.deployment import deploy
    from ingest.ensembles import make_ensemble
    from schemas.pose import PoseEstimation

    folders, ids = seeds
    late = folders[1] / "side.rng=2.csv"
    late.rename(late.with_suffix(".later"))
    made = make_ensemble("three seeds", SEEDS)
    deploy(made.model_id)
    of_ensemble = PoseEstimation & {"model_id": made.model_id}
    summary = populate()
    assert of_ensemble.to_arrays("mouse_id").tolist() == ["mouse01"] and len(PoseEstimation()) == 6
    assert any(f"model {ids[2]}: 1 video without the file of poses" in said for said in summary.undone)
    late.with_suffix(".later").rename(late)
    populate()
    assert of_ensemble.to_arrays("mouse_id", order_by="mouse_id").tolist() == ["mouse01", "mouse02"]


def test_members_run_only_for_a_deployed_ensemble(seeds: tuple[list[Path], list[str]]) -> None:
    from ingest.deployment import deploy, undeploy
    from ingest.ensembles import make_ensemble
    from schemas.pose import PoseEstimation

    made = make_ensemble("three seeds", SEEDS)
    populate()
    assert not PoseEstimation()
    deploy(made.model_id)
    undeploy(made.model_id)
    populate()
    assert not PoseEstimation()


def test_the_same_members_are_the_same_ensemble_and_a_name_is_used_once(seeds: tuple[list[Path], list[str]]) -> None:
    from ingest.ensembles import make_ensemble

    _, ids = seeds
    made = make_ensemble("three seeds", SEEDS)
    again = make_ensemble("three seeds", ids[::-1])
    assert (again.model_id, again.is_new) == (made.model_id, False)
    with pytest.raises(ModelError, match=f"are the ensemble {made.model_id} already, which is called 'three seeds'"):
        make_ensemble("another", ids)
    with pytest.raises(ModelError, match=f"model {ids[0]} of camera side is called 'rng=0' already"):
        make_ensemble("rng=0", ids[:2])
    with pytest.raises(ModelError, match="a model is named twice in rng=0"):
        make_ensemble("two", ["rng=0", ids[0]])
    with pytest.raises(ModelError, match=r"no model 'rng=9'; known are .*rng=0 \("):
        make_ensemble("two", ["rng=0", "rng=9"])
    with pytest.raises(ModelError, match="an ensemble of 1 model"):
        make_ensemble("one", ["rng=0"])
    with pytest.raises(ModelError, match=f"model {made.model_id} is an ensemble itself"):
        make_ensemble("nested", ["rng=0", "three seeds"])


def test_members_are_of_one_camera(seeds: tuple[list[Path], list[str]], tmp_path: Path) -> None:
    from ingest.ensembles import make_ensemble
    from ingest.models import import_model

    write_video(tmp_path / "lower.mp4", np.zeros((N_FRAMES, 48, 64), np.uint8), 100)
    write_poses(tmp_path / "lower.csv", 0)
    lower = import_model(tmp_path / "lower.csv", camera="lower")
    with pytest.raises(ModelError, match="its members are of the cameras lower, side"):
        make_ensemble("mixed", [lower, *SEEDS])


def test_its_training_mice_are_those_of_its_members_also_after_a_correction(
    seeds: tuple[list[Path], list[str]],
) -> None:
    from ingest.ensembles import make_ensemble
    from ingest.models import import_model
    from ingest.training_mice import correct_training_mice
    from schemas.training_mice import TrainingMice

    folders, ids = seeds
    correct_training_mice(ids[0], {"mouse01"})
    correct_training_mice(ids[1], {"mouse02"})
    made = make_ensemble("three seeds", SEEDS)
    assert (made.mice, made.mice_known) == (("mouse01", "mouse02"), False)

    def held_out(mouse: str) -> bool | None:
        return TrainingMice.fetch().held_out({"model_id": made.model_id, "mouse_id": mouse})

    assert [held_out(mouse) for mouse in ("mouse01", "mouse03")] == [False, None]
    import_model(folders[0] / "side.rng=2.csv", camera="side", name="rng=2", mice={"mouse01"})
    assert [held_out(mouse) for mouse in ("mouse01", "mouse03")] == [False, True]
    correct_training_mice(ids[1], {"mouse03"})
    assert [held_out(mouse) for mouse in ("mouse01", "mouse02", "mouse03")] == [False, True, False]
    correct_training_mice(ids[2], None)
    assert [held_out(mouse) for mouse in ("mouse01", "mouse02")] == [False, None]
    with pytest.raises(ModelError, match=f"is an ensemble: its training mice are those of its members.*{ids[0]}"):
        correct_training_mice(made.model_id, {"mouse01"})


@pytest.mark.slow
def test_a_member_cannot_be_deleted_and_an_ensemble_goes_alone(seeds: tuple[list[Path], list[str]]) -> None:
    from ingest.deployment import deploy
    from ingest.ensembles import make_ensemble
    from pipeline.stores.deletion import DeletionError, plan_model_deletion, run_deletion
    from schemas.model import EnsembleMember, Model
    from schemas.pose import PoseEstimation

    _, ids = seeds
    made = make_ensemble("three seeds", SEEDS)
    deploy(made.model_id)
    populate()
    with pytest.raises(DeletionError, match=f"model {ids[0]} is a member of the ensemble {made.model_id}"):
        plan_model_deletion(ids[0])
    run_deletion(plan_model_deletion(made.model_id))
    assert sorted(Model.to_arrays("model_id")) == sorted(ids) and not EnsembleMember()
    assert len(PoseEstimation()) == 6
    run_deletion(plan_model_deletion(ids[0]))
    assert sorted(Model.to_arrays("model_id")) == sorted(ids[1:])


def test_an_ensemble_comes_from_elsewhere_where_its_members_are_known(
    seeds: tuple[list[Path], list[str]], tmp_path: Path
) -> None:
    from ingest.ensembles import make_ensemble
    from ingest.models import import_model
    from pipeline.stores.deletion import plan_model_deletion, run_deletion
    from schemas.model import EnsembleMember, Model
    from schemas.stored.fetching import fetch_local_copy

    _, ids = seeds
    made = make_ensemble("three seeds", SEEDS)
    with fetch_local_copy((Model & {"model_id": made.model_id}).fetch1("bundle")) as folder:
        shutil.copytree(folder, tmp_path / "bundle")
    run_deletion(plan_model_deletion(made.model_id))
    with pytest.raises(ModelError, match="its training mice are its members'"):
        import_model(tmp_path / "bundle", camera="side", mice={"mouse01"})
    assert import_model(tmp_path / "bundle", camera="side", name="from elsewhere") == made.model_id
    assert len(EnsembleMember & {"model_id": made.model_id}) == 3
    run_deletion(plan_model_deletion(made.model_id))
    run_deletion(plan_model_deletion(ids[0]))
    with pytest.raises(ModelError, match=f"has the member {ids[0]}, which is not known here"):
        import_model(tmp_path / "bundle", camera="side")
    assert not Model & {"model_id": made.model_id}


@pytest.mark.real
@pytest.mark.skipif(not ENSEMBLES.is_dir(), reason=f"the networks' predictions are not here: {ENSEMBLES}")
def test_five_networks_of_a_real_recording(emptied: None, tmp_path: Path) -> None:
    """Their files beside a video of that length, five models, one ensemble, and what a question gives of it."""
    from ingest.deployment import deploy
    from ingest.ensembles import make_ensemble
    from ingest.models import import_model
    from ingest.sessions import ingest_sessions
    from pipeline import query
    from pipeline.work.populate import populate as work
    from schemas.pose import PoseEstimation
    from schemas.track import FilteredTrack

    folder = tmp_path / "raw" / "mouse01" / "2026-03-02_1"
    folder.mkdir(parents=True)
    write_video(folder / "side.mp4", (np.full((416, 416), i % 200, np.uint8) for i in range(2000)), 250)
    assert [one.status for one in ingest_sessions(tmp_path / "raw", stable_after_s=0)] == ["ingested"]
    names = []
    for source in sorted(ENSEMBLES.glob("*.csv")):
        names.append(source.stem.rpartition(".")[2])
        shutil.copyfile(source, folder / f"side.{names[-1]}.csv")
        os.utime(folder / f"side.{names[-1]}.csv", (OLD_S, OLD_S))
        import_model(folder / f"side.{names[-1]}.csv", camera="side", name=names[-1])
    made = make_ensemble("five seeds", names)
    deploy(made.model_id)
    assert not work(tables=(PoseEstimation,)).failed
    summary = work(tables=(FilteredTrack,), restriction={"model_id": made.model_id, "filter_method": "kalman"})
    assert not summary.failed and len(PoseEstimation()) == 6
    frame = query.tracks(filter="kalman", node="paw1LH_top").to_pandas()
    assert len(frame) == 2000 and 0 < frame["spread_px"].median() < 5 and 0 < frame["rejected"].mean() < 0.1
