"""Files of poses that other programs wrote beside the videos: which are there, and their hash when they were found."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import numpy as np
from datajoint.errors import DuplicateError
from numpy.typing import NDArray

from compute import estimators
from compute.errors import ModelError, OrofacialError, VideoError
from compute.estimators import BundleInfo, Estimator, EstimatorKind
from compute.text import count_text, session_text
from compute.tracks import Tracks
from schemas.model import running_models
from schemas.pose import PoseEstimation, PoseFile, models_with_pose_files
from schemas.session import Session, Video
from schemas.stored.fetching import fetch_local_copy


def register_pose_files(*, stable_after_s: float = 0.0) -> int:
    """Register the files that have come beside videos, for every model that runs and reads some; return how many.

    A file that is registered is never looked at again: its poses are those of the hash that it had then.

    Parameters
    ----------
    stable_after_s : float
        A file that was written within this many seconds is left for the next time.
    """
    return PoseFileSearch(stable_after_s).register()


def refuse_changed_pose_file(source: Path, model_id: str, estimator: Estimator) -> None:
    """Refuse a file of poses that is registered for a known model and has other contents now.

    Parameters
    ----------
    source : Path
        The file.
    model_id : str
        The model.
    estimator : Estimator
        The model, loaded.

    Raises
    ------
    ModelError
        If it has changed; the message says what differs from the poses that the database holds.
    """
    from compute.video import video_content_hash

    places = [{"pose_file": str(path)} for path in {source.absolute(), source.resolve()}]
    for row in (PoseFile & {"model_id": model_id} & places).to_dicts():
        if row["pose_file_hash"] == video_content_hash(source):
            continue
        raise ModelError(
            f"{source} was taken in as the poses of {session_text(row)} by model {model_id} and has changed since:"
            f" {_difference(row, source, estimator)}. Nothing was changed: a model's poses stay as they were. Restore"
            " the file; or, as poses of a changed file are another model, import it under a name of its own: orofacial"
            f" model import {source} --camera {row['camera']} --name NEW"
        )


def _difference(row: dict[str, Any], source: Path, estimator: Estimator) -> str:
    """What a file of poses says now and the database does not, for people."""
    key = {name: row[name] for name in PoseFile.primary_key}
    if not PoseEstimation & key:
        return "its bytes are others; populate has not read its poses yet"
    before = (PoseEstimation & key).fetch1("tracks").tracks()
    try:
        now = estimator.estimate((Video & key).fetch1("video_file"), time=before.time, input_file=source)
    except OrofacialError as error:
        return f"now it would be refused ({error})"
    differs = ~_equal(now.position, before.position).all(axis=-1)
    differs |= ~_equal(now.score, before.score)
    frames = np.flatnonzero(differs.any(axis=1))
    if not frames.size:
        return "its bytes are others; its poses are the same"
    node = int(np.argmax(differs[frames[0]]))
    was, is_now = (_point_text(tracks, int(frames[0]), node) for tracks in (before, now))
    return (
        f"{count_text(len(frames), 'frame')} of {now.n_frames} differ, the first is frame {frames[0]} with"
        f" {now.nodes[node]}, which was {was}, is {is_now}"
    )


def _equal(now: NDArray[np.float32], before: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray((now == before) | (np.isnan(now) & np.isnan(before)))


def _point_text(tracks: Tracks, frame: int, node: int) -> str:
    x, y = tracks.position[frame, node]
    score = tracks.score[frame, node]
    return "not found" if np.isnan(x) else f"at ({x:g}, {y:g}) with likelihood {score:g}"


class PoseFileSearch:
    """Registers files of poses again and again, without a look beside every video each time.

    It looks beside videos that were ingested lately each time. Beside all others it looks the first time for each
    model, and then once in `every_s`, or later where that would take more than a hundredth of the time.

    Parameters
    ----------
    stable_after_s : float
        A file that was written within this many seconds may still be written: it is left for the next time.
    every_s : float
        (s) from one look beside all videos to the next.
    """

    def __init__(self, stable_after_s: float = 2.0, *, every_s: float = 60.0) -> None:
        self._stable_after_s = stable_after_s
        self._every_s = every_s
        self._looked: set[str] = set()  # models, since the last time that all were due
        self._due_at = self._last = 0.0

    def register(self) -> int:
        """Register what has come since; return how many files."""
        started = time.monotonic()
        if started >= self._due_at:
            self._looked.clear()
        since_s = started - self._last + self._every_s
        self._last = started
        n_new, looks_everywhere = 0, False
        for model in (
            (models_with_pose_files() & running_models().proj()).proj("camera", "estimator", "bundle").to_dicts()
        ):
            is_known = model["model_id"] in self._looked
            with contextlib.suppress(OrofacialError):  # a damaged bundle: its jobs say so, other models go on
                n_new += _register(model, self._stable_after_s, since_s if is_known else None)
            self._looked.add(model["model_id"])
            looks_everywhere |= not is_known
        if looks_everywhere:
            took_s = time.monotonic() - started
            self._due_at = started + max(self._every_s, 100 * took_s)
        return n_new


def _register(model: dict[str, Any], stable_after_s: float, ingested_within_s: float | None) -> int:
    kind, info = _description(model)
    known = (PoseFile & {"model_id": model["model_id"]}).proj()
    videos = (Video & {"camera": model["camera"]}) - known
    if ingested_within_s is not None:
        long_ago = Session().connection.adapter.interval_expr(ingested_within_s, "second")
        videos &= (Session & f"ingested_at >= CURRENT_TIMESTAMP - {long_ago}").proj()
    n_new = 0
    for video in videos.proj("video_file").to_dicts():
        path = kind.input_file(Path(video.pop("video_file")), info)
        if path is not None and _age_s(path) >= stable_after_s:
            n_new += _insert({**video, "model_id": model["model_id"], "pose_file": str(path)})
    return n_new


_descriptions: dict[str, BundleInfo] = {}


def _description(model: dict[str, Any]) -> tuple[EstimatorKind, BundleInfo]:
    """A model's estimator, and what its bundle says: read once, since a model's id is the hash of its bundle."""
    kind, model_id = estimators.registered_estimator(model["estimator"]), model["model_id"]
    if model_id not in _descriptions:
        with fetch_local_copy(model["bundle"]) as folder:
            _descriptions[model_id] = kind.read_bundle(folder)
    return kind, _descriptions[model_id]


def _age_s(path: Path) -> float:
    """Seconds between the time of a file and now, whatever clock wrote it; 0 for one that is gone by now."""
    try:
        return abs(time.time() - path.stat().st_mtime)
    except OSError:
        return 0.0


def _insert(row: dict[str, Any]) -> bool:
    from compute.video import video_content_hash  # not at the top: a worker that waits is spared the video decoder

    try:
        PoseFile.insert1({**row, "pose_file_hash": video_content_hash(row["pose_file"])})
    except (DuplicateError, VideoError):  # another process was faster; the file cannot be read now, but maybe later
        return False
    return True
