"""Points at which filters are compared: those that all of them have."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FEWEST = 0.5
"""A filter with less than this fraction of the points takes none away from the others."""


def common_points(errors_px: Mapping[str, Mapping[Hashable, NDArray[Any]]]) -> dict[Hashable, NDArray[np.bool_]]:
    """Placed points that every filter has.

    A filter that drops the points where it is unsure has a smaller mean error than one that mends them. So errors are
    compared on the same points, and how many each filter lacks is shown beside them. A filter that lacks more than half
    of the points is not counted, since there would be nothing left to compare the others on.

    Parameters
    ----------
    errors_px : mapping of str to mapping
        For each filter and each video (or other group of points) the errors, any shape: inf where the filter has no
        position, NaN where no point was placed. A video that a filter lacks counts as missing.

    Returns
    -------
    dict
        For each video an array of the same shape: True at a common point.

    Examples
    --------
    >>> errors = {"raw": {1: np.array([1.0, 2.0, np.nan])}, "median": {1: np.array([1.0, np.inf, np.nan])}}
    >>> common_points(errors)
    {1: array([ True, False, False])}
    """
    placed = {video: ~np.isnan(errors) for of_filter in errors_px.values() for video, errors in of_filter.items()}
    n_placed = sum(int(points.sum()) for points in placed.values())
    common = {video: points.copy() for video, points in placed.items()}
    for of_filter in errors_px.values():
        n_found = sum(int(np.isfinite(errors).sum()) for errors in of_filter.values())
        if n_found < _FEWEST * n_placed:
            continue
        for video, points in common.items():
            points &= np.isfinite(of_filter[video]) if video in of_filter else False
    return common
