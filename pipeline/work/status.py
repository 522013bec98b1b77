"""Sessions x stages: what is done, to do, running, failed, and why.

There is no cache: every row is counted each time. Two counts are written as SQL, since those of DataJoint take
several times as long over a million rows: its length of a table sorts out duplicates, of which a table has none, and
its difference of two tables is a ``not in``, for which each parallel process of the server hashes all of the other.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import datajoint as dj

from compute.text import session_text
from pipeline.work.jobs import TABLES, job_text, jobs_by_status, jobs_table
from pipeline.work.undone import undone_reasons
from pipeline.work.worker_locks import Owner, is_worker_lock_held, worker_lock_owner
from schemas.model import DeployedModel, Model
from schemas.session import Session, Video
from schemas.worker import Worker

STAGES = tuple(table for table in TABLES if getattr(table, "is_stage", False))
"""The computed tables that every session goes through."""

MAX_SESSIONS = 200
"""Largest number of sessions that are listed one by one."""


@dataclass(frozen=True)
class StageStatus:
    """Progress of one stage, for one session or for all."""

    done: int
    total: int
    running: int
    failed: int

    @property
    def to_do(self) -> int:
        """Neither done, nor running, nor failed."""
        return self.total - self.done - self.running - self.failed

    def __str__(self) -> str:
        if not self.total:
            return "-"
        parts = [f"{self.done}/{self.total}"]
        parts += [f"{self.running} running"] if self.running else []
        parts += [f"{self.failed} failed"] if self.failed else []
        return ", ".join(parts)


@dataclass(frozen=True)
class FailureStatus:
    """A job that ended in an error and waits for a person."""

    table: str
    key: dict[str, Any]
    message: str


@dataclass(frozen=True)
class WorkerStatus:
    """A worker and its current job.

    Attributes
    ----------
    host, pid, device, slurm_job_id, started_at, heartbeat_at
        As in `schemas.worker.Worker`.
    alive : bool
        Whether it has a connection to the database. One without is dead, or about to connect again.
    job : str
        Table and key of its job; empty: it waits.
    n_done, n_total : int
        Frames or epochs of that job; 0 where it has told nothing yet.
    steps_per_s : float
        (1/s) frames or epochs.
    """

    host: str
    pid: int
    device: str
    slurm_job_id: str
    started_at: datetime
    heartbeat_at: datetime
    alive: bool
    job: str
    n_done: int
    n_total: int
    steps_per_s: float


@dataclass(frozen=True)
class Status:
    """The state of the whole pipeline."""

    sessions: dict[str, dict[str, StageStatus]]
    """For each session, such as ``mouse01/2026-03-02_1``, the count of each stage; of more than `MAX_SESSIONS`
    only so many, and only unfinished ones."""
    stages: dict[str, StageStatus]
    """The count of each stage over all sessions."""
    others: dict[str, StageStatus]
    """The count of the other computed tables: training, evaluation, comparison of filters."""
    workers: list[WorkerStatus]
    failures: list[FailureStatus]
    n_sessions: int
    n_videos: int
    undone: list[str]
    """Why something is not computed, a sentence each."""
    deployed: list[dict[str, str]]
    """The deployed models, those that answer questions: ``camera``, ``model_id`` and ``model_name`` of each."""


def status() -> Status:
    """Ask the database how far every session is, and who works on what."""
    tables = {table: jobs_table(table) for table in TABLES}
    stages = [tables[table] for table in STAGES]
    jobs = {_class_name(table): jobs_by_status(table) for table in tables.values()}
    n_sessions = _n_rows(Session())
    to_do = {_class_name(stage): _to_do_by_session(stage) for stage in stages}
    if n_sessions <= MAX_SESSIONS:
        shown = Session.keys(order_by="mouse_id, session_date, session_number")
    else:
        shown = list({name: key for counts in to_do.values() for name, (_, key) in counts.items()}.values())
        shown = shown[:MAX_SESSIONS]
    by_session = {
        name: _stage_of(stage, shown, to_do[name], jobs[name])
        for name, stage in ((_class_name(stage), stage) for stage in stages)
    }
    nothing = StageStatus(0, 0, 0, 0)
    return Status(
        sessions={
            name: {stage: counts.get(name, nothing) for stage, counts in by_session.items()}
            for name in map(session_text, shown)
        },
        stages={
            name: _count_all(stage, sum(n for n, _ in to_do[name].values()), jobs[name])
            for name, stage in ((_class_name(stage), stage) for stage in stages)
        },
        others={
            _class_name(other): _count_all(other, _n_to_do(other), jobs[_class_name(other)])
            for table, other in tables.items()
            if table not in STAGES
        },
        workers=_workers([table for table in tables.values() if jobs[_class_name(table)]["reserved"]]),
        failures=[
            FailureStatus(
                _class_name(table), {name: row[name] for name in table.jobs.primary_key}, row["error_message"]
            )
            for table in tables.values()
            if jobs[_class_name(table)]["error"]
            for row in table.jobs.errors.to_dicts(order_by="completed_time")
        ],
        n_sessions=n_sessions,
        n_videos=_n_rows(Video()),
        undone=undone_reasons(TABLES),
        deployed=(DeployedModel.proj() * Model.proj("model_name")).to_dicts(order_by="camera, model_id"),
    )


def _class_name(table: dj.Table) -> str:
    return type(table).__name__


def _count_all(table: dj.Computed, n_to_do: int, jobs: Counter[str]) -> StageStatus:
    n_done = _n_rows(table)
    return StageStatus(n_done, n_done + n_to_do, jobs["reserved"], jobs["error"])


def _stage_of(
    stage: dj.Computed,
    sessions: list[dict[str, Any]],
    to_do: dict[str, tuple[int, dict[str, Any]]],
    jobs: Counter[str],
) -> dict[str, StageStatus]:
    """Count a stage's rows and jobs for these sessions; the jobs of a status that none has are not asked for.

    The total is what the stage still has to do plus what it has done: rows of a model that is no longer deployed count
    as done, not as missing.
    """
    if not sessions:
        return {}
    done = _count_by_session(stage & sessions)
    running = _count_by_session(stage.jobs.reserved & sessions) if jobs["reserved"] else {}
    failed = _count_by_session(stage.jobs.errors & sessions) if jobs["error"] else {}
    return {
        name: StageStatus(
            done=done.get(name, 0),
            total=done.get(name, 0) + to_do.get(name, (0, {}))[0],
            running=running.get(name, 0),
            failed=failed.get(name, 0),
        )
        for name in map(session_text, sessions)
    }


def _count_by_session(rows: dj.expression.QueryExpression) -> dict[str, int]:
    """Number of rows of each session that has any."""
    counts = dj.U(*Session.primary_key).aggr(rows.proj(), n="count(*)")
    return {session_text(row): row["n"] for row in counts.to_dicts()}


def _to_do_by_session(stage: dj.Computed) -> dict[str, tuple[int, dict[str, Any]]]:
    """Number of keys that have no row yet, of each session that has any, and the session's key."""
    quote = stage.connection.adapter.quote_identifier
    session = ", ".join(f"wanted.{quote(name)}" for name in Session.primary_key)
    counts = stage.connection.query(f"SELECT {session}, count(*) {_from_to_do(stage)} GROUP BY {session}")
    keys = ((dict(zip(Session.primary_key, row[:-1], strict=True)), row[-1]) for row in counts.fetchall())
    return {session_text(key): (n, key) for key, n in keys}


def _n_to_do(table: dj.Computed) -> int:
    return int(table.connection.query(f"SELECT count(*) {_from_to_do(table)}").fetchone()[0])


def _from_to_do(table: dj.Computed) -> str:
    """SQL for the keys (``wanted``) that have no row yet."""
    quote = table.connection.adapter.quote_identifier
    same = " AND ".join(f"done.{quote(name)} = wanted.{quote(name)}" for name in table.primary_key)
    return (
        f"FROM ({table.key_source.proj().make_sql()}) AS wanted"
        f" WHERE NOT EXISTS (SELECT 1 FROM {table.full_table_name} AS done WHERE {same})"
    )


def _n_rows(table: dj.Table) -> int:
    return int(table.connection.query(f"SELECT count(*) FROM {table.full_table_name}").fetchone()[0])


def _workers(tables: list[dj.Computed]) -> list[WorkerStatus]:
    jobs = {
        worker_lock_owner(row): (
            _class_name(table),
            job_text({name: row[name] for name in table.primary_key}),
        )
        for table in tables
        for row in table.jobs.reserved.proj("host", "pid", "connection_id").to_dicts()
    }
    return [_worker_state(row, jobs) for row in Worker.to_dicts(order_by="host, started_at, pid")]


def _worker_state(row: dict[str, Any], jobs: dict[Owner, tuple[str, str]]) -> WorkerStatus:
    table_name, key = jobs.get(worker_lock_owner(row), ("", ""))
    told = bool(table_name) and row["table_name"] == table_name
    return WorkerStatus(
        **{name: row[name] for name in ("host", "pid", "device", "slurm_job_id", "started_at", "heartbeat_at")},
        alive=is_worker_lock_held(Worker().connection, worker_lock_owner(row)),
        job=f"{table_name} {key}".strip(),
        n_done=row["n_done"] if told else 0,
        n_total=row["n_total"] if told else 0,
        steps_per_s=row["steps_per_s"] if told else 0.0,
    )
