"""Change the name of a mouse, a session or a video: its key, in every row of the database that holds it.

Every table that is made of videos refers to them by foreign keys that follow an update, so that one update of the
parent carries all results along. That takes a check and a cascade of each row: who may updates each table by one
statement instead, from the parent down, in the same transaction (`benchmarks/corrections.py`).

What holds such a key without referring to anything is the queue: job tables, and `Crash`, which knows a job by a hash
of its key. A worker that computes a job of an old key loses it: the job waits again, under its new key.

Jobs are changed before the rows. A worker inserts a result in the transaction that first deletes its job: either that
has happened, then the result is carried along, or its job is gone by that key, and it discards what it has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import datajoint as dj
import psycopg2.errors
import pymysql
from datajoint.errors import DataJointError

import schemas
from compute.errors import OrofacialError
from ingest.correction_history import corrections_locked
from pipeline.corrections.references import Reference, may_update_unchecked, references_to, unchecked_references
from pipeline.database.connection import is_connection_lost
from pipeline.work.jobs import PUT_BACK
from pipeline.work.worker_locks import one_worker_at_a_time
from schemas.session import Session, Video
from schemas.worker import Crash, crashed_job_hash

Row = dict[str, Any]
Result = TypeVar("Result")

_N_TRIES = 5
_MYSQL_DEADLOCK = 1213


class CorrectionError(OrofacialError):
    """A correction that cannot be made."""


class _Undone(Exception):
    """Takes back a transaction whose result is wanted."""

    def __init__(self, result: Any) -> None:
        self.result = result


def correct(act: Callable[[], Result], *, dry_run: bool = False) -> Result:
    """Make a correction in one transaction, while nobody makes another or fills the queue.

    Parameters
    ----------
    act : callable
        Checks and changes rows; called again after a deadlock with a worker.
    dry_run : bool
        Take everything back at the end.

    Raises
    ------
    CorrectionError
        If the database refuses. Nothing is changed then.
    """
    n_tries = 0
    while True:
        n_tries += 1
        try:
            with one_worker_at_a_time(Session.connection, "refresh", wait=True), corrections_locked():
                return _in_transaction(act, dry_run)
        except OrofacialError:
            raise
        except Exception as error:
            if _is_deadlock(error) and n_tries < _N_TRIES:
                continue
            if not isinstance(error, DataJointError) and not is_connection_lost(error):
                raise
            raise CorrectionError(
                f"nothing was changed, the database refused ({' '.join(str(error).split())}). Try again; if it stays,"
                " report it"
            ) from error


def _in_transaction(act: Callable[[], Result], dry_run: bool) -> Result:
    try:
        with Session.connection.transaction:
            result = act()
            if dry_run:
                raise _Undone(result)
            return result
    except _Undone as undone:
        return undone.result


def _is_deadlock(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, psycopg2.errors.DeadlockDetected):
            return True
        if isinstance(error, pymysql.OperationalError) and error.args and error.args[0] == _MYSQL_DEADLOCK:
            return True
        error = error.__cause__
    return False


def change_key(table: type[dj.Table], old: Row, new: Row, *, merge: bool = False) -> None:
    """Change the key of rows of a table, and of all that refers to them. Call it inside of `correct`.

    Parameters
    ----------
    table : type of datajoint.Table
        `Mouse`, `Session` or `Video`.
    old : dict
        Columns of its key: which rows.
    new : dict
        The same columns with their new values. No row of the table has them.
    merge : bool
        A row of the table has the new values: only what refers to the old one is changed.
    """
    change_jobs(old, new)
    connection = table.connection
    references = references_to(table, list(old))
    if not may_update_unchecked(connection):
        if not merge:
            update_columns(table().full_table_name, old, new)
            return
        references = [one for one in references if one.is_direct]
        for one in references:
            _update_reference(one, old, new)
        return
    # A row that another process inserts below one that is not changed yet is seen by the update of its own table.
    with unchecked_references(connection):
        if not merge:
            update_columns(table().full_table_name, old, new)
        for one in references:
            _update_reference(one, old, new)


def _update_reference(reference: Reference, old: Row, new: Row) -> None:
    columns = reference.columns
    update_columns(
        reference.table_name,
        {columns[name]: value for name, value in old.items()},
        {columns[name]: value for name, value in new.items()},
    )


def change_jobs(old: Row, new: Row) -> None:
    """Change the key of the jobs of videos; those that somebody computes wait again."""
    for table in _computed_of_videos(old):
        _remove_jobs_without_video(table, new)
        name = table.jobs.full_table_name
        _change_crashes(table, old, new)
        where, values = _where(old)
        Session.connection.query(f"UPDATE {name} SET {PUT_BACK} WHERE {where} AND status='reserved'", args=values)
        update_columns(name, old, new)


def update_columns(table_name: str, old: Row, new: Row) -> int:
    """Update the columns of `new` in the rows that have the values of `old`; return how many rows there were.

    Parameters
    ----------
    table_name : str
        Quoted full name.
    """
    where, values = _where(old)
    quote = Session.connection.adapter.quote_identifier
    assignments = ", ".join(f"{quote(name)}=%s" for name in new)
    cursor = Session.connection.query(
        f"UPDATE {table_name} SET {assignments} WHERE {where}", args=(*new.values(), *values)
    )
    return int(cursor.rowcount)


def _computed_of_videos(key: Row) -> list[Any]:
    """Computed tables whose key holds these columns."""
    tables = [table() for table in schemas.computed_tables()]
    return [table for table in tables if set(key) <= set(table.primary_key)]


def _remove_jobs_without_video(table: Any, key: Row) -> None:
    """Remove jobs that stand in the way: of a video that had the new key once, and was renamed or deleted."""
    quote = Session.connection.adapter.quote_identifier
    jobs, video = table.jobs.full_table_name, Video().full_table_name
    same = " AND ".join(f"video.{quote(name)} = {jobs}.{quote(name)}" for name in Video.primary_key)
    where, values = _where(key)
    Session.connection.query(
        f"DELETE FROM {jobs} WHERE {where} AND NOT EXISTS (SELECT 1 FROM {video} AS video WHERE {same})", args=values
    )


def _change_crashes(table: Any, old: Row, new: Row) -> None:
    """Let the crashes of jobs follow, which are known by a hash of the job's key."""
    name = type(table).__name__
    known = set((Crash & {"table_name": name}).to_arrays("job_hash"))
    if not known:
        return
    for key in (table.jobs & old).keys():  # noqa: SIM118  (a query)
        before = {"table_name": name, "job_hash": crashed_job_hash(key)}
        if before["job_hash"] in known:
            after = {"table_name": name, "job_hash": crashed_job_hash({**key, **new})}
            (Crash & after).delete_quick()
            update_columns(Crash().full_table_name, before, after)


def _where(key: Row) -> tuple[str, tuple[Any, ...]]:
    quote = Session.connection.adapter.quote_identifier
    return " AND ".join(f"{quote(name)}=%s" for name in key), tuple(key.values())
