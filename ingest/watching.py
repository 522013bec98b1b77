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
from ingest.session_folders import SESSION_PATTERN
from ingest.sessions import SessionOutcome, ingest_sessions

SCAN_EVERY_S = 60.0
_SHORTEST_WAIT_S = 1.0
_logger = logging.getLogger("orofacial")


def watch_raw_folder(
    raw_folder: Path,
    *,
    pattern: str = SESSION_PATTERN,
    stable_after_s: float = 10.0,
    marker: str = "",
    accept_damaged_videos: bool = False,
    scan_every_s: float = SCAN_EVERY_S,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[SessionOutcome]:
    """Ingest sessions below a folder as they are completed, without end.

    The file system reports changes of this machine; a periodic scan finds those that a network file system does not
    report. A folder that is not complete is checked again at the earliest time at which it can be complete.

    Parameters
    ----------
    raw_folder : Path
        Where the sessions lie.
    pattern : str
        How session folders are named, see `ingest.session_folders.parse_session_folder`.
    stable_after_s : float
        A session is complete when nothing of it has changed for so long (s) and its videos open to their ends.
    marker : str
        Name of a file that the rig writes last, such as ``done``: then a session is complete when it is there, and not
        before. Empty: there is none.
    accept_damaged_videos : bool
        As in `ingest.sessions.ingest_sessions`.
    scan_every_s : float
        Time between two scans without a change (s).
    stopped : callable
        Called regularly; returns whether to stop.

    Yields
    ------
    Outcome
        Each change of a folder's state: ingested, refused (once for each reason), waiting (once).

    Raises
    ------
    SessionError
        If `raw_folder` is not a readable folder.
    """
    told: dict[Path, tuple[str, str]] = {}
    refused: dict[Path, float] = {}

    def is_refused_as_before(folder: Path) -> bool:
        """A bad video is read again only when its folder changed."""
        return folder in refused and refused[folder] == _last_change(folder)

    with _changes(raw_folder) as changed:
        while not stopped():
            changed.clear()
            waiting = False
            for outcome in ingest_sessions(
                raw_folder,
                pattern=pattern,
                stable_after_s=stable_after_s,
                marker=marker,
                accept_damaged_videos=accept_damaged_videos,
                skip=is_refused_as_before,
            ):
                waiting |= outcome.status == "waiting"
                # The age in the message changes from pass to pass, which is no change of state.
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
    """Time of the last change in a folder; NaN, which is unequal to itself, where it cannot be read."""
    try:
        return max([folder.stat().st_mtime, *(entry.stat().st_mtime for entry in folder.iterdir())])
    except OSError:
        return math.nan


@contextmanager
def _changes(folder: Path) -> Iterator[threading.Event]:
    """An event that is set when a file below the folder is created, written, moved or removed."""
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
    """Wait for a change, with a minimum pause: a video that is being written changes all the time."""
    deadline = time.monotonic() + seconds
    earliest = time.monotonic() + _SHORTEST_WAIT_S
    while not stopped() and (now := time.monotonic()) < deadline:
        if changed.is_set() and now >= earliest:
            return
        time.sleep(min(0.2, deadline - now))
