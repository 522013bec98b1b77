"""Tracks for another tool's file, and the metadata that its format cannot hold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.errors import ExportError, TracksError
from compute.json_text import json_text
from compute.text import count_text
from compute.tracks import Tracks

_RATES_DIFFER = 0.01
"""So that 30 may be said for 29.97."""


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
    first_frame : int
        Number of the tracks' first frame in the video; more than 0 where they are a part of it.
    """

    tracks: Tracks
    edges: tuple[tuple[str, str], ...] = ()
    video_file: str = ""
    size_px: tuple[int, int] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    first_frame: int = 0

    def about(self) -> str:
        """Everything but the arrays, as JSON; `with_about` is the inverse."""
        return json_text(
            {
                "written_by": "orofacial",
                "first_frame": self.first_frame,
                "n_frames": self.tracks.n_frames,
                "nodes": list(self.tracks.nodes),
                "edges": [list(edge) for edge in self.edges],
                "video_file": self.video_file,
                "size_px": self.size_px,
                "attributes": dict(self.tracks.attributes),
                "provenance": dict(self.provenance),
            }
        )

    def assuming(self, assumption: str) -> PortableTrack:
        """The same tracks, with a note of what the file does not say and what stands for it."""
        noted = [*self.assumptions, assumption]
        return replace(self, tracks=replace(self.tracks, attributes={**self.tracks.attributes, "assumptions": noted}))

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the file did not say and what stands for it, for people; the tracks' attributes hold it."""
        return tuple(self.tracks.attributes.get("assumptions", ()))

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
                f"{path} holds {count_text(tracks.n_frames, 'frame')}, it was written with {said['n_frames']};"
                " export it again"
            )
        return cls(
            replace(tracks, attributes=said["attributes"]),
            edges=tuple((source, target) for source, target in said["edges"]),
            video_file=said["video_file"],
            size_px=None if said["size_px"] is None else tuple(said["size_px"]),
            provenance=said["provenance"],
            first_frame=said.get("first_frame", 0),
        )


@dataclass(frozen=True)
class KeptBeside:
    """What `compute.formats.portable.write_hdf5_group` or `write_sidecar` kept beside another program's arrays.

    Parameters
    ----------
    time : array, shape (frame,), float64
        Of each frame that was written, in seconds.
    about : str or bytes
        `PortableTrack.about`.
    filter_columns : mapping of str to array
        What a filter gave, where the file has a place for it.
    """

    time: NDArray[np.float64]
    about: str | bytes
    filter_columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def first_frame(self) -> int:
        """Number of the first frame that was written."""
        return int(json.loads(self.about).get("first_frame", 0))


def portable_times(path: Path, n_frames: int, fps: float | None, file_fps: float | None = None) -> NDArray[np.float64]:
    """Times of a file that holds none, from the frame rate that it names, or that a person names.

    Raises
    ------
    ExportError
        If neither names a frame rate, or they differ by more than 1 %.
    """
    rate = file_fps or fps
    if rate is None:
        raise ExportError(f"{path} holds no times of its frames; give the frame rate: fps=..., or --fps in a shell")
    if fps is not None and _differ(rate, fps):
        raise ExportError(
            f"{path} names {rate:.6g} frames a second, {fps:g} were given. Leave out fps=... (--fps in a shell) to take"
            " the file's, or correct the file"
        )
    return np.arange(n_frames) / rate


def frame_rate_note(path: Path, tracks: Tracks, fps: float | None) -> str:
    """For people, that the times of a file do not fit the frame rate that was given; empty if they do within 1 %."""
    if fps is None or tracks.n_frames < 2:
        return ""
    found = 1 / float(np.median(np.diff(tracks.time)))  # not the mean rate: frames may be missing
    if not _differ(found, fps):
        return ""
    return f"--fps {fps:g} was not used: {path} has the times of its frames, {found:.6g} a second"


def _differ(rate: float, other: float) -> bool:
    return abs(rate / other - 1) > _RATES_DIFFER


def portable_tracks(path: Path, **arrays: Any) -> Tracks:
    """Tracks of arrays that were read from a file; an error names the file."""
    try:
        return Tracks(**arrays)
    except TracksError as error:
        raise ExportError(f"{path} holds no usable tracks: {error}") from error
