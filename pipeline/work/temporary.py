"""Temporary files in a folder of each worker, so that those of a killed worker can be found and removed."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from compute.processes import process_name, process_runs

_PREFIX = "orofacial-worker"


@contextmanager
def own_temporary_folder() -> Iterator[Path]:
    """Put Python's temporary files into a folder of this process; remove it at the end, and those of dead processes."""
    before = tempfile.tempdir
    parent = Path(tempfile.gettempdir())
    _remove_left_behind(parent)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}-{process_name()}-", dir=parent))
    tempfile.tempdir = str(folder)
    try:
        yield folder
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left_behind(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}-{platform.node()}-*"):
        owner = folder.name.removeprefix(f"{_PREFIX}-").rsplit("-", 1)[0]
        with suppress(FileNotFoundError):  # its owner has removed it since
            if folder.stat().st_uid == os.getuid() and process_runs(owner) is False:
                shutil.rmtree(folder, ignore_errors=True)
