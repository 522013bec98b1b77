"""Write files to a store atomically, and remove them if their row is not inserted.

A file is complete before a row points at it, and a row that could not be inserted leaves no file behind:
write inside `published_or_removed()`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import datajoint as dj
from datajoint.storage import StorageBackend

from compute.errors import DatabaseError, StoreError
from compute.tracks.parquet import read_parquet_footer

written_files: ContextVar[list[tuple[StorageBackend, str]] | None] = ContextVar("written", default=None)


def check_may_publish() -> None:
    """Refuse to change a store's files while the lab is opened read-only: rows would be refused too late.

    Raises
    ------
    DatabaseError
        If it is.
    """
    check = getattr(dj.conn(), "check_writable", None)
    if check is not None:
        check()


@contextmanager
def published_or_removed() -> Iterator[None]:
    """Remove the files written inside the block if it fails; flush them to disk if it succeeds.

    Put the insert inside, and the commit outside: when the answer to a commit is lost, nobody knows whether the row is
    there, and an orphaned file (which garbage collection finds) is better than a row without its file.

    Raises
    ------
    StoreError
        Instead of an `OSError` from the store, such as a full disk.
    """
    written: list[tuple[StorageBackend, str]] = []
    token = written_files.set(written)
    try:
        yield
        _synchronise(written)
    except BaseException as error:
        for backend, path in written:
            backend.remove_folder(path) if backend.isdir(path) else backend.remove(path)
            remove_published_parents(backend, path)
        if isinstance(error, OSError):
            raise StoreError(
                f"the store could not be written: {error.strerror or error} ({error.filename or 'no file name given'});"
                " nothing was kept. Free space or mend the permissions, then run the command again"
            ) from error
        raise
    finally:
        written_files.reset(token)


def _synchronise(written: list[tuple[StorageBackend, str]]) -> None:
    """Wait until the files and folders of local stores are on the disk: their rows survive a power cut as well."""
    found: dict[Path, None] = {}  # each once, though many lie in the same folder
    for backend, path in written:
        if backend.protocol == "file":
            root, one = Path(backend._full_path("")), Path(backend._full_path(path))
            parents = [parent for parent in one.parents if parent == root or root in parent.parents]
            found |= dict.fromkeys([*one.rglob("*"), one, *parents])
    for one in found:
        descriptor = os.open(one, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_published_parents(backend: StorageBackend, path: str) -> None:
    """Remove the folders that a removed file leaves empty; only a local store has folders."""
    if backend.protocol != "file":
        return
    root = Path(backend._full_path(""))
    folder = Path(backend._full_path(path)).parent
    # DataJoint's safe_write leaves its temporary file behind when the disk is full.
    Path(backend._full_path(path) + ".saving").unlink(missing_ok=True)
    while folder != root and root in folder.parents:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def publish(backend: StorageBackend, path: str, content: bytes, n_frames: int) -> None:
    """Write a tracks file atomically: its name appears only after its footer was read back.

    In a folder it is written under another name first; an object store shows an object when it is whole.
    """
    is_folder = backend.protocol == "file"
    written = f"{path}.part" if is_folder else path
    full_path = backend._full_path(path)
    try:
        if is_folder:
            Path(full_path).parent.mkdir(parents=True, exist_ok=True)
            Path(backend._full_path(written)).write_bytes(content)
        else:
            backend.put_buffer(content, written)
        with backend.open(written) as file:
            found = read_parquet_footer(file).n_frames, backend.size(written)
        if found != (n_frames, len(content)):
            raise DatabaseError(
                f"the store kept {found[0]} frames, {found[1]} bytes of {path}; expected {n_frames} and {len(content)}"
            )
        if is_folder:
            Path(backend._full_path(written)).replace(full_path)
    except BaseException:
        backend.remove(written)
        raise
