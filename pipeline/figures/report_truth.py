"""The truth of a simulation, shown beside a report's results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ReportTruth:
    """The truth of a simulation.

    Attributes
    ----------
    position_px : callable
        (mouse, camera) -> true position of each node, shape (frame, node, 2), in the order of the tracks' nodes.
    distances : dict
        (camera, pair, group) -> true mean (px) and variance (px²).
    """

    position_px: Callable[[str, str], NDArray[np.float64]]
    distances: Mapping[tuple[str, str, str], tuple[float, float]] = field(default_factory=dict)
