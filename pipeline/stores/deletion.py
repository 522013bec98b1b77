"""Delete a session, a model, labels or a failed training with everything that was computed from it; list it first.

Rows are deleted first, in one transaction, then their files: an interruption leaves files without a row, which
`pipeline.stores.collection` finds. Videos, session folders and label files are never touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import datajoint as dj
from datajoint.utils import to_camel_case

from compute.errors import OrofacialError
from compute.text import count_text, session_text
from pipeline.stores.collection import StoredFile, files_of, references_of, remove_collected
from pipeline.work.worker_locks import is_worker_lock_held, worker_lock_owner
from schemas import labels
from schemas.label_images import remember_deleted_labels
from schemas.labels import LabeledFrames
from schemas.model import EnsembleMember, Model, Training, TrainingTask
from schemas.session import Session, Video
from schemas.tables import computed_tables
from schemas.worker import Worker


class DeletionError(OrofacialError):
    """Something that cannot be deleted."""


@dataclass(frozen=True)
class DeletionPlan:
    """What is to be deleted.

    Attributes
    ----------
    name : str
        For people.
    n_rows : dict of str to int
        Rows of each table that has any, such as ``PoseEstimation``.
    files : list of StoredFile
        What the rows point at in the stores.
    n_running : int
        Jobs that are computed from it at this moment; they will fail, and leave nothing.
    kept : str
        What stays, and what to know about it.
    """

    name: str
    n_rows: dict[str, int]
    files: list[StoredFile]
    n_running: int
    kept: str
    roots: tuple[dj.expression.QueryExpression, ...]
    key: dict[str, Any]

    @property
    def n_bytes(self) -> int:
        """Size of the files."""
        return sum(file.size_bytes for file in self.files)


def plan_session_deletion(key: dict[str, Any]) -> DeletionPlan:
    """What goes with a session.

    Parameters
    ----------
    key : dict
        Primary key of a row of `Session`.

    Raises
    ------
    DeletionError
        If there is no such session, or labels depend on it.
    """
    name = f"session {session_text(key)}"
    if not Session & key:
        raise DeletionError(f"there is no {name}; 'orofacial status' lists those there are")
    folder = (Session & key).fetch1("session_folder")
    kept = (
        f"{count_text(len(Video & key), 'video')} and the rest of {folder} stay as they are; the next ingest of"
        " that folder takes the session in again unless you move it"
    )
    return _plan(name, (Session & key,), key, kept)


def plan_model_deletion(model_id: str) -> DeletionPlan:
    """What goes with a model: all that was computed with it, and the request to train it.

    Raises
    ------
    DeletionError
        If there is no such model, or it is a member of an ensemble.
    """
    key = {"model_id": model_id}
    if not Model & key:
        known = ", ".join(Model.to_arrays("model_id", order_by="created_at")) or "none"
        raise DeletionError(f"there is no model {model_id!r}; known are {known}. See 'orofacial model list'")
    ensembles = (EnsembleMember & {"member_id": model_id}).to_arrays("model_id", order_by="model_id")
    if len(ensembles):
        raise DeletionError(
            f"model {model_id} is a member of the ensemble {', '.join(ensembles)}, which is nothing without it; delete"
            f" that first: orofacial delete model {ensembles[0]}"
        )
    # Without its request the next populate would train the model again.
    tasks = [{name: row[name] for name in TrainingTask.primary_key} for row in (Training & key).to_dicts()]
    kept = "labels and the model's labeled frames stay"
    roots = (Model & key, *([TrainingTask & tasks] if tasks else []))
    return _plan(f"model {model_id}", roots, key, kept)


def plan_labels_deletion(labels_id: str) -> DeletionPlan:
    """What goes with a set of labels: evaluations on it, and trainings with it. Models that came out of them stay.

    The package with what a person labelled, and its images, stay in the store, until they are collected long after.

    Parameters
    ----------
    labels_id : str
        A row of `LabeledFrames`.

    Raises
    ------
    DeletionError
        If there are no such labels.
    """
    key = {"labels_id": labels_id}
    if not LabeledFrames & key:
        raise DeletionError(f"there are no labels {labels_id!r}; 'orofacial labels list' lists those there are")
    models = sorted({row["model_id"] for row in (Training & key).proj("model_id").to_dicts()})
    kept = "the file that was imported stays as it is, and package and images in the labels store for 30 days"
    if models:
        kept += (
            f". Trained on them: model {', '.join(models)}; it stays, with its mice and frames, but how it was trained"
            " is no longer known"
        )
    return _plan(f"labels {labels_id}", (LabeledFrames & key,), key, kept)


def plan_training_deletion(labels_id: str, training_config: str, seed: int) -> DeletionPlan:
    """What goes with the request of a training that gave no model, such as one that failed.

    Raises
    ------
    DeletionError
        If there is no such request, or a model came out of it.
    """
    key = {"labels_id": labels_id, "training_config": training_config, "seed": seed}
    name = f"training {labels_id} {training_config} {seed}"
    if not TrainingTask & key:
        waiting = [" ".join(map(str, one.values())) for one in (TrainingTask.proj() - Training.proj()).to_dicts()]
        raise DeletionError(f"there is no {name}; without a model are {', '.join(waiting) or 'none'}")
    if Training & key:
        model_id = (Training & key).fetch1("model_id")
        raise DeletionError(f"{name} gave model {model_id}; 'orofacial delete model {model_id}' deletes both")
    return _plan(name, (TrainingTask & key,), key, "the labels stay")


def _plan(name: str, roots: tuple[Any, ...], key: dict[str, Any], kept: str) -> DeletionPlan:
    of_labels = any(isinstance(root, LabeledFrames) for root in roots)
    labels_schema = roots[0].connection.adapter.quote_identifier(labels.schema.database)
    n_rows: dict[str, int] = {}
    found: set[tuple[str, str]] = set()
    for table in _cascade(roots):
        if not of_labels and table.full_table_name.startswith(labels_schema):
            raise DeletionError(f"{name} has labels of people in {_label(table)}; these are never deleted")
        found |= set(references_of(table))
        # A table that depends on two roots is counted once: both cascades reach the same rows.
        n_rows[_label(table)] = max(len(table), n_rows.get(_label(table), 0))
    packages = {(store, path) for store, path in found if store == "labels"}
    if packages and not of_labels:
        raise DeletionError(f"{name} has labels of people in the labels store; these are never deleted")
    n_rows = {table: n for table, n in n_rows.items() if n}
    return DeletionPlan(name, n_rows, files_of(sorted(found - packages)), _n_running(key), kept, roots, key)


def _cascade(roots: tuple[Any, ...]) -> list[Any]:
    """All tables with the rows that go, parents first."""
    return [table for root in roots for table in dj.Diagram.cascade(root)]


def _label(table: Any) -> str:
    """Name of a table's class, such as ``ModelEvaluation.Node``."""
    parts = table.table_name.lstrip("_#~").split("__")
    return ".".join(to_camel_case(part) for part in parts)


def _n_running(key: dict[str, Any]) -> int:
    """Jobs that somebody computes; those of workers that are gone do not count."""
    rows = [row for jobs in _jobs(key, reserved=True) for row in jobs.proj("host", "pid", "connection_id").to_dicts()]
    owners = [worker_lock_owner(row) for row in rows]
    known = {worker_lock_owner(row) for row in Worker.to_dicts()}
    return sum(owner not in known or is_worker_lock_held(Worker().connection, owner) for owner in owners)


def _jobs(key: dict[str, Any], *, reserved: bool) -> list[Any]:
    """Jobs of what is deleted; a job table without all of the key's columns has none that can be told."""
    jobs = [table.jobs for table in computed_tables() if set(key) <= set(table.jobs.primary_key)]
    return [table & key & ("status='reserved'" if reserved else "status<>'reserved'") for table in jobs]


def run_deletion(plan: DeletionPlan) -> tuple[dict[str, int], list[StoredFile]]:
    """Delete what a plan names: rows in one transaction, then their files.

    Returns
    -------
    dict of str to int, list of StoredFile
        Rows of each table, and the files, that are gone.

    Raises
    ------
    DeletionError
        If the database refuses, for instance because a worker inserts into it at this moment. Nothing is deleted then.
    """
    connection = plan.roots[0].connection
    try:
        with connection.transaction:
            # Once more, inside the transaction: rows may have come since the plan was made.
            now = _plan(plan.name, plan.roots, plan.key, plan.kept)
            for root in plan.roots:
                if isinstance(root, LabeledFrames):
                    _remember_packages(root)
                root.delete(transaction=False, prompt=False)
                if root:  # as with "%" in a name, which DataJoint 2.3.5 doubles; their files must stay then
                    raise dj.errors.DataJointError(
                        "its rows are still there, though the database deleted without an error"
                    )
    except dj.errors.DataJointError as error:
        raise DeletionError(
            f"{plan.name} was not deleted: {error}. If workers compute from it, wait until they are done and try again"
        ) from error
    for jobs in _jobs(plan.key, reserved=False):
        jobs.delete_quick()
    return now.n_rows, remove_collected(now.files)


def _remember_packages(labels_to_delete: Any) -> None:
    """Keep where the packages and images of labels are that are about to be deleted."""
    for row in labels_to_delete.proj("labels_name").to_dicts():
        for _, path in references_of(LabeledFrames & {"labels_id": row["labels_id"]}):
            remember_deleted_labels(**row, package_path=path)
