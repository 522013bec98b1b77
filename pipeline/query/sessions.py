"""A session, and its tracks, by the name that people give it."""

from __future__ import annotations

from typing import Any

from compute.errors import SessionError
from ingest.named_by_paths import session_of_path
from ingest.session_names import parse_session_name
from pipeline.query.checks import QueryError
from pipeline.query.search import tracks
from pipeline.query.selection import TrackSelection
from pipeline.settings import Settings
from schemas.session import Session


def session_key(text: str, settings: Settings) -> dict[str, Any]:
    """Key of the session that a person named.

    Parameters
    ----------
    text : str
        Such as ``mouse01/2026-03-02_1``, or the path of the session's folder or of one of its videos.
    settings : Settings
        How the lab names its recordings.

    Raises
    ------
    SessionError
        If the text names no session, or there is no such session.
    """
    path = text.rstrip("/")
    name = parse_session_name(path) or session_of_path(settings.recording_layout, path)
    if name is None:
        raise SessionError(f"{text!r} names no session; expected <mouse>/<date>_<number>, such as mouse01/2026-03-02_1")
    if not Session & name.key:
        raise SessionError(f"no session {name} in the database; 'orofacial status' lists those there are")
    return name.key


def tracks_of_session(text: str, settings: Settings, *, filter: str = "raw", **question: Any) -> TrackSelection:
    """The tracks of one session, with one filter.

    Parameters
    ----------
    text : str
        Names the session, as of `session_key`.
    settings : Settings
        How the lab names its recordings.
    filter : str
        A row of `FilterMethod`.
    **question
        As of `pipeline.query.tracks`.

    Raises
    ------
    SessionError
        As `session_key`.
    QueryError
        As `pipeline.query.tracks`, and if no such tracks have been computed.
    """
    key = session_key(text, settings)
    day = {name: key[name] for name in ("session_date", "session_number")}
    selection = tracks(mouse=str(key["mouse_id"]), filter=filter, restriction=day, **question)
    if not selection.rows:
        raise QueryError(f"no tracks of {text} with filter {filter} have been computed; see 'orofacial status'")
    return selection
