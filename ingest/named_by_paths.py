"""What a path names: mouse and session, by the names that they have now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from compute.errors import SessionError
from ingest.correction_history import NameHistory
from ingest.ingest_run import known_times
from ingest.layout import Layout, Reading, UnreadablePathError
from ingest.session_names import SessionName


@dataclass(frozen=True)
class NamedByPath:
    """What a path names.

    Attributes
    ----------
    mouse_id : str
    session : SessionName or None
        None: its time is not that of a known session.
    camera : str
        Empty for the path of a session's folder.
    """

    mouse_id: str
    session: SessionName | None
    camera: str


def named_by_path(reading: Reading, layout: Layout, names: NameHistory) -> NamedByPath:
    """What was read from a path, by the names of now. Files of a session that was renamed have its old name.

    Parameters
    ----------
    reading : Reading
        What the layout reads from it.
    layout : Layout
        How the lab's recordings lie.
    names : NameHistory
        Names that were corrected.
    """
    if reading.number is not None or reading.time is None:
        name = SessionName(reading.mouse_id, reading.session_date, reading.number or 1)
        session: SessionName | None = names.session_now(name)
    else:
        session = next(_sessions_of_time(reading, layout, names), None)
    mouse = names.mouse_now(reading.mouse_id) if session is None else session.mouse_id
    return NamedByPath(mouse, session, reading.camera)


def _sessions_of_time(reading: Reading, layout: Layout, names: NameHistory) -> Iterator[SessionName]:
    """Known sessions that began at the time that a path names, the mouse's own first."""
    mouse, day = names.mouse_now(reading.mouse_id), reading.session_date
    for number, at in known_times(layout, mouse, day).items():
        if at == reading.time:
            yield SessionName(mouse, day, number)
    for one in names.moved_sessions(reading.mouse_id, day):
        if known_times(layout, one.mouse_id, one.session_date).get(one.session_number) == reading.time:
            yield one


def session_of_path(layout: Layout, path: str) -> SessionName | None:
    """The session that the path of its folder or of one of its videos names; None if it names none that is known.

    Raises
    ------
    SessionError
        If it can be read in two ways, or its date does not exist.
    """
    try:
        reading = layout.read_folder(path) or layout.read(path)
    except UnreadablePathError as error:
        raise SessionError(f"{path}: {error}") from error
    return None if reading is None else named_by_path(reading, layout, NameHistory.fetch()).session
