"""Scores of a network's points that are no numbers.

A NaN score is a person's point in this project, and counts most. A network's point without one is not a person's: it
counts least.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.text import count_text

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
