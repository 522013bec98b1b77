"""Handle SIGTERM and Ctrl-C at safe points."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Stopped(BaseException):
    """The work was interrupted by a signal. Not an `Exception`, so that no library catches it."""


class Stop:
    """Whether this process was told to stop.

    Attributes
    ----------
    requested : int or None
        The signal, once there was one.
    """

    def __init__(self) -> None:
        self.requested: int | None = None
        self._may_interrupt = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take SIGTERM and SIGINT inside the block; afterwards they are as before. Only the main thread gets any."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before: dict[int, Any] = {
            number: signal.signal(number, self._handle) for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Let a signal interrupt the block by `Stopped`; elsewhere it only sets `requested`."""
        self._may_interrupt = True
        try:
            self.check()
            yield
        finally:
            self._may_interrupt = False

    def check(self) -> None:
        """Raise `Stopped` if a signal came, also one that a library swallowed."""
        if self.requested is not None:
            raise Stopped

    def wait(self, seconds: float) -> None:
        """Sleep, but not longer than until a signal comes."""
        deadline = time.monotonic() + seconds
        while self.requested is None and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, 0.2))

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.requested = number
        if self._may_interrupt:
            self._may_interrupt = False
            raise Stopped
