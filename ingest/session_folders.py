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

SESSION_PATTERN = "{mouse}/{date}_{number}"

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
    if any(is_video_file(Path(entry.name)) or entry.name == "session.toml" for entry in entries):
        yield folder
    for entry in folders:
        yield from _walk(Path(entry.path))


def is_video_file(path: Path) -> bool:
    """Whether the name is a video's: a known suffix, not hidden."""
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")


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
    times = [entry.stat().st_mtime for entry in os.scandir(folder)]
    return time.time() - max(times) if times else float("inf")
