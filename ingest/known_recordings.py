"""What is known already under another name or in another folder: a copy, or a session that was renamed or moved."""

from __future__ import annotations

import shlex
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
        if original not in here and is_recording_there(row) and not any(is_same_file(original, one) for one in here):
            raise SessionError(
                f"{session.place} is called session {session.name}, and so is {original}, which was ingested and is"
                " still there; expected one place of a session. Nothing was read from the first. If it is a copy, move"
                " it out of the sessions' folder; if it is another session, give it a number of its own, or name in the"
                " layout what tells the two apart ({number} or {time})"
            )


def _refuse_known(path: Path, name: SessionName, row: dict[str, Any]) -> None:
    session, original = session_text(row), Path(row["video_file"])
    if not is_there(original):
        raise SessionError(
            f"{path} is the recording that is known as {original} of session {session}, and no file is there any more:"
            f" it looks renamed or moved. Nothing was changed, and {path} may be the only one. If its new name is"
            f" right, correct the lab's, then ingest again: {_rename_command(row, name)}. If not, put it back under"
            f" its old name {original}, or mount the disk where that is"
        )
    compare = shlex.join(["cmp", str(path), str(original)])
    raise SessionError(
        f"{path} is a copy of {original}, which is known already as session {session}; one recording cannot be two"
        f" videos. Compare the two before anything is removed ({compare}): if they are the same, keep"
        f" the known one where it is and move the other out of the sessions' folder; if not, give {name} its own"
        " recording"
    )


def _rename_command(row: Mapping[str, Any], name: SessionName) -> str:
    """The commands that give a known session the name that its files have."""
    move = f"orofacial sessions move {session_text(row)} {name}"
    if row["mouse_id"] == name.mouse_id:
        return move
    return f"orofacial mice rename {row['mouse_id']} {name.mouse_id} (of all of its sessions), or {move} (of this one)"


def is_recording_there(row: Mapping[str, Any]) -> bool:
    """Whether a video is where its row says, and not another one that took its place.

    Parameters
    ----------
    row : mapping
        With `video_file` and `file_size_bytes`.
    """
    path = Path(row["video_file"])
    try:
        return path.exists() and path.stat().st_size == row["file_size_bytes"]
    except OSError:
        return True


def is_same_file(path: Path, other: Path) -> bool:
    """Whether two paths lead to one file or folder that is there, or are the same."""
    try:
        return path == other or path.samefile(other)
    except OSError:
        return False


def is_there(path: Path) -> bool:
    """Whether a file is there; one in a folder that may not be read is."""
    try:
        return path.exists()
    except OSError:
        return True
