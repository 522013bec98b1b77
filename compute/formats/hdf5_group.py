"""The HDF5 group with times, filter columns and provenance in an HDF5 file of another tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from compute.errors import ExportError
from compute.formats.portable import PortableTrack, portable_times, portable_tracks
from compute.tracks import FILTER_COLUMNS

GROUP = "orofacial"
"""HDF5 group for data that another tool's format cannot hold; other tools ignore it."""


def write_hdf5_group(path: Path, track: PortableTrack) -> None:
    """Add times, filter columns and provenance to an HDF5 file of another tool, in a group of their own."""
    import h5py  # type: ignore[import-untyped]

    with h5py.File(path, "a") as file:
        group = file.create_group(GROUP)
        group["time_s"] = track.tracks.time
        group["about"] = track.about()
        for name in FILTER_COLUMNS:
            if getattr(track.tracks, name) is not None:
                group.create_dataset(name, data=getattr(track.tracks, name), compression="gzip", shuffle=True)


def read_hdf5_group(
    path: Path, nodes: tuple[str, ...], position: NDArray[Any], score: NDArray[Any], fps: float | None
) -> PortableTrack:
    """Combine a tool's arrays with the group that `write_hdf5_group` added, if there is one.

    Parameters
    ----------
    path : Path
        The HDF5 file.
    nodes : tuple of str
        Names of the nodes.
    position : array, shape (frame, node, 2)
        In px, NaN where not found.
    score : array, shape (frame, node)
        NaN where a person placed the point.
    fps : float, optional
        Frames a second, for a file that holds no times.

    Raises
    ------
    ExportError
        If there are no times, or for another number of frames.
    """
    import h5py

    with h5py.File(path, "r") as file:
        if GROUP not in file:
            time = portable_times(path, len(position), fps)
            return PortableTrack(portable_tracks(path, position=position, score=score, time=time, nodes=nodes))
        group = file[GROUP]
        time, about = group["time_s"][:], group["about"][()]
        optional = {name: group[name][:] for name in FILTER_COLUMNS if name in group}
    if len(time) != len(position):
        raise ExportError(
            f"{path} holds {len(position)} frames and {len(time)} times; another program altered it. Export it again"
        )
    tracks = portable_tracks(path, position=position, score=score, time=time, nodes=nodes, **optional)
    return PortableTrack.with_about(path, tracks, about)


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
