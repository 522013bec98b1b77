"""Errors of a model on labeled frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class NodeEvaluation:
    """Distances between estimated and placed points of one node.

    Parameters
    ----------
    n : int
        Placed points that the model found too.
    n_missed : int
        Placed points that the model did not find; they are in none of the distances.
    p50_px, p90_px, mean_px : float
        Median, 90th percentile and mean of the distance in pixels; NaN if nothing was found.
    """

    n: int
    n_missed: int
    p50_px: float
    p90_px: float
    mean_px: float


@dataclass(frozen=True)
class EvaluationResult:
    """Errors of a model on labeled frames.

    Parameters
    ----------
    n_frames : int
        Number of labeled frames.
    overall : NodeError
        Over all points of all nodes.
    nodes : dict of str to NodeError
        For each node of the labels.
    error_px : array, shape (frame, node), float64
        Distance of each point in pixels, frames in the order of the evaluation, nodes in that of `nodes`; inf: placed
        but not found; NaN: not placed.
    score_exponent : float or None
        How the precision of a point goes with its score, see `compute.filters.score_noise`; None: too few points.
    """

    n_frames: int
    overall: NodeEvaluation
    nodes: dict[str, NodeEvaluation]
    error_px: NDArray[np.float64]
    score_exponent: float | None = None
