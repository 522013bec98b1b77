"""Progress of a long `make`.

`make_compute` gets only what `make_fetch` returned, so the listener is a context variable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

ProgressCallback = Callable[[int, int], None]

_listener: ContextVar[ProgressCallback | None] = ContextVar("listener", default=None)


@contextmanager
def listening_to_progress(callback: ProgressCallback) -> Iterator[None]:
    """Call `callback(done, total)` for the makes that run inside the block."""
    token = _listener.set(callback)
    try:
        yield
    finally:
        _listener.reset(token)


def report_progress(done: int, total: int) -> None:
    """Say that `done` of `total` steps (frames, epochs) of the running make are finished."""
    callback = _listener.get()
    if callback is not None:
        callback(done, total)
