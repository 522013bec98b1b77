"""References to files in a store, which are read on demand."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from datajoint.objectref import ObjectRef
from datajoint.storage import StorageBackend
from fsspec import AbstractFileSystem
from numpy.typing import NDArray

from compute.errors import DatabaseError, TracksError
from compute.tracks import POINT_COLUMNS, Tracks
from compute.tracks.parquet import ParquetFooter, read_parquet_footer, read_parquet_times, read_parquet_tracks


@contextmanager
def fetch_local_copy(reference: ObjectRef) -> Iterator[Path]:
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


class TracksReference:
    """Tracks in a store, read on demand.

    Attributes
    ----------
    n_frames : int
    nodes : tuple of str
    filter_columns : tuple of str
        Those of `compute.tracks.POINT_COLUMNS` that the file has: what a filter or an ensemble added.
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
    def suffixes(self) -> tuple[str, ...]:
        """Ends of the names of each node's columns in the file, such as ``x`` of ``jaw_tip_x``."""
        return ("x", "y", "score", *(end for name in self.filter_columns for end in POINT_COLUMNS[name].suffixes))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the file's columns."""
        return ("time_s", *(f"{node}_{end}" for node in self.nodes for end in self.suffixes))

    @property
    def address(self) -> str:
        """Where the file is: the whole path in a folder store, ``s3://bucket/key`` in S3."""
        if self._backend.protocol == "file":  # called for thousands of rows: pathlib is too slow
            return f"{os.path.abspath(self._backend.spec['location']).rstrip('/')}/{self.path}"
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
            return np.asarray(read_parquet_times(file))

    def footer(self) -> ParquetFooter:
        """Metadata of the file. Reads no position.

        Raises
        ------
        DatabaseError
            If the file is gone, damaged, or not the one that the row was made with.
        """
        with self._opened() as file:
            footer = read_parquet_footer(file)
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
            If there is no such node, or one is asked for twice: what is asked is checked before the file is opened, and
            says nothing of it.
        """
        unknown = [node for node in nodes or () if node not in self.nodes]
        if unknown:
            raise TracksError(f"no node {unknown[0]!r} in {self.path}; there are {', '.join(self.nodes)}")
        if nodes is not None and len(set(nodes)) < len(nodes):
            raise TracksError(f"a node is asked for twice: {', '.join(nodes)}; ask for each once")
        with self._opened() as file:
            return read_parquet_tracks(file, nodes, time_span_s)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            # One request for each part: a read-ahead cache would also fetch the columns of other nodes.
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
