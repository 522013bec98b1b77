"""What a person names to be moved: a session, or the video of one camera of it."""

from __future__ import annotations

from typing import Any

from compute.errors import SessionError
from ingest.session_names import SessionName, parse_session_name
from pipeline.query.sessions import session_key
from pipeline.settings import Settings


def parse_move(
    before: str, after: str, settings: Settings
) -> tuple[dict[str, Any], SessionName, tuple[str, str] | None]:
    """The session that is there, its new name, and the cameras before and after if it is a video that is named.

    Parameters
    ----------
    before, after : str
        Such as ``mouse01/2026-03-02_1``; with a camera behind it, ``mouse01/2026-03-02_1/side``.
    settings : Settings
        How the lab names its folders.

    Raises
    ------
    SessionError
        If they name no session, there is none of the first name, or one names a camera and the other does not.
    """
    (session, camera), (new_session, new_camera) = _parts(before), _parts(after)
    if (camera is None) != (new_camera is None):
        raise SessionError(f"{before} and {after} are a session and a video; expected two of one kind")
    name = parse_session_name(new_session)
    if name is None:
        raise SessionError(
            f"{after!r} names no session; expected <mouse>/<date>_<number>, such as mouse01/2026-03-02_1"
        )
    key = session_key(session, settings)
    if camera is None or new_camera is None:
        return key, name, None
    if name.key != key:
        raise SessionError(
            f"{before} and {after} are of two sessions; expected two cameras of one: a session is kept whole. Move the"
            f" session, or take it out (orofacial delete session {session}) and ingest two folders"
        )
    return key, name, (camera, new_camera)


def _parts(text: str) -> tuple[str, str | None]:
    """A session and a camera, if it has one."""
    text = text.rstrip("/")
    session, _, camera = text.rpartition("/")
    if parse_session_name(text) is None and session and parse_session_name(session) is not None:
        return session, camera
    return text, None
