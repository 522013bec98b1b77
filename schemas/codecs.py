"""What the tables keep in a store: `<tracks@>`, `<array@>` and `<bundle@>`.

A file is complete before a row points at it, and a row that could not be inserted leaves no file behind:
write inside `published_or_removed()`.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datajoint.builtin_codecs import NpyCodec, ObjectCodec, SchemaCodec
from datajoint.objectref import ObjectRef
from datajoint.storage import StorageBackend
from datajoint.table import Table

from compute.errors import DatabaseError, StoreError, TracksError
from compute.tracks import FORMAT_VERSION, Tracks

_written: ContextVar[list[tuple[StorageBackend, str]] | None] = ContextVar("written", default=None)


@contextmanager
def published_or_removed() -> Iterator[None]:
    """Remove the files written inside the block if the block fails.

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
    """`compute.tracks.Tracks` as a Parquet file that explains itself.

    float32 columns are split by byte and compressed with zstd, which makes them smaller than `.npy`.
    """

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
        content = to_parquet(value)
        backend = self._get_backend(store_name, config=config)
        backend.put_buffer(content, path)
        if backend.size(path) != len(content):
            raise DatabaseError(f"the store kept {backend.size(path)} of {len(content)} bytes of {path}")
        return {
            "path": path,
            "store": store_name,
            "n_frames": value.n_frames,
            "nodes": list(value.nodes),
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
    """

    def __init__(self, stored: dict[str, Any], backend: StorageBackend) -> None:
        self.n_frames: int = stored["n_frames"]
        self.nodes: tuple[str, ...] = tuple(stored["nodes"])
        self.path: str = stored["path"]
        self._backend = backend

    def tracks(self, nodes: Sequence[str] | None = None) -> Tracks:
        """Read the tracks, or only these nodes' columns.

        Raises
        ------
        DatabaseError
            If the file is gone or damaged.
        TracksError
            If there is no such node, or the file is of a newer format version.
        """
        wanted = self.nodes if nodes is None else tuple(nodes)
        unknown = [node for node in wanted if node not in self.nodes]
        if unknown:
            raise TracksError(f"no node {unknown[0]!r} in {self.path}; there are {', '.join(self.nodes)}")
        try:
            with self._backend.open(self.path) as file:
                parquet = pq.ParquetFile(file)
                names = parquet.schema_arrow.names
                table = parquet.read([name for name in names if name == "time_s" or name.rpartition("_")[0] in wanted])
        except (OSError, ValueError) as error:
            raise DatabaseError(
                f"the tracks in {self.path} cannot be read ({error}); delete their row to compute them again"
            ) from error
        return Tracks.from_arrow(table).select(wanted)

    def __repr__(self) -> str:
        return f"TracksReference(n_frames={self.n_frames}, nodes={list(self.nodes)}, path={self.path!r})"


def to_parquet(tracks: Tracks) -> bytes:
    """Tracks as the content of a Parquet file, its footer read back.

    Raises
    ------
    TracksError
        If the file does not hold as many rows as there are frames.
    """
    table = tracks.to_arrow()
    floats = [field.name for field in table.schema if field.type in (pa.float32(), pa.float64())]
    buffer = io.BytesIO()
    pq.write_table(
        table,
        buffer,
        compression="zstd",
        compression_level=1,
        use_dictionary=False,
        column_encoding={name: "BYTE_STREAM_SPLIT" for name in floats},
    )
    rows = pq.read_metadata(buffer).num_rows
    if rows != tracks.n_frames:
        raise TracksError(f"the Parquet file holds {rows} rows, expected {tracks.n_frames}")
    return buffer.getvalue()


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
