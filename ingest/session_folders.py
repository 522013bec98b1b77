"""Find session folders and read their names."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from compute.errors import SessionError
from compute.files import VIDEO_SUFFIXES
from ingest.other_files import camera_of_other_video, is_drawn_by_deeplabcut, refuse_dead_link

SESSION_PATTERN = "{mouse}/{date}_{number}"

_LONGEST_MOUSE, _LARGEST_NUMBER = 64, 2**15 - 1
"""Of the columns `mouse_id` and `session_number`."""

_FIELDS = {"mouse": r"(?P<mouse>[^/]+)", "date": r"(?P<date>\d{4}-\d{2}-\d{2})", "number": r"(?P<number>\d+)"}


class ImpossibleDateError(SessionError):
    """A path that fits the pattern, but whose date does not exist."""


@dataclass(frozen=True)
class SessionFolderName:
    """Mouse, date and number, read from the path of a session's folder."""

    mouse_id: str
    session_date: date
    session_number: int

    @property
    def key(self) -> dict[str, object]:
        """Primary key of the session."""
        return {
            "mouse_id": self.mouse_id,
            "session_date": self.session_date,
            "session_number": self.session_number,
        }

    def __str__(self) -> str:
        return f"{self.mouse_id}/{self.session_date}_{self.session_number}"


def parse_session_folder(path: str, pattern: str = SESSION_PATTERN) -> SessionFolderName | None:
    """Read mouse, date and number from the end of a path, or return None if it does not fit.

    Parameters
    ----------
    path : str
        Path of a session's folder, with slashes.
    pattern : str
        Text with ``{mouse}``, ``{date}`` (YYYY-MM-DD) and ``{number}``, each once.

    Raises
    ------
    SessionError
        If the pattern lacks one of the three.
    ImpossibleDateError
        If the path fits, but its date does not exist.

    Examples
    --------
    >>> print(parse_session_folder("raw/mouse01/2026-03-02_1"))
    mouse01/2026-03-02_1
    >>> parse_session_folder("raw/mouse01/yesterday") is None
    True
    """
    if any(pattern.count("{" + name + "}") != 1 for name in _FIELDS):
        raise SessionError(f"the session pattern is {pattern!r}; it must hold {{mouse}}, {{date}} and {{number}} once")
    parts = re.split(rf"\{{({'|'.join(_FIELDS)})\}}", pattern)
    expression = "".join(_FIELDS[part] if part in _FIELDS else re.escape(part) for part in parts)
    match = re.search(rf"(?:^|/){expression}$", path)
    if match is None:
        return None
    try:
        return SessionFolderName(match["mouse"], date.fromisoformat(match["date"]), int(match["number"]))
    except ValueError as error:  # such as the 31st of February
        raise ImpossibleDateError(
            f"{path}: {match['date']} is no date of the calendar ({error}); expected YYYY-MM-DD, such as 2026-03-02."
            " Correct the name"
        ) from error


def check_name_fits(folder: Path, name: SessionFolderName) -> None:
    """Refuse a folder's name that no database holds.

    Raises
    ------
    SessionError
        If the mouse's name or the number is too large, or the path is not in UTF-8.
    """
    if folder.as_posix() != printable(folder.as_posix()):
        raise SessionError(
            f"{folder} has a name that is not in UTF-8; expected letters that every computer reads the same."
            " Rename the folder (such as ö to oe), then ingest again"
        )
    if len(name.mouse_id) > _LONGEST_MOUSE:
        raise SessionError(
            f"{folder}: the mouse's name is too long ({len(name.mouse_id)} characters); expected at most"
            f" {_LONGEST_MOUSE}. Rename the mouse's folder, then ingest again"
        )
    if name.session_number > _LARGEST_NUMBER:
        raise SessionError(
            f"{folder}: the session's number is too large ({name.session_number}); expected at most"
            f" {_LARGEST_NUMBER}, as it counts the sessions of a day. Rename the folder, then ingest again"
        )


def printable(text: str) -> str:
    """A text with paths for people: bytes of a name that are not UTF-8 become their codes, which can be printed."""
    return text.encode("utf-8", "backslashreplace").decode()


def find_session_folders(raw_folder: Path) -> Iterator[Path | SessionError]:
    """Every folder below `raw_folder` that holds a video or a session.toml, in the order of their names.

    A folder that cannot be read is yielded as a `SessionError`; the others follow. Hidden folders are skipped.

    Raises
    ------
    SessionError
        If `raw_folder` is not a readable folder.
    """
    if not raw_folder.is_dir():
        raise SessionError(f"{raw_folder} is not a folder; give the folder that holds the sessions")
    if not os.access(raw_folder, os.R_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise SessionError(f"{raw_folder} cannot be read: permission denied; ask its owner for read access")
    yield from _walk(raw_folder)


def _walk(folder: Path) -> Iterator[Path | SessionError]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        folders = [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    except OSError as error:
        yield SessionError(f"{folder} cannot be read: {error.strerror}; ask its owner for read access")
        return
    if any(_is_of_session(entry) for entry in entries):
        yield folder
    for entry in folders:
        yield from _walk(Path(entry.path))


def _is_of_session(entry: os.DirEntry[str]) -> bool:
    """Whether it makes its folder a session's; so does a video that cannot be taken, for that is to be said."""
    path = Path(entry.name)
    is_other = camera_of_other_video(path, needs_video_suffix=True) is not None and not entry.is_dir()
    return is_video_file(path) or path.name == "session.toml" or is_other


def is_video_file(path: Path) -> bool:
    """Whether the name is a video's: a known suffix, not hidden, not drawn by DeepLabCut."""
    is_hidden = path.name.startswith(".")
    return path.suffix.lower() in VIDEO_SUFFIXES and not is_hidden and not is_drawn_by_deeplabcut(path)


def refuse_dead_links(folder: Path) -> None:
    """Refuse a folder where a video, its timestamps or session.toml is a link whose file is not there.

    Raises
    ------
    SessionError
        If there is one.
    """
    for path in sorted(folder.iterdir()):
        if is_video_file(path) or path.name == "session.toml" or path.name.endswith(".timestamps.csv"):
            refuse_dead_link(path)


def session_folder_videos(folder: Path) -> dict[str, Path]:
    """Video files of a session's folder by the camera that they are named after.

    Raises
    ------
    SessionError
        If a camera has two files.
    """
    videos: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if not is_video_file(path):
            continue
        if path.stem in videos:
            raise SessionError(
                f"{folder}: camera {path.stem} has two videos, {videos[path.stem].name} and {path.name};"
                " keep one and move the other elsewhere"
            )
        videos[path.stem] = path
    return videos


def seconds_since_folder_change(folder: Path) -> float:
    """Seconds since a file of the folder was last written; infinite for an empty folder."""
    times = [path.stat().st_mtime for path in folder.iterdir() if path.exists()]
    return time.time() - max(times) if times else float("inf")
