"""Points at which two views of a node contradict each other for a while: at least one of the two is wrong there.

Views that share an axis (a camera and a mirror below it, two cameras one above the other) show a node at the same x, or
y, but for what the two ways to it differ in scale and tilt. That is learned from the tracks, as far as the node's
movement shows it, and taken off. A wrong placement along the other axis is seen by no such pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from compute.tracks.tracks import Tracks
from compute.tracks.usual_length import usual_length_px, window_frames

_USUAL_DISTORTION = 0.1
"""Standard deviation of how many pixels of difference a pixel of movement makes, before the tracks say it."""

_MAD_TO_SD = 1.4826
_FIT_STEPS = 8
_LEAST_SD_PX = 1e-3

Array = NDArray[np.float64]


def lasting_contradiction(tracks: Tracks, pair: Sequence[str], axis: int) -> NDArray[np.float32]:
    """How far two views of one node contradict each other for a while.

    Parameters
    ----------
    tracks : Tracks
        Of a picture that holds both views, each of which has nodes of its own.
    pair : two of str
        Names of the node in the two views.
    axis : int
        Which axis they share: 0 is x, 1 is y.

    Returns
    -------
    array, shape (frame,), float32
        Length in px of the difference along the shared axis, less its usual value where the node is, as a running
        median over `compute.tracks.usual_length.LASTING_S`. NaN where the node is missing in a view; what is around a
        gap is taken as neighbours.

    Notes
    -----
    The usual value is a constant plus a multiple of each coordinate: of the shared one for another scale (a mirror is
    farther away), of the others for a tilt. The multiples have a prior around 0, so a node that never moves has none,
    and wrong placements hardly count (weights of Geman and McClure).
    """
    from scipy.ndimage import median_filter  # a worker that waits has not imported it

    one_px, other_px = (tracks.position[:, tracks.node_index(node)] for node in pair)
    result = np.full(tracks.n_frames, np.nan, np.float32)
    known = ~(np.isnan(one_px[:, 0]) | np.isnan(other_px[:, 0]))
    if known.any():
        one, other = one_px[known].astype(np.float64), other_px[known].astype(np.float64)
        n_window = window_frames(tracks)
        left = median_filter(_unusual_difference(one, other, axis, n_window), n_window, mode="nearest")
        result[known] = np.abs(left - np.median(left))
    return result


def _unusual_difference(one: Array, other: Array, axis: int, n_window: int) -> Array:
    """Difference along the shared axis, less what the node's place makes; frames of a window count as one."""
    difference = one[:, axis] - other[:, axis]
    difference = difference - np.median(difference)
    place = np.stack([(one[:, axis] + other[:, axis]) / 2, one[:, 1 - axis], other[:, 1 - axis]], axis=1)
    place -= np.median(place, axis=0)
    left = difference
    for _ in range(_FIT_STEPS):
        variance = max(_MAD_TO_SD * float(np.median(np.abs(left))), _LEAST_SD_PX) ** 2
        weight = (1 + left**2 / (4 * variance)) ** -2.0 / (n_window * variance)
        mean = weight @ np.column_stack([difference, place]) / weight.sum()
        of_difference, of_place = difference - mean[0], place - mean[1:]
        precision = (of_place * weight[:, None]).T @ of_place + np.eye(3) / _USUAL_DISTORTION**2
        left = of_difference - of_place @ np.linalg.solve(precision, of_place.T @ (weight * of_difference))
    return left


def contradicted_points(
    tracks: Tracks, pairs: Iterable[Sequence[str]], axis: int, *, false_alarms: float, minimum_px: float
) -> NDArray[np.bool_]:
    """Points of which two views contradict each other for a while by more than they usually do.

    Which of the two is wrong is not known: both are found.

    Parameters
    ----------
    tracks : Tracks
        Of a picture that holds both views, each of which has nodes of its own.
    pairs : sequence of pairs of str
        Names of a node in the two views.
    axis : int
        Which axis they share: 0 is x, 1 is y.
    false_alarms : float
        Fraction of the points of a pair that only errs as it always does that are found nevertheless.
    minimum_px : float
        A contradiction up to this many pixels is never large.

    Returns
    -------
    array, shape (frame, node), bool
        False where there is no point, and for nodes of no pair.

    Examples
    --------
    >>> time = np.arange(1000) / 100
    >>> position = np.random.default_rng(0).normal(100, 1, (1000, 2, 2))
    >>> position[500:550, 0, 0] += 20
    >>> tracks = Tracks(position, np.ones((1000, 2)), time, ["paw_top", "paw_bottom"])
    >>> pair = ("paw_top", "paw_bottom")
    >>> contradicted_points(tracks, [pair], 0, false_alarms=0.01, minimum_px=2.5)[505:545].all(axis=0).tolist()
    [True, True]
    """
    contradicted = np.zeros(tracks.score.shape, np.bool_)
    for pair in pairs:
        length_px = lasting_contradiction(tracks, pair, axis)
        known = ~np.isnan(length_px)
        if known.any():
            limit_px = max(usual_length_px(length_px[known], 1, false_alarms), minimum_px)
            nodes = [tracks.node_index(node) for node in pair]
            contradicted[:, nodes] |= (known & (length_px > limit_px))[:, None]
    return contradicted
