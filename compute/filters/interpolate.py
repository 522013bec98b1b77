"""Points whose score is not among the lowest, and straight lines between them: what most pipelines do."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compute.filters.gaps import bridge_gaps, within_gap_limit
from compute.filters.gate import gate_out, gated_if
from compute.filters.parameter_rules import Flag, GapSeconds, Probability
from compute.filters.registry import register_filter
from compute.filters.result import filter_result
from compute.tracks import Tracks


@register_filter(version=2, lag="symmetric", color="#56B4E9", in_every_lab=True)
def interpolate(
    tracks: Tracks,
    *,
    lowest_score_fraction: Probability | None = 0.05,
    max_gap_s: GapSeconds | None = 0.1,
    gated: Flag = False,
) -> Tracks:
    """Leave out the points with the lowest scores and draw straight lines across the gaps; nothing is smoothed.

    Parameters
    ----------
    tracks : Tracks
        Tracks with NaN where a node was not found.
    lowest_score_fraction : float or None
        Of each node's points, at most this fraction is left out: those whose scores are below this quantile of the
        node's own scores in this video. Only the order of the scores counts, so that the parameter means the same for
        every model and node; a fixed score does not, since two models' scores cannot be compared. A person's point
        (score NaN) is kept and not counted. None: all points are kept.
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

    Notes
    -----
    Version 1 left out every point with a score below the parameter ``minimum_score`` (0.6 by default), which of some
    models is every point.
    """
    points = gated_if(tracks, gated)
    if lowest_score_fraction is not None:
        low = _lowest_scores(tracks, lowest_score_fraction)
        points = gate_out(points, low if points.rejected is None else low | points.rejected)
    allowed = within_gap_limit(points.found, tracks.time, max_gap_s)
    return filter_result(
        tracks,
        "interpolate",
        {"lowest_score_fraction": lowest_score_fraction, "max_gap_s": max_gap_s, "gated": gated},
        position=bridge_gaps(points.position, allowed, tracks.time).astype(np.float32),
        sd=None,
        rejected=points.rejected,
        filled=allowed & ~points.found,
    )


def _lowest_scores(tracks: Tracks, fraction: float) -> NDArray[np.bool_]:
    """Found points whose score is below this quantile of their node's, shape (frame, node)."""
    low = np.zeros(tracks.found.shape, np.bool_)
    for node in range(len(tracks.nodes)):
        scored = tracks.found[:, node] & ~np.isnan(tracks.score[:, node])
        if scored.any():
            # A score that there is, not one between two: then only the order of the scores counts.
            limit = np.quantile(tracks.score[scored, node], fraction, method="lower")
            low[:, node] = scored & (tracks.score[:, node] < limit)
    return low
