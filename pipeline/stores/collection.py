"""Garbage collection: remove files of the stores that no row points at, and never one that a row points at.

A worker writes its file first and commits the row afterwards, so that for a while a good file has no row. Whether such
a file is garbage is decided in an order that makes it certain, also while workers write:

1. List the files, with the time at which each was written. For a local store that is the later one of mtime and ctime:
   copying a folder keeps its files' mtime, but nobody can set a ctime back.
2. Ask the database when the oldest transaction began that is still open. Files are written inside the transaction that
   inserts their row, so that a file written before that moment (less the grace age, which covers clocks that
   disagree and inserts outside a transaction) belongs to a transaction that has ended: its row is there, or never
   will be, since names are random and never used twice.
3. Read what rows point at. Only now: every row of a transaction that had ended at step 2 is seen.
4. A file is garbage if it is old enough by 2 and no row of 3 points at it.
5. Right before files are removed, in small batches, read what rows point at once more: a row that was brought back
   meanwhile (by restoring a backup) keeps its file. While a backup is made nothing is removed: it may be of rows that
   were deleted since it began.

Where the server does not show other users' transactions, a grace age of a day stands in for step 2.

DataJoint's own ``dj.gc`` is not used: it reads the rows before it lists the files (a file written and committed between
counts as garbage), has no grace age, and continues after a table that it could not read, whose files then all count as
garbage. Folders stay, also empty ones: a worker may be about to write into one.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import datajoint as dj
from datajoint.hash_registry import get_store_backend
from datajoint.storage import StorageBackend

import schemas
from compute.errors import AnswerWarning, OrofacialError
from compute.text import count_text
from schemas.label_images import forget_unused_label_images
from schemas.labels import DeletedLabels, LabelImage
from schemas.making.locks import holding_lock
from schemas.stored.publishing import check_may_publish

STORES = ("tracks", "models")
"""The stores that are collected whole. Of the labels store only images are, and packages that somebody deleted."""

LABELS_GRACE_S = 30 * 86400.0
"""Packages of labels that were deleted, and images that no row points at, are left alone for this long (s).

A database that was restored from a backup of some days before may know nothing of labels that came since.
"""

GRACE_S = 3600.0
"""A file is left alone for this long after it was written (s)."""

UNSEEN_GRACE_S = 86400.0
"""The same where other users' transactions cannot be seen (s)."""

_MINIMUM_GRACE_S = 1.0
"""File times come from a coarser clock than the database's (4 ms on Linux)."""

_BATCH = 500
_PATIENCE_S = 5.0
"""Others who remove files hold the lock for a moment, a backup for long."""


class CollectionError(OrofacialError):
    """Garbage cannot be distinguished from files that are needed."""


@dataclass(frozen=True)
class StoredFile:
    """A file of a store."""

    store: str
    path: str
    size_bytes: int
    written_at: float
    """Seconds since 1970."""


@dataclass(frozen=True)
class Collected:
    """Result of a collection.

    Attributes
    ----------
    n_files : int
        Files in the stores.
    garbage : list of StoredFile
        No row points at them, and they are old enough.
    young : list of StoredFile
        No row points at them yet; somebody may be about to insert it.
    removed : list of StoredFile
        Garbage that is gone now; empty for a dry run.
    """

    n_files: int
    garbage: list[StoredFile]
    young: list[StoredFile]
    removed: list[StoredFile] = field(default_factory=list)


def collect(
    *,
    dry_run: bool = False,
    grace_s: float = GRACE_S,
    even_most: bool = False,
    labels_grace_s: float = LABELS_GRACE_S,
) -> Collected:
    """Remove files of the stores that no row points at.

    Parameters
    ----------
    dry_run : bool
        Only say what would be removed.
    grace_s : float
        Keep files that are younger (s).
    even_most : bool
        Go on even if more than half of all files are garbage.
    labels_grace_s : float
        Keep packages and images of labels that were deleted less than this ago, and images without a row that were
        written less than this ago (s).

    Raises
    ------
    CollectionError
        If the grace age is under a second, or most files are garbage: then the store probably belongs to another
        database too, whose rows are not seen here. Nothing is removed.
    DataJointError, OSError
        If a table or a store cannot be read. Nothing is removed.
    """
    if grace_s < _MINIMUM_GRACE_S:
        raise CollectionError(f"the grace age is {grace_s:g} s, expected at least {_MINIMUM_GRACE_S:.0f} s (0.0003 h)")
    files = [file for store in STORES for file in _stored_files(store)]
    files += [file for file in _stored_files("labels") if f"/{LabelImage.table_name}/" in file.path]
    cutoff = _cutoff(grace_s)
    cutoffs = {**dict.fromkeys(STORES, cutoff), "labels": min(cutoff, time.time() - labels_grace_s)}
    referenced = references()
    loose = [file for file in files if not is_collection_referenced(file.store, file.path, referenced)]
    garbage = [file for file in loose if file.written_at < cutoffs[file.store]]
    young = [file for file in loose if file.written_at >= cutoffs[file.store]]
    if len(garbage) > len(files) / 2 and not (dry_run or even_most):
        raise CollectionError(
            f"{len(garbage)} of {count_text(len(files), 'file')} in the stores are pointed at by no row of this"
            " database; nothing was removed. If another database uses the same stores its files would be lost. If none"
            " does, say so with --even-most"
        )
    garbage += _deleted_labels(referenced, labels_grace_s, dry_run=dry_run)
    removed = [] if dry_run else remove_collected(garbage)
    return Collected(len(files), garbage, young, removed)


def remove_collected(files: Sequence[StoredFile]) -> list[StoredFile]:
    """Remove files, unless a row points at them at this moment; return those that were removed.

    While a backup runs, whose rows may point at files of rows that were deleted since, none is removed.
    """
    check_may_publish()
    removed = []
    lock = removal_lock_name(str(schemas.worker.schema.database).removesuffix("worker"))
    for start in range(0, len(files), _BATCH):
        with holding_lock(dj.conn(), lock, wait_s=_PATIENCE_S) as may_remove:
            if not may_remove:
                warnings.warn(
                    f"{count_text(len(files) - start, 'file')} stay in the stores, since a backup is being made that"
                    " may need them; the next orofacial collect removes them",
                    AnswerWarning,
                    stacklevel=2,
                )
                break
            referenced = references()
            for file in files[start : start + _BATCH]:
                if not is_collection_referenced(file.store, file.path, referenced) and _remove_one(file):
                    removed.append(file)
    return removed


def removal_lock_name(prefix: str) -> str:
    """Name of the lock (see `schemas.making.locks`) that is held while files are removed, and by a backup."""
    return f"{prefix} removal of files"


def _remove_one(file: StoredFile) -> bool:
    backend = store_backend(file.store)
    try:
        backend.fs.rm(backend._full_path(file.path))
    except FileNotFoundError:  # the worker whose insert failed removed it itself
        return False
    return True


def is_collection_referenced(store: str, path: str, referenced: set[tuple[str, str]]) -> bool:
    """Whether a row points at a file, at a folder that holds it, or at the folder that it is the manifest of."""
    path = path.removesuffix(".manifest.json")
    while path:
        if (store, path) in referenced:
            return True
        path = path.rpartition("/")[0]
    return False


def references() -> set[tuple[str, str]]:
    """Store and path of everything that a row points at.

    All tables that the database has are read, also those that this version of the code does not know. A table that
    cannot be read is an error, never an empty table.
    """
    return {
        reference
        for schema in active_schemas()
        for name in schema.list_tables()
        for reference in references_of(schema.get_table(name))
    }


def references_of(table: Any) -> Iterator[tuple[str, str]]:
    """Store and path of what the rows of one table (restricted or not) point at."""
    for name in table.heading.schema_objects:
        codec = table.heading.attributes[name].codec
        for row in table.proj(name).cursor(as_dict=True):
            for path, store in codec.referenced_paths(row[name]):
                yield store or dj.config.stores["default"], path


def active_schemas() -> list[dj.Schema]:
    """The schemas of all of this project's tables, in the connected database."""
    found = [getattr(module, "schema", None) for module in vars(schemas).values()]
    return [schema for schema in found if isinstance(schema, dj.Schema)]


def files_of(references: Iterable[tuple[str, str]]) -> list[StoredFile]:
    """The files behind what rows point at; a folder is all files in it, and its manifest."""
    files = []
    for store, path in references:
        backend = store_backend(store)
        for one in (path, f"{path}.manifest.json"):
            found = backend.fs.find(backend._full_path(one), detail=True)
            files += [_stored_file(store, backend, info) for info in found.values()]
    return files


def _deleted_labels(referenced: set[tuple[str, str]], labels_grace_s: float, *, dry_run: bool) -> list[StoredFile]:
    """The packages of labels that somebody deleted, long enough ago, and the images that no other labels name."""
    (now,) = dj.conn().query("SELECT LOCALTIMESTAMP").fetchone()
    paths = [
        row["package_path"]
        for row in DeletedLabels.to_dicts()
        if (now - row["labels_deleted_at"]).total_seconds() >= labels_grace_s
    ]
    packages = files_of(("labels", path) for path in paths)
    images = files_of(forget_unused_label_images(paths, dry_run=dry_run))
    return [one for one in packages if not is_collection_referenced(one.store, one.path, referenced)] + images


def _stored_files(store: str) -> list[StoredFile]:
    """The files of a store that lie where rows of the connected schemas would point."""
    backend = store_backend(store)
    prefix = dj.config.get_store_spec(store)["schema_prefix"].strip("/")
    files = []
    for schema in active_schemas():
        folder = backend._full_path(f"{prefix}/{schema.database}" if prefix else schema.database)
        backend.fs.invalidate_cache()
        found = backend.fs.find(folder, detail=True)
        files += [_stored_file(store, backend, info) for info in found.values()]
    return files


def _stored_file(store: str, backend: StorageBackend, info: dict[str, Any]) -> StoredFile:
    path = info["name"][len(backend._full_path("").rstrip("/")) :].lstrip("/")
    # Local: mtime and created (which is ctime) in seconds; object stores: the date of the upload.
    times = [info[name] for name in ("mtime", "created", "LastModified", "last_modified") if info.get(name) is not None]
    seconds = [value.timestamp() if hasattr(value, "timestamp") else float(value) for value in times]
    return StoredFile(store, path, int(info["size"]), max(seconds, default=time.time()))


def store_backend(store: str) -> StorageBackend:
    """How to reach the files of a store."""
    return get_store_backend(store, config=dj.config)


def _cutoff(grace_s: float) -> float:
    """Files written before this moment (seconds since 1970) belong to no transaction that is still open."""
    began, all_seen = _oldest_transaction(dj.conn())
    if not all_seen:
        return min(time.time() - max(grace_s, UNSEEN_GRACE_S), began - grace_s)
    return min(time.time(), began) - grace_s


def _oldest_transaction(connection: Any) -> tuple[float, bool]:
    """When the oldest open transaction of others began (infinite: there is none), and whether all could be seen."""
    if connection.adapter.backend == "postgresql":
        began, hidden = connection.query(
            "SELECT extract(epoch FROM min(xact_start))::float8,"
            " count(*) FILTER (WHERE query = '<insufficient privilege>')"
            " FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
        return (float("inf") if began is None else float(began)), not hidden
    try:
        (began,) = connection.query(
            "SELECT unix_timestamp(min(trx_started)) FROM information_schema.innodb_trx"
            " WHERE trx_mysql_thread_id <> connection_id()"
        ).fetchone()
    except dj.errors.AccessError:  # without the privilege PROCESS
        return float("inf"), False
    return (float("inf") if began is None else float(began)), True
