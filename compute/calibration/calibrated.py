"""Tracks with their lasting offsets taken off, and an interval around every point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from compute.calibration.label_offsets import NodeCalibration, t_quantile
from compute.tracks import Tracks


@dataclass(frozen=True)
class NodeInterval:
    """What is taken off a node's positions, and the interval around them.

    Parameters
    ----------
    offset_px : tuple of two floats
        Taken off x and y.
    half_width_px : float
        Of the 95 % interval of each in a usual frame; NaN: not known.
    usual_variance_px2 : float
        Posterior variance of the filter in such frames. One in which it is larger has a wider interval.
    n_standard_deviations : float
        That the interval reaches to each side.
    """

    offset_px: tuple[float, float]
    half_width_px: float
    usual_variance_px2: float
    n_standard_deviations: float

    @classmethod
    def of_session(cls, node: NodeCalibration) -> NodeInterval:
        """By labeled frames of the same video."""
        return cls(
            (node.offset_x_px, node.offset_y_px),
            node.half_width_px,
            node.filter_variance_px2,
            t_quantile(node.degrees_of_freedom or 1.0),
        )

    @classmethod
    def of_other_mice(cls, half_width_px: float) -> NodeInterval:
        """By labeled frames of other mice: nothing is taken off. They say nothing of the filter, so it is added."""
        return cls((0.0, 0.0), half_width_px, 0.0, t_quantile(np.inf))


def calibrated_tracks(tracks: Tracks, intervals: Mapping[str, NodeInterval], about: Mapping[str, Any]) -> Tracks:
    """Tracks with each node's offset taken off, and `Tracks.interval_half_width`.

    Parameters
    ----------
    tracks : Tracks
        Those that the intervals are of.
    intervals : mapping of str to NodeInterval
        By node. Nodes that it lacks stay as they are, and their interval is not known: NaN.
    about : mapping
        What the intervals come from, as JSON can hold it; it becomes ``attributes["calibration"]``.

    Returns
    -------
    Tracks
        The same frames, nodes and scores; ``sd`` stays what the filter states.

    Examples
    --------
    >>> tracks = Tracks(position=[[[5, 5]], [[6, 5]]], score=[[0.9], [0.8]], time=[0, 0.01], nodes=["jaw_tip"])
    >>> interval = NodeInterval((2.0, 0.5), half_width_px=0.4, usual_variance_px2=0.0, n_standard_deviations=2.0)
    >>> calibrated = calibrated_tracks(tracks, {"jaw_tip": interval}, {})
    >>> calibrated.position[:, 0].tolist(), [round(float(one), 2) for one in calibrated.interval_half_width[:, 0]]
    ([[3.0, 4.5], [4.0, 4.5]], [0.4, 0.4])
    """
    position = tracks.position.astype(np.float64)
    half_width = np.full(tracks.score.shape, np.nan)
    for index, node in enumerate(tracks.nodes):
        if node not in intervals:
            continue
        one = intervals[node]
        position[:, index] -= one.offset_px
        added = 0.0
        if tracks.sd is not None:
            variance = (tracks.sd[:, index].astype(np.float64) ** 2).mean(axis=-1)
            added = one.n_standard_deviations**2 * np.maximum(variance - one.usual_variance_px2, 0)
        half_width[:, index] = np.sqrt(one.half_width_px**2 + added)
    half_width[~tracks.found] = np.nan
    return replace(
        tracks,
        position=position.astype(np.float32),
        interval_half_width=half_width.astype(np.float32),
        attributes={**tracks.attributes, "calibration": dict(about)},
    )
