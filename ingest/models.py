"""Import a trained model."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from compute import estimators
from compute.errors import ModelError
from ingest.correction_history import NameHistory
from ingest.known_rows import compare_known_row
from ingest.label_skeletons import insert_label_skeleton
from ingest.labeled_sources import named_by_source
from ingest.layout import Layout
from ingest.mice_without_session import mice_without_session
from ingest.poses import refuse_changed_pose_file
from schemas.evaluation import ModelEvaluation
from schemas.labels import mice_of_images
from schemas.model import Model, hash_model, insert_model
from schemas.session import Camera, Video
from schemas.stored.publishing import published_or_removed
from schemas.subject import Mouse
from schemas.trained_on import TrainedOn
from schemas.training_mice import learn_training_mice, tell_ensembles


@dataclass(frozen=True)
class ImportedModel:
    """The answer of an import: what the database holds of this model now."""

    model_id: str
    is_new: bool
    camera: str
    model_name: str
    mice: tuple[str, ...]
    """Mice that it was trained on; all of them if `mice_known`."""
    mice_known: bool
    frames_known: bool
    """Whether all labeled frames that it was trained on are known."""
    added: tuple[str, ...] = ()
    """Of a model that was known: what became known now, of ``mice`` and ``frames``."""
    mice_without_session: dict[str, list[str]] = field(default_factory=dict)
    """Mice that a person named and of which no session is here, each with the known names that are near."""


def import_model(
    source: Path,
    *,
    camera: str,
    mice: Collection[str] = (),
    minimum_score: float | None = None,
    name: str = "",
    layout: Layout | None = None,
) -> str:
    """Import a model that comes from elsewhere, and return its id; see `take_in_model`."""
    asked: dict[str, Any] = {"mice": mice, "minimum_score": minimum_score, "name": name, "layout": layout}
    return take_in_model(source, camera=camera, **asked).model_id


def take_in_model(
    source: Path,
    *,
    camera: str,
    mice: Collection[str] = (),
    minimum_score: float | None = None,
    name: str = "",
    layout: Layout | None = None,
) -> ImportedModel:
    """Import a model that comes from elsewhere; the same model again adds what was not known of it, and nothing else.

    Which estimator's model it is, is seen from the file or folder.

    Parameters
    ----------
    source : Path
        What another program wrote, such as the folder that ``sleap-nn train`` made, or one file of DeepLabCut's poses.
        It is read, not altered.
    camera : str
        The camera that the model is for.
    mice : set of str
        All mice in its training set. The model's own files may say them too, or name the videos that its labeled frames
        came from, whose folders name the mouse; then both must agree.
    minimum_score : float, optional
        Score (0 to 1) below which the model calls a node not found; without it, the estimator's default.
    name : str
        For people; without it, the name of the file or folder, with folders above it where another model of the
        camera has that name. No two models of a camera have one name. Poses that another program wrote are another
        model under another name.
    layout : Layout, optional
        How the lab's recordings lie; without it, the default.

    Raises
    ------
    ModelError
        If it is no complete model, is of another camera, the camera is unknown, the name is another model's, the score
        is not between 0 and 1, or what is asked for contradicts the model's files or what is known of it, or if a file
        of poses has changed since the model was imported. Nothing is imported then.
    """
    cameras = set(Camera.to_arrays("camera"))
    if camera not in cameras:
        raise ModelError(f"{source}: unknown camera {camera!r}; known are {', '.join(sorted(cameras))}")
    _check_score(source, minimum_score)
    kind = estimators.recognised_estimator(source)
    with tempfile.TemporaryDirectory(prefix="orofacial-") as temporary:
        bundle = Path(temporary) / "bundle"
        info = kind.import_bundle(source, bundle, minimum_score=minimum_score, name=name)
        _check_camera(kind, info, source, camera)
        if info.members and mice:
            raise ModelError(f"{source} is of an ensemble: its training mice are its members'. Leave --mouse out")
        trained_on = _trained_on(source, info, mice, layout or Layout())
        model_id = hash_model(bundle)
        with Model.connection.transaction, published_or_removed():
            Mouse.insert([{"mouse_id": mouse} for mouse in sorted(trained_on.mice)], skip_duplicates=True)
            known = bool(Model & {"model_id": model_id})
            if known:
                if kind.reads_input_file:
                    refuse_changed_pose_file(source, model_id, kind.load(bundle))
                added = _add_to_model(model_id, {"camera": camera, "model_name": name or None}, trained_on, source)
            else:
                check_name_is_free(name, camera, source)
                skeleton_id = insert_label_skeleton(info.nodes, info.edges)
                row = {"estimator": kind.name, "camera": camera, "skeleton_id": skeleton_id}
                names = [name] if name else _default_names(source)
                insert_model(bundle, names=names, trained_on=trained_on, **row)
                added = ()
    described = describe_imported_model(model_id, is_new=not known, added=added)
    return replace(described, mice_without_session=mice_without_session(mice))


def check_name_is_free(name: str, camera: str, source: Path) -> None:
    """Refuse the name of another model of the camera: questions could not tell the two apart."""
    for other in (Model & {"camera": camera, "model_name": name}).to_arrays("model_id"):
        raise ModelError(
            f"{source}: model {other} of camera {camera} is called {name!r} already, and this is another model. Nothing"
            " was imported; choose another name (--name)"
        )


def _default_names(source: Path) -> Iterator[str]:
    """The name of the file or folder, then with ever more of the folders above it, for models that are called alike."""
    parts = source.resolve().parts
    return ("/".join(parts[-n:]) for n in range(1, len(parts)))


def describe_imported_model(model_id: str, *, is_new: bool, added: tuple[str, ...] = ()) -> ImportedModel:
    """What the database holds of a model that was imported."""
    names = ("camera", "model_name", "training_mice_known", "training_frames_known")
    row = (Model & {"model_id": model_id}).proj(*names).fetch1()
    mice = (Model.Mouse & {"model_id": model_id}).to_arrays("mouse_id", order_by="mouse_id")
    return ImportedModel(
        model_id,
        is_new,
        row["camera"],
        row["model_name"],
        tuple(map(str, mice)),
        bool(row["training_mice_known"]),
        bool(row["training_frames_known"]),
        added,
    )


def _add_to_model(model_id: str, asked: dict[str, Any], trained_on: TrainedOn, source: Path) -> tuple[str, ...]:
    """Add to a known model what was not known of it; return what that was, of ``mice`` and ``frames``."""
    key = {"model_id": model_id}
    row = (Model & key).proj(*asked, "training_mice_known", "training_frames_known").fetch1()
    mice = sorted((Model.Mouse & key).to_arrays("mouse_id"))
    frames = set((Model.Frame & key).to_arrays("image_hash"))
    mice_there = mice if row["training_mice_known"] or not trained_on.mice.issuperset(mice) else None
    there = {**row, "training mice": mice_there}
    wanted = {**asked, "training mice": sorted(trained_on.mice) if trained_on.mice_known else None}
    if row["training_frames_known"] and trained_on.frames_known and trained_on.frames != frames:
        there["number of training frames"] = len(frames)
        wanted["number of training frames"] = f"{len(trained_on.frames)} (other images)"
    advice = "Nothing was changed. Ask for what is known; 'orofacial model list' shows it"
    compared = compare_known_row(there, wanted)
    if "training mice" in compared.contradictions:
        advice += f". If mice were told wrongly, correct them: orofacial model mice {model_id} --mouse NAME"
    compared.refuse(f"{source}: model {model_id}", ModelError, advice)
    added: list[str] = []
    if trained_on.frames_known and not row["training_frames_known"]:
        Model.Frame.insert([{**key, "image_hash": one} for one in sorted(trained_on.frames - frames)])
        Model.update1({**key, "training_frames_known": True})
        # They were measured on frames of which some may have been trained on: computed anew.
        (ModelEvaluation & key).delete(prompt=False)
        added.append("frames")
    new_mice = sorted(trained_on.mice - set(mice))
    Model.Mouse.insert([{**key, "mouse_id": mouse} for mouse in new_mice])
    if "training mice" in compared.added:
        Model.update1({**key, "training_mice_known": True})
    tell_ensembles(model_id)
    if new_mice or "training mice" in compared.added or learn_training_mice(model_id):
        added.append("mice")
    return tuple(added)


def _trained_on(source: Path, info: estimators.BundleInfo, mice: Collection[str], layout: Layout) -> TrainedOn:
    """What a model was trained on, as far as a person, its own files and the labels here say."""
    frames = info.training_frames or ()
    hashes = frozenset(frame.image_hash for frame in frames if frame.image_hash is not None)
    names = NameHistory.fetch()
    paths = {frame.path for frame in frames}
    named = {one.mouse_id for path in paths if (one := named_by_source(path, layout, names)) is not None}
    named = named.union(map(names.mouse_now, info.training_mice or ()), *mice_of_images(hashes).values())
    own = mice_of_model(info, layout, names)
    told = set(map(names.mouse_now, mice))
    if told and not (named <= told and (own is None or told == own)):
        raise ModelError(
            f"{source}: its own files say that it was trained on {', '.join(sorted(named))}, --mouse says"
            f" {', '.join(sorted(told))}; the files count. Leave --mouse out, or name all of the mice"
        )
    return TrainedOn(
        mice=frozenset(told | named),
        frames=hashes,
        mice_known=bool(told) or own is not None,
        frames_known=info.training_frames is not None and all(frame.image_hash is not None for frame in frames),
    )


def mice_of_model(info: estimators.BundleInfo, layout: Layout, names: NameHistory) -> set[str] | None:
    """The mice that a model was trained on, as far as its own files say; by the names that they have now.

    Returns
    -------
    set of str, or None
        None, not known: the model does not say its mice, and of one of its training frames or more the folder does not
        name one.
    """
    if info.training_mice is not None:
        return set(map(names.mouse_now, info.training_mice))
    if info.training_frames is None:
        return None
    named = [named_by_source(path, layout, names) for path in {frame.path for frame in info.training_frames}]
    mice = {one.mouse_id for one in named if one is not None}
    return None if None in named else mice


def _check_score(source: Path, minimum_score: float | None) -> None:
    """Refuse a score above 1: scores are likelihoods, or peaks of maps that are trained to reach 1 (SLEAP).

    SLEAP's peaks may exceed 1 a little, where the map overshoots. No threshold is meant to keep only those.
    """
    if minimum_score is not None and not 0 <= minimum_score <= 1:  # also if it is NaN
        raise ModelError(
            f"{source}: the minimum score (--minimum-score) is {minimum_score:g}, expected a number from 0 to 1, as"
            " scores are: above it hardly a node would be found. Leave it out for the estimator's default"
        )


def _check_camera(kind: estimators.EstimatorKind, info: estimators.BundleInfo, source: Path, camera: str) -> None:
    """Refuse a file that lies beside a known video of another camera."""
    if not kind.reads_input_file:
        return
    for video in Video.proj("video_file").to_dicts():
        path = Path(video["video_file"])
        beside = path.parent == source.resolve().parent
        if beside and video["camera"] != camera and kind.input_file(path, info) == source.resolve():
            raise ModelError(f"{source} lies beside {path.name} of camera {video['camera']}, not {camera}")
