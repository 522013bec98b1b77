"""Import a trained model."""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from pathlib import Path, PurePosixPath

from compute import estimators
from compute.errors import ModelError
from ingest.labels import insert_label_skeleton
from ingest.session_folders import SESSION_PATTERN, ImpossibleDateError, parse_session_folder
from schemas.model import Model, TrainedOn, insert_model
from schemas.session import Camera, Video
from schemas.stored.publishing import published_or_removed
from schemas.subject import Mouse


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
