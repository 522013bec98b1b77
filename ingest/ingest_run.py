"""What one run of an ingest knows: the database and, in a dry run, what the sessions before would have inserted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from compute.errors import SessionError
from compute.text import name_of_other_spelling
from ingest.correction_history import NameHistory, value_text
from ingest.found_sessions import FoundSession, session_file_path
from ingest.known_recordings import is_same_file
from ingest.known_rows import compare_known_row
from ingest.layout import Layout, UnreadablePathError
from ingest.new_videos import NewVideo
from ingest.plausibility import Span, check_plausible_birth
from ingest.session_names import SessionName
from ingest.session_start import session_span
from schemas.metadata import complete_metadata, known_metadata
from schemas.session import Camera, Session, Video
from schemas.subject import Mouse

Row = dict[str, Any]


@dataclass
class IngestRun:
    """Rows of the database, completed by those that a dry run did not insert; a real run adds none here."""

    layout: Layout = field(default_factory=Layout)
    """How the lab's recordings lie."""
    mice: dict[str, Row] = field(default_factory=dict)
    """Rows of `Mouse` by name."""
    sessions: dict[str, tuple[Path, tuple[Row, ...]]] = field(default_factory=dict)
    """Its session.toml, and rows of `Video`, by the session's name."""

    spans: dict[SessionName, Span | None] = field(default_factory=dict)
    """When each of these sessions was recorded; None: not known."""
    told_apart: set[str] = field(default_factory=set)
    """Names of mice that no other mouse's name is taken for: looked up once for each."""

    @cached_property
    def cameras(self) -> list[str]:
        """The lab's cameras, as they were when first asked for."""
        return [str(camera) for camera in Camera.to_arrays("camera")]

    @cached_property
    def names(self) -> NameHistory:
        """Names that were corrected."""
        return NameHistory.fetch()

    @cached_property
    def _recordings(self) -> dict[tuple[str, int], list[tuple[Path, SessionName]]]:
        """The sessions of videos by name and size of their files, with the path; empty where no name was corrected."""
        found: dict[tuple[str, int], list[tuple[Path, SessionName]]] = {}
        for row in Video.proj("video_file", "file_size_bytes").to_dicts() if self.names.corrections else ():
            path = Path(row["video_file"])
            found.setdefault((path.name, row["file_size_bytes"]), []).append((path, SessionName.of(row)))
        return found

    def in_lab(self, found: FoundSession) -> FoundSession:
        """A session as the lab calls it: a person may have corrected its name since it was ingested.

        Parameters
        ----------
        found : FoundSession
            As its files name it.
        """
        for video in found.videos:
            if not self._recordings or not video.path.exists():
                continue
            for path, name in self._recordings.get((video.path.name, video.path.stat().st_size), ()):
                if is_same_file(video.path, path):
                    return found.renamed(name)
        return found

    def mouse(self, mouse_id: str) -> Row | None:
        """The row of a mouse, or None."""
        if mouse_id in self.mice:
            return self.mice[mouse_id]
        return known_mouse(mouse_id)

    def refuse_other_spelling(self, where: str, mouse_id: str) -> None:
        """Refuse the name of a mouse that is another's but for case or encoding: its tracks would be of two mice.

        Raises
        ------
        SessionError
            If there is such a mouse, and none of this name.
        """
        if mouse_id in self.told_apart:
            return
        known = {*self.mice, *Mouse.to_arrays("mouse_id")}
        if (other := name_of_other_spelling(mouse_id, known)) is not None:
            raise SessionError(
                f"{where}: mouse {mouse_id!a} differs from the known mouse {other!a} only in upper and lower case, or"
                f" in how its letters are encoded; expected one name for a mouse. Rename the mouse's files to {other};"
                " or, if it is another mouse, give it another name"
            )
        self.told_apart.add(mouse_id)

    def videos(self, name: SessionName) -> list[Row] | None:
        """Rows of the videos of a session, or None if there is no such session.

        Those of the database have `ingested_unix_s` too, when the session was ingested (s, since 1970).
        """
        if str(name) in self.sessions:
            return list(self.sessions[str(name)][1])
        if not Session & name.key:
            return None
        videos = Video.proj("file_size_bytes", "video_file", "times_from", "content_hash")
        is_postgresql = Session.connection.adapter.backend == "postgresql"
        # A time of the database's clock, which it gives in the connection's time zone.
        instant = (
            "extract(epoch FROM CAST(ingested_at AS timestamptz))" if is_postgresql else "unix_timestamp(ingested_at)"
        )
        rows: list[Row] = (videos * Session.proj(ingested_unix_s=instant) & name.key).to_dicts()
        return rows

    def videos_of_content(self, content_hash: str) -> list[Row]:
        """Key and file of the videos with this content."""
        planned = [row for _, rows in self.sessions.values() for row in rows if row["content_hash"] == content_hash]
        rows: list[Row] = (Video & {"content_hash": content_hash}).proj("video_file").to_dicts()
        return [*rows, *planned]

    def other_session_files(self, name: SessionName) -> list[Path]:
        """Where the session.toml of each other session of the mouse lies, if it has one."""
        files = [path for path, rows in self.sessions.values() if rows[0]["mouse_id"] == name.mouse_id]
        of_mouse = {"mouse_id": name.mouse_id}
        videos = {
            SessionName.of(row): Path(row["video_file"]) for row in (Video & of_mouse).proj("video_file").to_dicts()
        }
        for row in (Session & of_mouse).proj("session_folder").to_dicts():
            other, folder = SessionName.of(row), Path(row["session_folder"])
            if other == name:
                continue
            # A list names its files after sessions, by the names that these had when they were recorded.
            places = [
                session_file_path(self.layout, one, folder, videos.get(other)) for one in self.names.names_ever(other)
            ]
            files.append(next((path for path in places if path.exists()), places[0]))
        return files

    def known_times(self, mouse_id: str, day: date) -> dict[int, time | None]:
        """Time of day of each known session of a mouse's day by its number, as the paths of its videos say it."""
        return known_times(self.layout, mouse_id, day)

    def other_spans(self, name: SessionName) -> dict[SessionName, Span]:
        """When the mouse's other sessions around this one's day were recorded, as far as it is known."""
        days = [str(name.session_date + timedelta(days=n)) for n in (-1, 0, 1)]
        near = Session & {"mouse_id": name.mouse_id} & [{"session_date": day} for day in days]
        found = {}
        for row in near.to_dicts():
            other = SessionName.of(row)
            if other != name and row["session_start"] is not None:
                found[other] = session_span(row, known_lengths_s(other))
        planned = {other: span for other, span in self.spans.items() if other.mouse_id == name.mouse_id}
        return {other: span for other, span in (found | planned).items() if span is not None}

    def plan(
        self, name: SessionName, session_file: Path, mouse: Row, videos: tuple[NewVideo, ...], span: Span | None
    ) -> None:
        """Keep what a dry run would have inserted.

        Raises
        ------
        SessionError
            As `completed_mouse`.
        """
        self.mice[name.mouse_id] = completed_mouse(self.mouse(name.mouse_id), name, mouse, session_file)
        self.spans[name] = span
        self.sessions[str(name)] = (session_file, tuple({**name.key, **video.row()} for video in videos))

    def plan_correction(self, mouse_id: str, changed: Row) -> None:
        """Keep what a dry run would have corrected of a mouse."""
        self.mice[mouse_id] = {**(self.mouse(mouse_id) or {}), **changed}


def known_times(layout: Layout, mouse_id: str, day: date) -> dict[int, time | None]:
    """Time of day of each session of the database of a mouse's day by its number, as its videos' paths say it."""
    times: dict[int, time | None] = {}
    for row in (Video & {"mouse_id": mouse_id, "session_date": day}).proj("video_file").to_dicts():
        try:
            reading = layout.read(row["video_file"])
        except UnreadablePathError:
            reading = None
        times[int(row["session_number"])] = None if reading is None else reading.time
    return times


def known_lengths_s(name: SessionName) -> list[float]:
    """How long (s) each video of a session of the database is, from its first frame to its last."""
    times = [Video.frame_times(video) for video in (Video & name.key).to_dicts()]
    return [float(one[-1] - one[0]) for one in times]


def known_mouse(mouse_id: str) -> Row | None:
    """The row of a mouse in the database, or None."""
    return next(iter((Mouse & {"mouse_id": mouse_id}).to_dicts()), None)


def completed_mouse(row: Row | None, name: SessionName, said: Row, session_file: Path) -> Row:
    """The row of a mouse with what a session says of it.

    Parameters
    ----------
    row : dict or None
        What is known; None: nothing.
    name : SessionName
        The session.
    said : dict
        By column of `Mouse`.
    session_file : Path
        The session.toml that says it.

    Raises
    ------
    SessionError
        If something else is known, or the mouse was not born when the session was recorded.
    """
    if row is None:
        return {"mouse_id": name.mouse_id, **complete_metadata(Mouse.metadata, said)}
    told = str(session_file)
    compared = compare_known_row(dict.fromkeys(said) | known_metadata(Mouse.metadata, row), said)
    right = " ".join(f"{column}={value_text(said[column])}" for column in compared.contradictions)
    advice = f"Correct the one that is wrong: this file; or what is known: orofacial mice set {name.mouse_id} {right}"
    compared.refuse(f"{told}: mouse {name.mouse_id}", SessionError, advice)
    if row["date_of_birth"] is not None:
        check_plausible_birth(told, name.mouse_id, row["date_of_birth"], name.session_date)
    return {**row, **compared.added}
