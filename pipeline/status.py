"""Sessions x stages: what is done, to do, running, failed, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import datajoint as dj

from pipeline.populate import TABLES
from schemas.metric import DistanceMetrics
from schemas.pose import PoseEstimation
from schemas.session import Session, Video
from schemas.track import FilteredTrack, TrackQuality

STAGES: tuple[type[dj.Computed], ...] = (PoseEstimation, TrackQuality, FilteredTrack, DistanceMetrics)
"""The computed tables that every session goes through."""


@dataclass(frozen=True)
class StageCount:
    """How far one stage is, for one session or for all."""

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
class Failure:
    """A job that ended in an error and waits for a person."""

    table: str
    key: dict[str, Any]
    message: str


@dataclass(frozen=True)
class Status:
    """The state of the whole pipeline."""

    sessions: dict[str, dict[str, StageCount]]
    """For each session, such as ``mouse01/2026-03-02_1``, the count of each stage."""
    failures: list[Failure]
    n_videos: int


def status() -> Status:
    """Ask the database how far every session is."""
    keys = {_name(key): key for key in Session.keys(order_by="mouse_id, session_date, session_number")}
    counts = {table.__name__: _count(table) for table in STAGES}
    sessions = {name: {stage: counts[stage].get(name, StageCount(0, 0, 0, 0)) for stage in counts} for name in keys}
    failures = [
        Failure(table.__name__, {name: row[name] for name in table.jobs.primary_key}, row["error_message"])
        for table in TABLES
        for row in table.jobs.errors.to_dicts(order_by="completed_time")
    ]
    return Status(sessions, failures, len(Video()))


def _name(key: dict[str, Any]) -> str:
    return f"{key['mouse_id']}/{key['session_date']}_{key['session_number']}"


def _count(table: type[dj.Computed]) -> dict[str, StageCount]:
    """Count a stage's rows and jobs, session by session.

    The total is what the stage still has to do plus what it has done: rows of a model that is no longer deployed count
    as done, not as missing.
    """
    done = _count_by_session(table())
    to_do = _count_by_session(table().key_source - table())
    running = _count_by_session(table.jobs.reserved)
    failed = _count_by_session(table.jobs.errors)
    return {
        name: StageCount(
            done=done.get(name, 0),
            total=done.get(name, 0) + to_do.get(name, 0),
            running=running.get(name, 0),
            failed=failed.get(name, 0),
        )
        for name in done.keys() | to_do.keys()
    }


def _count_by_session(rows: dj.expression.QueryExpression) -> dict[str, int]:
    counts = dj.U("mouse_id", "session_date", "session_number").aggr(rows.proj(), n="count(*)")
    return {_name(row): row["n"] for row in counts.to_dicts()}
