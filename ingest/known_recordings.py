"""What is known already under another name or in another folder: a copy, or a session that was renamed or moved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from compute.errors import SessionError
from compute.text import session_text
from ingest.found_sessions import FoundSession
from ingest.session_names import SessionName


def refuse_known_recordings(
    name: SessionName,
    videos: Iterable[tuple[Path, str]],
    videos_of_content: Callable[[str], list[dict[str, Any]]],
) -> None:
    """Refuse a session of which a video is known as another session's, or is there twice.

    Parameters
    ----------
    name : SessionName
        The session.
    videos : iterable of (Path, str)
        Its videos, with the hash of their contents.
    videos_of_content : callable
        Key and file of the known videos with a hash.

    Raises
    ------
    SessionError
        If there is one.
    """
    seen: dict[str, Path] = {}
    for path, content_hash in videos:
        # Another process may be inserting this same session at this moment.
        known = [
            row
            for row in videos_of_content(content_hash)
            if any(row[column] != name.key[column] for column in name.key)
        ]
        if known:
            _refuse_known(path, name, known[0])
        if content_hash in seen:
            raise SessionError(
                f"{path} has the same content as {seen[content_hash]}; one recording cannot be two videos."
                " Look at both, and give each camera its own recording"
            )
        seen[content_hash] = path


def refuse_copied_session(session: FoundSession, videos: Iterable[Mapping[str, Any]]) -> None:
    """Refuse files that are called as a known session and are not its files: what they say is not of that session.

    Parameters
    ----------
    session : FoundSession
        The files.
    videos : iterable of mapping
        The known videos of the session of this name, with `video_file`.

    Raises
    ------
    SessionError
        If the session's own videos are still where they were. Otherwise they were moved here.
    """
    if session.stem:
        here = [video.path for video in session.videos]
    else:
        here = list(dict.fromkeys([session.folder, *(video.path.parent for video in session.videos)]))
    for row in videos:
        path = Path(row["video_file"])
        original = path if session.stem else path.parent
        if original not in here and _is_there(path) and not any(original.samefile(one) for one in here if one.exists()):
            raise SessionError(
                f"{session.place} is called session {session.name}, and so is {original}, which was ingested and is"
                " still there; expected one place of a session. Nothing was read from the first. If it is a copy, move"
                " it out of the sessions' folder; if it is another session, give it a number of its own, or name in the"
                " layout what tells the two apart ({number} or {time})"
            )


def _refuse_known(path: Path, name: SessionName, row: dict[str, Any]) -> None:
    session, original = session_text(row), Path(row["video_file"])
    if not _is_there(original):
        raise SessionError(
            f"{path} is the recording that is known as {original} of session {session}, and no file is there any more:"
            f" it looks renamed or moved. Nothing was changed, and {path} may be the only one. Put it back under its"
            f" old name {original}, or mount the disk where that is"
        )
    raise SessionError(
        f"{path} is a copy of {original}, which is known already as session {session}; one recording cannot be two"
        f" videos. Compare the two before anything is removed (cmp '{path}' '{original}'): if they are the same, keep"
        f" the known one where it is and move the other out of the sessions' folder; if not, give {name} its own"
        " recording"
    )


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # such as a folder that may not be read: it is there
        return True
