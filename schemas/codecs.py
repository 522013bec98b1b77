"""What the tables keep in a store: `<tracks@>`, `<array@>` and `<bundle@>`.

A file is complete before a row points at it, and a row that could not be inserted leaves no file behind:
write inside `published_or_removed()`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
from datajoint.builtin_codecs import NpyCodec, ObjectCodec, SchemaCodec
from datajoint.objectref import ObjectRef
from datajoint.storage import StorageBackend
from datajoint.table import Table
from fsspec import AbstractFileSystem
from numpy.typing import NDArray

from compute.errors import DatabaseError, StoreError, TracksError
from compute.tracks import FILTER_COLUMNS, FORMAT_VERSION, Tracks
from compute.tracks_file import TracksFooter, read_footer, read_times, read_tracks, to_parquet

_written: ContextVar[list[tuple[StorageBackend, str]] | None] = ContextVar("written", default=None)


@contextmanager
def published_or_removed() -> Iterator[None]:
    """Remove the files written inside the block if the block fails; have them on the disk if it does not.

    Put the insert inside, and the commit outside: when a commit's answer is lost nobody knows whether the row is
    there, and an orphaned file (which garbage collection finds) is better than a row without its file.

    Raises
    ------
    StoreError
        Instead of an `OSError` from the store, such as a full disk.
    """
    written: list[tuple[StorageBackend, str]] = []
    token = _written.set(written)
    try:
        yield
        for backend, path in written:
            _synchronise(backend, path)
    except BaseException as error:
        for backend, path in written:
            backend.remove_folder(path) if backend.isdir(path) else backend.remove(path)
            _remove_empty_parents(backend, path)
        if isinstance(error, OSError):
            raise StoreError(
                f"the store could not be written: {error.strerror or error} ({error.filename or 'no file name given'});"
                " nothing was kept. Free space or mend the permissions, then run the command again"
            ) from error
        raise
    finally:
        _written.reset(token)


def _synchronise(backend: StorageBackend, path: str) -> None:
    """Wait until a file or folder of a local store is on the disk: the database's row survives a power cut as well."""
    if backend.protocol != "file":
        return
    root, written = Path(backend._full_path("")), Path(backend._full_path(path))
    parents = [parent for parent in written.parents if parent == root or root in parent.parents]
    for one in [*written.rglob("*"), written, *parents]:
        descriptor = os.open(one, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_empty_parents(backend: StorageBackend, path: str) -> None:
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


@contextmanager
def local_copy(reference: ObjectRef) -> Iterator[Path]:
    """The file or folder of a `<bundle@>` on this machine, fetched first where the store is elsewhere.

    Raises
    ------
    DatabaseError
        If the store does not have it.
    """
    if not reference.exists():
        raise DatabaseError(f"{reference.path} is gone from the store {reference.store}; restore it from a backup")
    if reference._backend.protocol == "file":
        yield Path(reference.full_path)
        return
    with tempfile.TemporaryDirectory(prefix="orofacial-") as folder:
        if reference.is_dir:
            # Not `reference.download`: it puts the folder below the one that it returns.
            reference._backend.fs.get(reference._backend._full_path(reference.path) + "/", folder + "/", recursive=True)
            yield Path(folder)
        else:
            yield Path(reference.download(folder))


class _RecordedCodec(SchemaCodec, register=False):  # type: ignore[call-arg]
    """A codec that remembers where it wrote, for `published_or_removed`."""

    def _build_path(self, *args: Any, **kwargs: Any) -> tuple[str, str]:
        path, token = super()._build_path(*args, **kwargs)
        written = _written.get()
        if written is not None:
            written.append((self._get_backend(kwargs.get("store_name"), config=kwargs.get("config")), path))
        return path, token


class ArrayCodec(_RecordedCodec, NpyCodec):
    """A NumPy array as an `.npy` file."""

    name = "array"


class BundleCodec(_RecordedCodec, ObjectCodec):
    """A file or folder as it is: a labels package, a model's bundle."""

    name = "bundle"


class TracksCodec(_RecordedCodec):
    """`compute.tracks.Tracks` as a Parquet file that explains itself, see `compute.tracks_file`."""

    name = "tracks"

    def validate(self, value: Any) -> None:
        """Accept `Tracks` only."""
        if not isinstance(value, Tracks):
            raise TracksError(f"<tracks> stores compute.tracks.Tracks, got {type(value).__name__}")

    def encode(
        self, value: Any, *, key: dict | None = None, context: dict | None = None, store_name: str | None = None
    ) -> dict[str, Any]:
        """Write and verify the file; return what the row keeps of it."""
        schema, table, field, primary_key = self._extract_context(key, context)
        config = self._codec_config(key, context)
        path, _ = self._build_path(
            schema, table, field, primary_key, ext=".parquet", store_name=store_name, config=config
        )
        _publish(self._get_backend(store_name, config=config), path, to_parquet(value, primary_key), value.n_frames)
        return {
            "path": path,
            "store": store_name,
            "n_frames": value.n_frames,
            "nodes": list(value.nodes),
            "filter_columns": [name for name in FILTER_COLUMNS if getattr(value, name) is not None],
            "format_version": FORMAT_VERSION,
        }

    def decode(self, stored: dict, *, key: dict | None = None, context: dict | None = None) -> TracksReference:
        """Return a lazy reference: nothing is read yet."""
        config = self._codec_config(key, context)
        return TracksReference(stored, self._get_backend(stored.get("store"), config=config))


class TracksReference:
    """Tracks in a store, read when asked for.

    Attributes
    ----------
    n_frames : int
    nodes : tuple of str
    filter_columns : tuple of str
        What a filter added: ``sd``, ``rejected``, ``filled``.
    path : str
        Place in the store, which holds the row's key.
    format_version : int
        Of the file, by its row; newer than `compute.tracks.FORMAT_VERSION` if a newer orofacial wrote it.
    """

    def __init__(self, stored: dict[str, Any], backend: StorageBackend) -> None:
        self.n_frames: int = stored["n_frames"]
        self.nodes: tuple[str, ...] = tuple(stored["nodes"])
        self.filter_columns: tuple[str, ...] = tuple(stored.get("filter_columns", ()))
        self.path: str = stored["path"]
        self.format_version: int = stored.get("format_version", 1)
        self._backend = backend

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the position array (frame, node, 2), known without reading."""
        return self.n_frames, len(self.nodes), 2

    @property
    def address(self) -> str:
        """Where the file is: a path in a folder store, ``s3://bucket/key`` in S3."""
        if self._backend.protocol == "file":  # a thousand of these are asked for at once: no pathlib
            return f"{str(self._backend.spec['location']).rstrip('/')}/{self.path}"
        return str(self._backend.get_url(self.path))

    @property
    def filesystem(self) -> AbstractFileSystem | None:
        """How to reach `address`; None for a folder of this machine."""
        return None if self._backend.protocol == "file" else self._backend.fs

    @property
    def time(self) -> NDArray[np.float64]:
        """Time of each frame (s), shape (frame,). Reads no position.

        Raises
        ------
        DatabaseError
            If the file is gone or damaged.
        """
        with self._opened() as file:
            return np.asarray(read_times(file))

    def footer(self) -> TracksFooter:
        """What the file says of itself. Reads no position.

        Raises
        ------
        DatabaseError
            If the file is gone, damaged, or not the one that the row was made with.
        """
        with self._opened() as file:
            footer = read_footer(file)
        if (footer.n_frames, footer.nodes) != (self.n_frames, self.nodes):
            raise DatabaseError(
                f"the tracks in {self.path} have {footer.n_frames} frames of {', '.join(footer.nodes)}, their row says"
                f" {self.n_frames} frames of {', '.join(self.nodes)}; restore the file from a backup"
            )
        return footer

    def tracks(self, nodes: Sequence[str] | None = None, time_span_s: tuple[float, float] | None = None) -> Tracks:
        """Read the tracks, or only these nodes' columns and frames with start <= time < end.

        Raises
        ------
        DatabaseError
            If the file is gone or damaged, or of a newer format version.
        TracksError
            If there is no such node.
        """
        unknown = [node for node in nodes or () if node not in self.nodes]
        if unknown:
            raise TracksError(f"no node {unknown[0]!r} in {self.path}; there are {', '.join(self.nodes)}")
        with self._opened() as file:
            return read_tracks(file, nodes, time_span_s)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            # One request for each part that is asked for: a cache that reads ahead would fetch other nodes' columns.
            with self._backend.fs.open(self._backend._full_path(self.path), "rb", cache_type="none") as file:
                yield file
        except (OSError, TracksError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or error
            raise DatabaseError(
                f"the tracks in {self.path} cannot be read ({reason}); restore the file from a backup, or take the"
                " session out with 'orofacial delete session' and ingest it again"
            ) from error

    def __repr__(self) -> str:
        return f"TracksReference(n_frames={self.n_frames}, nodes={list(self.nodes)}, path={self.path!r})"


def _publish(backend: StorageBackend, path: str, content: bytes, n_frames: int) -> None:
    """Write a file of tracks so that nobody ever sees a part of it: its name appears once its footer was read back.

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
            found = read_footer(file).n_frames, backend.size(written)
        if found != (n_frames, len(content)):
            raise DatabaseError(
                f"the store kept {found[0]} frames, {found[1]} bytes of {path}; expected {n_frames} and {len(content)}"
            )
        if is_folder:
            Path(backend._full_path(written)).replace(full_path)
    except BaseException:
        backend.remove(written)
        raise


def remove_unreferenced(table: Table, key: dict[str, Any]) -> int:
    """Remove the files that a dead process wrote for a row that it did not insert; return how many.

    Only call it while nobody else can insert that row, such as with its job locked.

    Parameters
    ----------
    table : datajoint table
        The row's.
    key : dict
        The row's primary key. Where the row exists nothing is removed.
    """
    if table & key:
        return 0
    n_removed = 0
    for name, attribute in table.heading.attributes.items():
        if not isinstance(attribute.codec, _RecordedCodec):
            continue
        config = table.connection._config
        store = attribute.store
        path, _ = SchemaCodec._build_path(
            attribute.codec, table.database, table.table_name, name, key, store_name=store, config=config
        )
        backend = attribute.codec._get_backend(store, config=config)
        folder = backend._full_path(path.rpartition("/")[0])
        if not backend.fs.isdir(folder):
            continue
        for found in backend.fs.ls(folder, detail=False):
            if found.rpartition("/")[2].startswith(f"{name}_"):
                backend.fs.rm(found, recursive=True)
                n_removed += 1
        _remove_empty_parents(backend, path)
    return n_removed
