"""Files of poses that other programs wrote beside the videos: which are there, and their hash when they were found."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from datajoint.errors import DuplicateError

from compute import estimators
from compute.errors import OrofacialError, VideoError
from schemas.model import DeployedModel
from schemas.pose import PoseFile, models_with_pose_files
from schemas.session import Video
from schemas.stored.fetching import fetch_local_copy


def register_pose_files(*, stable_after_s: float = 0.0) -> int:
    """Register the files that have come beside videos, for every deployed model that reads some; return how many.

    A file that is registered is never looked at again: its poses are those of the hash that it had then.

    Parameters
    ----------
    stable_after_s : float
        A file that was written within this many seconds is left for the next time.
    """
    models = (models_with_pose_files() & DeployedModel).proj("camera", "estimator", "bundle").to_dicts()
    n_new = 0
    for model in models:
        with contextlib.suppress(OrofacialError):  # a damaged bundle: its jobs say so, other models go on
            n_new += _register(model, stable_after_s)
    return n_new


def _register(model: dict[str, Any], stable_after_s: float) -> int:
    kind = estimators.registered_estimator(model["estimator"])
    with fetch_local_copy(model["bundle"]) as folder:
        info = kind.read_bundle(folder)
    known = (PoseFile & {"model_id": model["model_id"]}).proj()
    n_new = 0
    for video in ((Video & {"camera": model["camera"]}) - known).proj("video_file").to_dicts():
        path = kind.input_file(Path(video.pop("video_file")), info)
        if path is not None and _age_s(path) >= stable_after_s:
            n_new += _insert({**video, "model_id": model["model_id"], "pose_file": str(path)})
    return n_new


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
