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
from compute.tracks import Tracks


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


def portable_times(path: Path, n_frames: int, fps: float | None) -> NDArray[np.float64]:
    """Times of a file that holds none, from the frame rate.

    Raises
    ------
    ExportError
        If no frame rate was given.
    """
    if fps is None:
        raise ExportError(f"{path} holds no times of its frames; give the frame rate: fps=..., or --fps in a shell")
    return np.arange(n_frames) / fps


def portable_tracks(path: Path, **arrays: Any) -> Tracks:
    """Tracks of arrays that were read from a file; an error names the file."""
    try:
        return Tracks(**arrays)
    except TracksError as error:
        raise ExportError(f"{path} holds no usable tracks: {error}") from error
