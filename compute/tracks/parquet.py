"""A file of tracks: Parquet, one row a frame, one column a number, that explains itself.

The columns and the metadata are those of `Tracks.to_arrow`. float32 columns are split by byte and compressed with zstd,
so that a file is smaller than `.npy`; each column is read alone, so that one node of many costs its share of the bytes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from compute.errors import TracksError
from compute.tracks import Tracks, read_tracks_metadata

ROWS_PER_GROUP = 1 << 17
"""Frames that are read together: 22 minutes at 100 Hz. A span of time in a long video reads the groups it meets."""


@dataclass(frozen=True)
class ParquetFooter:
    """What a file of tracks says of itself, without its positions.

    Attributes
    ----------
    n_frames : int
        Rows of the file.
    nodes : tuple of str
        In the order of the skeleton.
    columns : tuple of str
        Names of the file's columns.
    metadata : dict
        All that `Tracks.to_arrow` and the writer noted: nodes, units, fps, format version, attributes, key.
    """

    n_frames: int
    nodes: tuple[str, ...]
    columns: tuple[str, ...]
    metadata: dict[str, Any]


def to_parquet(tracks: Tracks, key: Mapping[str, Any] | None = None) -> bytes:
    """Tracks as the content of a file.

    Parameters
    ----------
    tracks : Tracks
        What to write.
    key : mapping, optional
        Which row the file belongs to (mouse, session, camera, model, filter), noted in the file's metadata.

    Examples
    --------
    >>> tracks = Tracks(position=[[[1, 2]], [[3, 4]]], score=[[0.9], [0.8]], time=[0, 0.01], nodes=["jaw tip"])
    >>> footer = read_parquet_footer(io.BytesIO(to_parquet(tracks, {"mouse_id": "mouse01"})))
    >>> footer.n_frames, footer.nodes, footer.metadata["fps"], footer.metadata["key"]
    (2, ('jaw tip',), 100.0, {'mouse_id': 'mouse01'})
    """
    table = tracks.to_arrow(key)
    floats = [field.name for field in table.schema if pa.types.is_floating(field.type)]
    buffer = io.BytesIO()
    pq.write_table(
        table,
        buffer,
        row_group_size=ROWS_PER_GROUP,
        compression="zstd",
        compression_level=1,
        use_dictionary=False,
        column_encoding={name: "BYTE_STREAM_SPLIT" for name in floats},
        write_statistics=["time_s"],  # for spans of time; those of the other columns take as long as all the rest
    )
    return buffer.getvalue()


def read_parquet_footer(file: BinaryIO) -> ParquetFooter:
    """What a file says of itself; no position is read.

    Raises
    ------
    TracksError
        If it is not a whole Parquet file, not one of tracks, or of a newer format version.
    """
    with _damage_named():
        parquet = pq.ParquetFile(file)
        metadata = read_tracks_metadata(parquet.schema_arrow)
        return ParquetFooter(
            parquet.metadata.num_rows, tuple(metadata["nodes"]), tuple(parquet.schema_arrow.names), metadata
        )


def read_parquet_tracks(
    file: BinaryIO, nodes: Sequence[str] | None = None, time_span_s: tuple[float, float] | None = None
) -> Tracks:
    """Read tracks, or only the columns of some nodes and the rows of a span of time.

    Parameters
    ----------
    file : binary file
        Opened for reading; only the parts that are needed are read.
    nodes : sequence of str, optional
        Only these, in this order.
    time_span_s : tuple of two floats, optional
        Only frames with start <= time < end (s).

    Raises
    ------
    TracksError
        If there is no such node, or the file is damaged or of a newer format version.
    """
    with _damage_named():
        parquet = pq.ParquetFile(file)
        metadata = read_tracks_metadata(parquet.schema_arrow)
        known = metadata["nodes"]
        wanted = tuple(known) if nodes is None else tuple(nodes)
        unknown = [node for node in wanted if node not in known]
        if unknown:
            raise TracksError(f"no node {unknown[0]!r}; there are {', '.join(known)}")
        if len(set(wanted)) != len(wanted):
            raise TracksError(f"nodes are asked for twice: {', '.join(wanted)}")
        columns = [name for name in parquet.schema_arrow.names if name == "time_s" or name.rpartition("_")[0] in wanted]
        table = parquet.read_row_groups(_groups(parquet, time_span_s), columns)
        if time_span_s is not None:
            start_s, end_s = time_span_s
            table = table.filter((pc.field("time_s") >= start_s) & (pc.field("time_s") < end_s))
        return Tracks.from_arrow(table).select(wanted)


def read_parquet_times(file: BinaryIO) -> Any:
    """Time of each frame (s), shape (frame,), float64; no position is read.

    Raises
    ------
    TracksError
        If the file is damaged or of a newer format version.
    """
    with _damage_named():
        parquet = pq.ParquetFile(file)
        read_tracks_metadata(parquet.schema_arrow)
        return parquet.read(["time_s"])["time_s"].to_numpy()


def _groups(parquet: pq.ParquetFile, time_span_s: tuple[float, float] | None) -> list[int]:
    """Row groups that a span of time may meet; all where the file has no statistics."""
    groups = range(parquet.metadata.num_row_groups)
    if time_span_s is None:
        return list(groups)
    index = parquet.schema_arrow.names.index("time_s")
    kept = []
    for group in groups:
        found = parquet.metadata.row_group(group).column(index).statistics
        if found is None or not found.has_min_max or (found.max >= time_span_s[0] and found.min < time_span_s[1]):
            kept.append(group)
    return kept


class _damage_named:
    """Turn what pyarrow says of a damaged file into this project's error; a missing file stays an `OSError`."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, (pa.ArrowException, KeyError)) or (type(error) is OSError and error.errno is None):
            raise TracksError(f"the file is damaged or no file of tracks ({error})") from error
