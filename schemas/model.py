"""Models: how they were trained, on which mice, how good they are, which of them run by themselves."""

from __future__ import annotations

import hashlib
import math
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datajoint as dj

from compute import estimators
from compute.errors import ModelError
from schemas.labels import LabeledFrames, Skeleton  # noqa: F401
from schemas.making import progress, provenance
from schemas.making.resources import Resources
from schemas.session import Camera  # noqa: F401  (named in the definitions)
from schemas.stored.publishing import published_or_removed
from schemas.stored.references import local_copy
from schemas.subject import Mouse  # noqa: F401

if TYPE_CHECKING:
    from compute.labels import Source

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
    """A training that someone asked for."""

    definition = """
    -> LabeledFrames
    -> TrainingConfig
    seed : int32  # of weights, order, augmentation and of the split into training and held-out frames
    ---
    fraction_held_out=0.2 : float64  # of the labeled frames, kept from training to measure the error
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
    n_training_frames=null : int32  # null: the model does not say
    bundle : <bundle@models>  # folder with weights and configuration
    created_at=CURRENT_TIMESTAMP : datetime
    """

    class Mouse(dj.Part):
        """A mouse in the model's training set. Every other mouse is held out."""

        definition = """
        -> master
        -> Mouse
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


def hash_bundle(folder: Path) -> str:
    """Hash of the names and contents of a bundle's files: the id of its model."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def insert_model(bundle: Path, *, estimator: str, camera: str, skeleton_id: str, name: str, mice: set[str]) -> str:
    """Insert the model of a bundle folder, if it is new, and return its id.

    Parameters
    ----------
    bundle : Path
        Folder with weights and configuration.
    estimator : str
        Module of compute.estimators that made the bundle.
    camera, skeleton_id : str
        What it is for.
    name : str
        For people.
    mice : set of str
        The mice in its training set; rows of `Mouse`.
    """
    model_id = hash_bundle(bundle)
    if Model & {"model_id": model_id}:
        return model_id
    info = estimators.by_name(estimator).read_bundle(bundle)
    row = {
        "model_id": model_id,
        "camera": camera,
        "skeleton_id": skeleton_id,
        "estimator": estimator,
        "model_name": name,
        "width_px": info.width_px,
        "height_px": info.height_px,
        "n_training_frames": info.n_training_frames,
        "bundle": bundle,
    }
    Model.insert1(row)
    Model.Mouse.insert([{"model_id": model_id, "mouse_id": mouse} for mouse in sorted(mice)])
    return model_id


_loaded: dict[str, estimators.Estimator] = {}


def load_model(model_id: str) -> estimators.Estimator:
    """Load a model, ready for any number of videos.

    The last one stays loaded for the next video, for as long as this process lives.

    Raises
    ------
    ModelError
        If the files are not the ones that the model was made with.
    """
    if model_id not in _loaded:
        reference, name = (Model & {"model_id": model_id}).fetch1("bundle", "estimator")
        with local_copy(reference) as folder:
            found = hash_bundle(folder)
            if found != model_id:
                raise ModelError(
                    f"model {model_id}: its files in the store ({folder}) now have the hash {found}; they were altered"
                    " or damaged. Restore them from a backup, or remove the model"
                )
            _loaded.clear()
            _loaded[model_id] = estimators.by_name(name).load(folder)
    return _loaded[model_id]


@schema
class Training(dj.Computed):
    """A finished training and the model that came out of it."""

    resources = Resources(device="gpu", memory_gb=6)

    definition = """
    -> TrainingTask
    ---
    -> Model
    training_history : json  # losses of each epoch; null: the epoch has none
    training_duration_s : float64
    training_provenance=null : json  # code version, packages, host, start (UTC), duration; null: not recorded
    """

    def make_fetch(self, key: dict[str, Any]) -> tuple[str, dict[str, Any], float]:
        """Fetch how to train."""
        estimator, parameters = (TrainingConfig & key).fetch1("estimator", "training_parameters")
        return estimator, parameters, (TrainingTask & key).fetch1("fraction_held_out")

    def make_compute(
        self, key: dict[str, Any], estimator: str, parameters: dict[str, Any], fraction_held_out: float
    ) -> tuple[tempfile.TemporaryDirectory[str], list[dict[str, Any]], set[Source], float, dict[str, Any]]:
        """Train on the frames that are not held out."""
        from compute.labels import load_package, save_package, sources_of, split

        folder = tempfile.TemporaryDirectory(prefix="orofacial-")  # removed with the last reference to it
        with provenance.recording() as record:
            started = time.monotonic()
            package = Path(folder.name) / "training.pkg.slp"
            with local_copy((LabeledFrames & key).fetch1("package")) as labels_path:
                training, _ = split(load_package(labels_path), fraction_held_out, key["seed"])
                save_package(training, package)
            trained = estimators.by_name(estimator).train(
                package,
                parameters,
                seed=key["seed"],
                bundle_folder=Path(folder.name) / "bundle",
                progress=progress.report,
            )
            duration_s = time.monotonic() - started
        history = [{name: _null_if_nan(value) for name, value in asdict(epoch).items()} for epoch in trained.history]
        return folder, history, set(sources_of(training)), duration_s, record

    def make_insert(
        self,
        key: dict[str, Any],
        folder: tempfile.TemporaryDirectory[str],
        history: list[dict[str, Any]],
        training_sources: set[Source],
        duration_s: float,
        record: dict[str, Any],
    ) -> None:
        """Insert the model, who was in its training set, and how the training went."""
        labels = (LabeledFrames & key).fetch1()
        with published_or_removed():
            model_id = insert_model(
                Path(folder.name) / "bundle",
                estimator=(TrainingConfig & key).fetch1("estimator"),
                camera=labels["camera"],
                skeleton_id=labels["skeleton_id"],
                name=f"{key['training_config']} on {labels['labels_name']}",
                mice=_mice_of(key, training_sources),
            )
            row = {**key, "model_id": model_id, "training_history": history, "training_duration_s": duration_s}
            self.insert1({**row, "training_provenance": record})


def _mice_of(key: dict[str, Any], sources: set[Source]) -> set[str]:
    """The mice that are known to be in these frames."""
    rows = (LabeledFrames.Source & key).to_dicts()
    return {
        row["mouse_id"]
        for row in rows
        if row["mouse_id"] is not None and (row["original_file"], row["frame_index"]) in sources
    }


@schema
class ModelEvaluation(dj.Computed):
    """Error of a trained model on the labeled frames that were held out from its training."""

    resources = Resources(device="gpu", memory_gb=4)

    definition = """
    -> Training
    ---
    n_held_out_frames : int32
    error_p50_px=null : float64  # (px) over all nodes; null: nothing was found
    error_p90_px=null : float64  # (px)
    error_mean_px=null : float64  # (px)
    score_exponent=null : float64  # precision of a point goes as score to this power; null: too few points to say
    evaluation_provenance=null : json  # code version, packages, host, start (UTC), duration; null: not recorded
    """

    class HeldOutFrame(dj.Part):
        """A labeled frame that was held out, and where the person placed the nodes."""

        definition = """
        -> master
        -> LabeledFrames.Source
        ---
        placed_px : <blob>  # (px) shape (node, 2), in the skeleton's order; NaN: not placed
        """

    class Node(dj.Part):
        """Error of one node."""

        definition = """
        -> master
        node : varchar(64)
        ---
        n_points : int32  # placed by a person and found by the model
        n_missed : int32  # placed by a person, not found by the model
        error_p50_px=null : float64  # (px) distance between them; null: n_points is 0
        error_p90_px=null : float64  # (px)
        error_mean_px=null : float64  # (px)
        """

    def make_fetch(self, key: dict[str, Any]) -> tuple[str, float]:
        """Fetch the model's id, and which frames were held out."""
        return (Training & key).fetch1("model_id"), (TrainingTask & key).fetch1("fraction_held_out")

    def make_compute(
        self, key: dict[str, Any], model_id: str, fraction_held_out: float
    ) -> tuple[estimators.Evaluation, list[dict[str, Any]], dict[str, Any]]:
        """Compare the model with the people."""
        from compute.labels import load_package, positions_of, save_package, sources_of, split

        with provenance.recording() as record, tempfile.TemporaryDirectory(prefix="orofacial-") as folder:
            package = Path(folder) / "held_out.pkg.slp"
            with local_copy((LabeledFrames & key).fetch1("package")) as labels_path:
                labels = load_package(labels_path)
                _, held_out = split(labels, fraction_held_out, key["seed"])
                save_package(held_out, package)
                kept = set(sources_of(held_out))
                frames = [
                    {"labeled_frame_index": index, "placed_px": placed}
                    for index, (source, placed) in enumerate(zip(sources_of(labels), positions_of(labels), strict=True))
                    if source in kept
                ]
            evaluation = load_model(model_id).evaluate(package)
        return evaluation, frames, record

    def make_insert(
        self,
        key: dict[str, Any],
        evaluation: estimators.Evaluation,
        frames: list[dict[str, Any]],
        record: dict[str, Any],
    ) -> None:
        """Insert the errors."""
        overall = _error_row(evaluation.overall)
        del overall["n_points"], overall["n_missed"]
        row = {"n_held_out_frames": evaluation.n_frames, "score_exponent": evaluation.score_exponent}
        self.insert1({**key, **row, **overall, "evaluation_provenance": record})
        self.Node.insert([{**key, "node": node, **_error_row(error)} for node, error in evaluation.nodes.items()])
        self.HeldOutFrame.insert([{**key, **frame} for frame in frames])


def score_exponent(model_id: str) -> float | None:
    """What the held-out labeled frames say of a model's scores, see `compute.filters.score_noise`.

    None for a model trained elsewhere, and where there were too few points to say. Of several trainings that ended
    in the same model the first counts.
    """
    evaluations = ModelEvaluation & (Training & {"model_id": model_id}).proj()
    known = evaluations.to_arrays("score_exponent", order_by="labels_id, training_config, seed")
    return None if not len(known) or known[0] is None or math.isnan(known[0]) else float(known[0])


def _error_row(error: estimators.NodeError) -> dict[str, Any]:
    quantiles = {"error_p50_px": error.p50_px, "error_p90_px": error.p90_px, "error_mean_px": error.mean_px}
    return {
        "n_points": error.n,
        "n_missed": error.n_missed,
        **{name: _null_if_nan(value) for name, value in quantiles.items()},
    }


def _null_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value
