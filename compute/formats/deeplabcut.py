"""DeepLabCut's tables, CSV and HDF5: a header of three levels (scorer, bodyparts, coords), a row a frame.

Coordinates keep the digits of their single precision; a person's NaN score is an empty likelihood. DeepLabCut has no
place for edges, times, filter columns and provenance: the HDF5 file has them in a group ``orofacial``, the CSV in a
``.json`` beside it (not the filter columns: use another format for those).
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from compute.errors import ExportError
from compute.files import read_first_line
from compute.formats.hdf5_group import about_in_hdf5_group, hdf5_has, read_hdf5_group, write_hdf5_group
from compute.formats.portable import PortableTrack, portable_times, portable_tracks
from compute.formats.registry import Format, register_format
from compute.formats.sidecar import about_in_sidecar, read_sidecar, write_sidecar

if TYPE_CHECKING:
    import pandas as pd

KEY = "df_with_missing"
"""DeepLabCut's name of the table in its HDF5 files."""

_COORDS = ("x", "y", "likelihood")


def write_csv(path: Path, track: PortableTrack) -> None:
    """Write tracks as DeepLabCut's CSV, and what it cannot hold as JSON beside it."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    frame = _frame(track)
    write_sidecar(path, track, time_s=track.tracks.time.tolist())
    with path.open("w", encoding="utf-8", newline="") as header:
        writer = csv.writer(header)
        for level in frame.columns.names:
            writer.writerow([level, *frame.columns.get_level_values(level)])
    # pyarrow writes the same digits as pandas, ten times as fast; a missing value is an empty cell.
    columns = [pa.array(np.arange(len(frame)))]
    columns += [pa.array(column, from_pandas=True) for column in frame.to_numpy().T]
    table = pa.table(columns, names=[str(index) for index in range(len(columns))])
    with path.open("ab") as file:
        pa_csv.write_csv(table, file, pa_csv.WriteOptions(include_header=False))


def write_hdf5(path: Path, track: PortableTrack) -> None:
    """Write tracks as DeepLabCut's HDF5, which pandas reads with the key ``df_with_missing``.

    Raises
    ------
    ExportError
        If there are no frames: pandas leaves an empty table out of the file.
    """
    if not track.tracks.n_frames:
        raise ExportError(f"{path}: DeepLabCut's HDF5 cannot hold tracks without frames; use its CSV")
    _frame(track).to_hdf(path, key=KEY, mode="w", format="table")
    write_hdf5_group(path, track)


def _frame(track: PortableTrack) -> pd.DataFrame:
    """The table as DeepLabCut has it, one row a frame."""
    import pandas as pd

    tracks = track.tracks
    columns = pd.MultiIndex.from_product(
        [[_scorer(track)], tracks.nodes, _COORDS], names=["scorer", "bodyparts", "coords"]
    )
    values = np.concatenate([tracks.position, tracks.score[..., None]], axis=-1)
    return pd.DataFrame(values.reshape(tracks.n_frames, len(columns)), columns=columns)


def _scorer(track: PortableTrack) -> str:
    """Model and filter: what DeepLabCut's scorer stands for."""
    model = track.provenance.get("model", {}).get("model_id")
    method = track.provenance.get("filter", {}).get("filter_method")
    return "_".join(["orofacial", *(part for part in (model, method) if part)])


def read_csv(path: Path, *, fps: float | None = None) -> PortableTrack:
    """Read a CSV of one animal, written by `write_csv`, DeepLabCut or Lightning Pose.

    Raises
    ------
    ExportError
        If it is no such table, or there are no times beside it and no `fps` is given.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            header = [next(reader) for _ in range(3)]
            rows = [[float(cell) if cell else np.nan for cell in row[1:]] for row in reader]
        values = np.array(rows, np.float32).reshape(len(rows), len(header[0]) - 1)
    except (OSError, ValueError, StopIteration) as error:
        raise ExportError(f"{path} cannot be read as DeepLabCut's CSV ({error or 'too short'})") from error
    nodes, position, score = _arrays(path, header[1][1:], header[2][1:], values)
    said = read_sidecar(path)
    time = portable_times(path, len(position), fps) if said is None else np.array(said["time_s"], np.float64)
    tracks = portable_tracks(path, position=position, score=score, time=time, nodes=nodes)
    return PortableTrack.with_about(path, tracks, None if said is None else json.dumps(said))


def read_hdf5(path: Path, *, fps: float | None = None) -> PortableTrack:
    """Read an HDF5 table of one animal, written by `write_hdf5` or DeepLabCut.

    Raises
    ------
    ExportError
        If it is no such table, or holds no times and no `fps` is given.
    """
    import pandas as pd

    try:
        frame = pd.read_hdf(path, key=KEY)
        bodyparts, coords = (frame.columns.get_level_values(level) for level in ("bodyparts", "coords"))
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ExportError(f"{path} cannot be read as DeepLabCut's HDF5 ({error})") from error
    nodes, position, score = _arrays(path, list(bodyparts), list(coords), frame.to_numpy(np.float32))
    return read_hdf5_group(path, nodes, position, score, fps)


def _arrays(
    path: Path, bodyparts: list[str], coords: list[str], values: NDArray[np.float32]
) -> tuple[tuple[str, ...], NDArray[np.float32], NDArray[np.float32]]:
    """Nodes, positions (frame, node, 2) and scores (frame, node) of a table with one animal."""
    nodes = tuple(dict.fromkeys(bodyparts))
    expected = [(node, coord) for node in nodes for coord in _COORDS]
    if list(zip(bodyparts, coords, strict=True)) != expected:
        raise ExportError(f"{path}: expected x, y and likelihood of each body part of one animal, in this order")
    points = values.reshape(len(values), len(nodes), 3)
    return nodes, points[..., :2], points[..., 2]


register_format(
    Format(
        "dlc-csv",
        ".dlc.csv",
        "DeepLabCut's CSV",
        write_csv,
        read_csv,
        about_in_sidecar,
        is_one=lambda path: read_first_line(path).startswith("scorer,"),
    )
)
register_format(
    Format(
        "dlc-h5",
        ".dlc.h5",
        "DeepLabCut's HDF5",
        write_hdf5,
        read_hdf5,
        about_in_hdf5_group,
        suffixes=(".h5", ".hdf5"),
        is_one=lambda path: hdf5_has(path, KEY),
    )
)
