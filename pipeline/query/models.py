"""Train one model now, and say how good models are."""

from __future__ import annotations

from typing import Any

from compute.errors import ModelError, NotInstalledError
from compute.estimators import not_installed
from pipeline.work.jobs import retry_failed
from pipeline.work.populate import populate
from pipeline.work.worker import Listener
from schemas.model import DeployedModel, Model, ModelEvaluation, Training, TrainingConfig


def train_task(task: dict[str, Any], listener: Listener | None = None) -> str:
    """Train what was asked for, measure its error, and return the model's id.

    Raises
    ------
    ModelError
        If the training failed; the message says why.
    NotInstalledError
        If the estimator is not installed here. The training waits for a worker that has it.
    """
    absent = not_installed().get((TrainingConfig & task).fetch1("estimator"))
    if absent:
        raise NotInstalledError(f"{absent}. The training waits in the queue for a worker that has it")
    retry_failed((Training, ModelEvaluation), task)
    summary = populate(listener, tables=(Training, ModelEvaluation), restriction=task)
    for failure in summary.failed:
        raise ModelError(f"{failure['table']} of labels {task['labels_id']} failed: {failure['message']}")
    if not Training & task:
        raise ModelError(f"labels {task['labels_id']} are being trained on by another process; see 'orofacial status'")
    return str((Training & task).fetch1("model_id"))


def node_errors(model_id: str) -> list[dict[str, Any]]:
    """Error of each node on the held-out labeled frames, in px; empty for a model trained elsewhere."""
    rows: list[dict[str, Any]] = (ModelEvaluation.Node & (Training & {"model_id": model_id})).to_dicts()
    return rows


def describe_models() -> list[dict[str, Any]]:
    """Every model: its camera, name, training mice, whether it is deployed, and how good it is.

    ``error_p50_px`` is the median distance from the labeled points of held-out frames, ``fraction_missed`` the fraction
    of those points that it did not find; None for a model trained elsewhere.
    """
    deployed = set(DeployedModel.to_arrays("model_id"))
    models = Model.proj("camera", "model_name", "n_training_frames", "created_at").to_dicts(order_by="created_at")
    for row in models:
        key = {"model_id": row["model_id"]}
        errors = (ModelEvaluation & (Training & key)).to_arrays("error_p50_px")
        row["deployed"] = row["model_id"] in deployed
        row["mice"] = list((Model.Mouse & key).to_arrays("mouse_id", order_by="mouse_id"))
        row["error_p50_px"] = None if not len(errors) else errors[0]
        found, missed = (sum(node[name] for node in node_errors(row["model_id"])) for name in ("n_points", "n_missed"))
        row["fraction_missed"] = missed / (found + missed) if found + missed else None
    return models
