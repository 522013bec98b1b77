"""Wrong placements that last, by all that tells them: other networks, another view, the rest of the pose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from compute.tracks.disputed_points import FALSE_ALARMS, disputed_points
from compute.tracks.pose_shape import misfitting_points
from compute.tracks.tracks import Tracks
from compute.tracks.two_views import contradicted_points

Pairs = Sequence[Sequence[str]]


def lasting_wrong_points(
    tracks: Tracks,
    *,
    same_x: Pairs = (),
    same_y: Pairs = (),
    pose_shape: bool = False,
    false_alarms: float = FALSE_ALARMS,
    minimum_px: float = 2.5,
) -> NDArray[np.bool_]:
    """Points that one of the measures finds; the stated false alarms are shared among those that there are.

    Parameters
    ----------
    tracks : Tracks
        Any tracks. Those of an ensemble have its disagreement as a measure (`compute.tracks.disputed_points`).
    same_x, same_y : sequence of pairs of str
        Nodes that are one place seen in two views which share that axis (`compute.tracks.two_views`).
    pose_shape : bool
        Whether nodes must fit the rest of the pose (`compute.tracks.pose_shape`).
    false_alarms : float
        Fraction of points with usual errors that all measures together may find, at most.
    minimum_px : float
        Errors up to this many pixels are never found.

    Returns
    -------
    array, shape (frame, node), bool
        False where there is no point.
    """
    measures: list[Callable[..., NDArray[np.bool_]]] = []
    if tracks.lasting_spread is not None:
        measures.append(disputed_points)
    measures += [
        partial(contradicted_points, pairs=pairs, axis=axis) for axis, pairs in enumerate((same_x, same_y)) if pairs
    ]
    if pose_shape:
        measures.append(misfitting_points)
    wrong = np.zeros(tracks.score.shape, np.bool_)
    for measure in measures:
        wrong |= measure(tracks, false_alarms=false_alarms / len(measures), minimum_px=minimum_px)
    return wrong
