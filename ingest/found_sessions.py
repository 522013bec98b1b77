"""Sessions as they are found below a raw folder: which files each one has, before any of them is opened."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from datetime import time as time_of_day
from pathlib import Path

from compute.errors import SessionError
from compute.text import one_spelling
from ingest.layout import Layout, UnreadablePathError
from ingest.other_files import refuse_dead_link
from ingest.recording_list import list_stem
from ingest.session_names import SessionName


@dataclass(frozen=True)
class FoundVideo:
    """A video of a session."""

    path: Path
    camera: str
    part: int | None = None


@dataclass(frozen=True)
class FoundSession:
    """The files of a session.

    Attributes
    ----------
    mouse_id : str
    session_date : date
    session_number : int or None
        None: the paths name none, and `number_sessions` has not given one yet.
    time : time or None
        Time of day, where the paths name it.
    folder : Path
        Where its videos lie, or the folders of its cameras.
    stem : str
        What its own files begin with in a folder of several sessions; empty: the folder is its own.
    videos : tuple of FoundVideo
        In the order of their paths.
    other_videos : tuple of (Path, str)
        Files that look like videos and cannot be taken, each with its camera.
    files : tuple of Path
        All of its files beside each other, videos too.
    """

    mouse_id: str
    session_date: date
    session_number: int | None
    time: time_of_day | None
    folder: Path
    stem: str
    videos: tuple[FoundVideo, ...]
    other_videos: tuple[tuple[Path, str], ...] = ()
    files: tuple[Path, ...] = ()

    @property
    def name(self) -> SessionName:
        """Mouse, date and number."""
        return SessionName(self.mouse_id, self.session_date, self.session_number or 1)

    def renamed(self, name: SessionName) -> FoundSession:
        """The same files under another name."""
        return replace(self, mouse_id=name.mouse_id, session_date=name.session_date, session_number=name.session_number)

    @property
    def place(self) -> str:
        """Where it lies, for people: its folder, with the begin of its files' names where others lie there, too."""
        return str(self.folder / f"{self.stem}*" if self.stem else self.folder)

    def beside(self, name: str) -> Path:
        """Where a file of the session itself would lie, such as session.toml: ``<stem>.session.toml`` among others."""
        path = self.folder / (f"{self.stem}.{name}" if self.stem else name)
        spelled = (one for one in self.files if one_spelling(one.name) == path.name and one.parent == path.parent)
        return next(spelled, path)

    @property
    def session_file(self) -> Path:
        """Its session.toml, which may not be there."""
        return self.beside("session.toml")

    def seconds_since_change(self) -> float:
        """Seconds since a file was last written; negative by a file server's clock that is ahead; infinite: no file."""
        return seconds_since_change(self.files)

    def state(self) -> tuple[tuple[str, int], ...] | None:
        """What changes whenever one of its files does; None if a file cannot be looked at."""
        try:
            return tuple((str(path), path.lstat().st_mtime_ns) for path in self.files)
        except OSError:
            return None


def seconds_since_change(paths: Iterable[Path]) -> float:
    """As `FoundSession.seconds_since_change`, of some files."""
    now_s = time.time()
    changes_s = []
    for path in paths:
        if path.exists():
            status = path.stat()
            # A copy keeps its times: one of a camera's wrong clock may be to come. The inode's is of this disk.
            changes_s.append(status.st_mtime if status.st_mtime <= now_s else status.st_ctime)
    return now_s - max(changes_s) if changes_s else float("inf")


def one_video_per_camera(session: FoundSession) -> dict[str, Path]:
    """Videos of a session by camera.

    Raises
    ------
    SessionError
        If a camera has several videos: two files of one name, or the parts of a recording.
    """
    videos: dict[str, list[FoundVideo]] = {}
    for video in session.videos:
        videos.setdefault(video.camera, []).append(video)
    for camera, several in videos.items():
        if len(several) == 1:
            continue
        names = [str(video.path.relative_to(session.folder)) for video in several]
        if len({video.part for video in several}) < len(several):
            raise SessionError(
                f"{session.folder}: camera {camera} has two videos, {names[0]} and {names[1]};"
                " keep one and move the other elsewhere, or name in the layout what tells them apart"
                " ({number}, {time}, {part})"
            )
        raise SessionError(
            f"{session.folder}: the recording of camera {camera} is in {len(several)} parts, from {names[0]} to"
            f" {names[-1]}; a recording in several files cannot be taken in yet. Join them into one file without"
            " loss (ffmpeg -f concat -i LIST -c copy), keep the parts elsewhere, then ingest again"
        )
    return {camera: several[0].path for camera, several in videos.items()}


def refuse_dead_links(session: FoundSession) -> None:
    """Refuse a session where a video, its timestamps or session.toml is a link whose file is not there.

    Raises
    ------
    SessionError
        If there is one.
    """
    videos = {video.path for video in session.videos}
    for path in session.files:
        if path in videos or path.name.endswith((".timestamps.csv", "session.toml")):
            refuse_dead_link(path)


def session_file_path(layout: Layout, name: SessionName, folder: Path, video: Path | None) -> Path:
    """Where the session.toml of a session that was ingested lies.

    Parameters
    ----------
    layout : Layout
        The lab's.
    name : SessionName
        The session.
    folder : Path
        Its folder.
    video : Path or None
        One of its videos.
    """
    stem = list_stem(name) if layout.is_list else ""
    if video is not None and not layout.is_list and layout.shares_folders:
        try:
            reading = layout.read(video.as_posix())
        except UnreadablePathError:
            reading = None
        stem = "" if reading is None else reading.stem
    return folder / (f"{stem}.session.toml" if stem else "session.toml")


def number_sessions(
    sessions: Sequence[FoundSession], known_times: Callable[[str, date], Mapping[int, time_of_day | None]]
) -> list[FoundSession]:
    """Give a number to the sessions whose paths name none: in the order of their times; a known one keeps its own.

    Parameters
    ----------
    sessions : sequence of FoundSession
        All that were found.
    known_times : callable
        Times of the known sessions of a mouse and day by their numbers; None: not known.

    Returns
    -------
    list of FoundSession
        In the same order. Without a time the number is 1.
    """
    times: dict[tuple[str, date], set[time_of_day]] = {}
    for session in sessions:
        if session.session_number is None and session.time is not None:
            times.setdefault((session.mouse_id, session.session_date), set()).add(session.time)
    numbers = {day: _numbers(of_day, known_times(*day)) for day, of_day in times.items()}
    return [
        session
        if session.session_number is not None
        else replace(
            session,
            session_number=1 if session.time is None else numbers[session.mouse_id, session.session_date][session.time],
        )
        for session in sessions
    ]


def _numbers(times: Iterable[time_of_day], known: Mapping[int, time_of_day | None]) -> dict[time_of_day, int]:
    """Numbers of a day's times: of new ones the first free number after those of all earlier sessions.

    Examples
    --------
    >>> nine, ten, eleven = (time_of_day(hour) for hour in (9, 10, 11))
    >>> list(_numbers([nine, ten, eleven], {}).values())
    [1, 2, 3]
    >>> _numbers([nine, ten], {1: ten})[nine]
    2
    """
    numbers = {at: number for number, at in known.items() if at is not None}
    taken = set(known)
    for at in sorted(set(times) - numbers.keys()):
        number = 1 + max((numbers[other] for other in numbers if other < at), default=0)
        while number in taken:
            number += 1
        numbers[at] = number
        taken.add(number)
    return numbers
