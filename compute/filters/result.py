"""What all filters share: the gaps they may fill, and the form of their result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from compute.tracks import Tracks


def filter_result(
    tracks: Tracks,
    name: str,
    parameters: Mapping[str, Any],
    fitted: Mapping[str, Any] | None = None,
    note: str | None = None,
    **arrays: NDArray[Any] | None,
) -> Tracks:
    """Tracks with a filter's arrays, and what made them in their attributes.

    Parameters
    ----------
    tracks : Tracks
        The filter's input; what `arrays` does not name is taken from it.
    name : str
        Name of the filter.
    parameters : mapping
        All parameters that the filter used, as JSON can hold them. They become ``attributes["filter"]``.
    fitted : mapping, optional
        What the filter found out about each node; it becomes ``attributes["filter"]["fitted"]``.
    note : str, optional
        What people should know about this result; it becomes ``attributes["filter"]["note"]``.
    **arrays : array
        Fields of `Tracks` that the filter made anew. ``filled`` is the same in every filter: True where there is a
        position and no used point, be it that the estimator gave none or that the filter (or its gate) rejected it.
    """
    made_by: dict[str, Any] = {"name": name, "parameters": dict(parameters)}
    if fitted is not None:
        made_by["fitted"] = dict(fitted)
    if note is not None:
        made_by["note"] = note
    changes: dict[str, Any] = {**arrays, "attributes": {**tracks.attributes, "filter": made_by}}
    return replace(tracks, **changes)


def passing_note(tracks: Tracks, why: str) -> str:
    """What a filter says where it passes every point as it is, since its window is too short for the frame rate.

    Examples
    --------
    >>> import numpy as np
    >>> tracks = Tracks(np.zeros((3, 1, 2)), np.ones((3, 1)), [0, 0.125, 0.25], ["jaw_tip"])
    >>> passing_note(tracks, "window_s 0.05 holds one frame")
    'window_s 0.05 holds one frame at 8 Hz: points are not smoothed'
    """
    return f"{why} at {1 / tracks.frame_interval_s:.4g} Hz: points are not smoothed"
