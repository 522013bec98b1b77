"""The queue: DataJoint's job tables, and who has which job.

DataJoint reserves a job with one atomic update that records the owner: host, process id, connection id. Its own
`populate` has gaps after that: a killed process keeps its job forever, SIGTERM is an error, and finishing or failing a
job does not check the owner. Here every change of a reserved job is one statement, or one transaction, that names its
owner:

- A result is inserted in the transaction that first deletes the job's row, as its owner. So a result exists if and
  only if its job is gone, and a worker that lost its job can neither insert a result nor put the job back.
- A worker holds a session lock on the database server, named after itself. The server frees it with the connection:
  so other workers notice that a worker is gone, without the right to see other users' connections.

What is asked for every job is SQL with the key as its values: DataJoint takes longer to write such a statement from a
restriction than the server takes to answer it (`benchmarks/overhead.py`).
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import datajoint as dj

import schemas
from compute.errors import DatabaseError
from compute.estimators import Device
from compute.text import session_text
from ingest.poses import PoseFileSearch
from pipeline.work.installed import installed_jobs_by_device, only_installed
from pipeline.work.worker_locks import one_worker_at_a_time
from schemas.pose import PoseEstimation
from schemas.worker import Crash, crashed_job_hash

TABLES = schemas.tables.computed_tables()
"""Computed tables, each after those that it needs."""

SESSION = {"mouse_id", "session_date", "session_number"}
"""The key of a session."""

PUT_BACK = "status='pending', host='', pid=0, connection_id=0, reserved_time=NULL"
"""SQL that makes a reserved job wait again."""

_PRIORITY = 5

_N_TRIES = 8
"""Number of jobs to try before giving up because others took them."""


_logger = logging.getLogger("orofacial")


class ChangedInputError(DatabaseError):
    """What a job is made from changed while it was computed, such as a name that a person corrected."""


class LostJobError(DatabaseError):
    """The job belonged to another worker when its result was to be inserted."""


@dataclass(frozen=True)
class JobCount:
    """Jobs of one class of resources.

    Attributes
    ----------
    pending, reserved : int
        Jobs that wait, and that workers have.
    memory_gb : float
        (GB) the most that one of the pending needs; 0 if none is pending.
    """

    pending: int = 0
    reserved: int = 0
    memory_gb: float = 0.0


def tables_of_jobs(device: Device | None) -> tuple[type[dj.Computed], ...]:
    """Tables that have jobs for a worker with this device; None takes all. Of some tables, each device has its own."""
    return tuple(table for table in TABLES if device is None or table.resources.memory_on(device))


def pending_jobs(tables: tuple[type[dj.Computed], ...] = TABLES) -> dict[Device, JobCount]:
    """Count the jobs of each class of resources that this installation can do, as the last `refresh_jobs` left them."""
    counts = {table: _counts_by_device(table) for table in tables}
    return {"gpu": _count(counts, "gpu"), "cpu": _count(counts, "cpu")}


def _count(counts: dict[type[dj.Computed], dict[str, Counter[Device]]], device: Device) -> JobCount:
    """Count the jobs that want this device."""
    memory_gb = (table.resources.memory_on(device) for table, n in counts.items() if n["pending"][device])
    return JobCount(
        sum(n["pending"][device] for n in counts.values()),
        sum(n["reserved"][device] for n in counts.values()),
        max(memory_gb, default=0.0),
    )


def _counts_by_device(table: type[dj.Computed]) -> dict[str, Counter[Device]]:
    """Pending jobs of one table that can be done here, and reserved ones; where no estimator runs, of one device."""
    if table.resources.estimator is None:
        counts = jobs_by_status(table)
        if table.resources.missing():
            del counts["pending"]
        return {status: Counter({table.resources.device: counts[status]}) for status in ("pending", "reserved")}
    return installed_jobs_by_device(table)


def jobs_by_status(table: type[dj.Computed] | dj.Computed) -> Counter[str]:
    """Number of a table's jobs of each status: ``pending``, ``reserved``, ``error``, and DataJoint's others."""
    query = f"SELECT status, count(*) FROM {table.jobs.full_table_name} GROUP BY status"
    return Counter(dict(table.connection.query(query).fetchall()))


def refresh_jobs(
    tables: tuple[type[dj.Computed] | dj.Computed, ...] = TABLES,
    restriction: dict[str, Any] | None = None,
    *,
    wait: bool = True,
    pose_files: PoseFileSearch | None = None,
) -> bool:
    """Add jobs for what can be computed now, and remove those whose inputs are gone; return whether it was done.

    Files of poses that have come since, beside videos that are known, are registered first.
    One process does this at a time: others wait, or skip it without `wait`.

    Parameters
    ----------
    tables : tuple of tables
        Whose jobs.
    restriction : dict, optional
        Add only jobs with these values.
    wait : bool
        Whether to wait for a process that does the same.
    pose_files : PoseFileSearch, optional
        Kept by a process that refreshes again and again. Without it, it is looked beside every video.
    """
    targets = [jobs_table(table) for table in tables]
    reads_files = any(isinstance(target, PoseEstimation) for target in targets)
    with one_worker_at_a_time(targets[0].connection, "refresh", wait) as mine:
        if mine:
            if reads_files:
                (pose_files or PoseFileSearch()).register()
            for target in targets:
                wanted = target.key_source
                _add_jobs(target, wanted & (restriction or {}))
                _remove_vanished(target, wanted)
        return mine


def jobs_table(table: type[dj.Computed] | dj.Computed) -> dj.Computed:
    """A table as an instance."""
    return table() if isinstance(table, type) else table


def add_jobs(table: dj.Computed, restriction: dict[str, Any] | list[dict[str, Any]]) -> None:
    """Add the jobs that are missing.

    Parameters
    ----------
    table : datajoint.Computed
        Whose jobs.
    restriction : dict or list of dict
        Only those with these values, or with those of one of the list.
    """
    _add_jobs(table, table.key_source & restriction)


def _add_jobs(table: dj.Computed, wanted: dj.expression.QueryExpression) -> None:
    """Add the jobs of these keys that are missing, by one statement where DataJoint's refresh takes one a job."""
    jobs = table.jobs
    new = (wanted - table.proj()).restrict(dj.Not(jobs), semantic_check=False)
    jobs.insert(new.proj(status="'pending'", priority=str(_PRIORITY)), skip_duplicates=True)


def _remove_vanished(table: dj.Computed, wanted: dj.expression.QueryExpression) -> None:
    """Remove jobs whose inputs are gone, as DataJoint's refresh does, which first looks for new ones a second time."""
    vanished = table.jobs.restrict(dj.Not(wanted.proj()), semantic_check=False)
    finished = vanished & "status in ('success', 'error')"
    finished.restrict(dj.Not(table.proj()), semantic_check=False).delete_quick()
    stale_s = table.connection._config.jobs.stale_timeout
    if stale_s > 0:
        long_ago = table.connection.adapter.interval_expr(stale_s, "second")
        (vanished & f"created_time < CURRENT_TIMESTAMP - {long_ago}" & "status != 'ignore'").delete_quick()


class WaitingJob:
    """The jobs of a table that wait to be taken, as far as their estimator is installed here and wants the device.

    Parameters
    ----------
    table : datajoint.Computed
        Whose jobs.
    restriction : dict
        Only keys with these values.
    device : {"gpu", "cpu"}, optional
        Only jobs that want it; None: all.
    """

    def __init__(self, table: dj.Computed, restriction: dict[str, Any], device: Device | None = None) -> None:
        self.table = table
        self._jobs = table.jobs
        self._key_names = tuple(self._jobs.primary_key)
        waiting = self._jobs.pending & restriction & "scheduled_time <= CURRENT_TIMESTAMP(3)"
        waiting = only_installed(waiting, table, device)
        first = dj.Top(limit=_N_TRIES, order_by=["priority", "scheduled_time"])
        self._query = (waiting.proj("priority") & first).make_sql((*self._key_names, "priority"))

    def reserve(self) -> dict[str, Any] | None:
        """Reserve the most urgent job and return its key; None if there is none.

        Ordered by DataJoint's priority (lower first), then by age. Jobs of equal rank are tried in an order of this
        process's own, to avoid collisions between workers.
        """
        rows = self._jobs.connection.query(self._query).fetchall()
        first = [row for row in rows if row[-1] == rows[0][-1]]
        start = os.getpid() % len(first) if first else 0
        for row in first[start:] + first[:start] + list(rows[len(first) :]):
            key = dict(zip(self._key_names, row[:-1], strict=True))
            if self._jobs.reserve(key):
                return key
        return None


def put_back_job(table: dj.Computed, key: dict[str, Any], owner: dict[str, Any]) -> bool:
    """Put a job back into the queue; return whether this owner still had it."""
    return _update_reserved(table, key, owner, PUT_BACK)


def set_job_error(table: dj.Computed, key: dict[str, Any], owner: dict[str, Any], message: str, stack: str) -> bool:
    """Set a job aside with its error, until `retry_failed_jobs`; return whether this owner still had it.

    A job that is none any more is deleted instead: it came into the queue while its session was renamed or deleted.
    """
    with table.connection.transaction:
        if not lock_job(table, key, owner):
            return False
        if not table.key_source & key:
            _query_mine(table, key, owner, "DELETE FROM")
            _logger.warning("%s %s is not to be computed any more", type(table).__name__, job_text(key))
            return False
        table.jobs.error(key, error_message=message, error_stack=stack)
        return True


def finish_job(table: dj.Computed, key: dict[str, Any], owner: dict[str, Any], insert: Callable[[], None]) -> None:
    """Insert a result and delete its job, together.

    Raises
    ------
    LostJobError
        If the job is no longer the owner's. Nothing is inserted then.
    """
    allowed = type(table)._allow_insert
    type(table)._allow_insert = True
    try:
        with table.connection.transaction:
            if _query_mine(table, key, owner, "DELETE FROM").rowcount != 1:
                raise LostJobError(f"{table.__class__.__name__} {key}: the job was given to another worker meanwhile")
            if not _exists(table, key):
                insert()
    finally:
        type(table)._allow_insert = allowed


def is_job_owned(table: dj.Computed, key: dict[str, Any], owner: dict[str, Any]) -> bool:
    """Whether a job is reserved by this owner."""
    return _query_mine(table, key, owner, "SELECT 1 FROM").fetchone() is not None


def lock_job(table: dj.Computed, key: dict[str, Any], owner: dict[str, Any]) -> bool:
    """Lock a reserved job's row until the transaction's end; False if it is not the owner's."""
    return _query_mine(table, key, owner, "SELECT 1 FROM", end=" FOR UPDATE").fetchone() is not None


def _update_reserved(table: dj.Computed, key: dict[str, Any], owner: dict[str, Any], assignments: str) -> bool:
    return bool(_query_mine(table, key, owner, "UPDATE", f" SET {assignments}").rowcount == 1)


def _query_mine(
    table: dj.Computed, key: dict[str, Any], owner: dict[str, Any], verb: str, change: str = "", end: str = ""
) -> Any:
    """Run a statement on the row of a job that this owner has reserved; return the cursor."""
    jobs = table.jobs
    own = {**{name: key[name] for name in jobs.primary_key}, **owner, "status": "reserved"}
    return _query_row(jobs, own, f"{verb} {jobs.full_table_name}{change}", end)


def _exists(table: dj.Computed, key: dict[str, Any]) -> bool:
    own = {name: key[name] for name in table.primary_key}
    return _query_row(table, own, f"SELECT 1 FROM {table.full_table_name}").fetchone() is not None


def _query_row(table: dj.Table, values: dict[str, Any], statement: str, end: str = "") -> Any:
    """Run a statement on the row with these values; return the cursor."""
    quote = table.connection.adapter.quote_identifier
    where = " AND ".join(f"{quote(name)}=%s" for name in values)
    return table.connection.query(f"{statement} WHERE {where}{end}", args=tuple(values.values()))


def retry_failed_jobs(tables: tuple[type[dj.Computed], ...] = TABLES, restriction: dict[str, Any] | None = None) -> int:
    """Forget failures, so that those jobs are tried again; return how many there were."""
    n_failed = 0
    for table in tables:
        failed = table.jobs.errors & (restriction or {})
        for key in failed.keys():  # noqa: SIM118  (a query, not a dict)
            (Crash & {"table_name": table.__name__, "job_hash": crashed_job_hash(key)}).delete_quick()
        n_failed += len(failed)
        table.connection.query(
            f"UPDATE {table.jobs.full_table_name} SET status='pending', error_message='', error_stack=NULL,"
            f" completed_time=NULL, host='', pid=0, connection_id=0{failed.where_clause()}"
        )
    return n_failed


def job_text(key: dict[str, Any]) -> str:
    """A job's key for people, such as ``mouse01/2026-03-02_1 side 0123456789abcdef kalman``.

    The session stands as every command takes it.
    """
    if not set(key) >= SESSION:
        return " ".join(map(str, key.values()))
    return " ".join([session_text(key), *(str(value) for name, value in key.items() if name not in SESSION)])


def dependent_jobs(table: dj.Computed, others: Sequence[dj.Computed]) -> tuple[dj.Computed, ...]:
    """Those of other computed tables whose jobs become possible with a row of this one."""
    return tuple(other for other in others if table.full_table_name in other.parents())
