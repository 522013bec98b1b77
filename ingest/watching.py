"""Take in sessions as they arrive."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from compute.errors import SessionError
from ingest.layout import SESSION_PATTERN
from ingest.sessions import Outcome, ingest

SCAN_EVERY_S = 60.0
_SHORTEST_WAIT_S = 1.0
_logger = logging.getLogger("orofacial")


def watch(
    raw_folder: Path,
    *,
    pattern: str = SESSION_PATTERN,
    stable_after_s: float = 10.0,
    marker: str = "",
    scan_every_s: float = SCAN_EVERY_S,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome]:
    """Ingest sessions below a folder as they are completed, for ever.

    The file system tells of changes on this machine; a scan from time to time finds what a network file system does not
    tell. Folders that wait to be complete are looked at again when they can be.

    Parameters
    ----------
    raw_folder : Path
        Where the sessions lie.
    pattern : str
        How session folders are named, see `ingest.layout.parse_name`.
    stable_after_s : float
        A session is complete when nothing of it has changed for so long (s) and its videos open to their ends.
    marker : str
        Name of a file that the rig writes last, such as ``done``: then a session is complete when it is there, and not
        before. Empty: there is none.
    scan_every_s : float
        Time between two scans without a change (s).
    stopped : callable
        Asked now and then whether to end.

    Yields
    ------
    Outcome
        Whatever is new about a folder: ingested, refused (once for each reason), waiting (once).

    Raises
    ------
    SessionError
        If `raw_folder` is no folder that can be read.
    """
    told: dict[Path, tuple[str, str]] = {}
    refused: dict[Path, float] = {}

    def is_refused_as_before(folder: Path) -> bool:
        """A bad video is not read again and again, but when something of its folder changed."""
        return folder in refused and refused[folder] == _last_change(folder)

    with _changes(raw_folder) as changed:
        while not stopped():
            changed.clear()
            waiting = False
            for outcome in ingest(
                raw_folder, pattern=pattern, stable_after_s=stable_after_s, marker=marker, skip=is_refused_as_before
            ):
                waiting |= outcome.status == "waiting"
                # How long ago it was written changes from pass to pass and is no news.
                news = (outcome.status, "" if outcome.status == "waiting" else outcome.message)
                if outcome.status == "refused":
                    refused[outcome.folder] = _last_change(outcome.folder)
                if outcome.status != "known" and told.get(outcome.folder) != news:
                    yield outcome
                told[outcome.folder] = news
                if stopped():
                    return
            pause_s = min(max(stable_after_s, _SHORTEST_WAIT_S), scan_every_s) if waiting else scan_every_s
            _wait(changed, pause_s, stopped)


def _last_change(folder: Path) -> float:
    """When something of a folder last changed; NaN, unequal to itself, where that cannot be read."""
    try:
        return max([folder.stat().st_mtime, *(entry.stat().st_mtime for entry in folder.iterdir())])
    except OSError:
        return math.nan


@contextmanager
def _changes(folder: Path) -> Iterator[threading.Event]:
    """An event that is set whenever something below the folder is written, made, moved or removed."""
    changed = threading.Event()

    class Handler(FileSystemEventHandler):
        def on_any_event(self, event: FileSystemEvent) -> None:
            if event.event_type in {"created", "modified", "moved", "deleted", "closed"}:
                changed.set()

    if not folder.is_dir():
        raise SessionError(f"{folder} is not a folder; give the folder that holds the sessions")
    observer = Observer()
    observer.schedule(Handler(), str(folder), recursive=True)
    try:
        observer.start()
    except OSError as error:  # such as more folders than inotify may watch
        _logger.warning("%s: changes are not told (%s); new sessions are found by the scans alone", folder, error)
        yield changed
        return
    try:
        yield changed
    finally:
        observer.stop()
        observer.join()


def _wait(changed: threading.Event, seconds: float, stopped: Callable[[], bool]) -> None:
    """Wait until something changed, but at least a moment: a video that is being written changes all the time."""
    deadline = time.monotonic() + seconds
    earliest = time.monotonic() + _SHORTEST_WAIT_S
    while not stopped() and (now := time.monotonic()) < deadline:
        if changed.is_set() and now >= earliest:
            return
        time.sleep(min(0.2, deadline - now))
