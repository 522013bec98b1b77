"""One transaction for several inserts, also where one has begun already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def in_transaction(connection: Any) -> Iterator[None]:
    """All or nothing, also inside a transaction that has begun."""
    if connection.in_transaction:
        yield
    else:
        with connection.transaction:
            yield
