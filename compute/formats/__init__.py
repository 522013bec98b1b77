"""Tracks as files that other tools of the field read, and back.

`write` writes one track, `read` reads one file of tracks, whoever wrote it. No database is needed. A format is a module
of this package that registers itself, see `compute.formats.registry`.

Examples
--------
>>> import tempfile
>>> from compute.tracks import Tracks
>>> tracks = Tracks(position=[[[1.5, 2]], [[3, 4]]], score=[[0.9], [0.8]], time=[0, 0.01], nodes=["jaw_tip"])
>>> with tempfile.TemporaryDirectory() as folder:
...     path = Path(folder) / "mouse01.analysis.h5"
...     write("analysis", path, PortableTrack(tracks))
...     read(path).tracks.position.tolist()
[[[1.5, 2.0]], [[3.0, 4.0]]]
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from compute.errors import ExportError
from compute.files import folder_lock, read_first_line, whole_file
from compute.formats.network_scores import check_scores
from compute.formats.portable import PortableTrack, frame_rate_note
from compute.formats.registry import Format, all_formats
from compute.formats.sidecar import sidecar_path

__all__ = [
    "FORMATS",
    "ExportError",
    "Format",
    "PortableTrack",
    "format_for",
    "format_of",
    "read",
    "write",
    "write_whole",
]

FORMATS = all_formats()
"""The formats by the name that the command line has for them."""


def write(format_name: str, path: Path, track: PortableTrack, **options: Any) -> None:
    """Write one track; the file appears when it is complete.

    Raises
    ------
    ExportError
        If the file cannot be written; nothing of it is kept then.
    """
    one = FORMATS[format_name]
    content = [track] if one.a_session else track
    write_whole(path, lambda temporary: one.write(temporary, content, **options))


def write_whole(path: Path, write_to: Callable[[Path], None]) -> None:
    """Let a function write a temporary file beside `path`, with its sidecar if it has one, and rename both.

    Of processes that write one file at the same time, the last one wins with both.
    """
    with contextlib.ExitStack() as at_the_end, whole_file(path, ExportError) as temporary:
        sidecar = sidecar_path(temporary)
        at_the_end.callback(_remove, sidecar)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_to(temporary)
        if sidecar.exists():  # first, so that the file never stands there without it
            at_the_end.enter_context(folder_lock(path.parent))  # until the file stands there too
            sidecar.replace(sidecar_path(path))


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # the error being raised says more
        path.unlink(missing_ok=True)


def read(path: str | Path, *, fps: float | None = None, name: str | None = None) -> PortableTrack:
    """Read one file of tracks, in whichever format it is.

    Parameters
    ----------
    path : str or Path
        Written by this project, SLEAP, sleap-io, DeepLabCut or Lightning Pose; or NWB with ndx-pose.
    fps : float, optional
        Frames a second, for a file of another program that holds no times. Of a file that has times those are taken,
        also where they are irregular; a warning says so if they do not fit.
    name : str, optional
        Which of several that a file holds: a PoseEstimation of NWB, an animal (track, individual), a network (scorer),
        or a video.

    Returns
    -------
    PortableTrack
        ``tracks``, and what the file says beside them.

    Raises
    ------
    ExportError
        If the file is missing, unreadable or in no known format, holds several of something and none is named, holds a
        frame twice or scores of another scale, or holds no times and no `fps` is given.
    """
    path = Path(path)
    if not path.is_file():
        raise ExportError(f"{path} does not exist or is no file")
    one = FORMATS[format_of(path)]
    track = one.read(path, fps=fps, name=name)
    tracks, first = track.tracks, track.first_frame
    check_scores(path, tracks.position, tracks.score, tracks.nodes, lambda row: f"frame {first + row}")
    note = frame_rate_note(path, track.tracks, fps)
    if note:
        warnings.warn(note, stacklevel=2)
    return track


def format_of(path: Path) -> str:
    """Name of a file's format, by its ending and, where several share one, its content.

    Raises
    ------
    ExportError
        If it is none of `FORMATS`, or cannot be read.
    """
    for name, one in FORMATS.items():
        if one.fits(path):
            return name
    known = ", ".join(one.ending for one in FORMATS.values())
    raise ExportError(f"{path} is in no format that is known here ({known}){_first_line_text(path)}")


def _first_line_text(path: Path) -> str:
    """How a text file begins, for people: it may be one with another header."""
    if path.suffix.lower() not in (".csv", ".txt", ".tsv"):
        return ""
    return f"; it begins with {read_first_line(path).strip()[:80]!r}"


def format_for(path: Path) -> str:
    """Name of the format that a new file's ending stands for.

    Raises
    ------
    ExportError
        If the ending is that of no format, or of several.

    Examples
    --------
    >>> format_for(Path("mouse01.analysis.h5")), format_for(Path("mouse01.csv"))
    ('analysis', 'csv')
    """
    fits = [name for name, one in FORMATS.items() if path.name.lower().endswith(one.ending)]
    if not fits:
        endings = ", ".join(f"{one.ending} ({name})" for name, one in FORMATS.items())
        raise ExportError(f"{path}: its ending is that of no format; expected {endings}, or name the format with --to")
    return max(fits, key=lambda name: len(FORMATS[name].ending))
