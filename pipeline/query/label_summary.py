"""Distance from the points that people placed, over labeled frames of one group of mice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compute.comparison.intervals import Interval, interval_of_geometric_mean


@dataclass(frozen=True)
class LabelSummary:
    """Distance from the points that people placed in frames of one group of mice that the model has not seen.

    Attributes
    ----------
    known_unseen : bool
        False: which frames the model was trained on is not known, so these may be among them.
    n_frames, n_points, n_missed : int
        Labeled frames; placed points with and without a position.
    p50_px, p90_px : float or None
        Quantiles of the distance over all placed points, where a missed point counts as infinity; None if infinite.
    mean_px : Interval
        Geometric mean over mice of each mouse's mean distance; frames of no known mouse are left out.
    """

    known_unseen: bool
    n_frames: int
    n_points: int
    n_missed: int
    p50_px: float | None
    p90_px: float | None
    mean_px: Interval


def label_summary(errors: Iterable[tuple[str | None, NDArray[np.float64]]], *, known_unseen: bool) -> LabelSummary:
    """Summarize labeled frames.

    Parameters
    ----------
    errors : iterable of (str or None, array)
        Mouse, and distance (px) in some of its frames, shape (frame, node); infinity: missed; NaN: not placed.
    known_unseen : bool
        Whether the model is known to have seen none of these frames.
    """
    by_mouse: dict[str, list[float]] = {}
    parts, n_frames = [np.empty(0)], 0
    for mouse, error_px in errors:
        n_frames += len(error_px)
        parts.append(error_px.ravel())
        if mouse is not None:
            by_mouse.setdefault(mouse, []).extend(error_px[np.isfinite(error_px)].tolist())
    all_px = np.concatenate(parts)
    placed = all_px[~np.isnan(all_px)]
    return LabelSummary(
        known_unseen=known_unseen,
        n_frames=n_frames,
        n_points=int(np.isfinite(placed).sum()),
        n_missed=int(np.isinf(placed).sum()),
        p50_px=placed_quantile_px(placed, 0.5),
        p90_px=placed_quantile_px(placed, 0.9),
        mean_px=interval_of_geometric_mean([float(np.mean(values)) for values in by_mouse.values() if values]),
    )


def placed_quantile_px(placed_px: NDArray[np.float64], fraction: float) -> float | None:
    """Quantile over placed points, a missed one being infinitely far; None if it is infinite, or there is no point."""
    value = np.quantile(placed_px, fraction, method="nearest") if placed_px.size else np.inf
    return float(value) if np.isfinite(value) else None
