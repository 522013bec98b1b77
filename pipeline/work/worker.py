"""A worker: one process, one connection, one thread of numerics, that takes jobs until it is stopped.

The first job is the one that finishes a session soonest. A later table goes before an earlier one (a distance before a
filter, a filter before a pose, a pose before a training), so that sessions are completed one after another instead of
all at the end; within a table DataJoint's `priority` decides, then age. What a finished job makes possible is added to
the queue at once; of jobs shorter than a second once a second, since the search costs more than all else of such a job.

DataJoint's `populate` is not used: it turns SIGTERM into an error, has no place to check who owns a job within the
transaction of the insert, and reconnects without notice. It does little for a job (fetch, compute, insert), which
`JobWorker._compute` does on DataJoint's own job tables, so that its tools still show and change them.
"""

from __future__ import annotations

import errno
import logging
import os
import platform
import time
import traceback
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import datajoint as dj
import psutil

from compute.errors import DatabaseError, OrofacialError
from compute.estimators import Device
from ingest.poses import PoseFileSearch
from pipeline.database import connection as database
from pipeline.work import jobs
from pipeline.work.dead_workers import release_dead_workers
from pipeline.work.stopping import Stop, Stopped
from pipeline.work.temporary import own_temporary_folder
from pipeline.work.worker_locks import Owner, try_worker_lock, worker_lock_owner_dict
from schemas.making import progress
from schemas.worker import Worker as WorkerTable

_HOUSEKEEPING_EVERY_S = 20.0
_IDLE_POLL_S = 2.0
_HEARTBEAT_EVERY_S = 2.0
_ADD_DEPENDENTS_EVERY_S = 1.0
_RECONNECT_FOR_S = 120.0
_LONGEST_PAUSE_S = 60.0
_MAX_LOST_IN_A_ROW = 10
_FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO, errno.ESTALE}

_logger = logging.getLogger("orofacial")


class WorkerListener(Protocol):
    """Receives the progress of the work."""

    def started(self, table: str, n_jobs: int) -> None:
        """A table has so many jobs left to do."""

    def step(self, table: str, done: int, total: int) -> None:
        """The running job finished `done` of `total` steps (frames, epochs)."""

    def finished(self, table: str, n_done: int) -> None:
        """So many more jobs of the table are done or failed."""


@dataclass
class WorkerSummary:
    """Result of a worker's run."""

    computed: dict[str, int] = field(default_factory=dict)
    """Number of new rows by table."""
    failed: list[dict[str, Any]] = field(default_factory=list)
    """Table, key and message of each job that failed."""
    left: dict[str, int] = field(default_factory=dict)
    """Number of jobs by table that were left to other workers, since their estimator is not installed here."""
    undone: list[str] = field(default_factory=list)  # why something else is not computed, a sentence each
    stopped_by: int | None = None  # the signal that stopped it, if one did


class JobWorker:
    """Takes jobs; see the module.

    Parameters
    ----------
    device : {"gpu", "cpu"} or None
        Only jobs that want this device; None takes all.
    tables : tuple of tables, optional
        Only these.
    restriction : dict, optional
        Only keys with these values.
    until_empty : bool
        End when nothing is left that could be taken, instead of waiting for more.
    listener : Listener, optional
        Receives the progress.
    """

    def __init__(
        self,
        device: Device | None = None,
        *,
        tables: tuple[type[dj.Computed], ...] | None = None,
        restriction: dict[str, Any] | None = None,
        until_empty: bool = False,
        listener: WorkerListener | None = None,
    ) -> None:
        self._all_tables = tuple(jobs.jobs_table(table) for table in jobs.TABLES)
        chosen = [table for table in jobs.tables_of_jobs(device) if tables is None or table in tables]
        self._tables = [table for table in reversed(self._all_tables) if type(table) in chosen]
        self._restriction = restriction or {}
        self._waiting = [jobs.WaitingJob(table, self._restriction, device) for table in self._tables]
        self._dependents = {table.table_name: jobs.dependent_jobs(table, self._all_tables) for table in self._tables}
        self._finished: dict[str, list[dict[str, Any]]] = {}  # by table, until their dependents are in the queue
        self._pose_files = PoseFileSearch()
        self._device = device
        self._until_empty = until_empty
        self._listener = listener
        self._connection = self._tables[0].connection
        self._owner: Owner = (platform.node(), os.getpid(), self._connection.connection_id)
        self._summary = WorkerSummary()
        self._stop = Stop()
        self._last_heartbeat = self._last_housekeeping = self._last_added = self._job_started = self._pause_s = 0.0
        self._n_lost = 0  # times in a row without a job finished in between

    @property
    def owner(self) -> dict[str, Any]:
        """Key of this worker in the job tables."""
        return worker_lock_owner_dict(self._owner)

    def run(self) -> WorkerSummary:
        """Take jobs until stopped by SIGTERM or Ctrl-C, or, if asked for, until none is left.

        Raises
        ------
        DatabaseError
            If the database stays away, or the store cannot be written and this worker does not wait for that.
        """
        reconnect = self._connection._config["database.reconnect"]
        # DataJoint would reconnect without the lock that shows that this worker is alive.
        self._connection._config["database.reconnect"] = False
        try:
            with self._stop.listening(), own_temporary_folder():
                self._register()
                self._work()
        finally:
            self._connection._config["database.reconnect"] = reconnect
        self._summary.stopped_by = self._stop.requested
        return self._summary

    def _work(self) -> None:
        try:
            while not self._stop.requested:
                try:
                    if not self._step():
                        break
                except Exception as error:
                    if not database.is_connection_lost(error):
                        raise
                    self._reconnect(error)
        finally:
            self._deregister()

    def _step(self) -> bool:
        """Do one job, add new jobs, or wait; False when there is nothing left to do."""
        if time.monotonic() - self._last_housekeeping > _HOUSEKEEPING_EVERY_S:
            self._housekeeping(wait=not self._last_housekeeping)
        if time.monotonic() - self._last_added > _ADD_DEPENDENTS_EVERY_S:
            self._add_dependents()
        taken = self._take()
        if taken is None and self._finished:
            self._add_dependents()
            taken = self._take()
        if taken is None:
            self._housekeeping(wait=True)
            taken = self._take()
        if taken is not None:
            self._do(*taken)
            return True
        if self._until_empty:
            return False
        self._heartbeat("", 0, 0)
        self._stop.wait(_IDLE_POLL_S)
        return True

    def _take(self) -> tuple[dj.Computed, dict[str, Any]] | None:
        for waiting in self._waiting:
            key = waiting.reserve()
            if key is not None:
                return waiting.table, key
        return None

    def _add_dependents(self) -> None:
        """Add the jobs that finished ones made possible; should that fail, the next housekeeping finds them."""
        finished, self._finished = self._finished, {}
        self._last_added = time.monotonic()
        for name, keys in finished.items():
            for dependent in self._dependents[name]:
                jobs.add_jobs(dependent, keys)

    def _housekeeping(self, *, wait: bool) -> None:
        """Put back what dead workers had, and look for new jobs."""
        release_dead_workers(self._all_tables)
        jobs.refresh_jobs(tuple(reversed(self._tables)), self._restriction, wait=wait, pose_files=self._pose_files)
        self._last_housekeeping = time.monotonic()
        if self._listener:
            for table in reversed(self._tables):
                n_pending = len(table.jobs.pending & self._restriction)
                if n_pending:
                    self._listener.started(type(table).__name__, n_pending)

    # One job ----------------------------------------------------------------------------------------------

    def _do(self, table: dj.Computed, key: dict[str, Any]) -> None:
        """Do a job that this worker reserved, and leave it done, failed or put back."""
        name = type(table).__name__
        self._job_started = time.monotonic()
        try:
            self._compute(table, key)
        except Stopped:
            self._reconnect_quietly()  # the signal may have come in the middle of an answer
            self._give_back(table, key, "stopped")
            return
        except jobs.LostJobError as error:
            _logger.warning("%s; its result was discarded", error)
            return
        except Exception as error:
            if database.is_connection_lost(error):
                self._reconnect(error)
                self._give_back(table, key, "the database was lost")
            elif self._stop.requested is not None:
                # A library that the signal interrupted may raise an error of its own over `Stopped`.
                self._reconnect_quietly()
                self._give_back(table, key, "stopped")
            elif isinstance(error, jobs.ChangedInputError) or _is_full_disk(error):
                self._give_back(table, key, str(error))
                if _is_full_disk(error):
                    self._wait_for_room(error)
            else:
                self._fail(table, key, error)
            return
        self._pause_s, self._n_lost = 0.0, 0
        duration_s = time.monotonic() - self._job_started
        self._summary.computed[name] = self._summary.computed.get(name, 0) + 1
        _logger.info("%s %s %.1f s", name, jobs.job_text(key), duration_s)
        self._tell_finished(name)
        self._finished.setdefault(table.table_name, []).append(key)

    def _compute(self, table: dj.Computed, key: dict[str, Any]) -> None:
        """Fetch and compute, then insert as the owner; again on a new connection if the old one is lost there."""
        if not hasattr(table, "make_compute"):
            jobs.finish_job(table, key, self.owner, lambda: table.make(dict(key)))
            return
        name = type(table).__name__
        with self._stop.allowed(), progress.listening_to_progress(partial(self._progress, name)):
            fetched = table.make_fetch(dict(key))
            result = table.make_compute(dict(key), *fetched)

        def insert() -> None:
            if table.make_fetch(dict(key)) != fetched:
                raise jobs.ChangedInputError("what it is made from changed while it was computed; it is computed again")
            table.make_insert(dict(key), *result)

        try:
            jobs.finish_job(table, key, self.owner, insert)
        except Exception as error:
            if not database.is_connection_lost(error):
                raise
            self._reconnect(error)
            # Was it committed? Then the job is gone and the row is there; waits for a commit that is under way.
            if not jobs.is_job_owned(table, key, self.owner) and table & key:
                return
            jobs.finish_job(table, key, self.owner, insert)

    def _give_back(self, table: dj.Computed, key: dict[str, Any], reason: str) -> None:
        if jobs.put_back_job(table, key, self.owner):
            _logger.warning("%s %s put back: %s", type(table).__name__, jobs.job_text(key), reason)

    def _fail(self, table: dj.Computed, key: dict[str, Any], error: Exception) -> None:
        name = type(table).__name__
        message = f"{type(error).__name__}: {error}"
        if jobs.set_job_error(table, key, self.owner, message, traceback.format_exc()):
            self._summary.failed.append({"table": name, "key": key, "message": str(error)})
            _logger.error("%s %s failed: %s", name, jobs.job_text(key), message)
        self._tell_finished(name)

    def _tell_finished(self, name: str) -> None:
        if self._listener:
            self._listener.finished(name, 1)

    def _wait_for_room(self, error: Exception) -> None:
        """Wait until the disk may have space again; a worker with `until_empty` does not wait."""
        if self._until_empty:
            if isinstance(error, OrofacialError):
                raise error
            raise DatabaseError(f"{error}; nothing was kept. Free space, then run the command again") from error
        self._pause_s = min(max(1.0, 2 * self._pause_s), _LONGEST_PAUSE_S)
        _logger.error("waiting %.0f s: %s", self._pause_s, error)
        self._stop.wait(self._pause_s)

    # Being seen -------------------------------------------------------------------------------------------

    def _progress(self, name: str, done: int, total: int) -> None:
        self._stop.check()
        if self._listener:
            self._listener.step(name, done, total)
        try:
            self._heartbeat(name, done, total)
        except Exception as error:
            if not database.is_connection_lost(error):
                raise
            # The result needs a connection only when it is there; a short outage costs nothing.
            self._reconnect_quietly()

    def _heartbeat(self, name: str, done: int, total: int) -> None:
        """Tell the others how far this job is, now and then."""
        now = time.monotonic()
        if now - self._last_heartbeat < _HEARTBEAT_EVERY_S:
            return
        self._last_heartbeat = now
        me = WorkerTable & self.owner
        rate = done / max(now - self._job_started, 1e-3) if name else 0.0
        self._connection.query(
            f"UPDATE {me.full_table_name} SET heartbeat_at=CURRENT_TIMESTAMP, missing_since=NULL, table_name=%s,"
            f" n_done=%s, n_total=%s, steps_per_s=%s{me.where_clause()}",
            args=(name, done, total, rate),
        )

    def _register(self) -> None:
        """Say that this worker is there, and take the lock that shows that it lives."""
        if not self._take_lock():
            raise DatabaseError("the database server still holds this worker's old connection; start it again")
        row = {
            **self.owner,
            "process_started_s": psutil.Process().create_time(),
            "slurm_job_id": os.environ.get("SLURM_JOB_ID", ""),
            "slurm_restarts": int(os.environ.get("SLURM_RESTART_COUNT") or 0),
            "device": self._device or "any",
        }
        (WorkerTable & self.owner).delete_quick()
        WorkerTable.insert1(row)
        for table in self._all_tables:  # of a dead process that had these very numbers
            for key in (table.jobs.reserved & self.owner).keys():  # noqa: SIM118  (a query)
                jobs.put_back_job(table, key, self.owner)

    def _deregister(self) -> None:
        """Put the job back and remove the worker's row; without a database, other workers do this later."""
        try:
            self._add_dependents()
            (WorkerTable & self.owner).delete_quick()
        except Exception as error:
            if not database.is_connection_lost(error):
                raise

    def _take_lock(self) -> bool:
        """Take the lock that shows that this worker is alive; False while the server still holds an old connection."""
        for _ in range(100):
            if try_worker_lock(self._connection, self._owner):
                return True
            time.sleep(0.1)
        return False

    # Connection -------------------------------------------------------------------------------------------

    def _reconnect(self, reason: BaseException) -> None:
        """Connect again under the same name; give up when stopped or after two minutes."""
        _logger.warning("the connection to the database was lost (%s); connecting again", _one_line(reason))
        deadline = time.monotonic() + _RECONNECT_FOR_S
        self._n_lost += 1
        if self._n_lost > 1:
            self._stop.wait(min(0.1 * 2**self._n_lost, _LONGEST_PAUSE_S))
        while self._n_lost > _MAX_LOST_IN_A_ROW or not self._reconnect_quietly():
            if self._stop.requested or (
                self._until_empty and (time.monotonic() > deadline or self._n_lost > _MAX_LOST_IN_A_ROW)
            ):
                raise DatabaseError(
                    f"the connection to the database was lost ({_one_line(reason)}); what was finished is kept."
                    " See 'orofacial doctor', then run the command again: it goes on where it was"
                ) from reason
            self._stop.wait(0.5)

    def _reconnect_quietly(self) -> bool:
        try:
            database.reconnect()
            # A server that has not noticed yet that the old connection is gone: to be tried again, like any outage.
            return self._take_lock()
        except Exception as error:
            if not database.is_connection_lost(error):
                raise
            return False


def _is_full_disk(error: BaseException | None) -> bool:
    """Whether the disk is the cause, and not the job."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL_DISK:
            return True
        error = error.__cause__
    return False


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
