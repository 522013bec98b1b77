"""Files of poses that other programs wrote beside the videos: which are there, and their hash when they were found."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from datajoint.errors import DuplicateError

from compute import estimators
from compute.errors import OrofacialError, VideoError
from compute.estimators import BundleInfo, EstimatorKind
from schemas.model import running_models
from schemas.pose import PoseFile, models_with_pose_files
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
