"""SLEAP's analysis HDF5, as SLEAP exports it for MATLAB and Python: what most analysis scripts read.

Coordinates and scores, a person's NaN score too, are kept in double precision. Times, filter columns and provenance
are in a group ``orofacial`` of the file; SLEAP's own field ``provenance`` has the last one as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.errors import ExportError
from compute.formats.assembly import NO_SCORES, assemble_tracks, assumed_scores
from compute.formats.hdf5_group import about_in_hdf5_group, hdf5_has, read_hdf5_group, write_hdf5_group
from compute.formats.network_scores import is_written_here
from compute.formats.one_animal import join_one_animal
from compute.formats.portable import PortableTrack
from compute.formats.registry import Format, register_format
from compute.json_text import json_text
from compute.text import count_text

_DIMENSIONS = {
    "tracks": ["track", "xy", "node", "frame"],
    "track_occupancy": ["frame", "track"],
    "point_scores": ["track", "node", "frame"],
    "instance_scores": ["track", "frame"],
    "tracking_scores": ["track", "frame"],
}
"""Order of the axes in the file (SLEAP's and sleap-io's preset ``matlab``)."""

_SLEAP_IO_VERSION = "0.9.5"
"""The version of sleap-io whose layout this is; sleap-io itself need not be installed."""


def write(path: Path, track: PortableTrack) -> None:
    """Write tracks as the one track of an analysis file.

    Written with h5py and not with sleap-io, whose way is over one object for every frame and drops empty ones. The file
    has a column for each frame of the video from the first on: those before the tracks hold nothing.
    """
    import h5py  # type: ignore[import-untyped]

    tracks = track.tracks
    before = track.first_frame
    found: NDArray[np.bool_] = np.any(tracks.found, axis=1)
    total = np.where(found, np.nansum(tracks.score, axis=1), np.nan)
    arrays = {
        "tracks": _after(before, tracks.position.astype(np.float64)).transpose(2, 1, 0)[None],
        "track_occupancy": _after(before, found.astype(np.uint8))[:, None],
        "point_scores": _after(before, tracks.score.astype(np.float64)).T[None],
        "instance_scores": _after(before, total.astype(np.float64))[None],
        "tracking_scores": np.full((1, before + tracks.n_frames), np.nan),
    }
    edges = [[source.encode(), target.encode()] for source, target in track.edges]
    indices = [[tracks.node_index(source), tracks.node_index(target)] for source, target in track.edges]
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            dataset = file.create_dataset(name, data=array, compression="gzip", shuffle=True)
            dataset.attrs["dims"] = json_text(_DIMENSIONS[name])
        file["track_names"] = np.array([b"mouse"])
        file["node_names"] = np.array([node.encode() for node in tracks.nodes])
        file["edge_names"] = np.array(edges, dtype=None if edges else "S1").reshape(-1, 2)
        file["edge_inds"] = np.array(indices, dtype=np.int64).reshape(-1, 2)
        file["labels_path"], file["video_path"], file["video_ind"] = "", track.video_file, 0
        file["provenance"] = json_text(track.provenance, ascii_only=True)
        file.attrs.update(preset="matlab", format="analysis", sleap_io_version=_SLEAP_IO_VERSION)
    write_hdf5_group(path, track)


def _after(n_frames: int, values: NDArray[Any]) -> NDArray[Any]:
    """The values after so many frames without one."""
    missing = np.nan if values.dtype.kind == "f" else 0
    return np.concatenate([np.full((n_frames, *values.shape[1:]), missing, values.dtype), values])


def read(path: Path, *, fps: float | None = None, name: str | None = None) -> PortableTrack:
    """Read the one animal of an analysis file, written by `write`, SLEAP or sleap-io.

    Tracks that are never there in the same frame are one animal, whose track broke. A track has no position where the
    file says that it was not there. A missing point has a NaN score in a file of SLEAP's, which is 0 here. An
    instance of which no point has a score was placed by a person.

    Raises
    ------
    ExportError
        If the file cannot be read, holds several animals and `name` chooses none, leaves out frames of the video, or
        holds no times and no `fps` is given.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            arrays = _in_order(path, file)
            nodes, animals = (tuple(map(_text, file[member][:])) for member in ("node_names", "track_names"))
            edges = tuple((_text(source), _text(target)) for source, target in _member(file, "edge_names", []))
            video = _text(_member(file, "video_path", b""))
            written_here = is_written_here(_parsed(_text(_member(file, "provenance", b""))))
            said = json.loads(_text(file.attrs.get("video_backend_metadata", "{}")))
        beside = read_hdf5_group(path)
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ExportError(f"{path} cannot be read as SLEAP's analysis HDF5 ({error}); export it again") from error
    position = np.where(arrays["track_occupancy"][..., None, None] != 0, arrays["tracks"], np.nan)
    n_columns = len(position)
    _check_length(path, n_columns, said.get("shape"))
    frame_index = np.arange(n_columns)
    animals = animals or ("",)  # SLEAP names no track of a model with one animal
    score = arrays.get("point_scores", assumed_scores(position))
    position, score = join_one_animal(path, frame_index, position, score, animals, name)
    first = beside.first_frame if beside else 0  # the file has columns before it, which hold nothing
    rows = {"position": position[first:], "score": score[first:]}
    by_person = np.isnan(rows["score"]).all(axis=1) | written_here  # a person's instance has no score in it
    track = assemble_tracks(
        path, nodes, frame_index[first:], rows, beside, fps=fps, file_fps=said.get("fps"), by_person=by_person
    )
    if "point_scores" not in arrays:
        track = track.assuming(NO_SCORES)
    return replace(track, edges=edges, video_file=track.video_file or video)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _parsed(text: str) -> Any:
    """What a JSON text says; None if it is no JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _member(file: Any, name: str, default: Any) -> Any:
    return file[name][()] if name in file else default


def _check_length(path: Path, n_columns: int, shape: Sequence[int] | None) -> None:
    """Refuse a file that leaves out frames of its video: it does not say which."""
    if shape and shape[0] and n_columns != shape[0]:
        raise ExportError(
            f"{path} holds {count_text(n_columns, 'frame')}, its video has {shape[0]}, and it does not say which they"
            " are; export it again with all frames"
        )


def _in_order(path: Path, file: Any) -> dict[str, NDArray[Any]]:
    """The arrays with the axes frame, track, node, xy, whatever order the file has them in."""
    wanted = ("frame", "track", "node", "xy")
    length = {"node": len(file["node_names"]), "track": max(len(file["track_names"]), 1), "xy": 2}
    arrays = {}
    for name in ("tracks", "track_occupancy", "point_scores"):
        if name in file:
            dims = _dims(path, file[name], length)
            arrays[name] = file[name][:].transpose([dims.index(one) for one in wanted if one in dims])
            length["frame"] = file[name].shape[dims.index("frame")]
    return arrays


def _dims(path: Path, dataset: Any, length: Mapping[str, int]) -> list[str]:
    """Names of the axes: as the file says, else SLEAP's or MATLAB's order, whichever fits what is known."""
    name = dataset.name.strip("/")
    standard = _DIMENSIONS[name]
    if "dims" in dataset.attrs:
        stated: list[str] = json.loads(_text(dataset.attrs["dims"]))
        if sorted(stated) != sorted(standard):
            raise ValueError(f"{name} has the axes {', '.join(stated)}, expected {', '.join(standard)}")
        orders = [stated]
    else:
        orders = [standard, standard[::-1], sorted(standard, key=["frame", "track", "node", "xy"].index)]
    for order in orders:
        if all(length.get(one, size) == size for one, size in zip(order, dataset.shape, strict=True)):
            return order
    raise ValueError(
        f"{name} has the shape {dataset.shape}, which does not fit the axes {', '.join(standard)} with"
        f" {', '.join(f'{count_text(size, one)}' for one, size in length.items())}"
    )


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
