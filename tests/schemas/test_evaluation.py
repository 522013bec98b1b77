"""Models are evaluated on labeled frames that they have not seen, and labels are matched to their own videos only."""

from __future__ import annotations

import json
import re
import shutil
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from compute.labels import labeled_image_hash, write_package
from compute.tracks import Tracks
from compute.video import read_video_luma, write_video
from pipeline.settings import Settings

NODES = ("snout", "jaw_tip", "ear")
WIDTH, HEIGHT = 64, 48
MICE = ("mouse01", "mouse02", "mouse03")
TRAINING_CONFIG = {
    "filters": 8,
    "max_stride": 8,
    "output_stride": 2,
    "sigma": 2.0,
    "learning_rate": 4e-3,
    "epochs": 12,
    "patience_epochs": 0,
}


def filmed(n_frames: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Gray frames with a blob at each node, and the nodes' positions."""
    rng = np.random.default_rng(seed)
    position = np.stack([rng.uniform(8, WIDTH - 8, (n_frames, 3)), rng.uniform(8, HEIGHT - 8, (n_frames, 3))], axis=-1)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    images = np.full((n_frames, HEIGHT, WIDTH), 30.0)
    for node, (extent_x, extent_y) in enumerate(((2, 2), (6, 2), (2, 6))):
        dx, dy = x - position[:, node, 0, None, None], y - position[:, node, 1, None, None]
        images += 110 * np.exp(-((dx / extent_x) ** 2 + (dy / extent_y) ** 2) / 2)
    return np.clip(images.round(), 0, 255).astype(np.uint8), position


@dataclass(frozen=True)
class Trained:
    """Twelve labeled frames, four of each mouse; a model that one mouse was held out from."""

    settings: Settings
    folder: Path
    model_id: str
    labels_id: str
    images: NDArray[np.uint8]
    position: NDArray[np.float64]
    held_out: tuple[int, ...]
    """Indices of the held-out mouse's frames."""

    @property
    def training(self) -> tuple[int, ...]:
        return tuple(index for index in range(12) if index not in self.held_out)

    def hashes(self, indices: Sequence[int]) -> set[str]:
        return {labeled_image_hash(self.images[index]) for index in indices}

    def copied_model(self, name: str, trained_on: Any, **also_said: Any) -> str:
        """The same network as another model, of which something else is known."""
        from schemas.model import Model, insert_model
        from schemas.stored.fetching import fetch_local_copy

        copy = self.folder / name
        row = (Model & {"model_id": self.model_id}).fetch1()
        with fetch_local_copy(row["bundle"]) as bundle:
            shutil.copytree(bundle, copy)
        said = json.loads((copy / "bundle.json").read_text())
        (copy / "bundle.json").write_text(json.dumps({**said, "seed": zlib.crc32(name.encode()), **also_said}))
        key = {"estimator": "sleap", "camera": "side", "skeleton_id": row["skeleton_id"]}
        return insert_model(copy, names=[name], trained_on=trained_on, **key)

    def import_labels(self, name: str, images: Any, position: Any, nodes: Sequence[str] = NODES) -> str:
        """Import labels of frames whose paths name no video."""
        from ingest.labels import import_labels

        path = self.folder / f"{name}.pkg.slp"
        write_package(path, images, position, nodes, [], [(f"{name}.mp4", index) for index in range(len(images))])
        return import_labels(path, camera="side").labels_id


@pytest.fixture(scope="module")
def trained(database: Settings, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A network that was trained for seconds."""
    from ingest.labels import import_labels
    from ingest.training_tasks import add_training_task
    from pipeline.work.training import train_task

    folder = tmp_path_factory.mktemp("evaluation")
    images, position = filmed(12, seed=0)
    sources = [(f"/raw/{MICE[index % 3]}/2026-03-02_1/side.mp4", index) for index in range(12)]
    write_package(folder / "first.pkg.slp", images, position, NODES, [], sources)
    labels_id = import_labels(folder / "first.pkg.slp", camera="side").labels_id
    task = add_training_task(
        labels_id, camera="side", config=TRAINING_CONFIG, seed=1, fraction_held_out=0.3, split_by="mouse"
    )
    model_id = train_task(task)
    from schemas.model import Model

    (held_out,) = set(MICE) - set((Model.Mouse & {"model_id": model_id}).to_arrays("mouse_id"))
    indices = tuple(range(MICE.index(held_out), 12, 3))
    return Trained(database, folder, model_id, labels_id, images, position, indices)


def evaluate(model_id: str, labels_id: str) -> tuple[dict[str, Any], dict[str, Any], dict[int, NDArray[np.float64]]]:
    """Compute what is missing; the row, its nodes, and the error of each frame."""
    from pipeline.work.populate import populate
    from schemas.evaluation import ModelEvaluation

    key = {"model_id": model_id, "labels_id": labels_id}
    assert not populate(tables=(ModelEvaluation,), restriction=key).failed
    nodes = {row["node"]: row for row in (ModelEvaluation.Node & key).to_dicts()}
    frames = {row["labeled_frame_index"]: row["error_px"] for row in (ModelEvaluation.Frame & key).to_dicts()}
    return (ModelEvaluation & key).fetch1(), nodes, frames


def test_a_model_for_color_is_not_evaluated_on_labels_which_are_gray(trained: Trained) -> None:
    from schemas.evaluation import ModelEvaluation
    from schemas.model import Model
    from schemas.trained_on import TrainedOn

    model_id = trained.copied_model("color", TrainedOn(), n_channels=3)
    assert (Model & {"model_id": model_id}).fetch1("n_channels") == 3
    assert not ModelEvaluation().key_source & {"model_id": model_id}
    assert ModelEvaluation().key_source & {"model_id": trained.model_id}
    (Model & {"model_id": model_id}).delete_quick()


def test_a_model_is_evaluated_on_the_mouse_that_was_held_out(trained: Trained) -> None:
    from schemas.evaluation import ModelEvaluation, evaluated_score_exponent
    from schemas.model import Model

    key = {"model_id": trained.model_id}
    assert set((Model.Frame & key).to_arrays("image_hash")) == trained.hashes(trained.training)
    model = (Model & key).fetch1()
    assert model["training_frames_known"] and model["training_mice_known"]
    row, nodes, frames = evaluate(trained.model_id, trained.labels_id)
    assert (row["known_unseen"], row["n_evaluated_frames"], row["n_seen_frames"]) == (True, 4, 8)
    assert set(nodes) == set(NODES) and tuple(sorted(frames)) == trained.held_out
    errors = np.stack(list(frames.values()))
    assert np.isinf(errors).sum() == sum(node["n_missed"] for node in nodes.values())
    if np.isfinite(errors).any():
        assert row["error_p50_px"] == pytest.approx(np.median(errors[np.isfinite(errors)]))
    placed = (ModelEvaluation.Frame & key).to_arrays("placed_px", order_by="labels_id, labeled_frame_index")
    np.testing.assert_allclose(np.stack(list(placed)), trained.position[list(trained.held_out)])
    assert evaluated_score_exponent(trained.model_id) == row["score_exponent"]


def test_an_image_that_the_model_was_trained_on_is_left_out_wherever_it_stands(trained: Trained) -> None:
    new_images, new_position = filmed(2, seed=7)
    images = np.concatenate([trained.images[list(trained.training[:3])], new_images])
    position = np.concatenate([trained.position[list(trained.training[:3])] + 1.0, new_position])
    reversed_nodes = trained.import_labels("reversed", images, position[:, ::-1], NODES[::-1])
    in_order = trained.import_labels("in_order", images, position)
    rows = [evaluate(trained.model_id, labels_id) for labels_id in (reversed_nodes, in_order)]
    for row, _, frames in rows:
        assert (row["known_unseen"], row["n_evaluated_frames"], row["n_seen_frames"]) == (True, 2, 3)
        assert sorted(frames) == [3, 4]
    for frame in (3, 4):  # each in the order of its own labels' nodes
        np.testing.assert_allclose(rows[0][2][frame][::-1], rows[1][2][frame], atol=1e-3)


def test_a_frame_that_another_program_decoded_is_the_frame_of_its_video(trained: Trained) -> None:
    """SLEAP's package of a video and the video itself give gray levels that differ by one."""
    from ingest.labels import import_labels
    from schemas.trained_on import TrainedOn

    seen_by_it = TrainedOn(frames=frozenset(trained.hashes(trained.training)), frames_known=True)
    model_id = trained.copied_model("decoded", seen_by_it)
    path = trained.folder / "decoded.pkg.slp"
    seen = trained.training[:3]
    sources = [(f"/disk/{MICE[index % 3]}/2026-03-02_1/side.mp4", index) for index in seen]
    # not the frame of that number, not of that day, and of no video
    sources += [(sources[0][0], 50), (f"/disk/{MICE[seen[0] % 3]}/2026-03-03_1/side.mp4", seen[0]), ("a.mp4", seen[0])]
    chosen = [*seen, seen[0], seen[0], seen[0]]
    images = trained.images[chosen] + np.array([1, 1, 1, 2, 3, 4], np.uint8)[:, None, None]
    write_package(path, images, trained.position[chosen], NODES, [], sources)
    row, _, frames = evaluate(model_id, import_labels(path, camera="side").labels_id)
    assert (row["n_evaluated_frames"], row["n_seen_frames"]) == (3, 3)
    assert sorted(frames) == [3, 4, 5]


def test_a_model_that_has_seen_every_frame_has_no_error(trained: Trained) -> None:
    from pipeline.query.models import describe_models

    seen = list(trained.training[:4])
    labels_id = trained.import_labels("seen", trained.images[seen], trained.position[seen] + 2.0)
    row, nodes, frames = evaluate(trained.model_id, labels_id)
    assert (row["known_unseen"], row["n_evaluated_frames"], row["n_seen_frames"]) == (True, 0, 4)
    assert row["error_p50_px"] is row["score_exponent"] is None
    assert not nodes and not frames
    (model,) = [one for one in describe_models() if one["model_id"] == trained.model_id]
    assert model["n_evaluated_frames"] == 4  # on the labels it was trained with
    assert [one["n_evaluated_frames"] for one in model["evaluations"] if one["labels_id"] == labels_id] == [0]


def test_labels_of_other_nodes_or_another_size_are_no_key(trained: Trained) -> None:
    from schemas.evaluation import ModelEvaluation

    other = trained.import_labels(
        "other_nodes", trained.images[:2], trained.position[:2], ("snout", "jaw_tip", "tongue")
    )
    fewer = trained.import_labels("fewer_nodes", trained.images[:2], trained.position[:2, :2], NODES[:2])
    small = trained.import_labels("small", trained.images[:2, ::2, ::2], trained.position[:2] / 2)
    wanted = set(ModelEvaluation().key_source.to_arrays("labels_id"))
    assert trained.labels_id in wanted and not wanted & {other, fewer, small}


def test_of_an_imported_model_it_is_said_whether_its_training_is_known(trained: Trained) -> None:
    from pipeline.query.models import compare_models, describe_models
    from schemas.evaluation import first_model_evaluation
    from schemas.trained_on import TrainedOn

    everything = TrainedOn(frames=frozenset(trained.hashes(range(12))), frames_known=True)
    nothing = TrainedOn(frames=frozenset(["0" * 32]), frames_known=True, mice=frozenset(["mouse01"]), mice_known=True)
    models = {
        name: trained.copied_model(name, on)
        for name, on in (("unknown", TrainedOn()), ("nothing", nothing), ("everything", everything))
    }
    rows = {name: evaluate(model_id, trained.labels_id) for name, model_id in models.items()}
    counts = {name: (row["known_unseen"], row["n_evaluated_frames"]) for name, (row, _, _) in rows.items()}
    assert counts == {"unknown": (False, 12), "nothing": (True, 12), "everything": (True, 0)}
    own = evaluate(trained.model_id, trained.labels_id)[2]
    for name in ("unknown", "nothing"):  # the network is the same
        for frame, error in own.items():
            np.testing.assert_allclose(rows[name][2][frame], error, atol=1e-3)
    said = {one["model_id"]: one for one in describe_models()}
    assert (said[models["unknown"]]["known_unseen"], said[models["nothing"]]["known_unseen"]) == (False, True)
    assert (said[models["unknown"]]["mice_known"], said[models["nothing"]]["mice"]) == (False, ["mouse01"])
    first = first_model_evaluation(models["unknown"])
    assert first is not None and first["labels_id"] == trained.labels_id

    (compared,) = compare_models([trained.model_id, models["unknown"], models["nothing"]], camera="side")
    evaluated_by_all = {labeled_image_hash(trained.images[index]) for index in trained.held_out}
    assert compared["n_frames"] == len(evaluated_by_all) and compared["n_mice"] == 1
    assert {one["model_id"]: one["known_unseen"] for one in compared["models"]} == {
        trained.model_id: True,
        models["unknown"]: False,
        models["nothing"]: True,
    }
    assert len({round(one["error_p50_px"] or -1, 2) for one in compared["models"]}) == 1
    (nothing_left,) = compare_models([trained.model_id, models["everything"]])
    assert (nothing_left["n_frames"], nothing_left["not_evaluated"]) == (0, [])


def test_tracks_wait_for_labels_to_say_what_scores_mean_but_not_for_ever(trained: Trained) -> None:
    from pipeline.work.populate import populate
    from schemas.evaluation import ModelEvaluation, unevaluated_models
    from schemas.trained_on import TrainedOn

    broken = trained.copied_model("broken", TrainedOn())
    assert broken in unevaluated_models()
    assert trained.model_id not in unevaluated_models()  # its own labels have said it; others are not waited for
    from schemas.model import Model
    from schemas.stored.fetching import fetch_local_copy

    with fetch_local_copy((Model & {"model_id": broken}).fetch1("bundle")) as bundle:
        (bundle / "best.ckpt").write_bytes(b"damaged")
    failed = populate(tables=(ModelEvaluation,), restriction={"model_id": broken}).failed
    assert failed and all("altered or damaged" in failure["message"] for failure in failed)
    assert broken not in unevaluated_models()


def test_tracks_are_filtered_after_an_evaluation_failed_and_status_says_so(trained: Trained, orofacial: Any) -> None:
    from pipeline.stores.deletion import plan_session_deletion, run_deletion
    from pipeline.work.populate import populate
    from schemas.evaluation import ModelEvaluation
    from schemas.model import Model
    from schemas.stored.fetching import fetch_local_copy
    from schemas.track import FilteredTrack, FilterMethod
    from schemas.trained_on import TrainedOn

    failing = {"model_id": trained.copied_model("failing", TrainedOn())}
    video = insert_poses(failing["model_id"])
    try:
        assert not FilteredTrack().key_source & failing
        with fetch_local_copy((Model & failing).fetch1("bundle")) as bundle:
            (bundle / "best.ckpt").write_bytes(b"damaged")
        assert populate(tables=(ModelEvaluation,), restriction=failing).failed
        keys = (FilteredTrack().key_source & failing).to_dicts()
        assert {key["filter_method"] for key in keys} == set(FilterMethod.to_arrays("filter_method"))
        assert all(key["session_date"] == video["session_date"] for key in keys)
        said = orofacial("status").stdout
        (line,) = [line for line in said.splitlines() if "are filtered without" in line]
        assert failing["model_id"] in line and "what those labels say of its scores" in line
        assert not populate(tables=(FilteredTrack,), restriction=failing).failed
        assert len(FilteredTrack & failing) == len(keys)
    finally:
        run_deletion(plan_session_deletion(video))


def insert_poses(model_id: str) -> dict[str, Any]:
    """Insert a session of one video, with poses of a model; return the session's key."""
    from datetime import date

    from schemas.pose import PoseEstimation
    from schemas.session import Session, Video
    from schemas.subject import Mouse

    key = {"mouse_id": MICE[0], "session_date": date(2026, 5, 6), "session_number": 1}
    Mouse.insert1({"mouse_id": MICE[0]}, skip_duplicates=True)
    Session.insert1({**key, "session_folder": "elsewhere"})
    size = {"width_px": WIDTH, "height_px": HEIGHT, "fps_numerator": 100, "fps_denominator": 1, "n_frames": 50}
    file = {"video_file": "elsewhere", "file_size_bytes": 1, "content_hash": f"{1:064}"}
    Video.insert1({**key, "camera": "side", **size, **file})
    position = np.random.default_rng(0).normal(30, 1, (50, len(NODES), 2))
    tracks = Tracks(position, np.ones((50, len(NODES))), np.arange(50) / 100, NODES)
    row = {**key, "camera": "side", "model_id": model_id, "tracks": tracks}
    PoseEstimation.insert1({**row, "device": "cpu", "estimation_duration_s": 1.0}, allow_direct_insert=True)
    return key


@pytest.fixture
def orofacial(trained: Trained, run_command: Callable[..., Any]) -> Callable[..., Any]:
    """Run the command on the test's own tables."""
    variables = {
        "OROFACIAL_DATA_FOLDER": str(trained.settings.data_folder),
        "OROFACIAL_SCHEMA_PREFIX": trained.settings.schema_prefix,
        "COLUMNS": "160",
    }
    return partial(run_command, **variables)


def test_the_commands_say_what_is_held_out_and_what_is_not_known(trained: Trained, orofacial: Any) -> None:
    from schemas.trained_on import TrainedOn

    evaluate(trained.model_id, trained.labels_id)
    unknown = trained.copied_model("said", TrainedOn())
    evaluate(unknown, trained.labels_id)
    listed = orofacial("model", "list")
    said = listed.stdout + listed.stderr
    assert re.search(rf"{trained.model_id} +held out +\d+ +4 +[^*]*$", listed.stdout, re.MULTILINE), said
    assert not re.search(rf"{trained.model_id} +in training", listed.stdout), said
    assert re.search(rf"{unknown} +not known +\d+ +12 \* ", listed.stdout) and "*: maybe seen" in listed.stdout, said
    assert not re.search(rf"{unknown} +(held out|in training)", listed.stdout), said
    compared = orofacial("model", "compare", trained.model_id, unknown)
    assert "4 labeled frames of 1 mouse" in compared.stdout, compared.stdout + compared.stderr
    assert "it is not known which frames that model was trained on" in compared.stdout
    written = json.loads(orofacial("model", "compare", trained.model_id, unknown, "--json").stdout)
    ((one, other),) = [found["models"] for found in written["comparisons"]]
    assert one["node_p50_px"].keys() == set(NODES) and one["error_p50_px"] == pytest.approx(other["error_p50_px"])
    refused = orofacial("model", "compare", "nothing")
    assert refused.returncode == 1 and "no model nothing" in refused.stderr


# Labels and videos --------------------------------------------------------------------------------------------------


def texture(seed: int, n_frames: int = 10) -> list[NDArray[np.uint8]]:
    """Frames that a codec can keep, unlike those of another seed."""
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.uniform(40, 215, (6, 8)), np.ones((8, 8)))
    return [np.roll(coarse, 5 * index, axis=1).astype(np.uint8) for index in range(n_frames)]


@pytest.fixture
def two_days(trained: Trained, tmp_path: Path) -> dict[str, Any]:
    """Two sessions of one mouse on consecutive days, whose videos have one name, labelled in one frame each.

    The folders are named by a lab's own layout: the last two parts of both paths are the same. The labels came first.
    """
    from ingest.labels import import_labels
    from ingest.layout import Layout
    from ingest.sessions import ingest_sessions

    layout = Layout("{mouse}/{date}/{number}/{camera}")
    images, frames, sources = [], [], []
    for day in (2, 3):
        folder = tmp_path / "raw" / "mouse09" / f"2026-03-0{day}" / "1"
        folder.mkdir(parents=True)
        write_video(folder / "lower.mp4", texture(day), 50)
        frames.append(list(read_video_luma(folder / "lower.mp4")))
        images.append(frames[-1][4])
        sources.append((f"/elsewhere/mouse09/2026-03-0{day}/1/lower.mp4", 4))
    images.append(frames[0][5])  # its path names the other day
    sources.append((sources[1][0], 5))
    position = np.array([[[10.0, 20.0]], [[30.0, 20.0]], [[50.0, 20.0]]])
    write_package(tmp_path / "days.pkg.slp", np.stack(images), position, ("nose",), [], sources)
    labels = import_labels(tmp_path / "days.pkg.slp", camera="lower", layout=layout)
    outcomes = ingest_sessions(tmp_path / "raw", stable_after_s=0, layout=layout)
    assert {outcome.status for outcome in outcomes} == {"ingested"}, outcomes
    return {"labels_id": labels.labels_id, "position": position, "folder": tmp_path}


def test_labels_are_compared_with_the_video_of_their_own_day(two_days: dict[str, Any]) -> None:
    from pipeline.query.label_sets import describe_label_sets
    from pipeline.work.populate import populate
    from schemas.evaluation import LabeledVideo, ModelEvaluation
    from schemas.labels import LabeledFrames
    from schemas.metric import LabelError
    from schemas.model import Model
    from schemas.pose import PoseEstimation
    from schemas.session import Video
    from schemas.track import FilteredTrack

    def described() -> dict[str, Any]:
        return next(one for one in describe_label_sets() if one["labels_id"] == two_days["labels_id"])

    assert (described()["n_waiting_videos"], described()["n_named_frames"]) == (2, 0)
    assert populate(tables=(LabeledVideo,)).computed == {"LabeledVideo": 2}
    rows = LabeledVideo.Frame.to_dicts(order_by="session_date, labeled_frame_index")
    matched = [(row["session_date"].day, row["labeled_frame_index"], bool(row["is_matched"])) for row in rows]
    assert matched == [(2, 0, True), (3, 1, True), (3, 2, False)]
    assert [row["gray_difference"] == 0 for row in rows] == [True, True, False]
    said = described()
    assert (said["n_labeled_frames"], said["n_named_frames"], said["n_matched_frames"]) == (3, 3, 2)
    assert said["n_waiting_videos"] == 0

    bundle = two_days["folder"] / "bundle"
    bundle.mkdir()
    (bundle / "weights").write_text("none")
    key = {"model_id": "f" * 16}
    skeleton_id = (LabeledFrames & {"labels_id": two_days["labels_id"]}).fetch1("skeleton_id")
    row = {**key, "camera": "lower", "skeleton_id": skeleton_id, "estimator": "sleap", "model_name": "none"}
    Model.insert1({**row, "bundle": bundle})
    evaluation = {**key, "labels_id": two_days["labels_id"]}
    counts = {"known_unseen": True, "n_evaluated_frames": 3, "n_seen_frames": 0}
    ModelEvaluation.insert1({**evaluation, **counts}, allow_direct_insert=True)
    ModelEvaluation.Frame.insert(
        [
            {**evaluation, "labeled_frame_index": index, "placed_px": placed}
            for index, placed in enumerate(two_days["position"])
        ],
        allow_direct_insert=True,
    )
    for video in (Video & {"camera": "lower"}).keys():  # noqa: SIM118  (a query)
        day = video["session_date"].day
        tracks = Tracks(np.full((10, 1, 2), 20.0), np.ones((10, 1)), np.arange(10) / 50, ("nose",))
        made = {"tracks": tracks, "device": "none", "estimation_duration_s": 0.0}
        PoseEstimation.insert1({**video, **key, **made}, allow_direct_insert=True)
        assert day in (2, 3)
    populate(tables=(FilteredTrack, LabelError), restriction={**key, "filter_method": "raw"})
    errors = (LabelError & key).to_dicts(order_by="session_date")
    assert [(row["session_date"].day, row["n_frames"], row["error_p50_px"]) for row in errors] == [
        (2, 1, 10),
        (3, 1, 10),
    ]
