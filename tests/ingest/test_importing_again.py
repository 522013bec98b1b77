"""Importing again: what was not known is added and followed, what contradicts is refused, answers are read back."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compute.errors import LabelsError, SessionError
from compute.labels import labeled_image_hash, write_package
from pipeline.settings import Settings

NODES = ("snout", "jaw_tip", "ear")


pytestmark = pytest.mark.usefixtures("emptied")


def make_package(path: Path, folders: list[str], nodes: tuple[str, ...] = NODES, seed: int = 0) -> Path:
    """Random images with points that are the same whatever the order of the nodes."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (len(folders), 40, 60), np.uint8)
    position = rng.uniform(5, 35, (len(folders), 3, 2)).round(2)
    order = [NODES.index(node) for node in nodes]
    sources = [(f"{folder}/side.mp4", index) for index, folder in enumerate(folders)]
    write_package(path, images, position[:, order], nodes, [(NODES[0], NODES[1])], sources)
    return path


def insert_model(labels_id: str, **known: Any) -> str:
    """A model that was trained on all frames of these labels."""
    from schemas.labels import LabeledFrames
    from schemas.model import Model

    labels = (LabeledFrames & {"labels_id": labels_id}).fetch1()
    key = {"model_id": "0123456789abcdef"}
    row = {"camera": "side", "skeleton_id": labels["skeleton_id"], "estimator": "sleap", "model_name": "a"}
    bundle = Path(known.pop("folder"))
    (bundle / "weights").write_text("w")
    Model.insert1({**key, **row, "bundle": bundle, **known})
    hashes = (LabeledFrames.Source & {"labels_id": labels_id}).to_arrays("image_hash")
    Model.Frame.insert([{**key, "image_hash": image_hash} for image_hash in hashes])
    return key["model_id"]


def test_a_mouse_that_is_told_later_is_known_of_the_models_trained_on_the_frames(tmp_path: Path) -> None:
    from ingest.labels import import_labels
    from schemas.model import Model
    from schemas.training_mice import TrainingMice, restrict_to_training_group

    path = make_package(tmp_path / "a.pkg.slp", ["x", "y"])
    labels_id = import_labels(path, camera="side").labels_id
    (tmp_path / "bundle").mkdir()
    model_id = insert_model(labels_id, folder=tmp_path / "bundle", training_frames_known=True)
    row = {"model_id": model_id, "mouse_id": "mouse09"}
    assert TrainingMice.fetch().held_out(row) is None
    from schemas.subject import Mouse

    Mouse.insert1({"mouse_id": "mouse09"})
    pairs = Model.proj() * Mouse.proj()
    assert [len(restrict_to_training_group(pairs, group)) for group in (True, False, "not known")] == [0, 0, 1]
    told = import_labels(path, camera="side", mouse="mouse01")
    assert (told.added, told.models) == ({"mouse": 2, "session": 0}, (model_id,))
    trained = TrainingMice.fetch()
    assert trained.held_out(row) is True and trained.group({**row, "mouse_id": "mouse01"}) == "in training"
    pairs = Model.proj() * Mouse.proj()
    assert [len(restrict_to_training_group(pairs, group)) for group in (True, False, "not known")] == [1, 1, 0]
    with pytest.raises(LabelsError, match="known as of mouse01"):
        import_labels(path, camera="side", mouse="mouse02")
    assert set(Model.Mouse.to_arrays("mouse_id")) == {"mouse01"}


def test_a_file_that_names_the_sessions_adds_them(tmp_path: Path) -> None:
    from ingest.labels import import_labels
    from schemas.labels import LabeledFrames

    first = import_labels(make_package(tmp_path / "a.pkg.slp", ["x", "y"]), camera="side")
    folders = ["raw/mouse01/2026-03-02_1", "raw/mouse02/2026-03-03_2"]
    again = import_labels(make_package(tmp_path / "b.pkg.slp", folders), camera="side")
    assert (again.labels_id, again.added) == (first.labels_id, {"mouse": 2, "session": 2})
    rows = LabeledFrames.Source.to_dicts(order_by="labeled_frame_index")
    assert [(row["mouse_id"], row["source_date"], row["source_number"]) for row in rows] == [
        ("mouse01", date(2026, 3, 2), 1),
        ("mouse02", date(2026, 3, 3), 2),
    ]
    other = ["raw/mouse01/2026-03-02_1", "raw/mouse02/2026-03-04_1"]
    with pytest.raises(LabelsError, match="source_date is 2026-03-03, not 2026-03-04"):
        import_labels(make_package(tmp_path / "c.pkg.slp", other), camera="side")
    assert import_labels(tmp_path / "a.pkg.slp", camera="side").added == {"mouse": 0, "session": 0}


def test_the_folder_of_a_frame_wins_over_the_mouse_that_was_told(tmp_path: Path) -> None:
    from ingest.labels import import_labels
    from schemas.labels import LabeledFrames

    path = make_package(tmp_path / "a.pkg.slp", ["raw/mouse01/2026-03-02_1", "elsewhere"])
    with pytest.raises(LabelsError, match="says mouse mouse01, --mouse says mouse02; the folder counts"):
        import_labels(path, camera="side", mouse="mouse02")
    assert len(LabeledFrames()) == 0
    assert import_labels(path, camera="side", mouse="mouse01").n_frames_without_mouse == 0


def test_the_same_nodes_in_another_order_are_one_skeleton_with_its_pairs(tmp_path: Path) -> None:
    from ingest.label_skeletons import insert_label_skeleton
    from ingest.labels import import_labels
    from ingest.pairs import add_node_pair
    from schemas.labels import LabeledFrames, Skeleton
    from schemas.metric import NodePair

    first = import_labels(make_package(tmp_path / "a.pkg.slp", ["x", "y"]), camera="side")
    add_node_pair("snout", "ear", kind="rigid", length_mm=8.5)
    turned = make_package(tmp_path / "b.pkg.slp", ["x", "y"], nodes=("ear", "jaw_tip", "snout"))
    again = import_labels(turned, camera="side")
    assert (again.labels_id, again.is_new, again.nodes) == (first.labels_id, False, NODES)
    others = import_labels(
        make_package(tmp_path / "c.pkg.slp", ["x", "y"], nodes=("ear", "snout", "jaw_tip"), seed=1), camera="side"
    )
    assert others.is_new and others.nodes == NODES
    assert len(Skeleton()) == 1 and len(set(LabeledFrames.to_arrays("skeleton_id"))) == 1
    more = insert_label_skeleton(("tongue", "ear", "snout"), ())
    assert (NodePair & {"skeleton_id": more}).fetch1("pair_kind", "length_mm") == ("rigid", 8.5)


def test_a_camera_again_adds_its_description_and_never_changes_it(database: Settings) -> None:
    from ingest.cameras import add_camera
    from schemas.session import Camera

    try:
        assert add_camera("top").text() == "added"
        assert add_camera("top").text() == "known already"
        assert add_camera("top", "from above").text() == "known already; added camera_description from above"
        with pytest.raises(SessionError, match="camera_description is from above, not from below"):
            add_camera("top", "from below")
        assert add_camera("top").row["camera_description"] == "from above"
        with pytest.raises(SessionError, match="names no camera"):
            add_camera("a/b")
    finally:
        (Camera & {"camera": "top"}).delete(prompt=False)


def test_labels_are_described_deleted_and_brought_back(tmp_path: Path, database: Settings) -> None:
    from ingest.labels import import_labels
    from pipeline.query.label_sets import describe_label_set, describe_label_sets
    from pipeline.stores.collection import collect
    from pipeline.stores.deletion import plan_labels_deletion, run_deletion
    from schemas.labels import DeletedLabels, LabeledFrames

    path = make_package(tmp_path / "a.pkg.slp", ["raw/mouse01/2026-03-02_1", "elsewhere"])
    first = import_labels(path, camera="side")
    (listed,) = describe_label_sets()
    assert (listed["mice"], listed["n_frames_without_mouse"]) == (["mouse01"], 1)
    described = describe_label_set("a.pkg.slp")
    assert described["n_frames_of_mice"] == {"mouse01": 1, "not known": 1}
    assert described["n_frames_of_sessions"] == {"mouse01/2026-03-02_1": 1, "not known": 1}
    plan = plan_labels_deletion(first.labels_id)
    assert plan.n_rows == {"LabeledFrames": 1, "LabeledFrames.Source": 2, "LabeledFrames.Image": 2} and not plan.files
    run_deletion(plan)
    assert len(LabeledFrames()) == 0
    package = database.labels_store / DeletedLabels.fetch1("package_path")
    assert package.exists()
    assert not collect(even_most=True).removed and package.exists()
    back = import_labels(package, camera="side")
    assert (back.labels_id, back.is_new, back.mice) == (first.labels_id, True, ("mouse01",))
    gone = collect(even_most=True, labels_grace_s=0).removed
    assert [file.store for file in gone] == ["labels"] and not package.exists()
    assert describe_label_set(first.labels_id)["n_labeled_frames"] == 2
    DeletedLabels().delete_quick()


def test_two_labels_of_one_image_name_one_mouse(tmp_path: Path) -> None:
    from ingest.labels import import_labels
    from schemas.labels import mice_of_images

    first = make_package(tmp_path / "a.pkg.slp", ["raw/mouse01/2026-03-02_1"])
    import_labels(first, camera="side")
    image = np.random.default_rng(0).integers(0, 256, (1, 40, 60), np.uint8)[0]
    assert mice_of_images({labeled_image_hash(image)}) == {labeled_image_hash(image): {"mouse01"}}
    write_package(tmp_path / "b.pkg.slp", [image], np.full((1, 3, 2), 9.0), NODES, [], [("other.mp4", 3)])
    with pytest.raises(LabelsError, match="the same image is known as of mouse01"):
        import_labels(tmp_path / "b.pkg.slp", camera="side", mouse="mouse02")


def write_poses(folder: Path, name: str = "side", network: str = "n") -> Path:
    """A file of poses that some network wrote, which is imported without any network."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.mp4").touch()  # the file is named after it, and its network
    path = folder / f"{name}n.csv"
    path.write_text(
        f"scorer{6 * f',{network}'}\nbodyparts,a,a,a,b,b,b\ncoords,x,y,likelihood,x,y,likelihood\n0,1,2,0.9,3,4,0.9\n"
    )
    return path


def test_a_model_again_adds_its_mice_and_refuses_what_contradicts(tmp_path: Path) -> None:
    from compute.errors import ModelError
    from ingest.models import take_in_model
    from schemas.model import Model

    path = write_poses(tmp_path)
    first = take_in_model(path, camera="side")
    assert (first.is_new, first.mice, first.mice_known) == (True, (), False)
    again = take_in_model(path, camera="side", mice=["mouse02", "mouse01"])
    assert (again.model_id, again.is_new, again.added) == (first.model_id, False, ("mice",))
    assert (again.mice, again.mice_known) == (("mouse01", "mouse02"), True)
    for asked, said in (
        ({"camera": "lower"}, "camera is side, not lower"),
        ({"camera": "side", "mice": ["mouse01"]}, "training mice is mouse01, mouse02, not mouse01"),
    ):
        with pytest.raises(ModelError, match=said):
            take_in_model(path, **asked)  # type: ignore[arg-type]
    last = take_in_model(path, camera="side")
    assert (last.added, last.mice, last.camera) == ((), ("mouse01", "mouse02"), "side")
    assert bool(Model.fetch1("training_mice_known"))


def test_models_of_equal_file_names_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    from compute.errors import ModelError
    from compute.estimators import registered_estimator
    from ingest.models import take_in_model
    from schemas.model import Model, insert_model
    from schemas.trained_on import TrainedOn

    first = take_in_model(write_poses(tmp_path / "a"), camera="side")
    second = take_in_model(write_poses(tmp_path / "b", network="m"), camera="side")
    other = take_in_model(write_poses(tmp_path / "c", network="k"), camera="lower")
    assert [one.model_name for one in (first, second, other)] == ["siden.csv", "b/siden.csv", "siden.csv"]
    assert take_in_model(tmp_path / "a" / "siden.csv", camera="side").model_name == "siden.csv"
    bundle = tmp_path / "bundle"
    path = write_poses(tmp_path / "d", network="j")
    registered_estimator("deeplabcut").import_bundle(path, bundle, minimum_score=None, name="")
    with pytest.raises(ModelError, match=rf"model {first.model_id} of camera side is called 'siden.csv' already"):
        take_in_model(write_poses(tmp_path / "e", network="i"), camera="side", name="siden.csv")
    assert len(Model()) == 3
    assert take_in_model(tmp_path / "e" / "siden.csv", camera="lower", name="b/siden.csv").is_new
    columns = ("estimator", "camera", "skeleton_id")
    row = {name: (Model & {"model_id": first.model_id}).fetch1(name) for name in columns}
    model_id = insert_model(bundle, **row, names=["siden.csv", "b/siden.csv"], trained_on=TrainedOn())
    assert (Model & {"model_id": model_id}).fetch1("model_name") == f"siden.csv {model_id}"


@pytest.mark.parametrize("score", [7, 1.01, -0.1, float("nan")])
def test_a_minimum_score_that_no_score_reaches_is_refused(tmp_path: Path, score: float) -> None:
    from compute.errors import ModelError
    from ingest.models import take_in_model
    from schemas.model import Model

    path = write_poses(tmp_path)
    with pytest.raises(ModelError, match=rf"siden\.csv: .*--minimum-score\) is {score:g}, expected .* from 0 to 1"):
        take_in_model(path, camera="side", minimum_score=score)
    assert len(Model()) == 0
    assert take_in_model(path, camera="side", minimum_score=1).is_new


def test_mice_that_were_told_wrongly_are_corrected_and_what_was_is_kept(tmp_path: Path) -> None:
    from compute.errors import ModelError
    from ingest.models import take_in_model
    from ingest.training_mice import correct_training_mice
    from schemas.model import TrainingMiceCorrection
    from schemas.training_mice import TrainingMice

    model_id = take_in_model(write_poses(tmp_path), camera="side", mice=["mouse05"]).model_id
    with pytest.raises(ModelError, match=f"orofacial model mice {model_id} --mouse NAME"):
        take_in_model(tmp_path / "siden.csv", camera="side", mice=["mouse01"])
    corrected = correct_training_mice(model_id, ["mouse02", "mouse01"])
    assert (corrected.mice, corrected.mice_known, corrected.is_changed) == (("mouse01", "mouse02"), True, True)
    assert not correct_training_mice(model_id, ["mouse01", "mouse02"]).is_changed
    trained = TrainingMice.fetch()
    rows = [{"model_id": model_id, "mouse_id": mouse} for mouse in ("mouse01", "mouse02", "mouse05")]
    assert [trained.held_out(row) for row in rows] == [False, False, True]
    forgotten = correct_training_mice(model_id, None)
    assert (forgotten.mice, forgotten.mice_known) == ((), False)
    assert [TrainingMice.fetch().held_out(row) for row in rows] == [None, None, None]
    kept = TrainingMiceCorrection.to_dicts(order_by="correction_number")
    assert [(row["mice_before"], bool(row["mice_known_before"])) for row in kept] == [
        (["mouse05"], True),
        (["mouse01", "mouse02"], True),
    ]
    assert [(row["mice_after"], bool(row["mice_known_after"])) for row in kept] == [
        (["mouse01", "mouse02"], True),
        ([], False),
    ]
    with pytest.raises(ModelError, match=f"no model 'nothing'; known are {model_id}"):
        correct_training_mice("nothing", None)


def test_mice_that_labels_name_cannot_be_corrected_away(tmp_path: Path) -> None:
    from compute.errors import ModelError
    from ingest.labels import import_labels
    from ingest.training_mice import correct_training_mice
    from schemas.model import Model, TrainingMiceCorrection

    path = make_package(tmp_path / "a.pkg.slp", ["raw/mouse01/2026-03-02_1", "elsewhere"])
    (tmp_path / "bundle").mkdir()
    model_id = insert_model(import_labels(path, camera="side").labels_id, folder=tmp_path / "bundle")
    with pytest.raises(ModelError, match="trained on are of mouse01, --mouse says mouse02; the labels count"):
        correct_training_mice(model_id, ["mouse02"])
    assert len(TrainingMiceCorrection()) == 0
    assert correct_training_mice(model_id, ["mouse01", "mouse02"]).mice_known
    assert correct_training_mice(model_id, None).mice == ("mouse01",)
    Model.update1({"model_id": model_id, "training_frames_known": True})
    import_labels(path, camera="side", mouse="mouse01")
    with pytest.raises(ModelError, match="are of mouse01 and no others, --mouse says mouse01, mouse02"):
        correct_training_mice(model_id, ["mouse01", "mouse02"])


def test_a_named_mouse_without_a_session_is_said_with_the_names_that_are_near(tmp_path: Path) -> None:
    from ingest.labels import import_labels
    from ingest.mice_without_session import mice_without_session_text
    from ingest.models import take_in_model
    from ingest.training_mice import correct_training_mice
    from schemas.session import Session
    from schemas.subject import Mouse

    for mouse in ("v01base", "w9"):
        Mouse.insert1({"mouse_id": mouse})
        Session.insert1({"mouse_id": mouse, "session_date": "2026-03-02", "session_number": 1, "session_folder": "a"})
    imported = take_in_model(write_poses(tmp_path), camera="side", mice=["v01bsae", "w9", "of another lab"])
    assert imported.mice_without_session == {"of another lab": [], "v01bsae": ["v01base"]}
    for _ in range(2):  # then it is a mouse that is known by name, but still without a session
        corrected = correct_training_mice(imported.model_id, ["V01BASE", "w9"])
        assert corrected.mice_without_session == {"V01BASE": ["v01base"]}
    assert "V01BASE (is it v01base?)" in mice_without_session_text(corrected.mice_without_session)
    assert take_in_model(tmp_path / "siden.csv", camera="side").mice_without_session == {}
    images = np.random.default_rng(0).integers(0, 256, (1, 40, 60), np.uint8)
    write_package(tmp_path / "a.pkg.slp", images, np.full((1, 2, 2), 9.0), ("a", "b"), [], [("x.mp4", 0)])
    assert import_labels(tmp_path / "a.pkg.slp", camera="side", mouse="v01bas").mice_without_session == {
        "v01bas": ["v01base"]
    }


def test_other_points_in_the_same_images_are_said(tmp_path: Path) -> None:
    from ingest.labels import import_labels

    images = np.random.default_rng(0).integers(0, 256, (3, 40, 60), np.uint8)
    position = np.array(
        [[[10, 20], [30, 20], [9, 9]], [[11, 20], [31, 20], [9, 9]], [[12, 20], [32, 20], [9, 9]]], float
    )
    position[2, 1] = np.nan
    sources = [("/raw/elsewhere/x.mp4", index) for index in range(3)]
    imported = {}
    for name, nodes, moved in (
        ("first", NODES, [0, 0, 0]),
        ("near", NODES, [2.9, 2.9, 2.9]),  # as exact as a person places a point twice
        (
            "other",
            ("jaw_tip", "snout", "tongue"),
            [0, 0, 0],
        ),  # left and right are swapped, in the frames that have both
    ):
        path = tmp_path / f"{name}.pkg.slp"
        write_package(path, images, position + np.array(moved)[:, None, None], nodes, [], sources)
        imported[name] = import_labels(path, camera="side")
    assert imported["first"].contradicting == imported["near"].contradicting == ()
    by_name = {one.labels_name: one for one in imported["other"].contradicting}
    assert set(by_name) == {"first.pkg.slp", "near.pkg.slp"}
    one = by_name["first.pkg.slp"]
    assert (one.labels_id, one.n_frames) == (imported["first"].labels_id, 2)
    assert one.example == "jaw_tip at (10, 20), there at (30, 20) (frame 0 of /raw/elsewhere/x.mp4)"
    assert "2 images of these labels have other points in labels" in str(one)
