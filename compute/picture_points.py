"""Whether points in pixels can be of a picture: they lie in it, and are no fractions of its size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LARGEST_FRACTION_OUTSIDE = 0.5
"""A network may place points a little outside the picture; of a file of this picture these are few."""

_LARGEST_FRACTION_WITHIN = 0.5
"""More points than this in the first pixel of a picture are no pixels."""

_SMALLEST_PICTURE_PX = 32
"""(px) a picture whose shorter side is less may be a test's, with all points in its first pixel."""


def describe_points_outside(position: NDArray[np.floating], *, width_px: int, height_px: int) -> str:
    """Say that most points lie outside the picture; empty if they do not.

    Parameters
    ----------
    position : array, shape (..., 2)
        x and y in px; NaN where there is no point, which counts for nothing.
    width_px, height_px : int
        Size of the picture.

    Examples
    --------
    >>> describe_points_outside(np.array([[70.0, 20.0], [90.0, 30.0], [10.0, 20.0]]), width_px=64, height_px=48)
    '67 % of the points lie outside the picture of 64 x 48 px: x is 10 to 90, y is 20 to 30'
    """
    points = _there(position)
    inside = ((points >= -0.5) & (points < np.array([width_px, height_px]) - 0.5)).all(axis=-1)
    if not points.size or 1 - inside.mean() <= LARGEST_FRACTION_OUTSIDE:
        return ""
    outside = f"{100 * (1 - inside.mean()):.0f} % of the points lie outside the picture of {width_px} x {height_px} px"
    return f"{outside}: {_range_text(points)}"


def describe_normalized_points(position: NDArray[np.floating], *, width_px: int, height_px: int) -> str:
    """Say that points look like fractions of the picture's size (0 to 1), and what to do; empty if they do not.

    They do if more than half of them lie from 0 to 1: of a network's fractions, some lie outside the picture. Points at
    (0, 0) count only if there are no others, as programs write that where a node was not found.

    Parameters
    ----------
    position : array, shape (..., 2)
        x and y; NaN where there is no point.
    width_px, height_px : int
        Size of the picture.

    Examples
    --------
    >>> print(describe_normalized_points(np.array([[0.1, 0.5], [0.9, 0.4]]), width_px=640, height_px=480))
    all points lie from 0 to 1 (x is 0.1 to 0.9, y is 0.4 to 0.5) in a picture of 640 x 480 px; expected pixels, these
    look like fractions of the picture's size. Multiply x by its width, y by its height
    >>> fractions = np.array([[0.1, 0.5], [0.9, 0.4], [1.2, 0.6], [0, 0]])
    >>> describe_normalized_points(fractions, width_px=640, height_px=480)[:69]
    '67 % of the points lie from 0 to 1 (x is 0.1 to 1.2, y is 0.4 to 0.6)'
    """
    points = _there(position)
    somewhere = points[points.any(axis=-1)]
    points = somewhere if somewhere.size else points
    within = ((points >= 0) & (points <= 1)).all(axis=-1)
    if not points.size or min(width_px, height_px) < _SMALLEST_PICTURE_PX or within.mean() <= _LARGEST_FRACTION_WITHIN:
        return ""
    part = "all" if within.all() else f"{100 * within.mean():.0f} % of the"
    return (
        f"{part} points lie from 0 to 1 ({_range_text(points)}) in a picture of {width_px} x {height_px} px; expected"
        " pixels, these look like fractions of the picture's size. Multiply x by its width, y by its height"
    )


def _there(position: NDArray[np.floating]) -> NDArray[np.floating]:
    """The points that are there, shape (point, 2)."""
    points = position.reshape(-1, 2)
    return points[~np.isnan(points).any(axis=-1)]


def _range_text(points: NDArray[np.floating]) -> str:
    low, high = points.min(axis=0), points.max(axis=0)
    return f"x is {low[0]:.4g} to {high[0]:.4g}, y is {low[1]:.4g} to {high[1]:.4g}"
