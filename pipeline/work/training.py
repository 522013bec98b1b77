"""Train one model now."""

from __future__ import annotations

from typing import Any

from compute.errors import ModelError, NotInstalledError
from compute.estimators import estimators_not_installed
from pipeline.work.jobs import retry_failed_jobs
from pipeline.work.populate import populate
from pipeline.work.worker import WorkerListener
from schemas.evaluation import ModelEvaluation
from schemas.model import Training, TrainingConfig

Row = dict[str, Any]


def train_task(task: Row, listener: WorkerListener | None = None) -> str:
    """Train what was asked for, measure its error, and return the model's id.

    Raises
    ------
    ModelError
        If the training failed; the message says why.
    NotInstalledError
        If the estimator is not installed here. The training waits for a worker that has it.
    """
    absent = estimators_not_installed().get((TrainingConfig & task).fetch1("estimator"))
    if absent:
        raise NotInstalledError(f"{absent}. The training waits in the queue for a worker that has it")
    _compute(Training, task, listener)
    if not Training & task:
        raise ModelError(f"labels {task['labels_id']} are being trained on by another process; see 'orofacial status'")
    model_id = str((Training & task).fetch1("model_id"))
    _compute(ModelEvaluation, {"model_id": model_id, "labels_id": task["labels_id"]}, listener)
    return model_id


def _compute(table: type[Training] | type[ModelEvaluation], key: Row, listener: WorkerListener | None) -> None:
    retry_failed_jobs((table,), key)
    for failure in populate(listener, tables=(table,), restriction=key).failed:
        raise ModelError(f"{failure['table']} of labels {key['labels_id']} failed: {failure['message']}")
