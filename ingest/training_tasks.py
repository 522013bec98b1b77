"""Request a training: of labels, with training settings."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Any, Literal

from compute import estimators
from compute.errors import LabelsError, ModelError
from compute.json_text import json_text
from ingest.known_rows import take_in_row
from schemas.label_images import fetch_labels_package
from schemas.labels import LabeledFrames
from schemas.model import (
    TrainingConfig,
    TrainingTask,
    split_for_training,
)


def add_training_task(
    labels: str,
    *,
    camera: str,
    config: dict[str, Any] | None = None,
    config_name: str = "default",
    seed: int = 0,
    fraction_held_out: float = 0.2,
    estimator: str | None = None,
    split_by: Literal["frame", "mouse"] = "frame",
) -> dict[str, Any]:
    """Request a training and return its key. Requesting the same training again changes nothing.

    Parameters
    ----------
    labels : str
        Id or name of imported labels.
    camera : str
        The camera of those labels.
    config : dict, optional
        Settings of the estimator's training; what is not named has its default.
    config_name : str
        For people.
    seed : int
        Of weights, order, augmentation and of the split.
    fraction_held_out : float
        Fraction of the labeled frames, or of their mice, that is kept from training.
    estimator : str, optional
        The estimator to train, such as ``sleap``; without it, the only one that can train.
    split_by : {"frame", "mouse"}
        Whether single frames are held out, or mice with all of their frames.

    Raises
    ------
    LabelsError
        If there are no such labels, they are of another camera, or there are too few frames or mice to split.
    ModelError
        If the settings cannot be used, or the estimator cannot train or is not named.
    """
    labels_id = find_labels_to_train(labels, camera)
    if not 0 < fraction_held_out < 1:
        raise ModelError(f"the fraction to hold out is {fraction_held_out}, expected a number between 0 and 1")
    with TrainingTask.connection.transaction:  # nothing is left of settings that are refused
        key = {
            "labels_id": labels_id,
            "training_config": insert_training_settings(config or {}, config_name, estimator),
            "seed": seed,
        }
        chosen = split_for_training(labels_id, split_by, fraction_held_out, seed)
        _check_training(key, chosen.training)
        asked = {"fraction_held_out": fraction_held_out, "split_by": split_by}
        what = f"a training on labels {labels_id} with these settings and seed {seed}"
        advice = "Choose another seed for another fraction or split"
        take_in_row(TrainingTask, key, asked, what=what, error=ModelError, advice=advice)
    return key


def _check_training(key: dict[str, Any], frames: list[int]) -> None:
    """Refuse a training that could only fail, while a person is there to read why."""
    name, parameters = (TrainingConfig & key).fetch1("estimator", "training_parameters")
    kind = estimators.registered_estimator(name)
    if kind.missing() is None:
        with fetch_labels_package(key["labels_id"]) as package:
            kind.check_training(package, frames, parameters, seed=key["seed"])


def find_labels_to_train(labels: str, camera: str) -> str:
    """Id of imported labels, found by their id or name.

    Raises
    ------
    LabelsError
        If none or several fit, or their camera is another one.
    """
    found = LabeledFrames.proj("camera", "labels_name") & [{"labels_id": labels}, {"labels_name": labels}]
    rows = [row for row in found.to_dicts() if row["labels_id"] == labels or row["camera"] == camera]
    if not rows:
        known = ", ".join(f"{row['labels_id']} ({row['labels_name']}, {row['camera']})" for row in _all_labels())
        raise LabelsError(f"no labels {labels!r} for camera {camera}; known are {known or 'none: import some first'}")
    if len(rows) > 1:
        ids = ", ".join(row["labels_id"] for row in rows)
        raise LabelsError(f"several labels are named {labels!r}: {ids}; give the id of one")
    if rows[0]["camera"] != camera:
        raise LabelsError(f"labels {labels} are of camera {rows[0]['camera']}, not {camera}")
    return str(rows[0]["labels_id"])


def _all_labels() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = LabeledFrames.proj("labels_name", "camera").to_dicts()
    return rows


def read_training_settings(config_file: Path) -> dict[str, Any]:
    """Read training settings from a TOML file.

    Raises
    ------
    ModelError
        If it is not TOML.
    """
    try:
        return tomllib.loads(config_file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{config_file} cannot be read: {error.strerror}; give a TOML file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"{config_file} is not valid TOML: {error}") from error


def insert_training_settings(config: dict[str, Any], name: str, estimator: str | None = None) -> str:
    """Insert training settings if they are new, and return their key: the name and a hash of the settings.

    Raises
    ------
    ModelError
        If the estimator does not know a setting, cannot train, or is not named where several can.
    """
    kind = estimators.estimator_that_trains(estimator)
    try:
        parameters = kind.training_parameters(config)
    except ModelError as error:
        raise ModelError(f"training settings {name}: {error}") from error
    digest = hashlib.sha256(json_text(parameters, sort_keys=True, ascii_only=True).encode()).hexdigest()[:8]
    row = {
        "training_config": f"{name}-{digest}",
        "estimator": kind.name,
        "training_parameters": parameters,
    }
    TrainingConfig.insert1(row, skip_duplicates=True)
    return str(row["training_config"])
