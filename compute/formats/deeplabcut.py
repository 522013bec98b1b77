"""DeepLabCut's tables, CSV and HDF5: a header of three levels (scorer, bodyparts, coords), a row a frame.

Coordinates keep the digits of their single precision; a person's NaN score is an empty likelihood. DeepLabCut has no
place for edges, times, filter columns and provenance: the HDF5 file has them in a group ``orofacial``, the CSV in a
``.json`` beside it (not the filter columns: use another format for those).
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from compute.errors import ExportError
from compute.extras import import_pytables
from compute.formats.assembly import assemble_tracks
from compute.formats.deeplabcut_table import COORDS, KEY, OWN_SCORER, read_deeplabcut_header, read_deeplabcut_table
from compute.formats.hdf5_group import about_in_hdf5_group, hdf5_has, read_hdf5_group, write_hdf5_group
from compute.formats.portable import KeptBeside, PortableTrack
from compute.formats.registry import Format, register_format
from compute.formats.sidecar import about_in_sidecar, read_sidecar_times, write_sidecar

if TYPE_CHECKING:
    import pandas as pd


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
    columns = [pa.array(frame.index)]
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
    NotInstalledError
        If PyTables is not installed.
    """
    if not track.tracks.n_frames:
        raise ExportError(f"{path}: DeepLabCut's HDF5 cannot hold tracks without frames; use its CSV")
    import_pytables()
    _frame(track).to_hdf(path, key=KEY, mode="w", format="table")
    write_hdf5_group(path, track)


def _frame(track: PortableTrack) -> pd.DataFrame:
    """The table as DeepLabCut has it, one row a frame."""
    import pandas as pd

    tracks = track.tracks
    columns = pd.MultiIndex.from_product(
        [[_scorer(track)], tracks.nodes, COORDS], names=["scorer", "bodyparts", "coords"]
    )
    values = np.concatenate([tracks.position, tracks.score[..., None]], axis=-1)
    index = pd.RangeIndex(track.first_frame, track.first_frame + tracks.n_frames)
    return pd.DataFrame(values.reshape(tracks.n_frames, len(columns)), columns=columns, index=index)


def _scorer(track: PortableTrack) -> str:
    """Model and filter: what DeepLabCut's scorer stands for."""
    model = track.provenance.get("model", {}).get("model_id")
    method = track.provenance.get("filter", {}).get("filter_method")
    return "_".join([OWN_SCORER, *(part for part in (model, method) if part)])


def read_csv(path: Path, *, fps: float | None = None, name: str | None = None) -> PortableTrack:
    """Read a CSV of one animal, written by `write_csv`, DeepLabCut or Lightning Pose.

    Raises
    ------
    ExportError
        As `compute.formats.deeplabcut_table.read_deeplabcut_table`; or if a frame is there twice, or there are no times
        beside it and no `fps` is given.
    """
    return _read(path, read_sidecar_times(path), fps, name)


def read_hdf5(path: Path, *, fps: float | None = None, name: str | None = None) -> PortableTrack:
    """Read an HDF5 table of one animal, written by `write_hdf5` or DeepLabCut.

    Raises
    ------
    ExportError
        As `read_csv`.
    """
    return _read(path, read_hdf5_group(path), fps, name)


def _read(path: Path, beside: KeptBeside | None, fps: float | None, name: str | None) -> PortableTrack:
    table = read_deeplabcut_table(path, name=name)
    rows = {"position": table.position, "score": table.score}
    by_person = np.full(len(table.frame_index), table.is_own)
    track = assemble_tracks(
        path, table.nodes, table.frame_index, rows, beside, fps=fps, by_person=by_person, place=table.place
    )
    return track.assuming(table.assumption) if table.assumption else track


register_format(
    Format(
        "dlc-csv",
        ".dlc.csv",
        "DeepLabCut's CSV",
        write_csv,
        read_csv,
        about_in_sidecar,
        is_one=lambda path: read_deeplabcut_header(path) is not None,
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
