"""CSV with a line a frame and node, for spreadsheets and R.

Numbers have all digits of their precision, a person's NaN score too. Provenance, attributes and edges are in a
``.json`` beside the file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from compute.errors import ExportError
from compute.files import read_first_line
from compute.formats.portable import PortableTrack, portable_tracks
from compute.formats.registry import Format, register_format
from compute.formats.sidecar import about_in_sidecar, write_sidecar


def write(path: Path, track: PortableTrack, *, row: dict[str, Any] | None = None) -> None:
    """Write tracks; the values of `row` come first in every line.

    Columns: those of `row`, ``frame_index``, ``time_s``, ``node``, ``x_px``, ``y_px``, ``score``, and
    ``x_sd_px``, ``y_sd_px``, ``rejected`` and ``filled`` where a filter gave them.
    """
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    tracks = track.tracks
    n_frames, n_nodes = tracks.score.shape
    columns: dict[str, Any] = {
        name: pa.repeat(pa.scalar(value), tracks.score.size) for name, value in (row or {}).items()
    }
    columns |= {
        "frame_index": np.repeat(np.arange(n_frames), n_nodes),
        "time_s": np.repeat(tracks.time, n_nodes),
        "node": pa.array(list(tracks.nodes) * n_frames, pa.string()),
        "x_px": tracks.position[..., 0].ravel(),
        "y_px": tracks.position[..., 1].ravel(),
        "score": tracks.score.ravel(),
    }
    if tracks.sd is not None:
        columns |= {"x_sd_px": tracks.sd[..., 0].ravel(), "y_sd_px": tracks.sd[..., 1].ravel()}
    for name in ("rejected", "filled"):
        if getattr(tracks, name) is not None:
            columns[name] = getattr(tracks, name).ravel()
    write_sidecar(path, track)
    pa_csv.write_csv(pa.table(columns), path)


def read(path: Path, *, fps: float | None = None) -> PortableTrack:
    """Read a file that `write` wrote; `fps` is not needed.

    Raises
    ------
    ExportError
        If it is no such file, or its ``.json`` is missing: only that has the order of the nodes.
    """
    import pyarrow.csv as pa_csv

    (said,) = about_in_sidecar(path)
    nodes = tuple(said["nodes"])
    try:
        table = pa_csv.read_csv(
            path,
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(column_types=_types(), strings_can_be_null=False),
        )
        n_frames = table.num_rows // len(nodes)
        if table["node"][: len(nodes)].to_pylist() != list(nodes)[: table.num_rows]:
            raise ValueError(f"its lines do not begin with the nodes {', '.join(nodes)}")

        def plane(name: str) -> Any:
            return table[name].to_numpy().reshape(n_frames, len(nodes))

        arrays: dict[str, Any] = {
            "position": np.stack([plane("x_px"), plane("y_px")], axis=-1),
            "score": plane("score"),
            "time": plane("time_s")[:, 0],
        }
        if "x_sd_px" in table.column_names:
            arrays["sd"] = np.stack([plane("x_sd_px"), plane("y_sd_px")], axis=-1)
        arrays |= {name: plane(name) for name in ("rejected", "filled") if name in table.column_names}
    except (OSError, KeyError, ValueError, ZeroDivisionError) as error:
        raise ExportError(f"{path} cannot be read as tracks with a line a frame and node ({error})") from error
    return PortableTrack.with_about(path, portable_tracks(path, nodes=nodes, **arrays), json.dumps(said))


def _types() -> dict[str, Any]:
    import pyarrow as pa

    return {
        **dict.fromkeys(("x_px", "y_px", "score", "x_sd_px", "y_sd_px"), pa.float32()),
        "time_s": pa.float64(),
        "node": pa.string(),
        "rejected": pa.bool_(),
        "filled": pa.bool_(),
    }


def _is_one(path: Path) -> bool:
    """Any CSV but DeepLabCut's: `read` says what is missing."""
    return not read_first_line(path).startswith("scorer,")


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
