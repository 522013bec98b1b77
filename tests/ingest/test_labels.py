"""Labels, node pairs and models become rows: once, whole or not at all, and never altered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compute.errors import LabelsError, ModelError
from compute.labels import labeled_frame_sources, labeled_images, labeled_positions, load_package, write_package
from pipeline.settings import Settings

NODES = ("snout", "jaw_tip", "ear")
EDGES = (("snout", "jaw_tip"),)


pytestmark = pytest.mark.usefixtures("emptied")


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Four labeled frames: two of mouse01, one of mouse02, one of a video that names no mouse."""
    rng = np.random.default_rng(0)
    position = rng.uniform(5, 35, (4, 3, 2)).round(2)
    position[1, 2] = np.nan
    folders = ["mouse01/2026-03-02_1", "mouse01/2026-03-03_1", "mouse02/2026-03-02_1", "elsewhere"]
    sources = [(f"/raw/{folder}/side.mp4", 7) for folder in folders]
    images = rng.integers(0, 256, (4, 40, 60), np.uint8)
    write_package(tmp_path / "side.pkg.slp", images, position, NODES, EDGES, sources)
    return tmp_path / "side.pkg.slp"


def stored_files(settings: Settings) -> set[Path]:
    return {path for path in settings.labels_store.rglob("*") if path.is_file()}


def test_a_frame_from_a_folder_with_an_impossible_date_is_of_no_known_mouse(tmp_path: Path) -> None:
    from ingest.labels import import_labels

    path = tmp_path / "side.pkg.slp"
    sources = [(f"/raw/mouse01/{folder}/side.mp4", 7) for folder in ("2026-03-02_1", "2026-13-45_1")]
    images = np.arange(2 * 40 * 60).reshape(2, 40, 60).astype(np.uint8)
    write_package(path, images, np.full((2, 3, 2), 5.0), NODES, EDGES, sources)
    imported = import_labels(path, camera="side")
    assert (list(imported.mice), imported.n_frames_without_mouse) == (["mouse01"], 1)


def test_every_point_and_image_is_kept_as_the_person_left_it(package: Path) -> None:
    from ingest.labels import import_labels
    from schemas.label_images import fetch_labels_package
    from schemas.labels import Skeleton

    imported = import_labels(package, camera="side")
    assert (imported.is_new, imported.n_labeled_frames, imported.nodes, imported.edges) == (True, 4, NODES, EDGES)
    assert Skeleton.nodes(Skeleton()) == list(NODES)
    with fetch_labels_package(imported.labels_id) as path:
        kept, original = load_package(path), load_package(package)
        np.testing.assert_array_equal(labeled_positions(kept), labeled_positions(original))
        np.testing.assert_array_equal(labeled_images(kept), labeled_images(original))


def test_a_node_that_nobody_placed_is_named(package: Path, tmp_path: Path) -> None:
    from ingest.labels import import_labels

    assert import_labels(package, camera="side").nodes_never_placed == ()
    position = np.full((4, 3, 2), 9.0)
    position[:, 2] = np.nan
    images = np.stack(labeled_images(load_package(package)))
    write_package(tmp_path / "never.pkg.slp", images, position, NODES, EDGES, [("a.mp4", index) for index in range(4)])
    for _ in range(2):  # also where the labels are known already
        assert import_labels(tmp_path / "never.pkg.slp", camera="side").nodes_never_placed == ("ear",)


def test_images_of_another_size_than_every_video_of_the_camera_are_said(
    package: Path, make_session: Callable[..., Path]
) -> None:
    """The images are 60 x 40 px, the videos 64 x 48: a model that is trained with them runs on none."""
    from ingest.labels import import_labels, other_video_sizes_text
    from ingest.sessions import ingest_sessions
    from schemas.session import Video

    before = import_labels(package, camera="side")  # of no video it is known
    assert (before.image_size_px, before.other_video_sizes_px, other_video_sizes_text(before)) == ((60, 40), (), "")
    list(ingest_sessions(make_session(cameras=("side",)), stable_after_s=0))
    after = import_labels(package, camera="side")
    assert after.other_video_sizes_px == ((64, 48),)
    said = "the images are 60 x 40 px, and no video of camera side has this size (videos: 64 x 48 px)"
    assert said in other_video_sizes_text(after)
    Video.update1({**Video.fetch1("KEY"), "width_px": 60, "height_px": 40})
    assert import_labels(package, camera="side").other_video_sizes_px == ()


def test_the_folder_of_a_video_says_which_mouse_is_in_a_frame(package: Path) -> None:
    from ingest.labels import import_labels
    from schemas.labels import LabeledFrames

    imported = import_labels(package, camera="side")
    assert imported.mice == ("mouse01", "mouse02")
    assert imported.n_frames_without_mouse == 1
    mice = LabeledFrames.Source.to_arrays("mouse_id", order_by="labeled_frame_index")
    assert list(mice) == ["mouse01", "mouse01", "mouse02", None]


def test_a_frame_is_known_by_its_image_and_by_the_session_that_its_path_names(package: Path, tmp_path: Path) -> None:
    from ingest.labels import import_labels
    from ingest.layout import Layout
    from schemas.labels import LabeledFrames

    first = import_labels(package, camera="side")
    images = labeled_images(load_package(package))
    sources = [
        ("D:\\data\\2026-03-02\\mouse01\\3\\side.mp4", 0),
        ("/raw/2026-03-02/mouse02/3/top.mp4", 1),  # of no camera of this lab
        ("/raw/2026-03-02/mouse02/3/side.avi", 2),
    ]
    write_package(tmp_path / "again.pkg.slp", images[1:], np.full((3, 3, 2), 9.0), NODES, EDGES, sources)
    layout = Layout("{date}/{mouse}/{number}/{camera}")
    again = import_labels(tmp_path / "again.pkg.slp", camera="side", layout=layout)
    rows = LabeledFrames.Source.to_dicts(order_by="labels_id, labeled_frame_index")
    by_labels = {id_: [row for row in rows if row["labels_id"] == id_] for id_ in (first.labels_id, again.labels_id)}
    hashes = [[row["image_hash"] for row in found] for found in by_labels.values()]
    assert hashes[1] == hashes[0][1:] and len(set(hashes[0])) == 4
    named = [
        [row["source_date"] and (row["source_date"].isoformat(), row["source_number"]) for row in found]
        for found in by_labels.values()
    ]
    assert named[0] == [("2026-03-02", 1), ("2026-03-03", 1), ("2026-03-02", 1), None]
    assert named[1] == [("2026-03-02", 3), None, ("2026-03-02", 3)]
    assert (first.n_frames_without_session, again.n_frames_without_session) == (1, 1)
    assert set(LabeledFrames.to_arrays("image_width_px")) == {60}


def test_a_split_by_mouse_takes_two_mice_and_all_their_names(package: Path, tmp_path: Path) -> None:
    from ingest.labels import import_labels
    from ingest.training_tasks import add_training_task
    from schemas.model import TrainingTask
    from schemas.trained_on import split_for_training

    unnamed = import_labels(package, camera="side").labels_id
    one = import_labels(_with_first_frames(package, tmp_path / "one.pkg.slp", 2), camera="side").labels_id
    two = import_labels(_with_first_frames(package, tmp_path / "two.pkg.slp", 3), camera="side").labels_id
    for labels_id, said in ((unnamed, "1 of no known mouse"), (one, "frames of mouse01, and 0 of no known mouse")):
        with pytest.raises(LabelsError, match=said):
            add_training_task(labels_id, camera="side", split_by="mouse")
    assert len(TrainingTask()) == 0
    chosen = split_for_training(two, "mouse", 0.5, seed=0)
    assert sorted([chosen.training, chosen.held_out]) == [[0, 1], [2]]
    assert split_for_training(two, "mouse", 0.5, seed=0) == chosen
    assert chosen.trained_on.mice == ({"mouse01"} if 0 in chosen.training else {"mouse02"})
    # Of two frames to train on one is for validation, so mouse02's only frame is the one held out.
    seed = next(seed for seed in range(20) if len(split_for_training(two, "mouse", 0.5, seed).training) == 2)
    task = add_training_task(two, camera="side", split_by="mouse", seed=seed)
    assert (TrainingTask & task).fetch1("split_by") == "mouse"
    with pytest.raises(ModelError, match=r"split_by is mouse, not frame\. Choose another seed"):
        add_training_task(two, camera="side", seed=seed)


def _with_first_frames(package: Path, path: Path, n_frames: int) -> Path:
    labels = load_package(package)
    images, position, sources = labeled_images(labels), labeled_positions(labels), labeled_frame_sources(labels)
    write_package(path, images[:n_frames], position[:n_frames], NODES, EDGES, sources[:n_frames])
    return path


def test_the_same_labels_again_change_nothing(package: Path, database: Settings) -> None:
    from ingest.labels import import_labels
    from schemas.labels import LabeledFrames

    first = import_labels(package, camera="side")
    files = stored_files(database)
    again = import_labels(package.rename(package.with_name("renamed.pkg.slp")), camera="side")
    assert (again.labels_id, again.is_new) == (first.labels_id, False)
    assert len(LabeledFrames()) == 1
    assert stored_files(database) == files


def test_refused_labels_leave_nothing(package: Path, database: Settings, tmp_path: Path) -> None:
    from ingest.labels import import_labels
    from schemas.labels import LabeledFrames, Skeleton
    from schemas.subject import Mouse

    (tmp_path / "broken.slp").write_bytes(package.read_bytes()[:1000])
    files = stored_files(database)
    for path, camera, said in [
        (package, "lower", r"/raw/mouse01/2026-03-02_1/side.mp4 says camera side, --camera says lower; nothing was"),
        (package, "top", "unknown camera 'top'; known are lower, side"),
        (tmp_path / "broken.slp", "side", "broken.slp cannot be read as labels"),
        (tmp_path / "none.slp", "side", "none.slp does not exist"),
    ]:
        with pytest.raises(LabelsError, match=said):
            import_labels(path, camera=camera)
    assert stored_files(database) == files
    assert [len(table()) for table in (LabeledFrames, Skeleton, Mouse)] == [0, 0, 0]


def test_a_pair_is_one_row_whichever_node_comes_first(package: Path) -> None:
    from ingest.labels import import_labels
    from ingest.pairs import add_node_pair
    from schemas.metric import NodePair

    import_labels(package, camera="side")
    first = add_node_pair("snout", "ear", kind="moving")
    assert (len(first.pairs), first.n_new, first.n_changed) == (1, 1, 0)
    changed = add_node_pair("ear", "snout", kind="rigid", length_mm=8.5)
    assert (len(changed.pairs), changed.n_new, changed.n_changed) == (1, 0, 1)
    assert changed.before == ["length_mm was not given", "pair_kind was moving"]
    assert changed.pairs == NodePair.to_dicts() and changed.pairs[0]["length_mm"] == 8.5
    again = add_node_pair("snout", "ear", kind="rigid", length_mm=8.5)
    assert (again.pairs, again.n_new, again.n_changed) == (changed.pairs, 0, 0)
    row = NodePair.fetch1()
    assert (row["node_a"], row["node_b"], row["pair_kind"], row["length_mm"]) == ("snout", "ear", "rigid", 8.5)
    with pytest.raises(LabelsError, match="no skeleton has both snout and tongue; nodes are ear, jaw_tip, snout"):
        add_node_pair("snout", "tongue", kind="rigid")
    with pytest.raises(LabelsError, match="two nodes, got ear twice"):
        add_node_pair("ear", "ear", kind="rigid")


def test_a_training_is_asked_for_once_and_its_settings_are_a_row(package: Path) -> None:
    from ingest.labels import import_labels
    from ingest.training_tasks import add_training_task
    from schemas.model import TrainingConfig, TrainingTask

    labels_id = import_labels(package, camera="side").labels_id
    by_name = add_training_task("side.pkg.slp", camera="side", config={"epochs": 3})
    assert add_training_task(labels_id, camera="side", config={"epochs": 3}) == by_name
    assert len(TrainingTask()) == 1
    assert TrainingConfig.fetch1("training_parameters")["epochs"] == 3
    for arguments, said in [
        ({"config": {"epoch": 3}}, "unexpected keyword argument 'epoch'; known settings are filters"),
        ({"config": {"epochs": 3}, "fraction_held_out": 0.5}, "Choose another seed for another fraction"),
        ({"fraction_held_out": 1.0}, "the fraction to hold out is 1.0"),
    ]:
        with pytest.raises(ModelError, match=said):
            add_training_task(labels_id, camera="side", **arguments)  # type: ignore[arg-type]
    with pytest.raises(LabelsError, match=f"labels {labels_id} are of camera side, not lower"):
        add_training_task(labels_id, camera="lower")
    with pytest.raises(LabelsError, match="no labels 'other' for camera side"):
        add_training_task("other", camera="side")
    assert len(TrainingTask()) == len(TrainingConfig()) == 1


def test_a_model_folder_without_weights_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("sleap_nn", reason="a SLEAP model is read by sleap-nn, from the extra sleap")
    from ingest.deployment import deploy
    from ingest.models import import_model
    from schemas.model import Model
    from schemas.subject import Mouse

    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "training_config.yaml").write_text("{}")
    with pytest.raises(ModelError, match=r"has no best\.ckpt"):
        import_model(tmp_path / "model", camera="side", mice=["mouse09"])
    assert [len(Model()), len(Mouse())] == [0, 0]
    with pytest.raises(ModelError, match="no model 'nothing'; known are none yet"):
        deploy("nothing")
