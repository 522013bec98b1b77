"""Compute everything that can be computed: a worker that ends when nothing is left."""

from __future__ import annotations

import signal
import sys
from typing import Any

import datajoint as dj

from pipeline.work.installed import left_to_others
from pipeline.work.jobs import TABLES, retry_failed
from pipeline.work.worker import Listener, Summary, Worker

__all__ = ["TABLES", "Listener", "Summary", "populate", "retry_failed"]


def populate(
    listener: Listener | None = None,
    *,
    tables: tuple[type[dj.Computed], ...] = TABLES,
    restriction: dict[str, Any] | None = None,
) -> Summary:
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
    summary = Worker(tables=tables, restriction=restriction, until_empty=True, listener=listener).run()
    if summary.stopped_by == signal.SIGINT:
        raise KeyboardInterrupt
    if summary.stopped_by is not None:
        sys.exit(128 + summary.stopped_by)
    summary.left = left_to_others(tables, restriction or {})
    return summary
