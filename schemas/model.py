"""Models: how they were trained, on which mice and frames, which of them run by themselves."""

from __future__ import annotations

import hashlib
import math
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import datajoint as dj

from compute import estimators
from compute.errors import ModelError
from schemas.label_images import fetch_labels_package
from schemas.labels import LabeledFrames, Skeleton  # noqa: F401
from schemas.making import progress, provenance
from schemas.making.resources import Resources
from schemas.session import Camera  # noqa: F401  (named in the definitions)
from schemas.stored.fetching import fetch_local_copy
from schemas.stored.publishing import published_or_removed
from schemas.subject import Mouse  # noqa: F401
from schemas.trained_on import TrainedOn, TrainingSplit, split_for_training

schema = dj.Schema()


@schema
class TrainingConfig(dj.Manual):
    """How to train: an estimator and its settings, under a name."""

    definition = """
    training_config : varchar(64)
    ---
    estimator : varchar(32)  # module of compute.estimators
    training_parameters : json
    """


@schema
class TrainingTask(dj.Manual):
    """A training that was requested."""

    definition = """
    -> LabeledFrames
    -> TrainingConfig
    seed : int32  # of weights, order, augmentation and of the split into training and held-out frames
    ---
    fraction_held_out=0.2 : float64  # of the labeled frames, kept from training to measure the error
    split_by='frame' : enum('frame', 'mouse')  # mouse: that fraction of the mice is held out, with all of their frames
    """


@schema
class Model(dj.Manual):
    """A trained model. Never altered: its id is the hash of its files."""

    definition = """
    model_id : char(16)  # hash of the bundle's files
    ---
    -> Camera
    -> Skeleton
    estimator : varchar(32)  # module of compute.estimators
    model_name : varchar(255)
    width_px=null : int32  # size of the frames that it was trained on; null: the model does not say
    height_px=null : int32
    n_channels=null : int16  # of a frame that it reads: 1 gray, 3 color; null: gray, or not known
    n_training_frames=null : int32  # null: the model does not say
    bundle : <bundle@models>  # folder with weights and configuration
    created_at=CURRENT_TIMESTAMP : datetime
    training_mice_known=0 : bool  # whether `Mouse` has all mice that it was trained on
    training_frames_known=0 : bool  # whether `Frame` has all labeled frames that it was trained on
    """

    class Mouse(dj.Part):
        """A mouse in the model's training set.

        Every other mouse is held out if `training_mice_known`, else it is not known: see `schemas.training_mice`.
        """

        definition = """
        -> master
        -> Mouse
        """

    class Frame(dj.Part):
        """A labeled frame that the model was trained on: fitted to it, or used to choose the best epoch."""

        definition = """
        -> master
        image_hash : char(32)  # see LabeledFrames.Source
        """


@schema
class DeployedModel(dj.Manual):
    """A model that runs by itself on every video of its camera."""

    definition = """
    -> Camera
    -> Model
    ---
    deployed_at=CURRENT_TIMESTAMP : datetime
    """


@schema
class EnsembleMember(dj.Manual):
    """A model whose tracks an ensemble is made from, as the ensemble's bundle names it."""

    definition = """
    -> Model
    -> Model.proj(member_id='model_id')
    """


@schema
class TrainingMiceCorrection(dj.Manual):
    """The training mice of a model, before and after a person corrected them. Rows are only ever added."""

    definition = """
    -> Model
    correction_number : int32  # counts the corrections of a model, from 1
    ---
    mice_before : json  # names of the mice that were known to be in its training set
    mice_known_before : bool  # whether these were taken for all of them
    mice_after : json  # the same now
    mice_known_after : bool
    corrected_at=CURRENT_TIMESTAMP : datetime
    """


def hash_model(folder: Path) -> str:
    """Hash of the names and contents of a bundle's files: the id of its model."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def running_models() -> dj.expression.QueryExpression:
    """Models that run on every video of their camera: those that are deployed, and the members of these."""
    members = (EnsembleMember & DeployedModel.proj()).to_arrays("member_id")
    return Model & [DeployedModel.proj(), *({"model_id": str(member)} for member in members)]


def mice_of_members(members: Iterable[str]) -> TrainedOn:
    """The mice that an ensemble of these models was trained on: those of all of them, known if all of theirs are."""
    keys = [{"model_id": member} for member in members]
    return TrainedOn(
        mice=frozenset(map(str, (Model.Mouse & keys).to_arrays("mouse_id"))),
        mice_known=all((Model & keys).to_arrays("training_mice_known")),
    )


def insert_model(
    bundle: Path, *, estimator: str, camera: str, skeleton_id: str, names: Iterable[str], trained_on: TrainedOn
) -> str:
    """Insert the model of a bundle folder, if it is new, and return its id.

    Parameters
    ----------
    bundle : Path
        Folder with weights and configuration.
    estimator : str
        Module of compute.estimators that made the bundle.
    camera, skeleton_id : str
        What it is for.
    names : iterable of str
        Names for people, the best first. It gets the first that no model of the camera has; if all are taken, the first
        with the model's id.
    trained_on : TrainedOn
        Mice and frames in its training set; of an ensemble its members' count.

    Raises
    ------
    ModelError
        If it is an ensemble with a member that is no model of this camera.
    """
    model_id = hash_model(bundle)
    if Model & {"model_id": model_id}:
        return model_id
    info = estimators.registered_estimator(estimator).read_bundle(bundle)
    if info.members:
        _check_members(info.members, camera)
        trained_on = mice_of_members(info.members)
    else:
        trained_on = trained_on.with_mice_of_frames()  # they may have become known while it was trained
    row = {
        "model_id": model_id,
        "camera": camera,
        "skeleton_id": skeleton_id,
        "estimator": estimator,
        "model_name": _free_name(names, camera, model_id),
        "width_px": info.width_px,
        "height_px": info.height_px,
        "n_channels": info.n_channels,
        "n_training_frames": info.n_training_frames,
        "bundle": bundle,
        "training_mice_known": trained_on.mice_known,
        "training_frames_known": trained_on.frames_known,
    }
    Model.insert1(row)
    Model.Mouse.insert([{"model_id": model_id, "mouse_id": mouse} for mouse in sorted(trained_on.mice)])
    Model.Frame.insert([{"model_id": model_id, "image_hash": frame} for frame in sorted(trained_on.frames)])
    if info.members:
        EnsembleMember.insert([{"model_id": model_id, "member_id": member} for member in info.members])
    return model_id


def _check_members(members: Iterable[str], camera: str) -> None:
    cameras = {str(row["model_id"]): row["camera"] for row in Model.proj("camera").to_dicts()}
    for member in members:
        if cameras.get(member) != camera:
            of = f"of camera {cameras[member]}" if member in cameras else "not known here"
            raise ModelError(
                f"an ensemble for camera {camera} has the member {member}, which is {of}; its members are models of its"
                " camera. See 'orofacial model list'"
            )


def _free_name(names: Iterable[str], camera: str, model_id: str) -> str:
    taken = set((Model & {"camera": camera}).to_arrays("model_name"))
    candidates = list(names)
    return next((name for name in candidates if name not in taken), f"{candidates[0]} {model_id}")


_loaded: dict[str, estimators.Estimator] = {}


def load_model(model_id: str) -> estimators.Estimator:
    """Load a model, ready for any number of videos.

    The last model stays loaded for the next video.

    Raises
    ------
    ModelError
        If the files are not the ones that the model was made with.
    """
    if model_id not in _loaded:
        reference, name = (Model & {"model_id": model_id}).fetch1("bundle", "estimator")
        with fetch_local_copy(reference) as folder:
            found = hash_model(folder)
            if found != model_id:
                raise ModelError(
                    f"model {model_id}: its files in the store ({folder}) now have the hash {found}; they were altered"
                    " or damaged. Restore them from a backup, or remove the model"
                )
            _loaded.clear()
            _loaded[model_id] = estimators.registered_estimator(name).load(folder)
    return _loaded[model_id]


@schema
class Training(dj.Computed):
    """A finished training and the model that came out of it."""

    resources = Resources(memory_gb=6, estimator=lambda kind: kind.can_train)

    definition = """
    -> TrainingTask
    ---
    -> Model
    training_history : json  # losses of each epoch; null: the epoch has none
    training_duration_s : float64
    training_provenance=null : json  # code version, packages, host, start (UTC), duration; null: not recorded
    """

    def make_fetch(self, key: dict[str, Any]) -> tuple[str, dict[str, Any], list[int]]:
        """Fetch how to train, and on which frames; not of which mice these are, which may be renamed meanwhile."""
        estimator, parameters = (TrainingConfig & key).fetch1("estimator", "training_parameters")
        return estimator, parameters, _split_of_task(key).training

    def make_compute(
        self, key: dict[str, Any], estimator: str, parameters: dict[str, Any], training: list[int]
    ) -> tuple[tempfile.TemporaryDirectory[str], list[dict[str, Any]], float, dict[str, Any]]:
        """Train on the frames that are not held out."""
        from compute.labels import labeled_subset, load_package, save_package

        folder = tempfile.TemporaryDirectory(prefix="orofacial-")  # removed with the last reference to it
        with provenance.recording_provenance() as record:
            started = time.monotonic()
            package = Path(folder.name) / "training.pkg.slp"
            with fetch_labels_package(key["labels_id"]) as labels_path:
                save_package(labeled_subset(load_package(labels_path), training), package)
            trained = estimators.registered_estimator(estimator).train(
                package,
                parameters,
                seed=key["seed"],
                bundle_folder=Path(folder.name) / "bundle",
                progress=progress.report_progress,
            )
            duration_s = time.monotonic() - started
        history = [{name: _null_if_nan(value) for name, value in asdict(epoch).items()} for epoch in trained.history]
        return folder, history, duration_s, record

    def make_insert(
        self,
        key: dict[str, Any],
        folder: tempfile.TemporaryDirectory[str],
        history: list[dict[str, Any]],
        duration_s: float,
        record: dict[str, Any],
    ) -> None:
        """Insert the model, what was in its training set, and how the training went."""
        labels = (LabeledFrames & key).fetch1()
        name = f"{key['training_config']} on {labels['labels_name']}"
        with published_or_removed():
            model_id = insert_model(
                Path(folder.name) / "bundle",
                estimator=(TrainingConfig & key).fetch1("estimator"),
                camera=labels["camera"],
                skeleton_id=labels["skeleton_id"],
                names=(name, f"{name}, seed {key['seed']}"),
                trained_on=_split_of_task(key).trained_on,
            )
            row = {**key, "model_id": model_id, "training_history": history, "training_duration_s": duration_s}
            self.insert1({**row, "training_provenance": record})


def _split_of_task(key: dict[str, Any]) -> TrainingSplit:
    """Which labeled frames a requested training uses."""
    task = (TrainingTask & key).fetch1()
    return split_for_training(task["labels_id"], task["split_by"], task["fraction_held_out"], task["seed"])


def _null_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value
