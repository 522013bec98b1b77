"""SLEAP's analysis HDF5, as SLEAP exports it for MATLAB and Python: what most analysis scripts read.

Coordinates and scores, a person's NaN score too, are kept in double precision. Times, filter columns and provenance
are in a group ``orofacial`` of the file; SLEAP's own field ``provenance`` has the last one as well.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.errors import ExportError
from compute.formats.hdf5_group import about_in_hdf5_group, hdf5_has, read_hdf5_group, write_hdf5_group
from compute.formats.portable import PortableTrack
from compute.formats.registry import Format, register_format

_DIMENSIONS = {
    "tracks": ["track", "xy", "node", "frame"],
    "track_occupancy": ["frame", "track"],
    "point_scores": ["track", "node", "frame"],
    "instance_scores": ["track", "frame"],
    "tracking_scores": ["track", "frame"],
}
"""Order of the axes in the file (SLEAP's and sleap-io's preset ``matlab``)."""


def write(path: Path, track: PortableTrack) -> None:
    """Write tracks as the one track of an analysis file.

    Written with h5py and not with sleap-io, whose way is over one object for every frame and drops empty ones.
    """
    import h5py  # type: ignore[import-untyped]

    tracks = track.tracks
    found: NDArray[np.bool_] = np.any(tracks.found, axis=1)
    total = np.where(found, np.nansum(tracks.score, axis=1), np.nan)
    arrays = {
        "tracks": tracks.position.astype(np.float64).transpose(2, 1, 0)[None],
        "track_occupancy": found[:, None].astype(np.uint8),
        "point_scores": tracks.score.astype(np.float64).T[None],
        "instance_scores": total.astype(np.float64)[None],
        "tracking_scores": np.full((1, tracks.n_frames), np.nan),
    }
    edges = [[source.encode(), target.encode()] for source, target in track.edges]
    indices = [[tracks.node_index(source), tracks.node_index(target)] for source, target in track.edges]
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            dataset = file.create_dataset(name, data=array, compression="gzip", shuffle=True)
            dataset.attrs["dims"] = json.dumps(_DIMENSIONS[name])
        file["track_names"] = np.array([b"mouse"])
        file["node_names"] = np.array([node.encode() for node in tracks.nodes])
        file["edge_names"] = np.array(edges, dtype=None if edges else "S1").reshape(-1, 2)
        file["edge_inds"] = np.array(indices, dtype=np.int64).reshape(-1, 2)
        file["labels_path"], file["video_path"], file["video_ind"] = "", track.video_file, 0
        file["provenance"] = json.dumps(dict(track.provenance))
        file.attrs.update(preset="matlab", format="analysis", sleap_io_version=version("sleap-io"))
    write_hdf5_group(path, track)


def read(path: Path, *, fps: float | None = None) -> PortableTrack:
    """Read an analysis file with one animal, written by `write`, SLEAP or sleap-io.

    In a file of SLEAP's, a missing point has a NaN score, which is 0 here.

    Raises
    ------
    ExportError
        If the file cannot be read, holds several animals, or no times and no `fps` is given.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            position = _in_order(file["tracks"], ["frame", "track", "node", "xy"])
            score = _in_order(file["point_scores"], ["frame", "track", "node"])
            nodes = tuple(name.decode() for name in file["node_names"][:])
            edges = tuple((source.decode(), target.decode()) for source, target in file["edge_names"][:])
            video = file["video_path"][()].decode() if "video_path" in file else ""
            is_ours = "orofacial" in file
    except (OSError, KeyError, ValueError) as error:
        raise ExportError(f"{path} cannot be read as SLEAP's analysis HDF5 ({error}); export it again") from error
    if position.shape[1] != 1:
        raise ExportError(f"{path} holds {position.shape[1]} animals, expected one mouse")
    position, score = position[:, 0], score[:, 0]
    if not is_ours:
        score = np.where(np.isnan(position[..., 0]), 0, score)
    track = read_hdf5_group(path, nodes, position, score, fps)
    return PortableTrack(track.tracks, edges, track.video_file or video, track.size_px, track.provenance)


def _in_order(dataset: Any, wanted: list[str]) -> NDArray[Any]:
    """An array with its axes in this order, whatever order the file has them in."""
    standard = _DIMENSIONS[dataset.name.strip("/")]
    stored = json.loads(dataset.attrs["dims"]) if "dims" in dataset.attrs else standard
    array: NDArray[Any] = dataset[:]
    return array.transpose([stored.index(name) for name in wanted])


register_format(
    Format(
        "analysis",
        ".analysis.h5",
        "SLEAP's analysis HDF5, for MATLAB and Python",
        write,
        read,
        about_in_hdf5_group,
        suffixes=(".h5", ".hdf5"),
        is_one=lambda path: hdf5_has(path, "track_occupancy"),
    )
)
