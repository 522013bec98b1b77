"""What the tables keep in a store: `<tracks@>`, `<array@>` and `<bundle@>`."""

from __future__ import annotations

from typing import Any

from datajoint.builtin_codecs import NpyCodec, ObjectCodec, SchemaCodec
from datajoint.table import Table

from compute.errors import TracksError
from compute.tracks import FORMAT_VERSION, Tracks
from compute.tracks.parquet import to_parquet
from schemas.stored.fetching import TracksReference
from schemas.stored.publishing import check_may_publish, publish, remove_published_parents, written_files


class _RecordedCodec(SchemaCodec, register=False):  # type: ignore[call-arg]
    """A codec that records its files for `published_or_removed`, and refuses to write in a read-only lab."""

    def _build_path(self, *args: Any, **kwargs: Any) -> tuple[str, str]:
        check_may_publish()
        path, token = super()._build_path(*args, **kwargs)
        written = written_files.get()
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
    """`compute.tracks.Tracks` as a Parquet file that explains itself, see `compute.tracks.parquet`."""

    name = "tracks"

    def validate(self, value: Any) -> None:
        """Accept `Tracks` only."""
        if not isinstance(value, Tracks):
            raise TracksError(f"<tracks> stores compute.tracks.Tracks, got {type(value).__name__}")

    def encode(
        self, value: Any, *, key: dict | None = None, context: dict | None = None, store_name: str | None = None
    ) -> dict[str, Any]:
        """Write and verify the file; return the part that is kept in the row."""
        schema, table, field, primary_key = self._extract_context(key, context)
        config = self._codec_config(key, context)
        path, _ = self._build_path(
            schema, table, field, primary_key, ext=".parquet", store_name=store_name, config=config
        )
        publish(self._get_backend(store_name, config=config), path, to_parquet(value, primary_key), value.n_frames)
        return {
            "path": path,
            "store": store_name,
            "n_frames": value.n_frames,
            "nodes": list(value.nodes),
            "filter_columns": list(value.given),
            "format_version": FORMAT_VERSION,
        }

    def decode(self, stored: dict, *, key: dict | None = None, context: dict | None = None) -> TracksReference:
        """Return a lazy reference: nothing is read yet."""
        config = self._codec_config(key, context)
        return TracksReference(stored, self._get_backend(stored.get("store"), config=config))


def remove_unreferenced_files(table: Table, key: dict[str, Any]) -> int:
    """Remove the files that a dead process wrote for a row that it did not insert; return how many.

    Only call it while nobody else can insert that row, such as with its job locked.

    Parameters
    ----------
    table : datajoint table
        The row's.
    key : dict
        The row's primary key. Where the row exists nothing is removed; nor is a file that another row points at, which
        had this key before a person corrected its name.
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
        files = [one for one in backend.fs.ls(folder, detail=False) if one.rpartition("/")[2].startswith(f"{name}_")]
        referenced = _referenced_files(table, name, path.rpartition("/")[0]) if files else set()
        for found in files:
            if found.rpartition("/")[2] not in referenced:
                backend.fs.rm(found, recursive=True)
                n_removed += 1
        remove_published_parents(backend, path)
    return n_removed


def _referenced_files(table: Table, name: str, folder: str) -> set[str]:
    """Names of the files of a folder that rows of a table point at."""
    codec = table.heading.attributes[name].codec
    return {
        path.rpartition("/")[2]
        for row in table.proj(name).cursor(as_dict=True)
        for path, _ in codec.referenced_paths(row[name])
        if path.rpartition("/")[0] == folder
    }
