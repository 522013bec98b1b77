"""Step 2: a labeled frame is known by its image, and models are evaluated on the frames that they have not seen."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from pathlib import PurePosixPath
from typing import Any

from compute.errors import DatabaseError, OrofacialError
from compute.labels import labeled_image_hash, labeled_images, load_package, split_labeled_indices
from schemas.evaluation import LabeledVideo, ModelEvaluation
from schemas.labels import LabeledFrames
from schemas.metric import LabelError
from schemas.migrations.database import MigratedDatabase
from schemas.model import Model, Training, TrainingTask
from schemas.session import Session
from schemas.stored.fetching import fetch_local_copy

DESCRIPTION = "labeled frames are known by their image; evaluations are of a model and a set of labels"

_SESSION_FOLDER = re.compile(r"(?:^|/)(?P<mouse>[^/]+)/(?P<date>\d{4}-\d{2}-\d{2})_(?P<number>\d+)$")
"""A session's folder by the pattern that a lab has if it set no other."""


def upgrade(database: MigratedDatabase) -> None:
    """Change tables and rows; see `schemas.migrations`."""
    _add_columns(database)
    database.collate_like_others("evaluation")
    database.create_table(Model)  # its part Frame
    database.create_table(ModelEvaluation)
    database.create_table(LabeledVideo)
    for labels in LabeledFrames.proj("camera").to_dicts():
        _describe_labels(database, labels["labels_id"], labels["camera"])
    _drop_defaults(database)
    _describe_models(database)
    _move_evaluations(database)


def _add_columns(database: MigratedDatabase) -> None:
    for module, table, line in (
        ("labels", "labeled_frames", "image_width_px=0 : int32  # size of the images"),
        ("labels", "labeled_frames", "image_height_px=0 : int32"),
        (
            "labels",
            "labeled_frames__source",
            "image_hash='' : char(32)  # of the gray image: the frame's identity, the same in all labels",
        ),
        (
            "labels",
            "labeled_frames__source",
            "source_date=null : date  # of the session that the file's path names; null: it names none, or not this"
            " camera",
        ),
        ("labels", "labeled_frames__source", "source_number=null : int16  # number of that session"),
        (
            "model",
            "training_task",
            "split_by='frame' : enum('frame', 'mouse')  # mouse: that fraction of the mice is held out, with all of"
            " their frames",
        ),
        ("model", "model", "training_mice_known=0 : bool  # whether `Mouse` has all mice that it was trained on"),
        (
            "model",
            "model",
            "training_frames_known=0 : bool  # whether `Frame` has all labeled frames that it was trained on",
        ),
    ):
        database.add_column(module, table, line)


def _drop_defaults(database: MigratedDatabase) -> None:
    for table, columns in (
        ("labeled_frames", ("image_width_px", "image_height_px")),
        ("labeled_frames__source", ("image_hash",)),
    ):
        for column in columns:
            database.execute(f"ALTER TABLE {database.table('labels', table)} ALTER COLUMN {column} DROP DEFAULT")


# Labels -------------------------------------------------------------------------------------------------------------


def _describe_labels(database: MigratedDatabase, labels_id: str, camera: str) -> None:
    """Fill the size and the hashes of a set's images, and the sessions that its frames are of."""
    key = {"labels_id": labels_id}
    try:
        with fetch_local_copy((LabeledFrames & key).fetch1("package")) as package:
            images = labeled_images(load_package(package))
    except OrofacialError as error:
        raise DatabaseError(
            f"the images of labels {labels_id} cannot be read, which this step needs to know their frames by: {error}"
        ) from error
    sources = (LabeledFrames.Source & key).to_dicts(order_by="labeled_frame_index")
    if len(sources) != len(images):
        raise DatabaseError(f"labels {labels_id} have {len(sources)} rows, but {len(images)} images in their package")
    height_px, width_px = images[0].shape
    database.execute(
        f"UPDATE {database.table('labels', 'labeled_frames')} SET image_width_px = %s, image_height_px = %s"
        " WHERE labels_id = %s",
        (width_px, height_px, labels_id),
    )
    for source, image in zip(sources, images, strict=True):
        day, number = _session_of(source["original_file"], source["mouse_id"], camera)
        database.execute(
            f"UPDATE {database.table('labels', 'labeled_frames__source')} SET image_hash = %s, source_date = %s,"
            " source_number = %s WHERE labels_id = %s AND labeled_frame_index = %s",
            (labeled_image_hash(image), day, number, labels_id, source["labeled_frame_index"]),
        )


def _session_of(file: str, mouse: str | None, camera: str) -> tuple[date | None, int | None]:
    """Date and number of the session that a labeled file's path names.

    A lab's own pattern of folders is not known here. A folder that does not fit the usual one names a session if it
    ends like that session's folder does, as far as mouse, date and number stand in it.
    """
    path = PurePosixPath(file.replace("\\", "/"))
    if mouse is None or path.stem != camera:
        return None, None
    match = _SESSION_FOLDER.search(path.parent.as_posix())
    if match is not None and match["mouse"] == mouse:
        try:
            return date.fromisoformat(match["date"]), int(match["number"])
        except ValueError:  # no date of the calendar
            return None, None
    sessions = (Session & {"mouse_id": mouse}).proj("session_folder").to_dicts()
    found = [row for row in sessions if _ends_like(path.parent, row)]
    return (found[0]["session_date"], found[0]["session_number"]) if len(found) == 1 else (None, None)


def _ends_like(folder: PurePosixPath, session: dict[str, Any]) -> bool:
    parts = PurePosixPath(session["session_folder"]).parts
    for n_parts in range(1, len(parts) + 1):
        text = "/".join(parts[-n_parts:])
        day = str(session["session_date"])
        rest = text.replace(day, " ").replace(session["mouse_id"], " ")
        if (
            day in text
            and session["mouse_id"] in text
            and session["session_number"] in map(int, re.findall(r"\d+", rest))
        ):
            return folder.parts[-n_parts:] == parts[-n_parts:]
    return False


# Models -------------------------------------------------------------------------------------------------------------


def _describe_models(database: MigratedDatabase) -> None:
    """Say what each model was trained on: what this database trained, by its split; of others, the mice if any."""
    table = database.table("model", "model")
    database.execute(
        f"UPDATE {table} SET training_mice_known = %s WHERE model_id IN"
        f" (SELECT model_id FROM {database.table('model', 'model__mouse')})",
        (True,),
    )
    for training in (Training.proj("model_id") * TrainingTask.proj("fraction_held_out")).to_dicts():
        used, _ = _split(training)
        rows = [{"model_id": training["model_id"], "image_hash": source["image_hash"]} for source in used]
        Model.Frame.insert(_unique(rows), skip_duplicates=True)
        database.execute(
            f"UPDATE {table} SET training_frames_known = %s, training_mice_known = %s WHERE model_id = %s",
            (True, all(source["mouse_id"] is not None for source in used), training["model_id"]),
        )


def _split(training: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The labeled frames that a training used and held out, as it was then: by where they came from."""
    key = {"labels_id": training["labels_id"]}
    sources = (LabeledFrames.Source & key).to_dicts(order_by="labeled_frame_index")
    groups = [(source["original_file"], source["frame_index"]) for source in sources]
    sides = split_labeled_indices(groups, training["fraction_held_out"], training["seed"])
    used, held_out = ([sources[index] for index in side] for side in sides)
    return used, held_out


def _unique(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({tuple(row.values()): row for row in rows}.values())


# Evaluations --------------------------------------------------------------------------------------------------------


def _move_evaluations(database: MigratedDatabase) -> None:
    """Give evaluations, their parts and the label errors the key of model and labels."""
    old = database.table("model", "__model_evaluation")
    task = ("labels_id", "training_config", "seed")
    # Trainings that ended in one model: the first counts, as it did before.
    first: dict[tuple[str, str], tuple[Any, ...]] = {}
    for labels_id, config, seed, model_id in database.rows(
        f"SELECT e.labels_id, e.training_config, e.seed, t.model_id FROM {old} e JOIN"
        f" {database.table('model', '__training')} t ON {_same('e', 't', task)}"
        " ORDER BY e.labels_id, e.training_config, e.seed"
    ):
        first.setdefault((model_id, labels_id), (labels_id, config, seed))
    _rename(database)
    for (model_id, labels_id), training in first.items():
        if _held_out_was_seen(model_id, training):
            database.notes.append(
                f"model {model_id} is evaluated again on labels {labels_id}: an image stood there twice, and it was"
                " trained on one of them"
            )
            continue
        _copy_evaluation(database, model_id, training)
    for module, name in (
        ("metric", "__label_error_before"),
        ("model", "__model_evaluation__held_out_frame"),
        ("model", "__model_evaluation__node"),
        ("model", "__model_evaluation"),
    ):
        database.drop_table(module, name)


def _rename(database: MigratedDatabase) -> None:
    database.rename_table("metric", "__label_error", "__label_error_before")
    database.create_table(LabelError)


def _held_out_was_seen(model_id: str, training: tuple[Any, ...]) -> bool:
    key = dict(zip(("labels_id", "training_config", "seed"), training, strict=True))
    task = (TrainingTask & key).proj("fraction_held_out").fetch1()
    _, held_out = _split(task)
    seen = set((Model.Frame & {"model_id": model_id}).to_arrays("image_hash"))
    return any(source["image_hash"] in seen for source in held_out)


def _copy_evaluation(database: MigratedDatabase, model_id: str, training: tuple[Any, ...]) -> None:
    """Copy one evaluation with its parts and label errors, as they stand."""
    where = "WHERE old.labels_id = %s AND old.training_config = %s AND old.seed = %s"
    errors = "error_p50_px, error_p90_px, error_mean_px"
    labels = database.table("labels", "labeled_frames")
    for (module, table), (old_module, old_table), columns, values, source in (
        (
            ("evaluation", "__model_evaluation"),
            ("model", "__model_evaluation"),
            f"known_unseen, n_evaluated_frames, n_seen_frames, {errors}, score_exponent, evaluation_provenance",
            f"TRUE, n_held_out_frames, n_labeled_frames - n_held_out_frames, {errors}, score_exponent,"
            " evaluation_provenance",
            f"JOIN {labels} l ON l.labels_id = old.labels_id",
        ),
        (
            ("evaluation", "__model_evaluation__frame"),
            ("model", "__model_evaluation__held_out_frame"),
            "labeled_frame_index, placed_px",
            "labeled_frame_index, placed_px",
            "",
        ),
        (
            ("evaluation", "__model_evaluation__node"),
            ("model", "__model_evaluation__node"),
            f"node, n_points, n_missed, {errors}",
            f"node, n_points, n_missed, {errors}",
            "",
        ),
    ):
        database.execute(
            f"INSERT INTO {database.table(module, table)} (model_id, labels_id, {columns})"
            f" SELECT %s, old.labels_id, {values} FROM {database.table(old_module, old_table)} old {source} {where}",
            (model_id, *training),
        )
    names = ", ".join(name for name in LabelError.heading.names)
    database.execute(
        f"INSERT INTO {database.table('metric', '__label_error')} ({names})"
        f" SELECT {names} FROM {database.table('metric', '__label_error_before')} old {where} AND old.model_id = %s",
        (*training, model_id),
    )


def _same(left: str, right: str, names: Iterable[str]) -> str:
    return " AND ".join(f"{left}.{name} = {right}.{name}" for name in names)
