"""What one run of an ingest knows: the database and, in a dry run, what the sessions before would have inserted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from compute.errors import SessionError
from compute.text import name_of_other_spelling
from ingest.correction_history import NameHistory, value_text
from ingest.known_rows import compare_known_row
from ingest.new_videos import NewVideo
from ingest.plausibility import Span, check_plausible_birth
from ingest.session_folders import SessionFolderName, session_folder_videos
from ingest.session_start import session_span
from schemas.metadata import complete_metadata, known_metadata
from schemas.session import Camera, Session, Video
from schemas.subject import Mouse

Row = dict[str, Any]


@dataclass
class IngestRun:
    """Rows of the database, completed by those that a dry run did not insert; a real run adds none here."""

    mice: dict[str, Row] = field(default_factory=dict)
    """Rows of `Mouse` by name."""
    sessions: dict[str, tuple[Path, tuple[Row, ...]]] = field(default_factory=dict)
    """Folder, and rows of `Video`, by the session's name."""

    spans: dict[SessionFolderName, Span | None] = field(default_factory=dict)
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
    def renamed_folders(self) -> dict[str, SessionFolderName]:
        """The sessions by their folders; empty where no name was ever corrected."""
        if not self.names.corrections:
            return {}
        rows = Session.proj("session_folder").to_dicts()
        return {
            row["session_folder"]: SessionFolderName(**{column: row[column] for column in Session.primary_key})
            for row in rows
        }

    def name_in_lab(self, name: SessionFolderName, folder: Path) -> SessionFolderName:
        """What the lab calls the session in a folder: a person may have corrected its name since it was ingested.

        Parameters
        ----------
        name : SessionFolderName
            What the folder's name says.
        folder : Path
            The folder.
        """
        known = self.renamed_folders.get(str(folder))
        if known is None or known == name:
            return name
        sizes = {path.name: path.stat().st_size for path in session_folder_videos(folder).values()}
        rows = self.videos(known) or []
        is_there = any(sizes.get(Path(row["video_file"]).name) == row["file_size_bytes"] for row in rows)
        return known if is_there else name

    def mouse(self, mouse_id: str) -> Row | None:
        """The row of a mouse, or None."""
        if mouse_id in self.mice:
            return self.mice[mouse_id]
        return known_mouse(mouse_id)

    def refuse_other_spelling(self, folder: Path, mouse_id: str) -> None:
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
                f"{folder}: mouse {mouse_id!a} differs from the known mouse {other!a} only in upper and lower case, or"
                f" in how its letters are encoded; expected one name for a mouse. Rename the mouse's folder to {other};"
                " or, if it is another mouse, give it another name"
            )
        self.told_apart.add(mouse_id)

    def videos(self, name: SessionFolderName) -> list[Row] | None:
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

    def folders(self, mouse_id: str) -> list[Path]:
        """Folders of the sessions of a mouse that are not in the database."""
        return [folder for folder, rows in self.sessions.values() if rows[0]["mouse_id"] == mouse_id]

    def other_spans(self, name: SessionFolderName) -> dict[SessionFolderName, Span]:
        """When the mouse's other sessions around this one's day were recorded, as far as it is known."""
        days = [str(name.session_date + timedelta(days=n)) for n in (-1, 0, 1)]
        near = Session & {"mouse_id": name.mouse_id} & [{"session_date": day} for day in days]
        found = {}
        for row in near.to_dicts():
            other = SessionFolderName(**{column: row[column] for column in Session.primary_key})
            if other != name and row["session_start"] is not None:
                found[other] = session_span(row, known_lengths_s(other))
        planned = {other: span for other, span in self.spans.items() if other.mouse_id == name.mouse_id}
        return {other: span for other, span in (found | planned).items() if span is not None}

    def plan(
        self, name: SessionFolderName, folder: Path, mouse: Row, videos: tuple[NewVideo, ...], span: Span | None
    ) -> None:
        """Keep what a dry run would have inserted.

        Raises
        ------
        SessionError
            As `completed_mouse`.
        """
        self.mice[name.mouse_id] = completed_mouse(self.mouse(name.mouse_id), name, mouse, folder)
        self.spans[name] = span
        self.sessions[str(name)] = (folder, tuple({**name.key, **video.row()} for video in videos))

    def plan_correction(self, mouse_id: str, changed: Row) -> None:
        """Keep what a dry run would have corrected of a mouse."""
        self.mice[mouse_id] = {**(self.mouse(mouse_id) or {}), **changed}


def known_lengths_s(name: SessionFolderName) -> list[float]:
    """How long (s) each video of a session of the database is, from its first frame to its last."""
    times = [Video.frame_times(video) for video in (Video & name.key).to_dicts()]
    return [float(one[-1] - one[0]) for one in times]


def known_mouse(mouse_id: str) -> Row | None:
    """The row of a mouse in the database, or None."""
    return next(iter((Mouse & {"mouse_id": mouse_id}).to_dicts()), None)


def completed_mouse(row: Row | None, name: SessionFolderName, said: Row, folder: Path) -> Row:
    """The row of a mouse with what a session says of it.

    Parameters
    ----------
    row : dict or None
        What is known; None: nothing.
    name : SessionFolderName
        The session.
    said : dict
        By column of `Mouse`.
    folder : Path
        Of the session.

    Raises
    ------
    SessionError
        If something else is known, or the mouse was not born when the session was recorded.
    """
    if row is None:
        return {"mouse_id": name.mouse_id, **complete_metadata(Mouse.metadata, said)}
    told = str(folder / "session.toml")
    compared = compare_known_row(dict.fromkeys(said) | known_metadata(Mouse.metadata, row), said)
    right = " ".join(f"{column}={value_text(said[column])}" for column in compared.contradictions)
    advice = f"Correct the one that is wrong: this file; or what is known: orofacial mice set {name.mouse_id} {right}"
    compared.refuse(f"{told}: mouse {name.mouse_id}", SessionError, advice)
    if row["date_of_birth"] is not None:
        check_plausible_birth(told, name.mouse_id, row["date_of_birth"], name.session_date)
    return {**row, **compared.added}
