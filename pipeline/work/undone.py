"""What is not computed, and why: what `populate` and `status` say beside what was done."""

from __future__ import annotations

from typing import Any

import datajoint as dj

from compute.text import count_text
from pipeline.work.jobs import TABLES
from schemas.evaluation import ModelEvaluation, unevaluated_models
from schemas.metric import NodePair
from schemas.model import DeployedModel, Model, running_models
from schemas.pose import PoseFile, models_with_pose_files
from schemas.session import Video


def undone_reasons(tables: tuple[type[dj.Computed], ...] = TABLES) -> list[str]:
    """Why something is not computed, a sentence each; empty: everything is.

    Jobs that wait to be taken, and estimators that are not installed here, are not among them.

    Parameters
    ----------
    tables : tuple of tables
        Which tables' jobs are looked at.
    """
    return [
        *_jobs_set_aside(tables),
        *_cameras_without_model(),
        *_models_without_pairs(),
        *_videos_without_file(),
        *_tracks_that_wait(),
    ]


def _jobs_set_aside(tables: tuple[type[dj.Computed], ...]) -> list[str]:
    counts: dict[str, dict[str, int]] = {"error": {}, "ignore": {}, "reserved": {}}
    for table in tables:
        for status, n in table().jobs.progress().items():
            if n and status in counts:
                counts[status][table.__name__] = n
    said = {
        "error": "failed: {}; 'orofacial status' says why, 'orofacial retry' tries again",
        "ignore": "set aside as ignored: {}",
        "reserved": "being computed by other workers: {}",
    }
    lists = {status: ", ".join(f"{n} {name}" for name, n in found.items()) for status, found in counts.items() if found}
    return [said[status].format(found) for status, found in lists.items()]


def _cameras_without_model() -> list[str]:
    videos = Video - (dj.U("camera") & DeployedModel)
    return [
        f"camera {camera}: {count_text(n, 'video')} and no deployed model; 'orofacial model list' lists those there are"
        for camera, n in sorted(_counts(videos, "camera").items())
    ]


def _models_without_pairs() -> list[str]:
    """Deployed models in whose tracks no distance is measured."""
    skeletons = set(NodePair.to_arrays("skeleton_id"))
    models = (Model & DeployedModel.proj()).proj("skeleton_id", "camera").to_dicts(order_by="camera, model_id")
    return [
        f"model {model['model_id']} of camera {model['camera']}: no distance is measured, since no pair of its nodes is"
        " known; 'orofacial pairs add NODE_A NODE_B' adds one"
        for model in models
        if model["skeleton_id"] not in skeletons
    ]


def _videos_without_file() -> list[str]:
    """Videos of which a model that runs has no poses, since its program wrote none."""
    reading = (running_models() & models_with_pose_files().proj()).proj(model_camera="camera")
    if not reading:
        return []
    videos = ((Video.proj() * reading) & "camera = model_camera").proj()
    counts = _counts(videos - PoseFile.proj(), "model_id")
    return [
        f"model {model}: {count_text(n, 'video')} without the file of poses that it reads beside each video"
        for model, n in sorted(counts.items())
    ]


def _tracks_that_wait() -> list[str]:
    """Models whose tracks are not filtered yet, or filtered without what labeled frames say of their scores."""
    waiting = unevaluated_models()
    failed = sorted(set((ModelEvaluation().jobs & "status in ('error', 'ignore')").to_arrays("model_id")) - {*waiting})
    lines = [
        f"model {model}: its tracks are filtered once it is evaluated on the labeled frames of its camera"
        for model in waiting
    ]
    return lines + [
        f"model {model}: its evaluation failed, so its tracks are filtered with the default weight of scores"
        for model in failed
    ]


def _counts(rows: Any, name: str) -> dict[str, int]:
    found = dj.U(name).aggr(rows.proj(), n="count(*)").to_dicts()
    return {row[name]: row["n"] for row in found}
