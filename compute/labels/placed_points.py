"""Points that a person placed in one frame: whether they are points, and how those of several people go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compute.errors import LabelsError


@dataclass(frozen=True)
class PlacedPoints:
    """The points that somebody placed in a frame.

    Parameters
    ----------
    who : str
        For people: who placed them, or where they stand in the file.
    position : array, shape (node, 2), float64
        In px; NaN where the node was not placed.
    """

    who: str
    position: NDArray[np.float64]

    def any(self) -> bool:
        """Whether a node was placed."""
        return bool(np.isfinite(self.position).any())

    def check(self, where: str, nodes: Sequence[str]) -> None:
        """Refuse what is no point.

        Parameters
        ----------
        where : str
            File and frame, for the message.
        nodes : sequence of str
            Names of the nodes.

        Raises
        ------
        LabelsError
            If a node has only one of x and y, or an infinite one.
        """
        for node, (x, y) in zip(nodes, self.position, strict=True):
            if np.isnan(x) != np.isnan(y):
                has, lacks = ("y", "x") if np.isnan(x) else ("x", "y")
                raise LabelsError(
                    f"{where}: {node} has {has} but no {lacks}; a point needs both. Place it again, or remove both"
                )
            if np.isinf(x) or np.isinf(y):
                raise LabelsError(f"{where}: {node} lies at ({x:g}, {y:g}); expected a point in px")


def merge_placed_points(
    placed: Sequence[PlacedPoints], nodes: Sequence[str], where: str, advice: str, *, same_px: float = 0.0
) -> NDArray[np.float64]:
    """Put the points of several people in one frame together.

    Parameters
    ----------
    placed : sequence of PlacedPoints
        One or more.
    nodes : sequence of str
        Names of the nodes.
    where : str
        File and frame, for the message.
    advice : str
        What to do about a contradiction, for the message.
    same_px : float
        (px) points up to this far apart are the same; the first one counts.

    Returns
    -------
    array, shape (node, 2), float64
        NaN where nobody placed the node.

    Raises
    ------
    LabelsError
        If two placed a node at different points.
    """
    merged = placed[0].position.copy()
    for index, node in enumerate(nodes):
        first: PlacedPoints | None = None
        for one in placed:
            point = one.position[index]
            if np.isnan(point).any():
                continue
            if first is None:
                first, merged[index] = one, point
            elif np.abs(point - merged[index]).max() > same_px:
                raise LabelsError(
                    f"{where}: {node} was placed at {_text(merged[index])} by {first.who} and at {_text(point)} by"
                    f" {one.who}; {advice}"
                )
    return merged


def _text(point: NDArray[np.float64]) -> str:
    return f"({point[0]:g}, {point[1]:g})"
