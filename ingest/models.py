"""Models come in: asked-for trainings, bundles trained elsewhere, and which of them run by themselves."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tempfile
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from compute import estimators
from compute.errors import LabelsError, ModelError
from ingest.labels import insert_skeleton
from schemas.labels import LabeledFrames
from schemas.model import DeployedModel, Model, TrainingConfig, TrainingTask, insert_model
from schemas.session import Camera
from schemas.stored.publishing import published_or_removed
from schemas.subject import Mouse

ESTIMATOR = "sleap"


def add_training_task(
    labels: str,
    *,
    camera: str,
    config: dict[str, Any] | None = None,
    config_name: str = "default",
    seed: int = 0,
    fraction_held_out: float = 0.2,
) -> dict[str, Any]:
    """Ask for a training, and return its key; asking again for the same changes nothing.

    Parameters
    ----------
    labels : str
        Id or name of imported labels.
    camera : str
        The camera of those labels.
    config : dict, optional
        Keywords of the estimator's ``TrainingConfig``; what is not named has its default.
    config_name : str
        For people.
    seed : int
        Of weights, order, augmentation and of the split.
    fraction_held_out : float
        Fraction of the labeled frames that is kept from training.

    Raises
    ------
    LabelsError
        If there are no such labels, or they are of another camera.
    ModelError
        If the settings cannot be used.
    """
    labels_id = find_labels(labels, camera)
    if not 0 < fraction_held_out < 1:
        raise ModelError(f"the fraction to hold out is {fraction_held_out}, expected a number between 0 and 1")
    key = {"labels_id": labels_id, "training_config": insert_config(config or {}, config_name), "seed": seed}
    known = (TrainingTask & key).to_dicts()
    if known and known[0]["fraction_held_out"] != fraction_held_out:
        raise ModelError(
            f"labels {labels_id} were trained on with seed {seed} and {known[0]['fraction_held_out']} held out;"
            " choose another seed for another fraction"
        )
    TrainingTask.insert1({**key, "fraction_held_out": fraction_held_out}, skip_duplicates=True)
    return key


def find_labels(labels: str, camera: str) -> str:
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


def read_config(config_file: Path) -> dict[str, Any]:
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


def insert_config(config: dict[str, Any], name: str) -> str:
    """Insert training settings if they are new, and return their key: the name and a hash of what they say.

    Raises
    ------
    ModelError
        If the estimator does not know a setting.
    """
    make = estimators.by_name(ESTIMATOR).TrainingConfig
    try:
        parameters = dataclasses.asdict(make(**config))
    except TypeError as error:
        known = ", ".join(field.name for field in dataclasses.fields(make))
        raise ModelError(f"training settings {name}: {error}; known settings are {known}") from error
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:8]
    row = {
        "training_config": f"{name}-{digest}",
        "estimator": ESTIMATOR,
        "training_parameters": parameters,
    }
    TrainingConfig.insert1(row, skip_duplicates=True)
    return str(row["training_config"])


def import_model(
    folder: Path,
    *,
    camera: str,
    mice: Collection[str] = (),
    minimum_score: float = estimators.MINIMUM_SCORE,
) -> str:
    """Import a model that SLEAP trained elsewhere, and return its id; the same model again changes nothing.

    Parameters
    ----------
    folder : Path
        What ``sleap-nn train`` wrote: weights and configuration. It is copied, not altered.
    camera : str
        The camera that the model is for.
    mice : set of str
        The mice in its training set.
    minimum_score : float
        Score below which the model calls a node not found.

    Raises
    ------
    ModelError
        If the folder is no complete model, or the camera is unknown. Nothing is imported then.
    """
    cameras = set(Camera.to_arrays("camera"))
    if camera not in cameras:
        raise ModelError(f"{folder}: unknown camera {camera!r}; known are {', '.join(sorted(cameras))}")
    module = estimators.by_name(ESTIMATOR)
    with tempfile.TemporaryDirectory(prefix="orofacial-") as temporary:
        bundle = Path(temporary) / "bundle"
        module.import_bundle(folder, bundle, minimum_score=minimum_score)
        info = module.read_bundle(bundle)
        with Model.connection.transaction, published_or_removed():
            Mouse.insert([{"mouse_id": mouse} for mouse in sorted(mice)], skip_duplicates=True)
            return insert_model(
                bundle,
                estimator=ESTIMATOR,
                camera=camera,
                skeleton_id=insert_skeleton(info.nodes, info.edges),
                name=folder.resolve().name,
                mice=set(mice),
            )


def deploy(model_id: str, *, beside: bool = False) -> list[str]:
    """Let a model run by itself on its camera's videos; return the models that it replaces.

    Parameters
    ----------
    model_id : str
        A row of `Model`.
    beside : bool
        Keep the camera's other models deployed.

    Raises
    ------
    ModelError
        If there is no such model.
    """
    camera = _camera_of(model_id)
    others = DeployedModel & {"camera": camera} & f"model_id != '{model_id}'"
    replaced = [] if beside else [str(model) for model in others.to_arrays("model_id")]
    with DeployedModel.connection.transaction:
        if replaced:
            others.delete_quick()
        DeployedModel.insert1({"camera": camera, "model_id": model_id}, skip_duplicates=True)
    return replaced


def deploy_if_first(model_id: str, wish: bool | None) -> bool:
    """Deploy a new model if that is wished, or, without a wish, if its camera has none yet; return whether."""
    first = not DeployedModel & {"camera": _camera_of(model_id)}
    if wish or (wish is None and first):
        deploy(model_id)
    return bool(DeployedModel & {"model_id": model_id})


def undeploy(model_id: str) -> None:
    """Stop a model from running by itself; its results stay."""
    _camera_of(model_id)
    (DeployedModel & {"model_id": model_id}).delete_quick()


def _camera_of(model_id: str) -> str:
    cameras = (Model & {"model_id": model_id}).to_arrays("camera")
    if not len(cameras):
        known = ", ".join(Model.to_arrays("model_id", order_by="created_at")) or "none yet"
        raise ModelError(f"no model {model_id!r}; known are {known}. See 'orofacial model list'")
    return str(cameras[0])
