"""Locks on the database server that end with the connection that holds them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from datajoint.errors import DuplicateError

from compute.errors import DatabaseError
from schemas.worker import Worker

Owner = tuple[str, int, int]
"""Host, process id and connection id of a worker, as they stand in the job tables."""


def owner_dict(owner: Owner) -> dict[str, Any]:
    """An owner as a restriction of `Worker` or of a job table."""
    return dict(zip(("host", "pid", "connection_id"), owner, strict=True))


def _lock_number(text: str) -> int:
    """A lock's name as PostgreSQL wants it: a signed 64-bit number."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


def _lock_name(owner: Owner) -> str:
    return f"{Worker().full_table_name} {owner}"


def try_lock(connection: Any, name: str) -> bool:
    """Take a lock of this connection's; False if another connection has it."""
    number = _lock_number(name)
    if connection.adapter.backend == "postgresql":
        return bool(connection.query(f"SELECT pg_try_advisory_lock({number})").fetchone()[0])
    return bool(connection.query(f"SELECT GET_LOCK('orofacial {number}', 0)").fetchone()[0])


def unlock(connection: Any, name: str) -> None:
    """Give a lock back."""
    number = _lock_number(name)
    postgres = connection.adapter.backend == "postgresql"
    call = f"pg_advisory_unlock({number})" if postgres else f"RELEASE_LOCK('orofacial {number}')"
    connection.query(f"SELECT {call}").fetchall()


def try_worker_lock(connection: Any, owner: Owner) -> bool:
    """Take the lock that says that this worker lives."""
    return try_lock(connection, _lock_name(owner))


def is_lock_held(connection: Any, owner: Owner) -> bool:
    """Whether a connection holds a worker's lock."""
    number = _lock_number(_lock_name(owner))
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
    name = f"{Worker().full_table_name} {what}"
    while not try_lock(connection, name):
        if not wait:
            yield False
            return
        time.sleep(0.05)
    try:
        yield True
    except DuplicateError as error:
        raise DatabaseError(
            f"the queue was changed by another program at the same time ({error}); try again"
        ) from error
    finally:
        unlock(connection, name)
