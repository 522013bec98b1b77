"""No filter: the estimator's own points, so that a comparison has its other side."""

from __future__ import annotations

from compute.filters.registry import register_filter
from compute.filters.result import filter_result
from compute.tracks import Tracks


@register_filter(version=1, lag="symmetric", color="#999999", in_every_lab=True)
def raw(tracks: Tracks) -> Tracks:
    """The tracks unchanged.

    Parameters
    ----------
    tracks : Tracks
        Any tracks.

    Returns
    -------
    Tracks
        The same arrays; ``attributes["filter"]`` names this filter.
    """
    return filter_result(tracks, "raw", {})
