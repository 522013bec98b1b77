"""Find dead workers, put their jobs back into the queue, and remove their files."""

from __future__ import annotations

import functools
import logging
import platform
from collections.abc import Callable
from typing import Any

import datajoint as dj
import psutil

from pipeline.work import slurm
from pipeline.work.jobs import TABLES, job_text, jobs_table, lock_job, put_back_job
from pipeline.work.worker_locks import (
    Owner,
    is_worker_lock_held,
    one_worker_at_a_time,
    worker_lock_owner,
    worker_lock_owner_dict,
)
from schemas.stored.codecs import remove_unreferenced_files
from schemas.worker import Crash, Worker, crashed_job_hash

MAX_CRASHES = 3
"""A job is set aside after this many of its workers died."""

MISSING_BEFORE_DEAD_S = 30.0
"""How long a worker of another machine may be without a connection (s): it may be reconnecting."""

_logger = logging.getLogger("orofacial")


def release_dead_workers(tables: tuple[type[dj.Computed] | dj.Computed, ...] = TABLES) -> int:
    """Put back the jobs of workers that are gone; return how many.

    A worker is gone when the server no longer holds its session lock and

    - on this machine: its process is gone,
    - on Slurm: its job no longer runs,
    - elsewhere: it has had no connection for `MISSING_BEFORE_DEAD_S`.

    One process does this at a time; the others skip it.
    """
    targets = [jobs_table(table) for table in tables]
    with one_worker_at_a_time(targets[0].connection, "release", wait=False) as mine:
        workers = {worker_lock_owner(row): row for row in Worker.to_dicts()} if mine else {}
        reserved = [(target, job) for target in targets for job in _reserved(target)] if mine else []
        queue = functools.cache(slurm.slurm_queue)
        owners = {*workers, *(worker_lock_owner(job) for _, job in reserved)}
        dead = {owner for owner in owners if _is_dead(owner, workers, queue)}
        n_released = sum(_release(target, job) for target, job in reserved if worker_lock_owner(job) in dead)
        for owner in dead:
            (Worker & worker_lock_owner_dict(owner)).delete_quick()
        return n_released


def _reserved(table: dj.Computed) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.jobs.reserved.proj("host", "pid", "connection_id").to_dicts()
    return rows


def _is_dead(
    owner: Owner, workers: dict[Owner, dict[str, Any]], slurm_queue: Callable[[], list[slurm.SlurmJob]]
) -> bool:
    worker = workers.get(owner)
    connection = Worker().connection
    if worker is None:  # reserved by DataJoint's own populate, in somebody's notebook
        return not _connection_exists(connection, owner[2]) and not _process_exists(owner[0], owner[1], None)
    if is_worker_lock_held(connection, owner):
        return False
    if owner[0] == platform.node():
        return not _process_exists(owner[0], owner[1], worker["process_started_s"])
    if worker["slurm_job_id"]:
        return not _slurm_is_alive(worker["slurm_job_id"], worker["slurm_restarts"], slurm_queue)
    return _is_missing_for_long(owner)


def _process_exists(host: str, pid: int, started_s: float | None) -> bool:
    """Whether a process of this machine still runs, the very same one where its start is known."""
    if host != platform.node():
        return False
    try:
        process = psutil.Process(pid)
        same = started_s is None or abs(process.create_time() - started_s) < 1
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _connection_exists(connection: Any, connection_id: int) -> bool:
    postgres = connection.adapter.backend == "postgresql"
    query = "SELECT pid FROM pg_stat_activity" if postgres else "SELECT id FROM information_schema.processlist"
    return connection_id in {row[0] for row in connection.query(query).fetchall()}


def _is_missing_for_long(owner: Owner) -> bool:
    """Record when a worker was first seen without a connection; return whether that is long ago."""
    me = Worker & worker_lock_owner_dict(owner)
    connection = me.connection
    connection.query(
        f"UPDATE {me.full_table_name} SET missing_since=CURRENT_TIMESTAMP{me.where_clause()} AND missing_since IS NULL"
    )
    long_ago = connection.adapter.interval_expr(MISSING_BEFORE_DEAD_S, "second")
    return bool(me & f"missing_since < CURRENT_TIMESTAMP - {long_ago}")


def _slurm_is_alive(job_id: str, n_restarts: int, queue: Callable[[], list[slurm.SlurmJob]]) -> bool:
    """Whether Slurm still runs that very job; where Slurm cannot be asked, it may."""
    try:
        running = queue() if slurm.is_slurm_available() else None
    except slurm.SlurmError as error:
        _logger.warning("%s", error)
        running = None
    if running is None:
        return True
    return any(job.is_alive and (job.job_id, job.n_restarts) == (int(job_id), n_restarts) for job in running)


def _release(target: dj.Computed, job: dict[str, Any]) -> bool:
    """Put a dead worker's job back, or aside after too many; remove the files that it left."""
    key = {name: job[name] for name in target.jobs.primary_key}
    owner = worker_lock_owner_dict(worker_lock_owner(job))
    name, digest = type(target).__name__, crashed_job_hash(key)
    with target.connection.transaction:
        if not lock_job(target, key, owner):
            return False  # it came back and finished
        remove_unreferenced_files(target, key)
        crashes = Crash & {"table_name": name, "job_hash": digest}
        n_crashes = len(crashes) + 1
        Crash.insert1(
            {"table_name": name, "job_hash": digest, "crash_number": n_crashes, "host": job["host"], "pid": job["pid"]}
        )
        if n_crashes < MAX_CRASHES:
            put_back_job(target, key, owner)
        else:
            target.jobs.error(key, error_message=_too_many(crashes.to_dicts(order_by="crash_number")))
    _logger.warning("%s %s: its worker (%s, process %s) died; put back", name, job_text(key), job["host"], job["pid"])
    return True


def _too_many(crashes: list[dict[str, Any]]) -> str:
    workers = ", ".join(f"{row['host']} process {row['pid']} at {row['crashed_at']:%Y-%m-%d %H:%M}" for row in crashes)
    return (
        f"{len(crashes)} workers died with this job ({workers}): killed, out of memory, or their machine failed."
        " See the workers' logs, give them more memory or mend the input, then run: orofacial retry"
    )
