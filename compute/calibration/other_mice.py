"""How far a network may be off on a mouse of which no frame is labeled, by labeled frames of other such mice."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.calibration.label_offsets import COVERAGE

MINIMUM_MICE = 4
"""Fewer mice say next to nothing about how far mice differ: by three, an interval held 0.89 to 0.92 in simulations."""

_COSINES = np.cos((np.arange(16) + 0.5) / 16 * np.pi / 2)
"""Share of a distance that is along x, for directions spread evenly."""

Array = NDArray[np.float64]


def other_mice_half_width_px(error_px: Sequence[ArrayLike]) -> float:
    """Half-width of the interval that holds x, and y, of a node of a new mouse in 95 % of frames, by other mice.

    Parameters
    ----------
    error_px : sequence of array, shape (labeled frame,)
        For each mouse that the network was not trained on, distance (px) of the network's points from placed ones. NaN
        (not placed) and inf (not found) are left out.

    Returns
    -------
    float
        In px; NaN with fewer than `MINIMUM_MICE` mice: not known.

    Notes
    -----
    Frames of one mouse are alike, so each mouse counts once however many frames it has: the quantile is that of the
    mean of the mice's distributions (Dunn, Wasserman and Ramdas, J. Am. Stat. Assoc. 118, 2023, "pooling CDFs"). With
    few mice a new one is often worse than all of them. So each mouse in turn is taken for new: what factor on the
    quantile of the others would have held 95 % of its points. The quantile of all is widened by that. A distance is
    taken to lie in any direction: over nodes and mice errors do.

    Examples
    --------
    >>> mice = [np.linspace(0, size, 101) for size in (1.0, 1.0, 1.0, 1.0)]
    >>> round(other_mice_half_width_px(mice), 2)
    0.82
    >>> other_mice_half_width_px(mice[:2])
    nan
    """
    mice = [values[np.isfinite(values)] for values in (np.asarray(one, np.float64).ravel() for one in error_px)]
    mice = [(values[:, None] * _COSINES).ravel() for values in mice if values.size]
    if len(mice) < MINIMUM_MICE:
        return math.nan
    ratios = []
    for index, values in enumerate(mice):
        others = _pooled_quantile([other for place, other in enumerate(mice) if place != index])
        ratios.append(values / max(others, np.finfo(np.float64).tiny))
    return _pooled_quantile(mice) * max(1.0, _pooled_quantile(ratios))


def _pooled_quantile(mice: Sequence[Array]) -> float:
    """Smallest value that at least 95 % of the weight does not exceed; each mouse has the same weight."""
    values = np.concatenate(mice)
    weights = np.concatenate([np.full(one.size, 1 / one.size) for one in mice])
    order = np.argsort(values)
    share = np.cumsum(weights[order]) / len(mice)
    return float(values[order][min(int(np.searchsorted(share, COVERAGE - 1e-9)), values.size - 1)])
