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
    **arrays : array
        Fields of `Tracks` that the filter made anew. ``filled`` is the same in every filter: True where there is a
        position and no used point, be it that the estimator gave none or that the filter (or its gate) rejected it.
    """
    made_by: dict[str, Any] = {"name": name, "parameters": dict(parameters)}
    if fitted is not None:
        made_by["fitted"] = dict(fitted)
    changes: dict[str, Any] = {**arrays, "attributes": {**tracks.attributes, "filter": made_by}}
    return replace(tracks, **changes)
