"""Temporary files in a folder of each worker, so that those of a killed worker can be found and removed."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

_PREFIX = "orofacial-worker"


@contextmanager
def own_temporary_folder() -> Iterator[Path]:
    """Put Python's temporary files into a folder of this process; remove it at the end, and those of dead processes."""
    before = tempfile.tempdir
    parent = Path(tempfile.gettempdir())
    _remove_left_behind(parent)
    prefix = f"{_PREFIX}-{platform.node()}-{os.getpid()}-{psutil.Process().create_time():.0f}-"
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    tempfile.tempdir = str(folder)
    try:
        yield folder
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left_behind(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}-{platform.node()}-*"):
        pid, started_s = folder.name.rsplit("-", 3)[1:3]
        if folder.stat().st_uid == os.getuid() and not _runs(int(pid), float(started_s)):
            shutil.rmtree(folder, ignore_errors=True)


def _runs(pid: int, started_s: float) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - started_s) < 2
    except psutil.NoSuchProcess:
        return False
