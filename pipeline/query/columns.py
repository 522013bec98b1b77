"""Columns of every table that a question returns: the same names and types whatever was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from compute.tracks import POINT_COLUMNS, Tracks
from schemas.metadata import metadata_arrow_type
from schemas.session import METADATA
from schemas.subject import Mouse

if TYPE_CHECKING:
    import pyarrow as pa

KEY = {
    "mouse_id": "string",
    "session_date": "date32",
    "session_number": "int64",
    "camera": "string",
    "model_id": "string",
    "model_name": "string",
    "filter_method": "string",
    "held_out": "bool",
}
"""A track's key with the name of its model, and ``held_out``, with their Arrow types."""

DETAILS = {column.name: metadata_arrow_type(column.datatype) for column in METADATA}
"""What is known of a track besides its key: all metadata of mouse, session and video."""

TRACKS = {**KEY, **DETAILS, "fps": "double"}
"""What a manifest and the table ``tracks`` of SQL say of a track before what is in its file."""

MANIFEST = {**TRACKS, "n_frames": "int64", "nodes": "list", "file_columns": "list", "file": "string"}
BOUTS = {**KEY, **dict.fromkeys(("start_s", "end_s", "path_px", "peak_speed_px_per_s"), "double")}
_TIDY = {
    **{name: "text" if kind == "string" else kind for name, kind in KEY.items()},
    **{column.name: "text" for column in Mouse.metadata if column.is_text},
    "frame_index": "int64",
    "time_s": "double",
    "node": "text",
    **dict.fromkeys(("x_px", "y_px", "score"), "float"),
}
_OF_POINTS = {
    name: dict.fromkeys(column.tidy_names, "float" if column.unit else "bool") for name, column in POINT_COLUMNS.items()
}


def columns_schema(columns: Mapping[str, str]) -> pa.Schema:
    """Arrow's schema of named columns; a ``text`` column is dictionary-encoded."""
    import pyarrow as pa

    special = {"list": pa.list_(pa.string()), "text": pa.dictionary(pa.int32(), pa.string())}
    return pa.schema([(name, special.get(kind) or pa.type_for_alias(kind)) for name, kind in columns.items()])


def tidy_columns_schema(point_columns: Iterable[str]) -> pa.Schema:
    """Schema of a line a frame and node, with these of `compute.tracks.POINT_COLUMNS`."""
    given = set(point_columns)
    return columns_schema(
        _TIDY | {name: kind for part in _OF_POINTS if part in given for name, kind in _OF_POINTS[part].items()}
    )


def tidy_columns(row: Mapping[str, Any], tracks: Tracks, first_frame: int, columns: pa.Schema) -> pa.Table:
    """Tracks as a line a frame and node, with the values of `row` in every line; null where they lack a column."""
    import numpy as np
    import pyarrow as pa

    n_nodes = len(tracks.nodes)
    n_rows = tracks.n_frames * n_nodes
    values: dict[str, Any] = {name: _repeated(row[name], n_rows) for name in columns.names if name in row}
    values |= {
        "frame_index": np.repeat(np.arange(first_frame, first_frame + tracks.n_frames), n_nodes),
        "time_s": np.repeat(tracks.time, n_nodes),
        "node": pa.DictionaryArray.from_arrays(
            np.tile(np.arange(n_nodes, dtype=np.int32), tracks.n_frames), pa.array(list(tracks.nodes), pa.string())
        ),
        "x_px": tracks.position[..., 0].ravel(),
        "y_px": tracks.position[..., 1].ravel(),
        "score": tracks.score.ravel(),
    }
    for name in tracks.given:
        values |= POINT_COLUMNS[name].tidy_columns(getattr(tracks, name))
    return pa.table([_column(values.get(field.name), field.type, n_rows) for field in columns], schema=columns)


def _repeated(value: Any, n_rows: int) -> Any:
    import numpy as np
    import pyarrow as pa

    if isinstance(value, str):
        return pa.DictionaryArray.from_arrays(np.zeros(n_rows, np.int32), [value])
    return pa.repeat(value, n_rows)


def _column(values: Any, kind: pa.DataType, n_rows: int) -> Any:
    import pyarrow as pa

    return pa.nulls(n_rows, kind) if values is None else pa.array(values, kind)
