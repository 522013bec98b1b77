"""Tracks for another tool's file, and the metadata that its format cannot hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.errors import OrofacialError, TracksError
from compute.tracks import FILTER_COLUMNS, Tracks

GROUP = "orofacial"
"""HDF5 group for data that another tool's format cannot hold; other tools ignore it."""


class ExportError(OrofacialError):
    """A file that cannot be written, or read back."""


@dataclass(frozen=True)
class PortableTrack:
    """Tracks with what a file for another tool says beside them.

    Parameters
    ----------
    tracks : Tracks
        The tracks of one video.
    edges : tuple of (str, str)
        Pairs of nodes that are drawn connected.
    video_file : str
        Path of the video; empty if it is not known.
    size_px : tuple of int, optional
        Width and height of the video's frames.
    provenance : mapping
        What made the tracks (`pipeline.why.why_chain`), as JSON can hold it.
    """

    tracks: Tracks
    edges: tuple[tuple[str, str], ...] = ()
    video_file: str = ""
    size_px: tuple[int, int] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def about(self) -> str:
        """Everything but the arrays, as JSON; `with_about` is the inverse."""
        return json.dumps(
            {
                "written_by": "orofacial",
                "n_frames": self.tracks.n_frames,
                "nodes": list(self.tracks.nodes),
                "edges": [list(edge) for edge in self.edges],
                "video_file": self.video_file,
                "size_px": self.size_px,
                "attributes": dict(self.tracks.attributes),
                "provenance": dict(self.provenance),
            },
            ensure_ascii=False,
        )

    @classmethod
    def with_about(cls, path: Path, tracks: Tracks, about: str | bytes | None) -> PortableTrack:
        """Combine the tracks of a file with the JSON of `about`, if there is any.

        Raises
        ------
        ExportError
            If the file has another number of frames than it was written with.
        """
        if about is None:
            return cls(tracks)
        said = json.loads(about)
        if said["n_frames"] != tracks.n_frames:
            raise ExportError(
                f"{path} holds {tracks.n_frames} frames, it was written with {said['n_frames']}; export it again"
            )
        return cls(
            replace(tracks, attributes=said["attributes"]),
            edges=tuple((source, target) for source, target in said["edges"]),
            video_file=said["video_file"],
            size_px=None if said["size_px"] is None else tuple(said["size_px"]),
            provenance=said["provenance"],
        )


def write_group(path: Path, track: PortableTrack) -> None:
    """Add times, filter columns and provenance to an HDF5 file of another tool, in a group of their own."""
    import h5py  # type: ignore[import-untyped]

    with h5py.File(path, "a") as file:
        group = file.create_group(GROUP)
        group["time_s"] = track.tracks.time
        group["about"] = track.about()
        for name in FILTER_COLUMNS:
            if getattr(track.tracks, name) is not None:
                group.create_dataset(name, data=getattr(track.tracks, name), compression="gzip", shuffle=True)


def read_group(
    path: Path, nodes: tuple[str, ...], position: NDArray[Any], score: NDArray[Any], fps: float | None
) -> PortableTrack:
    """Combine a tool's arrays with the group that `write_group` added, if there is one.

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
            time = times_of(path, len(position), fps)
            return PortableTrack(checked(path, position=position, score=score, time=time, nodes=nodes))
        group = file[GROUP]
        time, about = group["time_s"][:], group["about"][()]
        optional = {name: group[name][:] for name in FILTER_COLUMNS if name in group}
    if len(time) != len(position):
        raise ExportError(
            f"{path} holds {len(position)} frames and {len(time)} times; another program altered it. Export it again"
        )
    tracks = checked(path, position=position, score=score, time=time, nodes=nodes, **optional)
    return PortableTrack.with_about(path, tracks, about)


def about_in_group(path: Path) -> list[dict[str, Any]]:
    """What `write_group` wrote: `PortableTrack.about` of the one track, parsed."""
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


def times_of(path: Path, n_frames: int, fps: float | None) -> NDArray[np.float64]:
    """Times of a file that holds none, from the frame rate.

    Raises
    ------
    ExportError
        If no frame rate was given.
    """
    if fps is None:
        raise ExportError(f"{path} holds no times of its frames; give the frame rate: fps=..., or --fps in a shell")
    return np.arange(n_frames) / fps


def checked(path: Path, **arrays: Any) -> Tracks:
    """Tracks of arrays that were read from a file; an error names the file."""
    try:
        return Tracks(**arrays)
    except TracksError as error:
        raise ExportError(f"{path} holds no usable tracks: {error}") from error


def sidecar_path(path: Path) -> Path:
    """The JSON beside a file whose format has no place for times or provenance."""
    return path.with_name(path.name + ".json")


def read_sidecar(path: Path) -> dict[str, Any] | None:
    """What `write_sidecar` wrote for a file, or None.

    Raises
    ------
    ExportError
        If it is no JSON.
    """
    sidecar = sidecar_path(path)
    if not sidecar.exists():
        return None
    try:
        said: dict[str, Any] = json.loads(sidecar.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ExportError(f"{sidecar} is no valid JSON ({error}); export {path.name} again") from error
    return said


def about_in_sidecar(path: Path) -> list[dict[str, Any]]:
    """What `write_sidecar` wrote: `PortableTrack.about` of the one track, parsed.

    Raises
    ------
    ExportError
        If there is none, or it is no JSON.
    """
    said = read_sidecar(path)
    if said is None:
        raise ExportError(f"{path} has no {path.name}.json beside it, which says what the file holds; copy it too")
    return [said]


def first_line(path: Path) -> str:
    """The first line of a text file, whatever its encoding."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline()


def write_sidecar(path: Path, track: PortableTrack, **more: Any) -> None:
    """Write `PortableTrack.about`, and more, beside a file; whole or not at all."""
    sidecar = sidecar_path(path)
    temporary = sidecar.with_name(f".{sidecar.name}.part")
    temporary.write_text(json.dumps({**json.loads(track.about()), **more}, ensure_ascii=False), encoding="utf-8")
    temporary.replace(sidecar)
