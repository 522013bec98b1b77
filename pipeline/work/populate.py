"""Compute everything that can be computed: a worker that ends when nothing is left."""

from __future__ import annotations

import signal
import sys
from typing import Any

import datajoint as dj

from pipeline.work.installed import left_not_installed
from pipeline.work.jobs import TABLES, retry_failed_jobs
from pipeline.work.undone import undone_reasons
from pipeline.work.worker import JobWorker, WorkerListener, WorkerSummary

__all__ = ["TABLES", "WorkerListener", "WorkerSummary", "populate", "retry_failed_jobs"]


def populate(
    listener: WorkerListener | None = None,
    *,
    tables: tuple[type[dj.Computed], ...] = TABLES,
    restriction: dict[str, Any] | None = None,
) -> WorkerSummary:
    """Compute all missing rows in this process. Other processes may do the same at the same time.

    Jobs whose estimator is not installed here are left to other workers; ``Summary.left`` counts them.
    A job that fails is set aside with its reason, and the others go on. Stopped by Ctrl-C or SIGTERM, the running job
    is put back and everything finished stays.

    Parameters
    ----------
    listener : Listener, optional
        Receives the progress.
    tables : tuple of tables
        Which to populate.
    restriction : dict, optional
        Only keys with these values.

    Raises
    ------
    DatabaseError
        If the database is lost on the way and stays away, or the disk is full. What was finished stays; the next
        populate goes on from there.
    """
    summary = JobWorker(tables=tables, restriction=restriction, until_empty=True, listener=listener).run()
    if summary.stopped_by == signal.SIGINT:
        raise KeyboardInterrupt
    if summary.stopped_by is not None:
        sys.exit(128 + summary.stopped_by)
    summary.left = left_not_installed(tables, restriction or {})
    summary.undone = undone_reasons(tables) if tables is TABLES else []
    return summary
