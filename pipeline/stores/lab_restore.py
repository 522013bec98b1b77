"""A lab out of a backup: the files into the stores, then all rows in one transaction.

Everything is compared with the backup's hashes. Until the rows are committed the lab is empty, whatever files are in
its stores: after a killed process, restoring again goes on where it was.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datajoint.storage import StorageBackend

from compute.errors import DatabaseError
from pipeline.database import connection as database
from pipeline.database.saved_rows import check_saved_rows, damaged_file, load_rows, needs_rows
from pipeline.settings import Settings
from pipeline.stores.collection import store_backend
from pipeline.stores.lab_backup import (
    SavedFile,
    Snapshot,
    check_room,
    copy_hashed,
    hash_file,
    read_snapshot,
    written_whole,
)


def restore_lab(
    settings: Settings,
    folder: Path,
    name: str | None = None,
    *,
    dry_run: bool = False,
    on_step: Callable[[str], None] = lambda step: None,
) -> Snapshot:
    """Restore a backup into the lab that is configured, embedded or on a server, which must be empty.

    A lab that has exactly these rows already gets the files that it lacks.

    Parameters
    ----------
    settings : Settings
        Of the lab. On a server the user must be allowed to change all tables (`orofacial_admin`), or to make them.
    folder : Path
        Of `pipeline.stores.lab_backup.back_up_lab`.
    name : str, optional
        Of a snapshot; without it, the newest.
    dry_run : bool
        Only check that the backup is whole.
    on_step : callable
        Told what comes next.

    Raises
    ------
    DatabaseError
        If the backup is not whole, the lab is not empty, or something cannot be written. No row was changed then.
    """
    snapshot = read_snapshot(folder, name)
    on_step(f"checking the backup {snapshot.folder.name}")
    check_saved_rows(snapshot.folder, snapshot.rows)
    for file in snapshot.files:
        _check_file(snapshot, file, content=dry_run)
    if dry_run:
        return snapshot
    connection = database.open_connection(settings)
    needs_rows(connection, settings.schema_prefix, snapshot.folder, snapshot.rows)
    on_step(f"{len(snapshot.files)} files")
    _restore_files(snapshot)
    on_step(f"{snapshot.rows.n_rows} rows")
    load_rows(connection, settings.schema_prefix, snapshot.folder, snapshot.rows)
    return snapshot


def _check_file(snapshot: Snapshot, file: SavedFile, *, content: bool) -> None:
    copy = snapshot.copy_of(file)
    if not copy.is_file():
        raise damaged_file(copy, f"{file.size_bytes} bytes", "no such file")
    if copy.stat().st_size != file.size_bytes:
        raise damaged_file(copy, f"{file.size_bytes} bytes", f"{copy.stat().st_size}")
    if content and hash_file(copy) != file.sha256:
        raise damaged_file(copy, file.sha256, hash_file(copy))


def _restore_files(snapshot: Snapshot) -> None:
    """Copy the files that the stores lack; if one is damaged in the backup, those that were copied go again."""
    missing = [file for file in snapshot.files if not _is_there(store_backend(file.store), file)]
    for store in {file.store for file in missing}:
        backend = store_backend(store)
        if backend.protocol == "file":
            size = sum(file.size_bytes for file in missing if file.store == store)
            check_room(Path(backend._full_path("")), size)
    copied: list[SavedFile] = []
    try:
        for file in missing:
            copied.append(file)
            _restore_file(store_backend(file.store), snapshot, file)
    except BaseException as error:
        for file in copied:
            backend = store_backend(file.store)
            if backend.fs.exists(backend._full_path(file.path)):
                backend.fs.rm(backend._full_path(file.path))
        if isinstance(error, OSError):
            raise DatabaseError(
                f"the stores could not be written: {error}. Nothing was restored; free space or mend the permissions,"
                " and try again"
            ) from error
        raise
    os.sync()


def _is_there(backend: StorageBackend, file: SavedFile) -> bool:
    """Whether a store has a file with this content."""
    path = backend._full_path(file.path)
    if not backend.fs.exists(path) or backend.fs.size(path) != file.size_bytes:
        return False
    with backend.fs.open(path, "rb") as found:
        return copy_hashed(found, _Nowhere()) == (file.size_bytes, file.sha256)


class _Nowhere:
    """Takes what is written to it, and keeps nothing."""

    def write(self, chunk: bytes) -> None:
        pass


def _restore_file(backend: StorageBackend, snapshot: Snapshot, file: SavedFile) -> None:
    path = backend._full_path(file.path)
    with snapshot.copy_of(file).open("rb") as source:
        if backend.protocol == "file":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            with written_whole(Path(path)) as target:
                _copy_checked(snapshot, file, source, target)
        else:  # an object store shows an object when it is whole
            with backend.fs.open(path, "wb") as target:
                _copy_checked(snapshot, file, source, target)


def _copy_checked(snapshot: Snapshot, file: SavedFile, source: Any, target: Any) -> None:
    _, digest = copy_hashed(source, target)
    if digest != file.sha256:
        raise damaged_file(snapshot.copy_of(file), file.sha256, digest)
