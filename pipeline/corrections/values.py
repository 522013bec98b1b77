"""Correct what is known of a mouse, a session or a video, by a person's command; and show what is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import datajoint as dj

from compute.errors import SessionError
from compute.text import session_text
from ingest.correction_history import corrections_locked, mouse_history, session_history
from ingest.corrections import Corrections, insert_corrections, mouse_corrections, session_corrections
from ingest.rig_time import rig_time_zone_of
from ingest.session_files import parse_values
from pipeline.corrections.checks import check_mouse
from pipeline.settings import Settings
from schemas.metadata import known_metadata
from schemas.session import Session, Video
from schemas.subject import Mouse
from schemas.track import FilteredTrack

Row = dict[str, Any]


def set_mouse(mouse: str, said: Mapping[str, str], *, reason: str = "", dry_run: bool = False) -> str:
    """Correct what is known of a mouse.

    Parameters
    ----------
    mouse : str
        A row of `Mouse`.
    said : mapping of str to str
        Texts by column; an empty one: it is not known.
    reason : str
        Why; kept in `Correction`.
    dry_run : bool
        Check and say everything, change nothing.

    Returns
    -------
    str
        What was corrected, for people; empty if that is known already.

    Raises
    ------
    CorrectionError, SessionError
        If there is no such mouse, or a value cannot be. Nothing is changed then.
    """
    with corrections_locked():
        check_mouse(mouse)
        told = f"mouse {mouse}"
        return _take_in(mouse_corrections(mouse, told, parse_values(told, said, of_mouse=True).mouse), reason, dry_run)


def set_session(
    key: Row, said: Mapping[str, str], settings: Settings, *, reason: str = "", dry_run: bool = False
) -> str:
    """Correct what is known of a session and its videos. After a new scale, what was measured in mm is computed anew.

    Parameters
    ----------
    key : dict
        Primary key of a row of `Session`.
    said : mapping of str to str
        Texts by place in session.toml, such as ``rig`` or ``px_per_mm.side``; an empty one: it is not known.
    settings : Settings
        With the rig's time zone.
    reason, dry_run
        As of `set_mouse`.

    Raises
    ------
    SessionError
        If a value cannot be, or contradicts what else is known. Nothing is changed then.
    """
    with corrections_locked():
        told = f"session {session_text(key)}"
        values = parse_values(told, said, of_mouse=False)
        return _take_in(session_corrections(key, told, values, _zone(settings)), reason, dry_run)


def _zone(settings: Settings) -> Any:
    return rig_time_zone_of(settings.rig_time_zone)


def _take_in(corrections: Corrections, reason: str, dry_run: bool) -> str:
    if dry_run or not corrections.lines():
        return corrections.describe()
    return insert_corrections(corrections, reason=reason)


def listed_mice() -> list[Row]:
    """Every mouse: what is known of it, and how many sessions it has, from when to when."""
    counts = dj.U("mouse_id").aggr(
        Session.proj(), n_sessions="count(*)", first_session="min(session_date)", last_session="max(session_date)"
    )
    of_sessions = {row["mouse_id"]: row for row in counts.to_dicts()}
    none = {"n_sessions": 0, "first_session": None, "last_session": None}
    return [{**row, **none, **of_sessions.get(row["mouse_id"], {})} for row in Mouse.to_dicts(order_by="mouse_id")]


def listed_sessions(mouse: str | None = None) -> list[Row]:
    """Every session, of one mouse or of all: name, cameras, and what is known of it."""
    if mouse is not None:
        check_mouse(mouse)
    key = {} if mouse is None else {"mouse_id": mouse}
    cameras: dict[str, list[str]] = {}
    for row in (Video & key).keys(order_by="camera"):
        cameras.setdefault(session_text(row), []).append(str(row["camera"]))
    names = [column.name for column in Session.metadata]
    rows = (Session & key).to_dicts(order_by="mouse_id, session_date, session_number")
    return [
        {
            "session": session_text(row),
            "cameras": cameras.get(session_text(row), []),
            **{name: row[name] for name in (*names, "session_folder")},
        }
        for row in rows
    ]


def described_session(key: Row) -> Row:
    """What the lab knows of one session: it, its mouse and videos, the number of tracks, and what was corrected."""
    row = (Session & key).fetch1()
    names = ("video_file", "content_hash", "n_frames", *(column.name for column in Video.metadata))
    videos = (Video & key).proj(*names).to_dicts(order_by="camera")
    return {
        "session": session_text(row),
        "session_folder": row["session_folder"],
        "ingested_at": row["ingested_at"],
        "recording": known_metadata(Session.metadata, row),
        "mouse": known_metadata(Mouse.metadata, (Mouse & key).fetch1()),
        "videos": [{name: video[name] for name in ("camera", *names)} for video in videos],
        "n_tracks": len(FilteredTrack & key),
        "corrections": session_history(key),
    }


def described_mouse(mouse: str) -> Row:
    """What the lab knows of one mouse, and what was corrected of it."""
    check_mouse(mouse)
    (row,) = [row for row in listed_mice() if row["mouse_id"] == mouse]
    return {**row, "corrections": mouse_history(mouse)}


def parse_assignments(assignments: tuple[str, ...]) -> dict[str, str]:
    """Texts by name, from words such as ``rig=left``.

    Raises
    ------
    SessionError
        If a word is none of these, or a name is given twice.

    Examples
    --------
    >>> parse_assignments(("rig=rig 2", "notes="))
    {'rig': 'rig 2', 'notes': ''}
    """
    said: dict[str, str] = {}
    for word in assignments:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise SessionError(f"{word!r} says nothing; expected NAME=VALUE, such as rig=left; NAME= forgets a value")
        if name in said:
            raise SessionError(f"{name} is given twice; expected one value")
        said[name] = value
    return said
