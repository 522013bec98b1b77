"""Bars on a terminal, plain lines elsewhere, for work that takes long."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_SECONDS_BETWEEN_LINES = 10.0


class ProgressBars:
    """Shows how far the tables are; a `pipeline.work.worker.WorkerListener`."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bars = (
            Progress(
                TextColumn("{task.description:<18}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=self._console,
            )
            if self._console.is_terminal
            else None
        )
        self._tasks: dict[str, int] = {}
        self._counts: dict[str, tuple[int, int]] = {}
        self._last_line = 0.0

    def started(self, table: str, n_jobs: int) -> None:
        """Add a bar or print a line; again, correct how many are left."""
        if table in self._counts:  # more came, or others took some
            finished, _ = self._counts[table]
            self._counts[table] = (finished, finished + n_jobs)
            if table in self._tasks:
                self._bars.update(self._tasks[table], total=finished + n_jobs)  # type: ignore[arg-type,union-attr]
            return
        self._counts[table] = (0, n_jobs)
        if self._bars is None:
            self._line(f"{table}: {n_jobs} to do")
        else:
            self._tasks[table] = self._bars.add_task(table, total=n_jobs)

    def step(self, table: str, done: int, total: int) -> None:
        """Move the bar of the running job, or print a line now and then."""
        finished, n_jobs = self._counts.get(table, (0, 1))
        if self._bars is None:
            if time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES:
                self._line(f"{table}: {finished} of {n_jobs} done, {done} of {total} in the next")
        elif table in self._tasks:
            self._bars.update(self._tasks[table], completed=finished + done / total)  # type: ignore[arg-type]

    def finished(self, table: str, n_done: int) -> None:
        """Count jobs as done."""
        if table not in self._counts:
            self.started(table, n_done)
        finished, n_jobs = self._counts[table]
        n_jobs = max(n_jobs, finished + n_done)
        self._counts[table] = (finished + n_done, n_jobs)
        if self._bars is None:
            if finished + n_done >= n_jobs or time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES:
                self._line(f"{table}: {finished + n_done} of {n_jobs} done")
        else:
            self._bars.update(self._tasks[table], completed=finished + n_done, total=n_jobs)  # type: ignore[arg-type]

    def _line(self, text: str) -> None:
        self._last_line = time.monotonic()
        print(text, file=sys.stderr, flush=True)

    @contextmanager
    def shown(self) -> Iterator[ProgressBars]:
        """Show the bars inside the block."""
        if self._bars is None:
            yield self
            return
        with self._bars:
            yield self
