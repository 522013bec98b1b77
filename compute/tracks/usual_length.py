"""How long a node's lasting errors usually are, by most of them: what is longer is wrong."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from compute.tracks.tracks import Tracks

LASTING_S = 0.2
"""Window of the running medians (s): what is wrong for less than half of it is not found. Of 20 px for half a second,
0.1 s finds 0.78 and 0.2 s finds 0.87 at as many false alarms."""

_TAILS = 4.0
"""Degrees of freedom of Student's distribution of usual errors: networks' have longer tails than Gaussian ones."""


def window_frames(tracks: Tracks, window_s: float = LASTING_S) -> int:
    """Frames of a window, an odd number."""
    return max(1, round(window_s / tracks.frame_interval_s)) | 1 if tracks.n_frames > 1 else 1


def usual_length_px(length_px: NDArray[np.floating], n_axes: int, false_alarms: float) -> float:
    """The length that usual errors exceed in a stated fraction of the points.

    Parameters
    ----------
    length_px : array, shape (point,)
        Lengths of a node's lasting errors, one or more, most of which are usual.
    n_axes : int
        Axes that they are measured along: 1 or 2.
    false_alarms : float
        That fraction.

    Returns
    -------
    float
        In pixels: a multiple of the median.

    Notes
    -----
    Errors along each axis have Student's distribution with 4 degrees of freedom and one scale, so the square of the
    length over `n_axes` has Fisher's.

    Examples
    --------
    >>> usual = np.abs(np.random.default_rng(0).standard_t(4, 100_000))
    >>> limit_px = usual_length_px(usual, 1, 0.01)
    >>> round(limit_px, 1), round(float(np.mean(usual > limit_px)), 2)
    (4.6, 0.01)
    """
    from scipy.special import fdtri  # a worker that waits has not imported it

    ratio = fdtri(n_axes, _TAILS, 1 - false_alarms) / fdtri(n_axes, _TAILS, 0.5)
    return float(np.median(length_px)) * math.sqrt(ratio)
