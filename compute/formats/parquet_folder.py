"""Parquet: one file a track that explains itself, and a data dictionary for the folder.

For DuckDB, R (arrow), pandas and polars: a row a frame, the database's keys as columns, so that a folder of such files
is one table. It keeps everything: times, filter columns, a person's NaN score, provenance.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from compute.formats.portable import ExportError, PortableTrack
from compute.tracks import Tracks

KEYS = {
    "mouse_id": "the mouse, under the lab's name for it",
    "session_date": "day of the recording",
    "session_number": "counts the sessions of a mouse and day",
    "camera": "the camera that filmed it",
    "model_id": "hash of the model that found the nodes",
    "filter_method": "the filter after it; raw: none",
    "held_out": "true: the mouse was kept from the model's training",
}
"""Columns with the same value in a whole file, and what they mean."""

COLUMNS = {
    "time_s": ("s", "time of the frame: the camera's timestamp, else frame index / frame rate"),
    "<node>_x": ("px", "position to the right of the center of the upper left pixel; missing: not found"),
    "<node>_y": ("px", "position below the center of the upper left pixel; missing: not found"),
    "<node>_score": ("", "the model's score (may exceed 1); 0: not found; missing: placed by a person"),
    "<node>_xsd": ("px", "posterior standard deviation of x, from a filter that knows it"),
    "<node>_ysd": ("px", "posterior standard deviation of y, from a filter that knows it"),
    "<node>_rejected": ("", "true: the filter took the model's point for a wrong placement"),
    "<node>_filled": ("", "true: the filter gives a position without a point of the model that it used"),
}
"""Columns with a value a frame: unit and meaning. ``<node>`` is the node's name."""


def write(path: Path, track: PortableTrack, *, row: dict[str, Any] | None = None) -> None:
    """Write tracks as Parquet; `row` holds values of `KEYS`, which become columns."""
    table = track.tracks.to_arrow()
    metadata = {**(table.schema.metadata or {}), b"orofacial_about": track.about().encode()}
    for name, value in (row or {}).items():
        table = table.append_column(name, pa.repeat(pa.scalar(value), table.num_rows))
    fields = [field.with_metadata(_describe(field.name)) for field in table.schema]
    pq.write_table(table.cast(pa.schema(fields, metadata)), path, compression="zstd")


def _describe(column: str) -> dict[str, str]:
    if column in KEYS:
        return {"description": KEYS[column]}
    suffix = column.rpartition("_")[2]
    unit, text = COLUMNS["time_s" if column == "time_s" else f"<node>_{suffix}"]
    return {"description": text, "unit": unit}


def read(path: Path, *, fps: float | None = None) -> PortableTrack:
    """Read a file that `write` wrote, or a file of the tracks store; `fps` is not needed.

    Raises
    ------
    ExportError
        If it is no such file.
    """
    try:
        table = pq.read_table(path)
        tracks = Tracks.from_arrow(table)
    except (OSError, ValueError) as error:
        raise ExportError(f"{path} cannot be read as tracks: {error}") from error
    return PortableTrack.with_about(path, tracks, table.schema.metadata.get(b"orofacial_about"))


def write_dictionary(folder: Path) -> None:
    """Write ``data_dictionary.json`` and ``README.md``: what is in the files of this folder."""
    columns = [{"column": name, "unit": "", "description": text} for name, text in KEYS.items()]
    columns += [{"column": name, "unit": unit, "description": text} for name, (unit, text) in COLUMNS.items()]
    lines = [f"| `{one['column']}` | {one['unit']} | {one['description']} |" for one in columns]
    (folder / "data_dictionary.json").write_text(json.dumps({"columns": columns}, indent=1) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(_README + "\n".join(lines) + "\n", encoding="utf-8")


_README = """# Tracks

One Parquet file for each video, model and filter; a row a frame, in the order of the video. What made a file (video,
labels, model, filter, versions) is JSON in its metadata under the key `orofacial_about`; each column's unit and meaning
are in the column's own metadata, and here. A missing value is null or NaN.

    duckdb -c "select mouse_id, avg(jaw_tip_y) from read_parquet('*.parquet', union_by_name=true) group by 1"
    R: arrow::open_dataset(".", unify_schemas = TRUE)
    Python: pyarrow.dataset.dataset("."), or polars.scan_parquet("*.parquet")

| column | unit | meaning |
| --- | --- | --- |
"""
