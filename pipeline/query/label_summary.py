"""Distance from the points that people placed, over labeled frames of one group of mice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compute.comparison.intervals import NOTHING, Interval, interval_of_geometric_mean


@dataclass(frozen=True)
class LabelSummary:
    """Distance from the points that people placed in frames of one group of mice that the model has not seen.

    Filters are compared on the same points: those that all of them have. One that lacks more than half of the points
    does not count there, so that it does not take the others' points away.

    Attributes
    ----------
    known_unseen : bool
        False: which frames the model was trained on is not known, so these may be among them.
    n_frames, n_points, n_missed : int
        Labeled frames; placed points with and without a position.
    n_common : int or None
        Placed points that all filters have; None for a model by itself.
    p50_px, p90_px : float or None
        Quantiles of the distance over the common points; None where there is none, or this filter lacks some of them.
        For a model by itself over all placed points, where a missed point counts as infinity; None if infinite.
    mean_px : Interval
        Geometric mean over mice of each mouse's mean distance, over the same points; frames of no known mouse are left
        out.
    """

    known_unseen: bool
    n_frames: int
    n_points: int
    n_missed: int
    n_common: int | None
    p50_px: float | None
    p90_px: float | None
    mean_px: Interval

    @property
    def fraction_missing(self) -> float:
        """Fraction of the placed points without a position."""
        return self.n_missed / max(1, self.n_points + self.n_missed)


def label_summary(
    errors: Sequence[tuple[str | None, NDArray[np.float64]]],
    *,
    known_unseen: bool,
    common: Sequence[NDArray[np.bool_]] | None = None,
) -> LabelSummary:
    """Summarize labeled frames.

    Parameters
    ----------
    errors : sequence of (str or None, array)
        Mouse, and distance (px) in some of its frames, shape (frame, node); infinity: missed; NaN: not placed.
    known_unseen : bool
        Whether the model is known to have seen none of these frames.
    common : sequence of array, optional
        For each of the errors, the points that all filters have, same shape.
    """
    all_px = np.concatenate([np.empty(0), *(error_px.ravel() for _, error_px in errors)])
    compared = [error_px for _, error_px in errors]
    if common is not None:
        compared = [error_px[points] for error_px, points in zip(compared, common, strict=True)]
    compared_px = np.concatenate([np.empty(0), *(error_px.ravel() for error_px in compared)])
    compared_px = compared_px[~np.isnan(compared_px)]
    by_mouse: dict[str, list[float]] = {}
    for (mouse, _), error_px in zip(errors, compared, strict=True):
        if mouse is not None:
            by_mouse.setdefault(mouse, []).extend(error_px[np.isfinite(error_px)].tolist())
    means = [float(np.mean(values)) for values in by_mouse.values() if values]
    is_whole = common is None or bool(np.isfinite(compared_px).all())
    return LabelSummary(
        known_unseen=known_unseen,
        n_frames=sum(len(error_px) for _, error_px in errors),
        n_points=int(np.isfinite(all_px).sum()),
        n_missed=int(np.isinf(all_px).sum()),
        n_common=None if common is None else sum(int(points.sum()) for points in common),
        p50_px=placed_quantile_px(compared_px, 0.5) if is_whole else None,
        p90_px=placed_quantile_px(compared_px, 0.9) if is_whole else None,
        mean_px=interval_of_geometric_mean(means) if is_whole else NOTHING,
    )


def placed_quantile_px(placed_px: NDArray[np.float64], fraction: float) -> float | None:
    """Quantile over placed points, a missed one being infinitely far; None if it is infinite, or there is no point."""
    value = np.quantile(placed_px, fraction, method="nearest") if placed_px.size else np.inf
    return float(value) if np.isfinite(value) else None
