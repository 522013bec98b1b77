"""Evaluations of commit 7ef26b9 keep their numbers under the key of model and labels; frames are known by images."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"

SAY = """
import json
from compute.labels import labeled_image_hash, labeled_images, load_package
from schemas.stored.fetching import fetch_local_copy

schemas.activate(prefix, connection)
from schemas.evaluation import ModelEvaluation, evaluated_score_exponent, unevaluated_models
from schemas.labels import LabeledFrames
from schemas.metric import LabelError
from schemas.model import Model, Training, TrainingTask

recomputed = {}
for row in LabeledFrames.to_dicts():
    with fetch_local_copy(row["package"]) as package:
        images = labeled_images(load_package(package))
    assert images[0].shape == (row["image_height_px"], row["image_width_px"])
    recomputed[row["labels_id"]] = [labeled_image_hash(image) for image in images]
models = {row["model_id"]: row for row in Model.proj("training_mice_known", "training_frames_known").to_dicts()}
told = {
    "evaluations": ModelEvaluation.to_dicts(),
    "nodes": ModelEvaluation.Node.to_dicts(),
    "frames": [
        {**row, "placed_px": row["placed_px"].shape, "error_px": row["error_px"]}
        for row in ModelEvaluation.Frame.to_dicts()
    ],
    "label_errors": [{**row, "error_px": row["error_px"].shape} for row in LabelError.to_dicts()],
    "sources": LabeledFrames.Source.to_dicts(order_by="labels_id, labeled_frame_index"),
    "models": {
        model_id: {
            "mice_known": bool(row["training_mice_known"]),
            "frames_known": bool(row["training_frames_known"]),
            "frames": sorted((Model.Frame & {"model_id": model_id}).to_arrays("image_hash").tolist()),
            "exponent": evaluated_score_exponent(model_id),
        }
        for model_id, row in models.items()
    },
    "recomputed": recomputed,
    "split_by": TrainingTask.to_arrays("split_by").tolist(),
    "wanted": (ModelEvaluation().key_source - ModelEvaluation.proj()).to_dicts(),
}
print("TOLD " + json.dumps(told, default=str))
"""

NUMBERS = ("error_p50_px", "error_p90_px", "error_mean_px", "score_exponent")


def test_evaluations_keep_their_numbers_and_frames_are_known_by_their_images(old_lab: Any) -> None:
    old = json.loads(gzip.decompress((DATA / f"answers_{old_lab.backend}.json.gz").read_bytes()))["rows"]
    old_lab.orofacial("upgrade")
    told = json.loads(old_lab.program(SAY).partition("TOLD ")[2])
    task = ("labels_id", "training_config", "seed")
    model_of = {tuple(row[name] for name in task): row["model_id"] for row in old["model.Training"]}

    def key(row: dict[str, Any]) -> tuple[str, str]:
        return model_of[tuple(row[name] for name in task)], row["labels_id"]

    n_labeled = {row["labels_id"]: row["n_labeled_frames"] for row in old["labels.LabeledFrames"]}
    new = {(row["model_id"], row["labels_id"]): row for row in told["evaluations"]}
    assert old["model.ModelEvaluation"] and new.keys() == {key(row) for row in old["model.ModelEvaluation"]}
    for row in old["model.ModelEvaluation"]:
        same = new[key(row)]
        assert {name: same[name] for name in NUMBERS} == {name: row[name] for name in NUMBERS}
        assert same["n_evaluated_frames"] == row["n_held_out_frames"] and same["known_unseen"]
        assert same["n_seen_frames"] == n_labeled[row["labels_id"]] - row["n_held_out_frames"]
        assert told["models"][key(row)[0]]["exponent"] == row["score_exponent"]
    names = ("node", "n_points", "n_missed", *NUMBERS[:3])
    assert {(*key(row), *(row[name] for name in names)) for row in old["model.ModelEvaluation.Node"]} == {
        (row["model_id"], row["labels_id"], *(row[name] for name in names)) for row in told["nodes"]
    }
    held_out = {(*key(row), row["labeled_frame_index"]) for row in old["model.ModelEvaluation.HeldOutFrame"]}
    assert {(row["model_id"], row["labels_id"], row["labeled_frame_index"]) for row in told["frames"]} == held_out
    assert len(told["label_errors"]) == len(old["metric.LabelError"]) > 0
    hashes = {(row["labels_id"], row["labeled_frame_index"]): row["image_hash"] for row in told["sources"]}
    assert hashes == {(id_, index): one for id_, found in told["recomputed"].items() for index, one in enumerate(found)}
    trained = set(model_of.values())
    for model_id, labels_id in model_of_labels(model_of).items():
        kept = {index for model, labels, index in held_out if (model, labels) == (model_id, labels_id)}
        used = {one for index, one in enumerate(told["recomputed"][labels_id]) if index not in kept}
        assert set(told["models"][model_id]["frames"]) == used
    for model_id, model in told["models"].items():
        assert model["frames_known"] == (model_id in trained) == bool(model["frames"])
    for row in told["sources"]:
        day = next((part for part in row["original_file"].split("/") if part.startswith("2026-")), None)
        assert row["source_date"] == (day and day[:10])
        assert row["source_number"] == (day and int(day[11:]))
    assert set(told["split_by"]) == {"frame"}
    imported = set(told["models"]) - trained
    assert imported & {row["model_id"] for row in told["wanted"]}  # models from elsewhere are evaluated now


def model_of_labels(model_of: dict[tuple[Any, ...], str]) -> dict[str, str]:
    """The labels of each trained model."""
    return {model_id: str(task[0]) for task, model_id in model_of.items()}


def test_labels_whose_images_are_gone_stop_the_upgrade_and_leave_the_old_state(old_lab: Any) -> None:
    before = old_lab.program("print(repr(everything()))")
    (store,) = (path for path in old_lab.data_folder.rglob("labels") if path.is_dir() and any(path.rglob("*.slp")))
    shutil.move(store, store.with_name("elsewhere"))
    said = old_lab.orofacial("upgrade", expect=1)
    assert "the images of labels" in said and "restore it from a backup" in said
    assert old_lab.program("print(repr(everything()))") == before
    shutil.rmtree(store, ignore_errors=True)
    shutil.move(store.with_name("elsewhere"), store)
    old_lab.orofacial("upgrade")
