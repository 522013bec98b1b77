"""A backup of a lab: rows of one moment and the files that they point at, in a folder that any lab can be made from.

Folder::

    2026-11-28_10-30-00/   a snapshot: all rows (see `pipeline.database.saved_rows`), settings.toml, and manifest.json
    files/<store>/         the files of all snapshots; a file never changes, so that each is copied once

A snapshot has its name once it is whole; until then it ends in ``.part``. Raw videos are not copied.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import datajoint as dj

from compute.errors import DatabaseError, OldDatabaseError
from compute.json_text import json_text
from pipeline.database import connection as database
from pipeline.database.embedded import locked
from pipeline.database.saved_rows import SavedRows, rows_of_one_moment, save_rows
from pipeline.database.table_rows import StoredTable, full_name
from pipeline.settings import SETTINGS_FILE_NAME, Settings
from pipeline.stores.collection import StoredFile, files_of, references_of, removal_lock_name, store_backend
from schemas.making.locks import holding_lock
from schemas.making.provenance import provenance_code_version
from schemas.migrations.version import check_version, read_columns
from schemas.tables import table_schema_names

_CHUNK = 1 << 20
_UNFINISHED = ".part"


@dataclass(frozen=True)
class SavedFile:
    """A file of a store, and what it is to be."""

    store: str
    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Snapshot:
    """A backup of one moment.

    Attributes
    ----------
    folder : Path
        Its folder within that of the backup.
    made_at : str
        When, in ISO 8601.
    orofacial : str
        The version of the code that made it.
    rows : SavedRows
        All tables.
    files : tuple of SavedFile
        What the rows point at.
    lost_files : tuple of str
        What rows point at, and the store no longer had.
    """

    folder: Path
    made_at: str
    orofacial: str
    rows: SavedRows
    files: tuple[SavedFile, ...]
    lost_files: tuple[str, ...]

    @property
    def n_bytes(self) -> int:
        """Size of the files."""
        return sum(file.size_bytes for file in self.files)

    def copy_of(self, file: SavedFile | StoredFile) -> Path:
        """Where the backup keeps a file."""
        return _copy_of(self.folder.parent, file)


@dataclass(frozen=True)
class MadeBackup:
    """Result of `back_up_lab`: the snapshot, and what of its files was new."""

    snapshot: Snapshot
    n_new_files: int
    n_new_bytes: int


def back_up_lab(settings: Settings, folder: Path, *, on_step: Callable[[str], None] = lambda step: None) -> MadeBackup:
    """Make a backup, also while workers run. A folder with earlier backups gets only the files that are new.

    Parameters
    ----------
    settings : Settings
        Of the lab; its database may be of an older version.
    folder : Path
        Created for its owner only.
    on_step : callable
        Told what comes next.

    Raises
    ------
    DatabaseError
        If there is no lab, no room, or something cannot be read or written. The lab and earlier backups are as before.
    """
    connection = database.open_connection(settings, read_only=True)
    with contextlib.suppress(OldDatabaseError):  # it is backed up as it is
        check_version(
            connection,
            settings.schema_prefix,
            read_columns(connection, table_schema_names(settings.schema_prefix)),
        )
    folder = folder.expanduser().absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(folder / "backup.lock"), holding_lock(connection, removal_lock_name(settings.schema_prefix)):
            for left in folder.glob(f"*{_UNFINISHED}"):
                shutil.rmtree(left)
            return _back_up(settings, connection, folder, on_step)
    except OSError as error:
        raise DatabaseError(
            f"{folder}: the backup could not be made ({error}). The lab and earlier backups are as they were, and files"
            " that were copied whole are kept; mend what is named there, and run it again to go on"
        ) from error


def _back_up(settings: Settings, connection: Any, folder: Path, on_step: Callable[[str], None]) -> MadeBackup:
    moment = _new_name(folder)
    unfinished = folder / f"{moment:%Y-%m-%d_%H-%M-%S}{_UNFINISHED}"
    unfinished.mkdir()
    try:
        on_step("rows of all tables")
        with rows_of_one_moment(connection, settings.schema_prefix) as (tables, statements):
            rows = save_rows(connection, settings.schema_prefix, tables, statements, unfinished)
            pointed_at = rows_references(connection, settings.schema_prefix, tables)
        stored, lost = find_files(pointed_at)
        on_step(f"{len(stored)} files")
        files, new = _copy_new(folder, stored)
        made = Snapshot(
            unfinished.with_suffix(""), moment.isoformat(), provenance_code_version(), rows, tuple(files), tuple(lost)
        )
        if (settings.data_folder / SETTINGS_FILE_NAME).exists():
            shutil.copyfile(settings.data_folder / SETTINGS_FILE_NAME, unfinished / SETTINGS_FILE_NAME)
        content = {name: value for name, value in asdict(made).items() if name != "folder"}
        (unfinished / "manifest.json").write_text(json_text(content, indent=1), encoding="utf-8")
        os.sync()
        unfinished.rename(made.folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return MadeBackup(made, len(new), sum(file.size_bytes for file in new))


def _new_name(folder: Path) -> datetime:
    """The present second, of which no snapshot has its name yet."""
    while (folder / f"{(now := datetime.now().astimezone().replace(microsecond=0)):%Y-%m-%d_%H-%M-%S}").exists():
        time.sleep(0.1)
    return now


def rows_references(
    connection: Any, prefix: str, tables: list[StoredTable], *, most_rows: int | None = None
) -> set[tuple[str, str]]:
    """Store and path of all that rows point at, as of `pipeline.stores.collection.references`, for any version.

    With `most_rows` only so many rows of each table are read.
    """
    shown = [table for table in tables if not table.name.startswith("~")]
    free = [dj.FreeTable(connection, full_name(connection, prefix, table)) for table in shown]
    read = free if most_rows is None else [table & dj.Top(most_rows) for table in free]
    return {reference for table in read for reference in references_of(table)}


def find_files(references: set[tuple[str, str]]) -> tuple[list[StoredFile], list[str]]:
    """The files behind what rows point at, and what is lost."""
    found: dict[tuple[str, str], StoredFile] = {}
    lost = []
    for reference in sorted(references):
        files = files_of([reference])
        found |= {(file.store, file.path): file for file in files}
        if not files:
            lost.append("/".join(reference))
    return list(found.values()), lost


def _copy_new(folder: Path, stored: list[StoredFile]) -> tuple[list[SavedFile], list[SavedFile]]:
    """All files with their hashes, and those among them that were copied now."""
    known = {(file.store, file.path): file for name in snapshot_names(folder) for file in _read(folder, name).files}
    there = {}
    for file in stored:
        copy, before = _copy_of(folder, file), known.get((file.store, file.path))
        if before is not None and before.size_bytes != file.size_bytes:
            raise DatabaseError(
                f"{file.store}/{file.path} has {file.size_bytes} bytes, and {before.size_bytes} in an earlier backup: a"
                f" file of a store never changes. See who wrote it and restore it from the backup ({copy}), or back up"
                " into another folder"
            )
        if copy.exists() and copy.stat().st_size == file.size_bytes:
            there[file] = before or SavedFile(file.store, file.path, file.size_bytes, hash_file(copy))
    missing = [file for file in stored if file not in there]
    check_room(folder, sum(file.size_bytes for file in missing))
    new = {file: _copy(folder, file) for file in missing}
    return [there.get(file) or new[file] for file in stored], list(new.values())


def _copy(folder: Path, file: StoredFile) -> SavedFile:
    backend = store_backend(file.store)
    copy = _copy_of(folder, file)
    copy.parent.mkdir(parents=True, exist_ok=True)
    with backend.fs.open(backend._full_path(file.path), "rb") as source, written_whole(copy) as target:
        size, digest = copy_hashed(source, target)
        if size != file.size_bytes:
            raise OSError(f"{file.store}/{file.path}: {size} bytes were read of {file.size_bytes}")
    return SavedFile(file.store, file.path, size, digest)


def check_room(folder: Path, n_bytes: int) -> None:
    """Refuse to copy more than a disk has room for.

    Raises
    ------
    DatabaseError
        Before anything is copied.
    """
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise DatabaseError(
            f"{folder}: no room for {n_bytes / 1e6:.0f} MB of files ({free / 1e6:.0f} MB free). Free some space or"
            " name another disk; nothing was changed"
        )


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file that gets its name when all of it is written."""
    unfinished = path.with_name(path.name + _UNFINISHED)
    try:
        with unfinished.open("wb") as file:
            yield file
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def copy_hashed(source: Any, target: Any) -> tuple[int, str]:
    """Copy from one open file to another; size and SHA-256 of what was copied."""
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
        target.write(chunk)
    return size, digest.hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def snapshot_names(folder: Path) -> list[str]:
    """Names of the snapshots that are whole, the newest last."""
    return sorted(path.parent.name for path in folder.glob("*/manifest.json") if path.parent.suffix != _UNFINISHED)


def read_snapshot(folder: Path, name: str | None = None) -> Snapshot:
    """A snapshot of a backup, the newest by default.

    Raises
    ------
    DatabaseError
        If there is none, none of that name, or its manifest cannot be read.
    """
    folder = folder.expanduser().absolute()
    names = snapshot_names(folder)
    if not names:
        raise DatabaseError(
            f"{folder}: no backup here; expected folders such as 2026-11-28_10-30-00 with a manifest.json, made by"
            " orofacial backup"
        )
    if name is not None and name not in names:
        raise DatabaseError(f"{folder}: no backup {name!r}; there are {', '.join(names)}")
    return _read(folder, name or names[-1])


def _read(folder: Path, name: str) -> Snapshot:
    path = folder / name / "manifest.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        files = tuple(SavedFile(**one) for one in found.pop("files"))
        rows, lost = SavedRows.from_json(found.pop("rows")), tuple(found.pop("lost_files"))
        outside = [file.path for file in files if ".." in PurePosixPath(file.path).parts or file.path.startswith("/")]
        if outside:
            raise ValueError(f"{outside[0]!r} is no path within a store")
        return Snapshot(folder=folder / name, rows=rows, files=files, lost_files=lost, **found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatabaseError(
            f"{path}: this is no manifest of a backup ({error}); name another one with --snapshot, of those in {folder}"
        ) from error


def _copy_of(folder: Path, file: SavedFile | StoredFile) -> Path:
    return folder / "files" / file.store / file.path
