"""Files: which are videos, and how to write one that is there whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import glob
import itertools
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compute.errors import OrofacialError
from compute.processes import process_name, process_runs

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov")
"""Endings of the files that are taken for videos."""

_PART = ".part-"
_counter = itertools.count()


@contextmanager
def whole_file(path: Path, error: type[OrofacialError], *failures: type[Exception]) -> Iterator[Path]:
    """Give a temporary name beside `path`, with its suffix, that becomes `path` when the block ends without an error.

    The name is this block's own: of processes that write one file at the same time, the last one wins as a whole.

    Parameters
    ----------
    path : Path
        The file to write; one that is there is replaced at the end only.
    error : type
        Error to raise when the file cannot be written.
    *failures : type
        Errors of the writer, besides `OSError`, that mean the same.

    Raises
    ------
    OrofacialError
        Of the type `error`, naming the file; nothing is kept of it.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with whole_file(folder / "mice.txt", OrofacialError) as temporary:
    ...     _ = temporary.write_text("mouse01")
    >>> [file.name for file in folder.iterdir()]
    ['mice.txt']
    """
    expected: tuple[type[Exception], ...] = (OSError, *failures)
    temporary = path.with_name(f"{_PART}{process_name()}-{next(_counter)}.{path.name}")
    try:
        _remove_left_behind(path.parent.absolute())
        yield temporary
        temporary.replace(path)
    except expected as reason:
        raise error(f"{path} cannot be written: {_said(path, temporary, reason)}") from reason
    finally:
        with contextlib.suppress(OSError):  # the error being raised says more
            temporary.unlink(missing_ok=True)


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Keep other processes out of this same block for this folder, where its file system can (NFS may not)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read_first_line(path: Path) -> str:
    """The first line of a text file, whatever its encoding."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline()


@functools.lru_cache
def _remove_left_behind(folder: Path) -> None:
    """Remove what killed processes left in a folder; once, as a folder may hold many files."""
    start = f"{_PART}{platform.node()}-"
    for left in folder.glob(f"{glob.escape(start)}*"):
        numbers = left.name.removeprefix(start).split(".")[0].rsplit("-", 1)[0]
        with contextlib.suppress(ValueError, OSError):  # not a name of ours, or gone meanwhile
            if process_runs(f"{platform.node()}-{numbers}") is False:
                left.unlink(missing_ok=True)


def _said(path: Path, temporary: Path, reason: Exception) -> str:
    """Why, and what to do, without the temporary name."""
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}; make it, or name another file"
    number = getattr(reason, "errno", None)
    text = os.strerror(number) if number else str(reason).replace(str(temporary), path.name)
    return f"{text}; nothing was kept of it, name another file"
