"""CSV with a line a frame and node, for spreadsheets and R.

Numbers have all digits of their precision, a person's NaN score too. Provenance, attributes and edges are in a
``.json`` beside the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.errors import ExportError
from compute.formats.frame_rows import frame_numbers, rows_by_frame
from compute.formats.one_animal import check_unnamed
from compute.formats.portable import PortableTrack, portable_tracks
from compute.formats.registry import Format, register_format
from compute.formats.sidecar import about_in_sidecar, write_sidecar
from compute.formats.text_table import TextTable
from compute.json_text import json_text
from compute.tracks import POINT_COLUMNS


def write(path: Path, track: PortableTrack, *, row: dict[str, Any] | None = None) -> None:
    """Write tracks; the values of `row` come first in every line.

    Columns: those of `row`, ``frame_index``, ``time_s``, ``node``, ``x_px``, ``y_px``, ``score``, and
    ``x_sd_px``, ``y_sd_px``, ``rejected`` and ``filled`` where a filter gave them, ``spread_px`` and
    ``lasting_spread_px`` of an ensemble, ``interval_half_width_px`` of calibrated tracks.
    """
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    tracks = track.tracks
    n_frames, n_nodes = tracks.score.shape
    columns: dict[str, Any] = {
        name: pa.repeat(pa.scalar(value), tracks.score.size) for name, value in (row or {}).items()
    }
    columns |= {
        "frame_index": np.repeat(np.arange(n_frames) + track.first_frame, n_nodes),
        "time_s": np.repeat(tracks.time, n_nodes),
        "node": pa.array(list(tracks.nodes) * n_frames, pa.string()),
        "x_px": tracks.position[..., 0].ravel(),
        "y_px": tracks.position[..., 1].ravel(),
        "score": tracks.score.ravel(),
    }
    for name in tracks.given:
        columns |= POINT_COLUMNS[name].tidy_columns(getattr(tracks, name))
    write_sidecar(path, track)
    pa_csv.write_csv(pa.table(columns), path)


def read(path: Path, *, fps: float | None = None, name: str | None = None) -> PortableTrack:
    """Read a file that `write` wrote; `fps` is not needed. Lines may stand in any order.

    Raises
    ------
    ExportError
        If it is no such file, has a point twice or lacks a frame, or its ``.json`` is missing: only that has the order
        of the nodes.
    """
    import pyarrow.csv as pa_csv

    check_unnamed(path, name)
    (said,) = about_in_sidecar(path)
    try:
        table = pa_csv.read_csv(
            path,
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(column_types=_types(), strings_can_be_null=False),
        )
        columns = {name: table[name].to_numpy() for name in table.column_names if name in (*_types(), "frame_index")}
        nodes, first, n_frames = tuple(said["nodes"]), said.get("first_frame", 0), said["n_frames"]
        arrays = _by_frame_and_node(path, columns, nodes, first, n_frames)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ExportError(f"{path} cannot be read as tracks with a line a frame and node ({error})") from error
    return PortableTrack.with_about(path, portable_tracks(path, nodes=nodes, **arrays), json_text(said))


def _by_frame_and_node(
    path: Path, columns: dict[str, NDArray[Any]], nodes: tuple[str, ...], first: int, n_frames: int
) -> dict[str, NDArray[Any]]:
    """Arrays with a row a frame and a column a node, each line put where its frame number and node say."""
    column_of = {node: column for column, node in enumerate(nodes)}
    unknown = sorted(set(columns["node"]) - set(nodes))
    if unknown:
        raise ExportError(f"{path} has points of {', '.join(unknown)}; its .json names {', '.join(nodes)}")
    frame_index = frame_numbers(columns["frame_index"], lambda row: f"{path}, line {row + 2}")
    keys = frame_index * len(nodes) + np.array([column_of[node] for node in columns["node"]], np.int64)
    rows = {"position": np.column_stack([columns["x_px"], columns["y_px"]]), "score": columns["score"]}
    for one in POINT_COLUMNS.values():
        if set(one.tidy_names) <= set(columns):
            rows[one.name] = one.from_planes([columns[name] for name in one.tidy_names])
    flat = rows_by_frame(
        path,
        keys,
        rows,
        n_frames=n_frames * len(nodes),
        first_frame=first * len(nodes),
        named=lambda key: f"{nodes[key % len(nodes)]} of frame {key // len(nodes)}",
    )
    arrays = {name: values.reshape(n_frames, len(nodes), *values.shape[1:]) for name, values in flat.items()}
    frames, lines, of_line = np.unique(frame_index, return_index=True, return_inverse=True)
    missing = np.setdiff1d(np.arange(first, first + n_frames), frames)
    if missing.size:
        raise ExportError(
            f"{path} has no line of frame {missing[0]}, so its time is not known; it was written with frames {first} to"
            f" {first + n_frames - 1}. Export it again"
        )
    time = columns["time_s"][lines]
    other = columns["time_s"] != time[of_line]
    if other.any():
        line = int(np.argmax(other))
        raise ExportError(f"{path}, line {line + 2}: frame {frame_index[line]} has two times; export it again")
    return {**arrays, "time": time}


def _types() -> dict[str, Any]:
    import pyarrow as pa

    return {
        **dict.fromkeys(("x_px", "y_px", "score"), pa.float32()),
        "time_s": pa.float64(),
        "node": pa.string(),
        **{name: pa.from_numpy_dtype(one.dtype) for one in POINT_COLUMNS.values() for name in one.tidy_names},
    }


def _is_one(path: Path) -> bool:
    try:
        return {"frame_index", "node"} <= set(next(iter(TextTable.head(path)), []))
    except ExportError:
        return False


register_format(
    Format(
        "csv",
        ".csv",
        "CSV, a line a frame and node",
        write,
        read,
        about_in_sidecar,
        is_one=_is_one,
        takes_row=True,
    )
)
