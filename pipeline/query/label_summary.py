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
    over_raw : Interval
        Of each mouse the mean distance over that of the raw track at the same points, and its geometric mean over mice.
        Mice differ more than filters do, so this says whether a filter is better, and two intervals of `mean_px` that
        overlap do not say that it is not. No value for a model by itself.
    """

    known_unseen: bool
    n_frames: int
    n_points: int
    n_missed: int
    n_common: int | None
    p50_px: float | None
    p90_px: float | None
    mean_px: Interval
    over_raw: Interval

    @property
    def fraction_missing(self) -> float:
        """Fraction of the placed points without a position."""
        return self.n_missed / max(1, self.n_points + self.n_missed)


def label_summary(
    errors: Sequence[tuple[str | None, NDArray[np.float64]]],
    *,
    known_unseen: bool,
    common: Sequence[NDArray[np.bool_]] | None = None,
    raw: Sequence[NDArray[np.float64] | None] | None = None,
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
    raw : sequence of array or None, optional
        For each of the errors, those of the raw track, same shape; None where there are none. With `common` only.
    """
    all_px = np.concatenate([np.empty(0), *(error_px.ravel() for _, error_px in errors)])
    compared = [error_px for _, error_px in errors]
    if common is not None:
        compared = [error_px[points] for error_px, points in zip(compared, common, strict=True)]
    compared_px = np.concatenate([np.empty(0), *(error_px.ravel() for error_px in compared)])
    compared_px = compared_px[~np.isnan(compared_px)]
    means = _means_of_mice(errors, compared)
    is_whole = common is None or bool(np.isfinite(compared_px).all())
    return LabelSummary(
        known_unseen=known_unseen,
        n_frames=sum(len(error_px) for _, error_px in errors),
        n_points=int(np.isfinite(all_px).sum()),
        n_missed=int(np.isinf(all_px).sum()),
        n_common=None if common is None else sum(int(points.sum()) for points in common),
        p50_px=placed_quantile_px(compared_px, 0.5) if is_whole else None,
        p90_px=placed_quantile_px(compared_px, 0.9) if is_whole else None,
        mean_px=interval_of_geometric_mean(list(means.values())) if is_whole else NOTHING,
        over_raw=_over_raw(errors, compared, common, raw) if is_whole and common is not None and raw else NOTHING,
    )


def _over_raw(
    errors: Sequence[tuple[str | None, NDArray[np.float64]]],
    compared: Sequence[NDArray[np.float64]],
    common: Sequence[NDArray[np.bool_]],
    raw: Sequence[NDArray[np.float64] | None],
) -> Interval:
    """Ratio of each mouse's means, at points that both have, and its geometric mean over mice."""
    raw_compared = [
        np.full(int(points.sum()), np.nan) if error_px is None else error_px[points]
        for error_px, points in zip(raw, common, strict=True)
    ]
    both = [np.isfinite(one) & np.isfinite(other) for one, other in zip(compared, raw_compared, strict=True)]
    above, below = (
        _means_of_mice(errors, [error_px[known] for error_px, known in zip(side, both, strict=True)])
        for side in (compared, raw_compared)
    )
    return interval_of_geometric_mean([above[mouse] / below[mouse] for mouse in above if below[mouse] > 0])


def _means_of_mice(
    errors: Sequence[tuple[str | None, NDArray[np.float64]]], compared: Sequence[NDArray[np.float64]]
) -> dict[str, float]:
    """Mean of what is finite, of each known mouse that has any."""
    by_mouse: dict[str, list[float]] = {}
    for (mouse, _), error_px in zip(errors, compared, strict=True):
        if mouse is not None:
            by_mouse.setdefault(mouse, []).extend(error_px[np.isfinite(error_px)].tolist())
    return {mouse: float(np.mean(values)) for mouse, values in by_mouse.items() if values}


def placed_quantile_px(placed_px: NDArray[np.float64], fraction: float) -> float | None:
    """Quantile over placed points, a missed one being infinitely far; None if it is infinite, or there is no point."""
    value = np.quantile(placed_px, fraction, method="nearest") if placed_px.size else np.inf
    return float(value) if np.isfinite(value) else None
