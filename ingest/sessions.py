"""Insert session folders as rows: all of a folder or nothing. Running it again is safe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
from datajoint.errors import DuplicateError
from numpy.typing import NDArray

from compute.errors import OrofacialError, SessionError
from compute.text import count_text
from compute.video import VideoInfo, probe_video, video_content_hash
from ingest.known_rows import compare_known_row
from ingest.session_files import SessionFile, read_session_file, read_timestamps_file
from ingest.session_folders import (
    SESSION_PATTERN,
    SessionFolderName,
    find_session_folders,
    parse_session_folder,
    seconds_since_folder_change,
    session_folder_videos,
)
from schemas.metadata import complete_metadata, known_metadata
from schemas.session import Camera, Session, Video
from schemas.stored.publishing import published_or_removed
from schemas.subject import Mouse

Status = Literal["ingested", "would be ingested", "known", "waiting", "refused"]


@dataclass(frozen=True)
class SessionOutcome:
    """The result of one folder."""

    folder: Path
    status: Status
    message: str


@dataclass(frozen=True)
class NewVideo:
    """A video that was read to its end and is ready to be inserted."""

    camera: str
    path: Path
    info: VideoInfo
    content_hash: str
    timestamps: NDArray[np.float64] | None
    metadata: dict[str, Any]
    """What session.toml says of it, by column."""


@dataclass(frozen=True)
class NewSession:
    """A session folder that was checked and is ready to be inserted."""

    name: SessionFolderName
    folder: Path
    file: SessionFile
    videos: tuple[NewVideo, ...]


def ingest_sessions(
    raw_folder: Path,
    *,
    pattern: str = SESSION_PATTERN,
    stable_after_s: float = 10.0,
    dry_run: bool = False,
    marker: str = "",
    accept_damaged_videos: bool = False,
    skip: Callable[[Path], bool] = lambda folder: False,
    on_folder: Callable[[Path], None] = lambda folder: None,
) -> Iterator[SessionOutcome]:
    """Ingest every session below a folder that is new.

    Parameters
    ----------
    raw_folder : Path
        Where the sessions lie; it may also be one session's folder.
    pattern : str
        How session folders are named, see `ingest.session_folders.parse_session_folder`.
    stable_after_s : float
        A folder with a file written within this many seconds is left for the next pass.
    dry_run : bool
        Check everything, insert nothing.
    marker : str
        Name of a file that the rig writes last; a folder without it is left for the next pass, and one with it is taken
        at once. Empty: there is none.
    accept_damaged_videos : bool
        Take a video of which the decoder had to make up some frames in part; the row of `Video` counts them.
    skip : callable
        Returns whether to skip a folder.
    on_folder : callable
        Called with each folder, before the folder is read.

    Yields
    ------
    Outcome
        One for each folder. A bad folder is refused; the others follow.

    Raises
    ------
    SessionError
        If `raw_folder` itself cannot be read.
    """
    for found in find_session_folders(raw_folder.resolve()):
        if isinstance(found, SessionError):
            yield SessionOutcome(raw_folder, "refused", str(found))
            continue
        if skip(found):
            continue
        on_folder(found)
        try:
            yield _ingest_folder(found, pattern, stable_after_s, dry_run, marker, accept_damaged_videos)
        except (OrofacialError, OSError) as error:
            yield SessionOutcome(found, "refused", str(error))


def _ingest_folder(
    folder: Path, pattern: str, stable_after_s: float, dry_run: bool, marker: str, accept_damaged_videos: bool
) -> SessionOutcome:
    name = parse_session_folder(folder.as_posix(), pattern)
    if name is None:
        raise SessionError(
            f"{folder} does not fit the pattern {pattern}; expected for example mouse01/2026-03-02_1."
            " Rename the folder, or set session_pattern in settings.toml"
        )
    if _is_known(name, folder):
        return SessionOutcome(folder, "known", f"{name} was ingested before")
    if marker and not (folder / marker).exists():
        return SessionOutcome(folder, "waiting", f"{name} has no {marker} yet; left for the next pass")
    age_s = seconds_since_folder_change(folder)
    if age_s < stable_after_s and not marker:
        return SessionOutcome(folder, "waiting", f"{name} was written {age_s:.0f} s ago; left for the next pass")
    session = read_new_session(folder, name, accept_damaged_videos=accept_damaged_videos)
    frames = ", ".join(_frames_text(video) for video in session.videos)
    if dry_run:
        return SessionOutcome(folder, "would be ingested", f"{name}: {frames}")
    try:
        insert_new_session(session)
    except DuplicateError:
        # Another process inserted the same videos first.
        if not _is_known(name, folder):
            raise SessionError(f"{folder}: a video of it was ingested at this moment under another name") from None
        return SessionOutcome(folder, "known", f"{name} was ingested by another process")
    return SessionOutcome(folder, "ingested", f"{name}: {frames}")


def _is_known(name: SessionFolderName, folder: Path) -> bool:
    """Whether this session is in the database with the same videos.

    Raises
    ------
    SessionError
        If the session has other videos in the database: recordings never change.
    """
    if not Session & name.key:
        return False
    known = {row["camera"]: row for row in (Video & name.key).proj("file_size_bytes", "video_file").to_dicts()}
    found = session_folder_videos(folder)
    for camera, path in found.items():
        if camera not in known:
            raise SessionError(
                f"{path}: session {name} was ingested without camera {camera}; a session is ingested whole. Take it out"
                f" with 'orofacial delete session {name}', then 'orofacial ingest {folder}'; or give the video a"
                " session of its own. If videos of a session arrive far apart, see 'orofacial watch --marker'"
            )
        if path.stat().st_size != known[camera]["file_size_bytes"]:
            raise SessionError(
                f"{path} has {path.stat().st_size} bytes, but session {name} was ingested with a video of"
                f" {known[camera]['file_size_bytes']} bytes ({known[camera]['video_file']}); recordings never"
                " change. Restore the file, or give the new video a session of its own"
            )
    return True


def read_new_session(folder: Path, name: SessionFolderName, *, accept_damaged_videos: bool = False) -> NewSession:
    """Read and check everything of a session's folder; every video is decoded to its end.

    Raises
    ------
    SessionError, VideoError
        If any part of the folder cannot be ingested.
    """
    paths = session_folder_videos(folder)
    if not paths:
        raise SessionError(f"{folder} holds no video; expected <camera>.mp4, such as side.mp4 and lower.mp4")
    cameras = set(Camera.to_arrays("camera"))
    file = read_session_file(folder)
    for camera in [*paths, *file.videos]:
        if camera not in cameras:
            raise SessionError(
                f"{folder}: unknown camera {camera!r}; known are {', '.join(sorted(cameras))}."
                f" Rename the file, or add the camera with: orofacial camera add {camera}"
            )
    videos = tuple(_read_video(camera, path, file, accept_damaged_videos) for camera, path in paths.items())
    _refuse_copies(name, videos)
    return NewSession(name, folder, file, videos)


def _read_video(camera: str, path: Path, file: SessionFile, accept_damaged_frames: bool) -> NewVideo:
    info = probe_video(path, accept_damaged_frames=accept_damaged_frames)
    timestamps_path = path.with_name(f"{camera}.timestamps.csv")
    timestamps = read_timestamps_file(timestamps_path, info.n_frames) if timestamps_path.exists() else None
    return NewVideo(camera, path, info, video_content_hash(path), timestamps, file.videos.get(camera, {}))


def _refuse_copies(name: SessionFolderName, videos: tuple[NewVideo, ...]) -> None:
    seen: dict[str, str] = {}
    for video in videos:
        same_content = (Video & {"content_hash": video.content_hash}).proj("video_file").to_dicts()
        # Another process may be inserting this same session at this moment.
        known = [row for row in same_content if any(row[column] != name.key[column] for column in name.key)]
        original = known[0]["video_file"] if known else seen.get(video.content_hash)
        if original is not None:
            raise SessionError(
                f"{video.path} is a copy of {original}, which is known already; one recording cannot be two videos."
                f" Remove the copy, or give {name} its own recording"
            )
        seen[video.content_hash] = str(video.path)


def _frames_text(video: NewVideo) -> str:
    """How many frames a video has, for people."""
    frames = f"{video.camera} {count_text(video.info.n_frames, 'frame')}"
    return f"{frames}, {len(video.info.damaged_frames)} damaged" if video.info.damaged_frames else frames


def insert_new_session(session: NewSession) -> None:
    """Insert the mouse if it is new, the session and its videos, in one transaction."""
    key = session.name.key
    row = {**key, **complete_metadata(Session.metadata, session.file.session), "session_folder": str(session.folder)}
    with Session.connection.transaction, published_or_removed():
        _insert_mouse(session.name.mouse_id, session.file.mouse, session.folder)
        Session.insert1(row)
        Video.insert([{**key, **_video_row(video)} for video in session.videos])


def _insert_mouse(mouse_id: str, said: dict[str, Any], folder: Path) -> None:
    """Insert a mouse, or complete its row from session.toml."""
    rows = (Mouse & {"mouse_id": mouse_id}).to_dicts()
    if not rows:
        Mouse.insert1({"mouse_id": mouse_id, **said}, skip_duplicates=True)
        return
    (row,) = rows
    known_before = dict.fromkeys(said) | known_metadata(Mouse.metadata, row)
    compared = compare_known_row(known_before, said)
    compared.refuse(f"{folder / 'session.toml'}: mouse {mouse_id}", SessionError, "Correct the one that is wrong")
    if compared.added:
        Mouse.update1({"mouse_id": mouse_id, **compared.added})


def _video_row(video: NewVideo) -> dict[str, Any]:
    fps: Fraction = video.info.fps
    return {
        "camera": video.camera,
        "video_file": str(video.path),
        "file_size_bytes": video.path.stat().st_size,
        "content_hash": video.content_hash,
        "n_frames": video.info.n_frames,
        "n_damaged_frames": len(video.info.damaged_frames),
        "fps_numerator": fps.numerator,
        "fps_denominator": fps.denominator,
        "width_px": video.info.width_px,
        "height_px": video.info.height_px,
        **complete_metadata(Video.metadata, video.metadata),
        "timestamps": video.timestamps,
    }
