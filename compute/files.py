"""Files: which are videos, and how to write one that is there whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compute.errors import OrofacialError

VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov")
"""Endings of the files that are taken for videos."""


@contextmanager
def whole_file(path: Path, error: type[OrofacialError], *failures: type[Exception]) -> Iterator[Path]:
    """Give a temporary name beside `path`, with its suffix, that becomes `path` when the block ends without an error.

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
    temporary = path.with_name(f".part.{path.name}")
    try:
        temporary.unlink(missing_ok=True)  # of a process that was killed
        yield temporary
        temporary.replace(path)
    except expected as reason:
        raise error(f"{path} cannot be written: {_said(path, temporary, reason)}") from reason
    finally:
        with contextlib.suppress(OSError):  # the error being raised says more
            temporary.unlink(missing_ok=True)


def _said(path: Path, temporary: Path, reason: Exception) -> str:
    """Why, and what to do, without the temporary name."""
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}; make it, or name another file"
    number = getattr(reason, "errno", None)
    text = os.strerror(number) if number else str(reason).replace(str(temporary), path.name)
    return f"{text}; nothing was kept of it, name another file"


def read_first_line(path: Path) -> str:
    """The first line of a text file, whatever its encoding."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline()
