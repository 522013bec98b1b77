"""What a layout makes of a raw folder, before anything is taken in: no video is opened, and no database is asked."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from compute.errors import SessionError
from compute.text import name_of_other_spelling
from ingest.found_sessions import FoundSession, number_sessions, one_video_per_camera, refuse_dead_links
from ingest.layout import Layout
from ingest.other_files import refuse_other_videos
from ingest.plausibility import check_plausible_date
from ingest.search import find_recordings
from ingest.session_names import check_name_fits, printable


@dataclass(frozen=True)
class LayoutReport:
    """What each file would become.

    Attributes
    ----------
    layout : str
    recordings : tuple of dict
        Of each video: its file, and what it would be: session, mouse, date, number, camera, part. A session whose
        number the path does not name has the one that it would get in an empty database.
    refused : tuple of dict
        Sessions that would be refused by their names alone, and why.
    fits_nothing : tuple of dict
        Files that are of no session, and why.
    left_out : tuple of dict
        Files that are no recordings, and by which pattern.
    """

    layout: str
    recordings: tuple[dict[str, object], ...]
    refused: tuple[dict[str, str], ...]
    fits_nothing: tuple[dict[str, str], ...]
    left_out: tuple[dict[str, str], ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        sessions = {recording["session"] for recording in self.recordings}
        return {
            "sessions": len(sessions),
            **{kind: len(getattr(self, kind)) for kind in ("recordings", "refused", "fits_nothing", "left_out")},
        }


def report_layout(raw_folder: Path, layout: Layout, cameras: Collection[str] = ()) -> LayoutReport:
    """Say what a layout makes of the files below a folder.

    Parameters
    ----------
    raw_folder : Path
        Where the recordings lie.
    layout : Layout
        How they may be named.
    cameras : collection of str
        Cameras of the lab, see `Layout.read`.

    Raises
    ------
    SessionError
        As `ingest.search.find_recordings`.
    """
    raw_folder = raw_folder.resolve()
    found = find_recordings(raw_folder, layout, cameras)
    sessions = number_sessions(found.sessions, lambda mouse_id, day: {})

    def below(path: Path) -> str:
        return printable(str(path)[len(str(raw_folder)) :].lstrip("/"))

    recordings: list[dict[str, object]] = [
        {
            "file": below(video.path),
            "session": printable(str(session.name)),
            "mouse": printable(session.mouse_id),
            "date": str(session.session_date),
            "number": session.session_number,
            "camera": printable(video.camera),
            "part": video.part,
        }
        for session in sessions
        for video in session.videos
    ]
    refused = [{"session": "", "reason": printable(str(error))} for error in found.unreadable]
    refused += [
        {"session": printable(str(session.name)), "reason": printable(reason)}
        for session, reason in _refusals(sessions)
    ]
    return LayoutReport(
        layout.text,
        tuple(recordings),
        tuple(refused),
        tuple({"file": below(path), "reason": printable(why)} for path, why in found.unfit),
        tuple({"file": below(path), "pattern": pattern} for path, pattern in found.left_out),
    )


def _refusals(sessions: Collection[FoundSession]) -> Iterator[tuple[FoundSession, str]]:
    """Sessions that an ingest would refuse by their names alone, and why."""
    places: dict[str, str] = {}
    mice: dict[str, str] = {}
    for session in sessions:
        other = places.setdefault(str(session.name), session.place)
        mouse = mice.setdefault(session.mouse_id.casefold(), session.mouse_id)
        try:
            check_name_fits(session.place, session.name)
            refuse_dead_links(session)
            check_plausible_date(session.place, session.session_date)
            taken = one_video_per_camera(session)
            refuse_other_videos(session.other_videos, taken, taken)
        except SessionError as error:
            yield session, str(error)
            continue
        if other != session.place:
            yield session, f"{session.place} and {other} would be the same session; name what tells them apart"
        elif name_of_other_spelling(session.mouse_id, [mouse]) is not None:
            yield session, f"{session.place}: the mice {mouse!r} and {session.mouse_id!r} differ only in case"
        elif not taken:
            yield session, f"{session.place} holds no video that can be taken"
