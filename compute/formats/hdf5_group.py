"""The HDF5 group with times, columns of points and provenance in an HDF5 file of another tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from compute.errors import ExportError
from compute.formats.portable import KeptBeside, PortableTrack
from compute.tracks import POINT_COLUMNS

GROUP = "orofacial"
"""HDF5 group for data that another tool's format cannot hold; other tools ignore it."""


def write_hdf5_group(path: Path, track: PortableTrack) -> None:
    """Add times, columns of points and provenance to an HDF5 file of another tool, in a group of their own."""
    import h5py  # type: ignore[import-untyped]

    with h5py.File(path, "a") as file:
        group = file.create_group(GROUP)
        group["time_s"] = track.tracks.time
        group["about"] = track.about()
        for name in track.tracks.given:
            group.create_dataset(name, data=getattr(track.tracks, name), compression="gzip", shuffle=True)


def read_hdf5_group(path: Path) -> KeptBeside | None:
    """What `write_hdf5_group` wrote into an HDF5 file; None if another program wrote the file."""
    import h5py

    with h5py.File(path, "r") as file:
        if GROUP not in file:
            return None
        group = file[GROUP]
        columns = {name: group[name][:] for name in POINT_COLUMNS if name in group}
        return KeptBeside(group["time_s"][:], group["about"][()], columns)


def about_in_hdf5_group(path: Path) -> list[dict[str, Any]]:
    """What `write_hdf5_group` wrote: `PortableTrack.about` of the one track, parsed."""
    import h5py

    with h5py.File(path, "r") as file:
        return [json.loads(file[GROUP]["about"][()])]


def hdf5_has(path: Path, member: str) -> bool:
    """Whether an HDF5 file has a dataset or group of this name.

    Raises
    ------
    ExportError
        If it cannot be read as HDF5.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return member in file
    except OSError as error:
        raise ExportError(f"{path} cannot be read as HDF5 ({error}); export or copy it again") from error
