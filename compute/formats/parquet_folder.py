"""Parquet: one file a track that explains itself, and a data dictionary for the folder.

For DuckDB, R (arrow), pandas and polars: a row a frame, the database's keys as columns, so that a folder of such files
is one table. It keeps everything: times, filter columns, a person's NaN score, provenance.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from compute.errors import ExportError
from compute.files import whole_file
from compute.formats.frame_rows import rows_by_time
from compute.formats.one_animal import check_unnamed
from compute.formats.portable import PortableTrack
from compute.formats.registry import Format, register_format
from compute.json_text import json_text
from compute.tracks import Tracks

KEYS = {
    "mouse_id": "the mouse, under the lab's name for it",
    "session_date": "day of the recording",
    "session_number": "counts the sessions of a mouse and day",
    "camera": "the camera that filmed it",
    "model_id": "hash of the model that found the nodes",
    "model_name": "what people call that model",
    "filter_method": "the filter after it; raw: none",
    "held_out": "true: the mouse was kept from the model's training; false: it was trained on; missing: not known",
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
    "<node>_halfwidth": ("px", "half-width of the 95 % interval of x and of y, by labeled frames; missing: not known"),
}
"""Columns with a value a frame: unit and meaning. ``<node>`` is the node's name."""


_ABOUT = b"orofacial_about"
"""Key of the file's metadata that holds `PortableTrack.about`."""


def write(path: Path, track: PortableTrack, *, row: dict[str, Any] | None = None) -> None:
    """Write tracks as Parquet; `row` holds values of `KEYS`, which become columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = track.tracks.to_arrow()
    metadata = {**(table.schema.metadata or {}), _ABOUT: track.about().encode()}
    for name, value in (row or {}).items():
        kind = pa.bool_() if name == "held_out" else None  # a value that is missing has no type of its own
        table = table.append_column(name, pa.repeat(pa.scalar(value, kind), table.num_rows))
    fields = [field.with_metadata(_describe(field.name)) for field in table.schema]
    pq.write_table(table.cast(pa.schema(fields, metadata)), path, compression="zstd")


def _describe(column: str) -> dict[str, str]:
    if column in KEYS:
        return {"description": KEYS[column]}
    suffix = column.rpartition("_")[2]
    unit, text = COLUMNS["time_s" if column == "time_s" else f"<node>_{suffix}"]
    return {"description": text, "unit": unit}


def read(path: Path, *, fps: float | None = None, name: str | None = None) -> PortableTrack:
    """Read a file that `write` wrote, or a file of the tracks store; `fps` is not needed. Rows may stand in any order.

    Raises
    ------
    ExportError
        If it is no such file.
    """
    import pyarrow.parquet as pq

    check_unnamed(path, name)
    try:
        table = pq.read_table(path)
        (order,) = rows_by_time(path, {"the file": table["time_s"].to_numpy()})[1].values()
        tracks = Tracks.from_arrow(table.take(np.argsort(order)))
    except (OSError, KeyError, ValueError) as error:
        raise ExportError(f"{path} cannot be read as tracks: {error}") from error
    return PortableTrack.with_about(path, tracks, table.schema.metadata.get(_ABOUT))


def about(path: Path) -> list[dict[str, Any]]:
    """What the file says of its track: `PortableTrack.about`, parsed. The track is not read."""
    import pyarrow.parquet as pq

    return [json.loads(pq.read_schema(path).metadata[_ABOUT])]


def write_parquet_dictionary(folder: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write ``data_dictionary.json`` and ``README.md``: what is in the files of this folder.

    Parameters
    ----------
    folder : Path
        Where the files are.
    metadata : mapping, optional
        What each column of metadata of mouse, session and video means; their values are in the files' own JSON.
    """
    columns = [{"column": name, "unit": "", "description": text} for name, text in KEYS.items()]
    columns += [{"column": name, "unit": unit, "description": text} for name, (unit, text) in COLUMNS.items()]
    lines = [f"| `{one['column']}` | {one['unit']} | {one['description']} |" for one in columns]
    said = [{"name": name, "description": text} for name, text in (metadata or {}).items()]
    if said:
        lines += ["", _README_METADATA, *(f"| `{one['name']}` | {one['description']} |" for one in said)]
    dictionary = {"columns": columns, "metadata": said}
    texts = {"data_dictionary.json": json_text(dictionary, indent=1), "README.md": _README + "\n".join(lines)}
    for name, text in texts.items():
        with whole_file(folder / name, ExportError) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")


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

_README_METADATA = """What is known of mouse, session and video is in that JSON, under `provenance`:

| name | meaning |
| --- | --- |"""

register_format(
    Format(
        "parquet",
        ".parquet",
        "Parquet with a data dictionary, for DuckDB, R and pandas",
        write,
        read,
        about,
        takes_row=True,
        finish=write_parquet_dictionary,
    )
)
