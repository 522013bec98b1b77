"""Locks of workers on the database server: that a worker is alive, and the whole queue."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from datajoint.errors import DuplicateError

from compute.errors import DatabaseError
from schemas.making.locks import holding_lock, is_lock_held, try_lock
from schemas.worker import Worker, worker_lock_name

Owner = tuple[str, int, int]
"""Host, process id and connection id of a worker, as they stand in the job tables."""


def worker_lock_owner(row: Mapping[str, Any]) -> Owner:
    """The owner that a row of `Worker` or of a job table names."""
    return row["host"], row["pid"], row["connection_id"]


def worker_lock_owner_dict(owner: Owner) -> dict[str, Any]:
    """An owner as a restriction of `Worker` or of a job table."""
    return dict(zip(("host", "pid", "connection_id"), owner, strict=True))


def try_worker_lock(connection: Any, owner: Owner) -> bool:
    """Take the lock that shows that this worker is alive."""
    return try_lock(connection, worker_lock_name(Worker().full_table_name, owner))


def is_worker_lock_held(connection: Any, owner: Owner) -> bool:
    """Whether a connection holds a worker's lock."""
    return is_lock_held(connection, worker_lock_name(Worker().full_table_name, owner))


@contextmanager
def one_worker_at_a_time(connection: Any, what: str, wait: bool) -> Iterator[bool]:
    """Hold the lock of an action on the whole queue; yield False if another has it and `wait` is off."""
    with holding_lock(connection, f"{Worker().full_table_name} {what}", wait_s=math.inf if wait else 0) as mine:
        try:
            yield mine
        except DuplicateError as error:
            raise DatabaseError(
                f"the queue was changed by another program at the same time ({error}); try again"
            ) from error
