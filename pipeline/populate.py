"""Compute everything that can be computed: one pass over the tables after another until nothing is left."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from typing import Any, Protocol

import datajoint as dj
import psutil
import psycopg2
import pymysql
from datajoint.errors import LostConnectionError

from compute.errors import DatabaseError
from schemas import progress
from schemas.metric import DistanceMetrics, FilterComparison, LabelError
from schemas.model import ModelEvaluation, Training
from schemas.pose import PoseEstimation
from schemas.track import FilteredTrack, TrackQuality

TABLES: tuple[type[dj.Computed], ...] = (
    Training,
    ModelEvaluation,
    PoseEstimation,
    TrackQuality,
    FilteredTrack,
    DistanceMetrics,
    FilterComparison,
    LabelError,
)
"""Computed tables, each after those that it needs."""

_LONG = (Training, ModelEvaluation, PoseEstimation)
_QUICK_BATCH = 20


class Listener(Protocol):
    """Who wants to know how far the work is."""

    def started(self, table: str, n_jobs: int) -> None:
        """A table has jobs to do."""

    def step(self, table: str, done: int, total: int) -> None:
        """The running job finished `done` of `total` steps (frames, epochs)."""

    def finished(self, table: str, n_done: int) -> None:
        """So many more jobs of the table are done or failed."""


@dataclass
class Summary:
    """What a populate did."""

    computed: dict[str, int] = field(default_factory=dict)
    """Number of new rows by table."""
    failed: list[dict[str, Any]] = field(default_factory=list)
    """Table, key and message of each job that failed."""


def populate(
    listener: Listener | None = None,
    *,
    tables: tuple[type[dj.Computed], ...] = TABLES,
    restriction: dict[str, Any] | None = None,
) -> Summary:
    """Compute all rows that are missing, in this process, beside others that may do the same.

    A job that fails is set aside with its reason, and the others go on. Stopped by Ctrl-C or SIGTERM, the running job
    is put back and everything finished stays.

    Parameters
    ----------
    listener : Listener, optional
        Told how far the work is.
    tables : tuple of tables
        Which to populate, in order.
    restriction : dict, optional
        Only keys with these values.

    Raises
    ------
    DatabaseError
        If the database is lost on the way. What was finished stays; the next populate goes on from there.
    """
    summary = Summary()
    try:
        for table in tables:
            release_dead(table)
        while sum(_populate_table(table, restriction or {}, listener, summary) for table in tables):
            pass
    except (LostConnectionError, psycopg2.Error, pymysql.Error) as error:  # the latter two when no reconnect works
        raise DatabaseError(
            f"the connection to the database was lost ({str(error).strip()}); what was finished is kept."
            " See 'orofacial doctor', then run 'orofacial populate' again: it goes on where it was"
        ) from error
    return summary


def _populate_table(
    table: type[dj.Computed], restriction: dict[str, Any], listener: Listener | None, summary: Summary
) -> int:
    """Do the pending jobs of one table; return how many were done here."""
    name = table.__name__
    table.jobs.refresh(delay=-1)
    pending = table.jobs.pending & restriction
    n_pending = len(pending)
    if not n_pending:
        return 0
    if listener:
        listener.started(name, n_pending)
    n_done = 0
    while len(pending):
        with progress.listening(lambda done, total: listener.step(name, done, total) if listener else None):
            n_computed, errors = _run_batch(table, restriction, 1 if table in _LONG else _QUICK_BATCH)
        summary.computed[name] = summary.computed.get(name, 0) + n_computed
        summary.failed += [{"table": name, "key": key, "message": str(error)} for key, error in errors]
        n_done += n_computed + len(errors)
        if listener:
            listener.finished(name, n_computed + len(errors))
    return n_done


def _run_batch(
    table: type[dj.Computed], restriction: dict[str, Any], n_jobs: int
) -> tuple[int, list[tuple[dict[str, Any], BaseException]]]:
    """Let DataJoint reserve and make some jobs; one that was interrupted is put back."""
    try:
        result = table.populate(
            restriction,
            reserve_jobs=True,
            refresh=False,
            max_calls=n_jobs,
            suppress_errors=True,
            return_exception_objects=True,
        )
    except SystemExit:  # how DataJoint ends a make at SIGTERM
        _put_back(table, "SystemExit")
        raise
    for _, error in result["error_list"]:
        if isinstance(error, (KeyboardInterrupt, LostConnectionError)):
            _put_back(table, type(error).__name__)
            raise error
    return result["success_count"], result["error_list"]


def _put_back(table: type[dj.Computed], reason: str) -> None:
    """Take this process's interrupted jobs out of the failed ones: they did nothing wrong."""
    mine = {"host": platform.node(), "pid": os.getpid()}
    (table.jobs.errors & mine & f"error_message LIKE '{reason}%%'").delete_quick()


def retry_failed(tables: tuple[type[dj.Computed], ...] = TABLES, restriction: dict[str, Any] | None = None) -> int:
    """Forget failures, so that the next populate tries those jobs again; return how many there were."""
    n_failed = 0
    for table in tables:
        failed = table.jobs.errors & (restriction or {})
        n_failed += len(failed)
        failed.delete_quick()
    return n_failed


def release_dead(table: type[dj.Computed]) -> None:
    """Put back reserved jobs whose process was killed: its database connection is gone.

    A process of this machine that still lives keeps its job, since it may only have lost the connection.
    """
    reserved = table.jobs.reserved.to_dicts()
    if not reserved:
        return
    connection = table.connection
    postgres = connection.adapter.backend == "postgresql"
    query = "SELECT pid FROM pg_stat_activity" if postgres else "SELECT id FROM information_schema.processlist"
    alive = {row[0] for row in connection.query(query).fetchall()}
    for job in reserved:
        here = job["host"] == platform.node() and psutil.pid_exists(job["pid"])
        if job["connection_id"] not in alive and not here:
            key = {name: job[name] for name in table.jobs.primary_key}
            (table.jobs.reserved & key & {"connection_id": job["connection_id"]}).delete_quick()
