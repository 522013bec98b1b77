"""Scores of a network's points that are no numbers, or of another scale.

A NaN score is a person's point in this project, and counts most. A network's point without one is not a person's: it
counts least.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.errors import ExportError
from compute.text import count_text

_SMALLEST_SCORE = -0.01
_LARGEST_SCORE = 2.0
"""A likelihood is 0 to 1, but for rounding. A peak of SLEAP's map may exceed 1 (real files go up to 1.1), and none
below 0 is a point. What lies outside these is another scale, such as per cent or a logarithm."""

WRITTEN_HERE: Mapping[str, str] = {"written_by": "orofacial"}
"""What a file of this project's has in SLEAP's provenance: its predictions may hold points of a person."""


def is_written_here(provenance: Any) -> bool:
    """Whether SLEAP's provenance of a file says that this project wrote it, or a file that it was saved from."""
    return isinstance(provenance, Mapping) and all(provenance.get(key) == one for key, one in WRITTEN_HERE.items())


def least_scores(position: NDArray[Any], score: NDArray[Any], by_person: ArrayLike = False) -> tuple[NDArray[Any], str]:
    """Scores in which only a person's points are NaN; a network's points without one, and missing points, get 0.

    Parameters
    ----------
    position : array, shape (..., 2)
        In px; NaN where there is no point.
    score : array, shape (...)
        NaN where the file has none.
    by_person : array_like of bool
        Where a person placed the points; as `score`, or of a shape that fits it.

    Returns
    -------
    score : array, shape (...)
    assumption : str
        What stands for what, for people; empty if every point that is there has a score.

    Examples
    --------
    >>> import numpy as np
    >>> least_scores(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.9, np.nan]))
    (array([0.9, 0. ]), '1 point of a network without a score (likelihood, confidence): 0 stands for it')
    """
    there = ~np.isnan(position[..., 0])
    missing = np.isnan(score) & ~(there & np.asarray(by_person, bool))
    points = count_text(int((missing & there).sum()), "point")
    said = f"{points} of a network without a score (likelihood, confidence): 0 stands for it"
    return np.where(missing, score.dtype.type(0), score), said if (missing & there).any() else ""


def check_scores(
    path: Path,
    position: NDArray[Any],
    score: NDArray[Any],
    nodes: Sequence[str],
    place: Callable[[int], str],
) -> None:
    """Refuse scores of another scale: a threshold would let all points through, or none.

    Parameters
    ----------
    path : Path
        The file, for the message.
    position : array, shape (row, node, 2)
        In px; NaN where there is no point, whose score counts for nothing.
    score : array, shape (row, node)
        NaN where the file has none.
    nodes : sequence of str
        Names of the nodes.
    place : callable
        Where the row of an index stands, for people: line or frame.

    Raises
    ------
    ExportError
        Naming file, row, node and value of the worst one.

    Examples
    --------
    >>> check_scores(Path("a.csv"), np.zeros((1, 1, 2)), np.array([[1.1]]), ["jaw"], "frame {}".format)
    >>> check_scores(  # doctest: +ELLIPSIS
    ...     Path("a.csv"), np.zeros((1, 1, 2)), np.array([[90.0]]), ["jaw"], "frame {}".format
    ... )
    Traceback (most recent call last):
    ...
    compute.errors.ExportError: a.csv: the score of jaw in frame 0 is 90, expected 0 to 1 ...
    """
    there = np.where(np.isnan(position[..., 0]) | np.isnan(score), 0, score)
    too_small, too_large = there < _SMALLEST_SCORE, there > _LARGEST_SCORE
    if not (too_small | too_large).any():
        return
    worst = there.argmax() if too_large.any() else there.argmin()
    row, node = (int(index) for index in np.unravel_index(worst, there.shape))
    scale = "per cent, divide them by 100" if too_large.any() else "logarithms of likelihoods, take their exponential"
    raise ExportError(
        f"{path}: the score of {nodes[node]} in {place(row)} is {there[row, node]:g}, expected 0 to 1 (SLEAP's may"
        f" exceed 1 a little). If they are {scale}, or export the file again"
    )
