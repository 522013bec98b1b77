"""Search a raw folder for recordings: names only, no file is opened."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from compute.errors import SessionError
from compute.text import one_spelling
from ingest.found_sessions import FoundSession, FoundVideo
from ingest.layout import Layout, Reading, UnreadablePathError, is_video_name
from ingest.layout_reasons import why_not
from ingest.other_files import UNFINISHED_SUFFIXES, other_video_stem
from ingest.recording_list import read_recording_list

LINK_TO_A_FOLDER_ABOVE = "a link to a folder above it"


@dataclass(frozen=True)
class FoundRecordings:
    """What lies below a raw folder.

    Attributes
    ----------
    sessions : tuple of FoundSession
        In the order of their paths.
    unfit : tuple of (Path, str)
        Files that fit no session, and why.
    left_out : tuple of (Path, str)
        Files that are no recordings, and the pattern that says so; links that are not followed.
    unreadable : tuple of SessionError
        Folders that cannot be read.
    """

    sessions: tuple[FoundSession, ...]
    unfit: tuple[tuple[Path, str], ...]
    left_out: tuple[tuple[Path, str], ...]
    unreadable: tuple[SessionError, ...]


def find_recordings(raw_folder: Path, layout: Layout, cameras: Collection[str] = ()) -> FoundRecordings:
    """Find all recordings below a folder; hidden files and folders are skipped.

    Parameters
    ----------
    raw_folder : Path
        Where the sessions lie; it may also be one session's folder.
    layout : Layout
        How they are named.
    cameras : collection of str
        The lab's cameras, see `Layout.read`.

    Raises
    ------
    SessionError
        If `raw_folder` is not a readable folder, or the list of a layout that is one cannot be read.
    """
    if not raw_folder.is_dir():
        raise SessionError(f"{raw_folder} is not a folder; give the folder that holds the sessions")
    if not os.access(raw_folder, os.R_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise SessionError(f"{raw_folder} cannot be read: permission denied; ask its owner for read access")
    raw_folder = raw_folder.resolve()
    layout = replace(layout, ignores_case=_ignores_case(raw_folder))
    listed = read_recording_list(raw_folder / layout.text, layout) if layout.is_list else None
    search = _Search(raw_folder, layout, cameras, listed)
    search.look_into(raw_folder, "", ())
    return search.result()


def _ignores_case(folder: Path) -> bool:
    """Whether the file system of a folder takes names for one that differ by case only."""
    other = folder.with_name(folder.name.swapcase()) if folder.name else folder
    return other.name != folder.name and other.exists() and other.samefile(folder)


@dataclass
class _Group:
    """The files of a session that its paths name, as they are found."""

    folder: Path
    reading: Reading
    videos: list[FoundVideo] = field(default_factory=list)
    others: list[tuple[Path, str]] = field(default_factory=list)


class _Folder:
    """Names of the files of a folder, to be asked for by how they begin."""

    def __init__(self, path: Path, names: list[str]) -> None:
        self.path = path
        self._names = sorted((one_spelling(name), name) for name in names)

    def files(self, begin: str = "") -> Iterator[Path]:
        """Files whose names begin so, and do not go on with a letter or digit."""
        for index in range(bisect_left(self._names, (begin, "")), len(self._names)):
            spelled, name = self._names[index]
            if not spelled.startswith(begin):
                return
            if not begin or not spelled[len(begin) : len(begin) + 1].isalnum():
                yield self.path / name


class _Search:
    def __init__(
        self, raw_folder: Path, layout: Layout, cameras: Collection[str], listed: Mapping[Path, Reading] | None
    ) -> None:
        self.raw_folder, self.layout, self.cameras, self.listed = raw_folder, layout, cameras, listed
        self.folders: dict[Path, _Folder] = {}
        self.groups: dict[tuple[object, ...], _Group] = {}
        self.unfit: list[tuple[Path, str]] = []
        self.left_out: list[tuple[Path, str]] = []
        self.unreadable: list[SessionError] = []

    def look_into(self, folder: Path, excluded: str, above: tuple[tuple[int, int], ...]) -> None:
        """Read the names of a folder and those below it.

        Parameters
        ----------
        folder : Path
        excluded : str
            The pattern by which the folder holds no recordings; empty: it may hold some.
        above : tuple of (int, int)
            Device and inode of the folders above.
        """
        try:
            status = folder.stat()
            here = (status.st_dev, status.st_ino)
            if here in above:
                self.left_out.append((folder, LINK_TO_A_FOLDER_ABOVE))
                return
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            below = {entry.name: entry.is_dir() for entry in entries}
        except OSError as error:
            self.unreadable.append(
                SessionError(f"{folder} cannot be read: {error.strerror}; ask its owner for read access")
            )
            return
        files = [name for name, is_folder in below.items() if not is_folder]
        self.folders[folder] = _Folder(folder, files)
        for name in files:
            self._look_at(folder, name, excluded)
        for name, is_folder in below.items():
            if is_folder and not name.startswith("."):
                self.look_into(folder / name, excluded or self.layout.exclusion(name) or "", (*above, here))

    def result(self) -> FoundRecordings:
        """What was found."""
        sessions = tuple(self._session(group) for group in self.groups.values())
        return FoundRecordings(sessions, tuple(self.unfit), tuple(self.left_out), tuple(self.unreadable))

    def _look_at(self, folder: Path, name: str, excluded: str) -> None:
        if name == "session.toml" and not excluded and self.listed is None:
            self._take_session_file(folder / name)
        is_video = is_video_name(name)
        if not is_video and other_video_stem(PurePosixPath(name), needs_video_suffix=True) is None:
            return
        path = folder / name
        reading = None if self.listed is None else self.listed.get(path)
        pattern = excluded or self.layout.exclusion(name)
        if pattern and reading is None:
            self.left_out.append((path, pattern))
            return
        try:
            reading = reading or self.layout.read(path.as_posix(), self.cameras)
        except UnreadablePathError as error:
            self.unfit.append((path, str(error)))
            return
        if reading is None:
            self.unfit.append((path, self._why_not(path)))
        elif is_video and not self._has_suffix(name):
            self.unfit.append((path, f"it fits but for its ending; {self.layout.text} takes {self._suffix}"))
        elif is_video:
            self._group(path, reading).videos.append(FoundVideo(path, reading.camera, reading.part))
        else:
            self._group(path, reading).others.append((path, reading.camera))

    def _take_session_file(self, path: Path) -> None:
        """A folder with a session.toml is a session's, whether or not its videos are there."""
        if self.layout.shares_folders:
            why = "sessions share this folder; expected such as <name>.session.toml, where <name> is a video's name"
            self.unfit.append((path, f"{why} without camera, part and ending"))
            return
        try:
            reading = self.layout.read_folder(path.parent.as_posix())
        except UnreadablePathError as error:
            self.unfit.append((path, str(error)))
            return
        if reading is None:
            below = self.layout.example.split("/")[-self.layout.n_below_folder :]
            self.unfit.append((path, self._why_not(path.parent.joinpath(*below))))
        else:
            self._group(path.parent, reading)

    @property
    def _suffix(self) -> str:
        return "" if self.listed is not None else self.layout.parts.suffix

    def _has_suffix(self, name: str) -> bool:
        return name.lower().endswith(self._suffix)

    def _why_not(self, path: Path) -> str:
        if self.listed is not None:
            return f"{self.layout.text} does not list it"
        why = why_not(self.layout, path.as_posix())
        n_names, n_expected = len(path.relative_to(self.raw_folder).parts), len(self.layout.parts.components)
        if n_names >= n_expected:
            return why
        return f"below {self.raw_folder} it has {n_names} of {n_expected} names, and with the folders above, {why}"

    def _group(self, path: Path, reading: Reading) -> _Group:
        folder = reading.folder_of(path)
        key = (str(folder), reading.stem, reading.mouse_id, reading.session_date, reading.number, reading.time)
        return self.groups.setdefault(key, _Group(folder, reading))

    def _session(self, group: _Group) -> FoundSession:
        folder, reading, videos = group.folder, group.reading, {video.path for video in group.videos}
        folders = dict.fromkeys([folder, *(path.parent for path in videos), *(path.parent for path, _ in group.others)])
        begins = [reading.stem, *(video.path.stem for video in group.videos)] if reading.stem else [""]
        files = dict.fromkeys(
            path
            for one in folders
            if one in self.folders
            for begin in begins
            for path in self.folders[one].files(one_spelling(begin))
            if not reading.stem or path in videos or not is_video_name(path.name)
        )
        others = dict(group.others)
        for path in files:
            if path.suffix.lower() in UNFINISHED_SUFFIXES and path not in others:
                others |= self._unfinished(path)
        return FoundSession(
            mouse_id=reading.mouse_id,
            session_date=reading.session_date,
            session_number=reading.number,
            time=reading.time,
            folder=folder,
            stem=reading.stem,
            videos=tuple(group.videos),
            other_videos=tuple(others.items()),
            files=tuple(sorted(files, key=str)),
        )

    def _unfinished(self, path: Path) -> dict[Path, str]:
        """A file such as ``side.part`` with its camera: that it is a video is known by the camera alone."""
        stem = other_video_stem(path)
        try:
            reading = None if stem is None else self.layout.read_stem(path.with_name(stem).as_posix(), self.cameras)
        except UnreadablePathError:
            reading = None
        return {} if reading is None else {path: reading.camera}
