"""What workers lock on the database server: their own lives, and the whole queue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from datajoint.errors import DuplicateError

from compute.errors import DatabaseError
from schemas.making.locks import holding, lock_number, try_lock
from schemas.worker import Worker

Owner = tuple[str, int, int]
"""Host, process id and connection id of a worker, as they stand in the job tables."""


def owner_of(row: Mapping[str, Any]) -> Owner:
    """The owner that a row of `Worker` or of a job table names."""
    return row["host"], row["pid"], row["connection_id"]


def owner_dict(owner: Owner) -> dict[str, Any]:
    """An owner as a restriction of `Worker` or of a job table."""
    return dict(zip(("host", "pid", "connection_id"), owner, strict=True))


def _lock_name(owner: Owner) -> str:
    return f"{Worker().full_table_name} {owner}"


def try_worker_lock(connection: Any, owner: Owner) -> bool:
    """Take the lock that says that this worker lives."""
    return try_lock(connection, _lock_name(owner))


def is_lock_held(connection: Any, owner: Owner) -> bool:
    """Whether a connection holds a worker's lock."""
    number = lock_number(_lock_name(owner))
    if connection.adapter.backend == "mysql":
        query = f"SELECT IS_USED_LOCK('orofacial {number}')"
        return connection.query(query).fetchone()[0] is not None
    unsigned = number % 2**64
    query = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted"
        f" AND classid = {unsigned >> 32} AND objid = {unsigned % 2**32}"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    return bool(connection.query(query).fetchone()[0])


@contextmanager
def one_at_a_time(connection: Any, what: str, wait: bool) -> Iterator[bool]:
    """Hold the lock of an action on the whole queue; yield False if another has it and `wait` is off."""
    with holding(connection, f"{Worker().full_table_name} {what}", wait=wait) as mine:
        try:
            yield mine
        except DuplicateError as error:
            raise DatabaseError(
                f"the queue was changed by another program at the same time ({error}); try again"
            ) from error
