"""Points with a good score, and straight lines between them: what most pipelines do."""

from __future__ import annotations

import numpy as np

from compute.filters.gaps import bridge_gaps, within_gap_limit
from compute.filters.gate import gate_out, gated_if
from compute.filters.parameter_rules import Flag, Positive
from compute.filters.registry import register_filter
from compute.filters.result import filter_result
from compute.tracks import Tracks


@register_filter(version=1, lag="symmetric", color="#56B4E9", in_every_lab=True)
def interpolate(
    tracks: Tracks, *, minimum_score: Positive | None = 0.6, max_gap_s: Positive | None = 0.1, gated: Flag = False
) -> Tracks:
    """Leave out points with a low score and draw straight lines across the gaps; nothing is smoothed.

    Parameters
    ----------
    tracks : Tracks
        Tracks with NaN where a node was not found.
    minimum_score : float or None
        A point with a lower score is left out; a person's point (NaN) is kept. None: all points are kept. The default
        is DeepLabCut's and movement's; SLEAP's scores of a good model are often all above it.
    max_gap_s : float or None
        The longest gap, from point to point in seconds, that is filled; None for any. The two ends are never
        extrapolated.
    gated : bool
        Also leave out wrong placements, see `compute.filters.gate.gated`.

    Returns
    -------
    Tracks
        With ``rejected`` True where a point was left out, and ``filled`` where the line is.

    Raises
    ------
    FilterError
        If a parameter is outside its range.
    """
    points = gated_if(tracks, gated)
    if minimum_score is not None:
        low = tracks.found & (tracks.score < minimum_score)
        points = gate_out(points, low if points.rejected is None else low | points.rejected)
    allowed = within_gap_limit(points.found, tracks.time, max_gap_s)
    return filter_result(
        tracks,
        "interpolate",
        {"minimum_score": minimum_score, "max_gap_s": max_gap_s, "gated": gated},
        position=bridge_gaps(points.position, allowed, tracks.time).astype(np.float32),
        sd=None,
        rejected=points.rejected,
        filled=allowed & ~points.found,
    )
