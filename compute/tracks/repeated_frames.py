"""Frames that repeat the one before: a video at 30 Hz that was written at 60 Hz shows each picture twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compute.tracks.tracks import Tracks

_MOST_REPEATS = 3
"""A picture that stands longer is a mouse or a camera that stands still, and no change of the frame rate."""

_LEAST_FRACTION = 0.15
"""Repeated pictures a frame, from which on the frame rate was changed: 25 to 30 Hz repeats one in six frames."""


def repeated_frame_mask(tracks: Tracks) -> NDArray[np.bool_]:
    """Which frames repeat the picture before: they say nothing new, and what moves seems to stop and jump.

    An estimator gives the same points and scores, to the last bit, only for the same picture.

    Parameters
    ----------
    tracks : Tracks
        As an estimator or a filter gives them: a filter treats frames of one picture alike.

    Returns
    -------
    array, shape (frame,), bool
        All False where fewer pictures are repeated than a changed frame rate makes, or nothing is found in them.

    Examples
    --------
    >>> x = np.repeat(np.arange(3.0), 2)
    >>> tracks = Tracks(np.c_[x, x][:, None], np.ones((6, 1)), np.arange(6) / 60, ["jaw_tip"])
    >>> repeated_frame_mask(tracks).tolist()
    [False, True, False, True, False, True]
    """
    same = np.zeros(tracks.n_frames, np.bool_)
    alike = np.arange(1, tracks.n_frames)
    for values in (*tracks.position.reshape(tracks.n_frames, 2 * len(tracks.nodes)).T, *tracks.score.T):
        here, before = values[alike], values[alike - 1]
        alike = alike[(here == before) | (np.isnan(here) & np.isnan(before))]
        if alike.size < _LEAST_FRACTION * same.size:  # most tracks: the first coordinate says it
            return same
    same[alike] = tracks.found[alike].any(axis=1)
    runs = np.flatnonzero(np.diff(np.concatenate([[0], same, [0]]))).reshape(-1, 2)
    for start, stop in runs[np.diff(runs, axis=1)[:, 0] > _MOST_REPEATS]:
        same[start:stop] = False
    n_repeated = np.count_nonzero(np.diff(runs, axis=1) <= _MOST_REPEATS)
    return same if n_repeated >= _LEAST_FRACTION * same.size else np.zeros_like(same)
