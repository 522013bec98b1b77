"""Add models: request a training, import a trained model, deploy one."""

from __future__ import annotations

import hashlib
import json
import tempfile
import tomllib
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from compute import estimators
from compute.errors import LabelsError, ModelError
from ingest.labels import insert_label_skeleton
from ingest.layout import SESSION_PATTERN, ImpossibleDateError, parse_session_folder
from schemas.labels import LabeledFrames
from schemas.model import (
    DeployedModel,
    Model,
    TrainedOn,
    TrainingConfig,
    TrainingTask,
    insert_model,
    split_for_training,
)
from schemas.session import Camera, Video
from schemas.stored.publishing import published_or_removed
from schemas.subject import Mouse


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
    labels_id = find_labels(labels, camera)
    if not 0 < fraction_held_out < 1:
        raise ModelError(f"the fraction to hold out is {fraction_held_out}, expected a number between 0 and 1")
    key = {"labels_id": labels_id, "training_config": insert_config(config or {}, config_name, estimator), "seed": seed}
    split_for_training(labels_id, split_by, fraction_held_out, seed)
    asked = {"fraction_held_out": fraction_held_out, "split_by": split_by}
    known = (TrainingTask & key).to_dicts()
    if known and {name: known[0][name] for name in asked} != asked:
        raise ModelError(
            f"labels {labels_id} were trained on with seed {seed} and {known[0]['fraction_held_out']} held out by"
            f" {known[0]['split_by']}; choose another seed for another fraction or split"
        )
    TrainingTask.insert1({**key, **asked}, skip_duplicates=True)
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


def insert_config(config: dict[str, Any], name: str, estimator: str | None = None) -> str:
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
    digest = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:8]
    row = {
        "training_config": f"{name}-{digest}",
        "estimator": kind.name,
        "training_parameters": parameters,
    }
    TrainingConfig.insert1(row, skip_duplicates=True)
    return str(row["training_config"])


def import_model(
    source: Path,
    *,
    camera: str,
    mice: Collection[str] = (),
    minimum_score: float | None = None,
    name: str = "",
    pattern: str = SESSION_PATTERN,
) -> str:
    """Import a model that comes from elsewhere, and return its id; the same model again changes nothing.

    Which estimator's model it is, is seen from the file or folder.

    Parameters
    ----------
    source : Path
        What another program wrote, such as the folder that ``sleap-nn train`` made, or one file of DeepLabCut's poses.
        It is read, not altered.
    camera : str
        The camera that the model is for.
    mice : set of str
        The mice in its training set. Without them, the model's own files may say them, or name the videos that its
        labeled frames came from, whose folders name the mouse.
    minimum_score : float, optional
        Score below which the model calls a node not found; without it, the estimator's default.
    name : str
        For people; without it, the name of the file or folder. Poses that another program wrote are another model under
        another name.
    pattern : str
        How session folders are named.

    Raises
    ------
    ModelError
        If it is no complete model, is of another camera, or the camera is unknown. Nothing is imported then.
    """
    cameras = set(Camera.to_arrays("camera"))
    if camera not in cameras:
        raise ModelError(f"{source}: unknown camera {camera!r}; known are {', '.join(sorted(cameras))}")
    kind = estimators.recognised_estimator(source)
    with tempfile.TemporaryDirectory(prefix="orofacial-") as temporary:
        bundle = Path(temporary) / "bundle"
        info = kind.import_bundle(source, bundle, minimum_score=minimum_score, name=name)
        _check_camera(kind, info, source, camera)
        trained_on = _trained_on(info, mice, pattern)
        with Model.connection.transaction, published_or_removed():
            Mouse.insert([{"mouse_id": mouse} for mouse in sorted(trained_on.mice)], skip_duplicates=True)
            return insert_model(
                bundle,
                estimator=kind.name,
                camera=camera,
                skeleton_id=insert_label_skeleton(info.nodes, info.edges),
                name=name or source.resolve().name,
                trained_on=trained_on,
            )


def _trained_on(info: estimators.BundleInfo, mice: Collection[str], pattern: str) -> TrainedOn:
    """What a model was trained on, as far as a person or its own files say."""
    known = set(mice) or mice_of_model(info, pattern)
    hashes = [frame.image_hash for frame in info.training_frames or ()]
    return TrainedOn(
        mice=frozenset(known or ()),
        frames=frozenset(image_hash for image_hash in hashes if image_hash is not None),
        mice_known=known is not None,
        frames_known=info.training_frames is not None and None not in hashes,
    )


def mice_of_model(info: estimators.BundleInfo, pattern: str = SESSION_PATTERN) -> set[str] | None:
    """The mice that a model was trained on, as far as its own files say.

    Returns
    -------
    set of str, or None
        None, not known: the model does not say its mice, and of one of its training frames or more the folder does not
        name one.
    """
    if info.training_mice is not None:
        return set(info.training_mice)
    if info.training_frames is None:
        return None
    mice = {_mouse_of(frame.path, pattern) for frame in info.training_frames}
    return None if None in mice else {mouse for mouse in mice if mouse is not None}


def _mouse_of(path: str, pattern: str) -> str | None:
    """The mouse that the folder of a video names, if it does; the path may be of a Windows machine."""
    try:
        name = parse_session_folder(PurePosixPath(path.replace("\\", "/")).parent.as_posix(), pattern)
    except ImpossibleDateError:  # then it is no session of this database
        return None
    return None if name is None else name.mouse_id


def _check_camera(kind: estimators.EstimatorKind, info: estimators.BundleInfo, source: Path, camera: str) -> None:
    """Refuse a file that lies beside a known video of another camera."""
    if not kind.reads_input_file:
        return
    for video in Video.proj("video_file").to_dicts():
        path = Path(video["video_file"])
        beside = path.parent == source.resolve().parent
        if beside and video["camera"] != camera and kind.input_file(path, info) == source.resolve():
            raise ModelError(f"{source} lies beside {path.name} of camera {video['camera']}, not {camera}")


def deploy(model_id: str, *, beside: bool = False) -> list[str]:
    """Deploy a model: it runs on every video of its camera. Return the models that it replaces.

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
    """Deploy a new model if requested; by default, if its camera has none yet. Return whether it was deployed."""
    first = not DeployedModel & {"camera": _camera_of(model_id)}
    if wish or (wish is None and first):
        deploy(model_id)
    return bool(DeployedModel & {"model_id": model_id})


def undeploy(model_id: str) -> None:
    """Undeploy a model. Its results stay."""
    _camera_of(model_id)
    (DeployedModel & {"model_id": model_id}).delete_quick()


def _camera_of(model_id: str) -> str:
    cameras = (Model & {"model_id": model_id}).to_arrays("camera")
    if not len(cameras):
        known = ", ".join(Model.to_arrays("model_id", order_by="created_at")) or "none yet"
        raise ModelError(f"no model {model_id!r}; known are {known}. See 'orofacial model list'")
    return str(cameras[0])
