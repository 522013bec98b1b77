"""Tracks from the rows of another program's file, and from what this project wrote beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.errors import ExportError
from compute.formats.frame_rows import rows_by_frame
from compute.formats.network_scores import least_scores
from compute.formats.portable import KeptBeside, PortableTrack, portable_times, portable_tracks

NO_SCORES = "the file has no scores: 1 stands for a point that is there"


def assemble_tracks(
    path: Path,
    nodes: Sequence[str],
    frame_index: NDArray[np.int64],
    rows: Mapping[str, NDArray[Any]],
    beside: KeptBeside | None,
    *,
    fps: float | None = None,
    file_fps: float | None = None,
    n_frames: int | None = None,
    by_person: ArrayLike = False,
    place: Callable[[int], str] | None = None,
) -> PortableTrack:
    """Tracks of a file's rows, each put where its frame number says.

    Parameters
    ----------
    path : Path
        The file, for errors.
    nodes : sequence of str
        Names of the nodes.
    frame_index : array, shape (row,)
        Frame number of each row, from 0, in any order.
    rows : mapping of str to array, shape (row, node, ...)
        ``position`` in px, NaN where not found, and ``score``.
    beside : KeptBeside, optional
        What this project kept, if it wrote the file.
    fps, file_fps : float, optional
        Frames a second that a person and the file name, for a file that holds no times.
    n_frames : int, optional
        Length of the video, if the file says it.
    by_person : array_like of bool, shape (row,)
        Which rows a person placed: their NaN scores stay, those of a network are 0. A file of this project's keeps all.
    place : callable, optional
        Where the row of an index stands, for people: file and line.

    Raises
    ------
    ExportError
        If a frame has two rows or does not exist, the file was cut off, or there are no times and no frame rate.
    """
    if beside is None:
        kept = np.asarray(by_person, bool)[..., None]
        score, assumption = least_scores(rows["position"], rows["score"], kept)
        rows = {**rows, "score": score}
        arrays = rows_by_frame(path, frame_index, rows, nodes=nodes, n_frames=n_frames, place=place)
        time = portable_times(path, len(arrays["score"]), fps, file_fps)
        track = PortableTrack(portable_tracks(path, time=time, nodes=tuple(nodes), **arrays))
        return track.assuming(assumption) if assumption else track
    n_written, first = beside.time.size, beside.first_frame
    end = int(frame_index.max(initial=first - 1)) + 1
    if end < first + n_written:
        raise ExportError(
            f"{path} ends before frame {end}, it was written with frames {first} to {first + n_written - 1}; it was cut"
            " off. Export or copy it again"
        )
    arrays = rows_by_frame(path, frame_index, rows, nodes=nodes, n_frames=n_written, first_frame=first)
    tracks = portable_tracks(path, time=beside.time, nodes=tuple(nodes), **arrays, **beside.filter_columns)
    return PortableTrack.with_about(path, tracks, beside.about)


def assumed_scores(position: NDArray[Any]) -> NDArray[np.float32]:
    """Scores of points from a file without scores: 1 where there is a point, 0 where not; shape (..., node).

    They say nothing of how sure the network was. The reader notes it with `NO_SCORES`.
    """
    return np.where(np.isnan(position[..., 0]), 0, 1).astype(np.float32)
