"""Locks on the database server, which end with the connection that holds them."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def lock_number(name: str) -> int:
    """A lock's name as PostgreSQL wants it: a signed 64-bit number."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def try_lock(connection: Any, name: str) -> bool:
    """Take a lock for this connection; False if another connection holds it."""
    number = lock_number(name)
    if connection.adapter.backend == "postgresql":
        return bool(connection.query(f"SELECT pg_try_advisory_lock({number})").fetchone()[0])
    return bool(connection.query(f"SELECT GET_LOCK('orofacial {number}', 0)").fetchone()[0])


def is_lock_held(connection: Any, name: str) -> bool:
    """Whether any connection has a lock."""
    number = lock_number(name)
    if connection.adapter.backend == "mysql":
        return connection.query(f"SELECT IS_USED_LOCK('orofacial {number}')").fetchone()[0] is not None
    unsigned = number % 2**64
    query = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted"
        f" AND classid = {unsigned >> 32} AND objid = {unsigned % 2**32}"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    return bool(connection.query(query).fetchone()[0])


def release_lock(connection: Any, name: str) -> None:
    """Release a lock."""
    number = lock_number(name)
    postgres = connection.adapter.backend == "postgresql"
    call = f"pg_advisory_unlock({number})" if postgres else f"RELEASE_LOCK('orofacial {number}')"
    connection.query(f"SELECT {call}").fetchall()


@contextmanager
def holding_lock(connection: Any, name: str, *, wait_s: float = math.inf) -> Iterator[bool]:
    """Hold a lock, waiting for it; yield False if another connection still holds it after `wait_s` seconds."""
    deadline = time.monotonic() + wait_s
    while not try_lock(connection, name):
        if time.monotonic() >= deadline:
            yield False
            return
        time.sleep(0.05)
    try:
        yield True
    finally:
        release_lock(connection, name)
