"""Take in sessions as they arrive."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from compute.errors import SessionError
from ingest.found_sessions import FoundSession
from ingest.layout import Layout
from ingest.outcomes import SessionOutcome
from ingest.sessions import ingest_sessions

SCAN_EVERY_S = 60.0
_SHORTEST_WAIT_S = 1.0
_logger = logging.getLogger("orofacial")


def watch_raw_folder(
    raw_folder: Path,
    *,
    layout: Layout | None = None,
    stable_after_s: float = 10.0,
    marker: str = "",
    rig_time_zone: str = "",
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
    layout : Layout, optional
        How the sessions are named; without it, the default of `ingest.layout.Layout`.
    stable_after_s : float
        A session is complete when nothing of it has changed for so long (s) and its videos open to their ends.
    marker : str
        Name of a file that the rig writes last, such as ``done``: then a session is complete when it is there, and not
        before. Empty: there is none.
    rig_time_zone : str
        The rig's time zone, such as ``Europe/Berlin``; empty: this machine's.
    accept_damaged_videos : bool
        As in `ingest.sessions.ingest_sessions`.
    scan_every_s : float
        Time between two scans without a change (s).
    stopped : callable
        Called regularly; returns whether to stop.

    Yields
    ------
    Outcome
        Each change of a folder's state: ingested, corrected, refused (once for each reason), waiting (once).

    Raises
    ------
    SessionError
        If `raw_folder` is not a readable folder.
    """
    told: dict[tuple[Path, str, str], tuple[str, str]] = {}
    seen: dict[tuple[Path, str], FoundSession] = {}
    refused: dict[tuple[Path, str], object] = {}

    def is_refused_as_before(found: FoundSession) -> bool:
        """A bad video is read again only when a file of its session changed."""
        one = (found.folder, str(found.name))
        seen[one] = found
        return refused.get(one) is not None and refused[one] == found.state()

    with _changes(raw_folder) as changed:
        while not stopped():
            changed.clear()
            waiting = False
            for outcome in ingest_sessions(
                raw_folder,
                layout=layout,
                stable_after_s=stable_after_s,
                marker=marker,
                rig_time_zone=rig_time_zone,
                accept_damaged_videos=accept_damaged_videos,
                skip=is_refused_as_before,
            ):
                waiting |= outcome.status == "waiting"
                # The age in the message changes from pass to pass, which is no change of state.
                news = (outcome.status, "" if outcome.status == "waiting" else outcome.message)
                one = (outcome.folder, outcome.called or outcome.session)
                if outcome.status == "refused" and outcome.session:
                    refused[one] = seen[one].state()
                about = (*one, "" if outcome.session else outcome.message)
                if outcome.status != "known" and told.get(about) != news:
                    yield outcome
                told[about] = news
                if stopped():
                    return
            pause_s = min(max(stable_after_s, _SHORTEST_WAIT_S), scan_every_s) if waiting else scan_every_s
            _wait(changed, pause_s, stopped)


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
