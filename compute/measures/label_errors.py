"""How far tracks are from the points that a person placed in some of the video's frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.errors import TracksError
from compute.tracks import Tracks


def label_error_px(
    tracks: Tracks, frame_indices: Sequence[int], placed_px: ArrayLike, nodes: Sequence[str]
) -> NDArray[np.float64]:
    """Distance of tracks from placed points.

    Parameters
    ----------
    tracks : Tracks
        Tracks of the video that was labelled.
    frame_indices : sequence of int
        The labelled frames.
    placed_px : array, shape (labelled frame, node, 2)
        Placed points (px); NaN where a node was not placed.
    nodes : sequence of str
        Their nodes; those that the tracks lack are NaN in the result.

    Returns
    -------
    array, shape (labelled frame, node), float64
        In px; inf where a point was placed and the tracks have none, NaN where none was placed.

    Raises
    ------
    TracksError
        If a frame is not one of the video's: labels and video do not belong together.

    Examples
    --------
    >>> tracks = Tracks(position=[[[1, 2]], [[np.nan, np.nan]]], score=[[0.9], [0]], time=[0, 0.01], nodes=["jaw_tip"])
    >>> label_error_px(tracks, [0, 1], [[[4, 6]], [[4, 6]]], ["jaw_tip"]).tolist()
    [[5.0], [inf]]
    """
    offset = label_offset_px(tracks, frame_indices, placed_px, nodes)
    error = np.linalg.norm(offset, axis=-1)
    has_node = np.array([node in tracks.nodes for node in nodes], bool)
    is_placed = ~np.isnan(np.asarray(placed_px, np.float64)[..., 0])
    error[np.isnan(error) & is_placed & has_node] = np.inf
    return np.asarray(error)


def label_offset_px(
    tracks: Tracks, frame_indices: Sequence[int], placed_px: ArrayLike, nodes: Sequence[str]
) -> NDArray[np.float64]:
    """Position in tracks less the placed one.

    Parameters
    ----------
    tracks, frame_indices, placed_px, nodes
        As of `label_error_px`.

    Returns
    -------
    array, shape (labelled frame, node, 2), float64
        In px; NaN where the point was not placed, or the tracks have none.

    Raises
    ------
    TracksError
        If a frame is not one of the video's: labels and video do not belong together.

    Examples
    --------
    >>> tracks = Tracks(position=[[[1, 2]], [[3, 4]]], score=[[0.9], [0.8]], time=[0, 0.01], nodes=["jaw_tip"])
    >>> label_offset_px(tracks, [1], [[[2, 6]]], ["jaw_tip"]).tolist()
    [[[1.0, -2.0]]]
    """
    outside = [index for index in frame_indices if not 0 <= index < tracks.n_frames]
    if outside:
        raise TracksError(
            f"labelled frame {outside[0]} is none of the video's {tracks.n_frames}: the labels were made on another"
            " version of the video"
        )
    placed = np.asarray(placed_px, np.float64)
    known = [index for index, node in enumerate(nodes) if node in tracks.nodes]
    position: NDArray[Any] = np.full(placed.shape, np.nan)
    columns = [tracks.node_index(nodes[index]) for index in known]
    position[:, known] = tracks.position[np.asarray(frame_indices, np.int_)][:, columns]
    return np.asarray(position - placed)
