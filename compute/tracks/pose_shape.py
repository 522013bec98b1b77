"""Points that do not fit the rest of the pose for a while.

Where each node of a pose usually is, given all the others, is learned from the tracks: a linear prediction of its x and
y. A node that is misplaced for long is far from it. Nodes that move by themselves (paws) are predicted badly, so only
large misplacements of them are found; a limit for each node says how large.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compute.tracks.tracks import Tracks
from compute.tracks.usual_length import usual_length_px, window_frames

_FIT_FRAMES = 4000
"""Frames that the prediction is learned from, at most, evenly spaced."""

_FRAMES_PER_COORDINATE = 10
"""With fewer frames for each coordinate that predicts, nothing is said: a prediction would fit anything."""

_RIDGE = 0.01
"""Penalty on each slope, in variances of its coordinate: keeps nodes that move together from cancelling each other."""

_FALSE_ALARMS = 0.01
"""Fraction of usual misfits that are not trusted to predict others."""

_FIT_STEPS = 5
_LEAST_SD_PX = 1e-3

Array = NDArray[np.float64]


def lasting_misfit(tracks: Tracks) -> NDArray[np.float32]:
    """How far each node is for a while from where the other nodes say that it should be.

    Parameters
    ----------
    tracks : Tracks
        Of three or more nodes.

    Returns
    -------
    array, shape (frame, node), float32
        Length in px of the running median over `compute.tracks.usual_length.LASTING_S`. NaN in frames in which any node
        is missing, and everywhere where there are too few nodes or frames.

    Notes
    -----
    A linear regression with a small ridge, whose weights (Geman and McClure's) leave frames out in which the node does
    not fit. A node that is misplaced spoils the prediction of the others. So in each frame the one that fits worst,
    beyond its usual misfit, is replaced by its own prediction before the others are predicted once more.
    """
    misfit_px = np.full(tracks.score.shape, np.nan, np.float32)
    whole = tracks.found.all(axis=1)
    n_nodes = len(tracks.nodes)
    if n_nodes < 3 or whole.sum() < _FRAMES_PER_COORDINATE * 2 * (n_nodes - 1):
        return misfit_px
    n_window = window_frames(tracks)
    position = tracks.position[whole].astype(np.float64)
    position -= np.median(position, axis=0)
    slopes = [_slopes(position, node) for node in range(n_nodes)]
    predicted = _predicted(position, slopes)
    length_px = _lasting_length_px(position - predicted, n_window)
    usual_px = [max(usual_length_px(one, 2, _FALSE_ALARMS), _LEAST_SD_PX) for one in length_px.T]
    worst = (length_px / usual_px).argmax(axis=1)
    frames = np.flatnonzero((length_px > usual_px).any(axis=1))
    likely = position.copy()
    likely[frames, worst[frames]] = predicted[frames, worst[frames]]
    misfit_px[whole] = _lasting_length_px(position - _predicted(likely, slopes), n_window)
    return misfit_px


def _slopes(position: Array, node: int) -> Array:
    """How x and y of a node follow a constant and the coordinates of the others, shape (1 + coordinate, 2)."""
    sample = position[np.linspace(0, len(position) - 1, min(len(position), _FIT_FRAMES)).astype(int)]
    known, wanted = _predictors(sample, node), sample[:, node]
    penalty = _RIDGE * len(sample) * np.diag(known.var(axis=0) + _LEAST_SD_PX**2)
    penalty[0, 0] = 0
    weight = np.ones(len(sample))
    for _ in range(_FIT_STEPS):
        weighted = known * weight[:, None]
        slopes = np.linalg.solve(known.T @ weighted + penalty, weighted.T @ wanted)
        off_px = np.hypot(*(wanted - known @ slopes).T)
        weight = (1 + (off_px / (3 * max(float(np.median(off_px)), _LEAST_SD_PX))) ** 2) ** -2.0
    return np.asarray(slopes)


def _predictors(position: Array, node: int) -> Array:
    """A one and the coordinates of all other nodes, shape (frame, 1 + coordinate)."""
    return np.column_stack([np.ones(len(position)), np.delete(position, node, axis=1).reshape(len(position), -1)])


def _predicted(position: Array, slopes: list[Array]) -> Array:
    """Where each node should be, shape (frame, node, 2)."""
    return np.stack([_predictors(position, node) @ one for node, one in enumerate(slopes)], axis=1)


def _lasting_length_px(left: Array, n_window: int) -> Array:
    """Length of the running median of what is left, less its median over the video, shape (frame, node)."""
    from scipy.ndimage import median_filter  # a worker that waits has not imported it

    axes = (left - np.median(left, axis=0)).reshape(len(left), -1).T
    lasting = np.stack([median_filter(axis, n_window, mode="nearest") for axis in axes], axis=1)
    return np.asarray(np.linalg.norm(lasting.reshape(left.shape), axis=-1))


def misfitting_points(tracks: Tracks, *, false_alarms: float, minimum_px: float) -> NDArray[np.bool_]:
    """Points that do not fit the rest of the pose for a while, by more than is usual for the node.

    Parameters
    ----------
    tracks : Tracks
        Of three or more nodes; of fewer no point is found.
    false_alarms : float
        Fraction of the points of a node that fits as it always does that are found nevertheless.
    minimum_px : float
        A misfit up to this many pixels is never large.

    Returns
    -------
    array, shape (frame, node), bool
        False where there is no point.

    Examples
    --------
    >>> time = np.arange(1000) / 100
    >>> head = 20 * np.sin(time)[:, None, None]
    >>> position = 100 + head + np.random.default_rng(0).normal(0, 1, (1000, 4, 2))
    >>> position[500:550, 0] += 15
    >>> tracks = Tracks(position, np.ones((1000, 4)), time, ["left", "right", "top", "jaw_tip"])
    >>> misfitting_points(tracks, false_alarms=0.01, minimum_px=2.5)[505:545].all(axis=0).tolist()
    [True, False, False, False]
    """
    misfit_px = lasting_misfit(tracks)
    found = np.zeros(misfit_px.shape, np.bool_)
    for node in range(misfit_px.shape[1]):
        known = ~np.isnan(misfit_px[:, node])
        if known.any():
            limit_px = max(usual_length_px(misfit_px[known, node], 2, false_alarms), minimum_px)
            found[known, node] = misfit_px[known, node] > limit_px
    return found
