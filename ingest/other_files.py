"""What lies in a session's folder and is no video to take: other formats, unfinished copies, drawings, dead links."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path, PurePath

from compute.errors import SessionError
from compute.files import VIDEO_SUFFIXES

_RAW_STREAMS = (".h264", ".264", ".h265", ".265", ".hevc")
_OWN_PROGRAMS = (".seq", ".ufmf", ".fmf")
OTHER_VIDEO_SUFFIXES = (
    *(".webm", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".m2v", ".m4v", ".wmv", ".asf", ".flv", ".f4v", ".ogv"),
    *(".3gp", ".mxf", ".nut", ".vob", ".divx", ".mj2", ".mjpeg", ".mjpg", ".y4m", ".ivf"),
    *_RAW_STREAMS,
    *_OWN_PROGRAMS,
)
"""Endings of videos that are not taken, because nobody has tried them here."""

UNFINISHED_SUFFIXES = (".part", ".partial", ".filepart", ".crdownload", ".tmp")
"""Endings that programs give a file until it is whole."""


def other_video_stem(path: PurePath, *, needs_video_suffix: bool = False) -> str | None:
    """Name without endings of a file that looks like a video and cannot be taken; None for every other file.

    Parameters
    ----------
    path : PurePath
        The file; only its name is read.
    needs_video_suffix : bool
        Whether ``side.part`` is none, of which only ``.mp4.part`` would say what it becomes.

    Examples
    --------
    >>> [other_video_stem(Path(name)) for name in ("side.webm", "side.mp4.part", "side.mp4", "notes.txt")]
    ['side', 'side', None, None]
    """
    if path.name.startswith("."):
        return None
    is_unfinished = path.suffix.lower() in UNFINISHED_SUFFIXES
    inner = path.with_suffix("") if is_unfinished else path
    suffix = inner.suffix.lower()
    if suffix in OTHER_VIDEO_SUFFIXES or (is_unfinished and suffix in VIDEO_SUFFIXES):
        return inner.stem
    return inner.name if is_unfinished and not needs_video_suffix else None


def refuse_other_videos(others: Iterable[tuple[Path, str]], taken: Collection[str], cameras: Collection[str]) -> None:
    """Refuse a session with a video of a camera that would be left out without a word.

    Parameters
    ----------
    others : iterable of (Path, str)
        The session's files that look like videos and cannot be taken, each with its camera.
    taken : collection of str
        Cameras that have a video that can be taken.
    cameras : collection of str
        Cameras whose files are meant; empty: every file that looks like a video.

    Raises
    ------
    SessionError
        If there is one.
    """
    for path, camera in others:
        is_meant = camera in cameras if cameras else other_video_stem(path, needs_video_suffix=True) is not None
        if not is_meant:
            continue
        if path.suffix.lower() in UNFINISHED_SUFFIXES:
            beside = f"If the video of {camera} beside it is whole, move this file" if camera in taken else ""
            raise SessionError(
                f"{path} is no whole video by its ending {path.suffix}: a copy that goes on or was broken off leaves"
                f" such a file. Expected {camera} with one of the endings {_accepted()}. Wait for the copy to end or"
                f" copy the video again, then ingest again{f'. {beside} elsewhere' if beside else ''}"
            )
        if camera in taken:
            raise SessionError(
                f"{path}: camera {camera} has another video in this session; expected one, with one of the endings"
                f" {_accepted()}. Keep that one and move {path.name} elsewhere"
            )
        raise SessionError(
            f"{path} is a video with the ending {path.suffix}, which is not taken; accepted are {_accepted()}."
            f" {_conversion(path)}, keep {path.name} outside of the folder, then ingest again"
        )


def _accepted() -> str:
    return ", ".join(VIDEO_SUFFIXES)


def _conversion(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in _OWN_PROGRAMS:
        return "Convert it without loss, with the program that recorded it"
    options, ending = ("-framerate RATE ", ".mp4") if suffix in _RAW_STREAMS else ("", ".mkv")
    return f"Pack it anew without loss (ffmpeg {options}-i {path.name} -c copy {path.stem}{ending})"


def refuse_dead_link(path: Path) -> None:
    """Refuse a link whose file is not there: it would be taken for no file at all.

    Raises
    ------
    SessionError
        If it is one.
    """
    if path.is_symlink() and not path.exists():
        raise SessionError(
            f"{path} is a link to {os.readlink(path)}, which is not there; expected a file. Mount the disk that holds"
            " it, or point the link to where the file is now, then ingest again"
        )
