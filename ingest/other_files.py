"""What lies in a session's folder and is no video to take: other formats, unfinished copies, drawings, dead links."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

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

_DRAWN = re.compile(r".+DLC_.*_labeled\.[^.]+")


def camera_of_other_video(path: Path, *, needs_video_suffix: bool = False) -> str | None:
    """Camera after which a file is named that looks like a video and cannot be taken; None for every other file.

    Parameters
    ----------
    path : Path
        The file; only its name is read.
    needs_video_suffix : bool
        Whether ``side.part`` is none, of which only ``.mp4.part`` would say what it becomes.

    Examples
    --------
    >>> [camera_of_other_video(Path(name)) for name in ("side.webm", "side.mp4.part", "side.mp4", "notes.txt")]
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


def refuse_other_videos(folder: Path, taken: Collection[str], cameras: Collection[str]) -> None:
    """Refuse a session's folder that holds a video of a camera that would be left out without a word.

    Parameters
    ----------
    folder : Path
        The session's folder.
    taken : collection of str
        Cameras that have a video there that can be taken.
    cameras : collection of str
        Cameras whose files are meant; empty: every file that looks like a video.

    Raises
    ------
    SessionError
        If there is one.
    """
    for path in sorted(folder.iterdir()):
        camera = camera_of_other_video(path, needs_video_suffix=not cameras)
        if camera is None or (cameras and camera not in cameras) or path.is_dir():
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
                f"{path}: camera {camera} has another video in this folder; expected one, with one of the endings"
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


def is_drawn_by_deeplabcut(path: Path) -> bool:
    """Whether a file is a video into which DeepLabCut drew its points: no recording.

    Examples
    --------
    >>> is_drawn_by_deeplabcut(Path("sideDLC_resnet50_faceMar2shuffle1_1000_labeled.mp4"))
    True
    """
    return _DRAWN.fullmatch(path.name) is not None


def drawn_videos_text(folder: Path) -> str:
    """The videos of a folder that are left out because DeepLabCut drew them, as the end of a message."""
    names = [path.name for path in sorted(folder.iterdir()) if is_drawn_by_deeplabcut(path)]
    return f"; left out, as DeepLabCut drew it: {', '.join(names)}" if names else ""


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
