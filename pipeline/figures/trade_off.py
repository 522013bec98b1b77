"""The picture of a comparison: noise left against movement kept, labeled frames, held-out against training mice."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from compute.comparison.intervals import Interval
from pipeline.figures.traces import trace_color
from pipeline.query.filter_comparison import FilterSummary, ModelComparison

_MARKERS = {"raw": "X", "kalman": "*"}


def plot_trade_off(comparisons: list[ModelComparison]) -> Figure:
    """Draw a row of three panels a model.

    Left: power of the movement kept over variance of rigid distances left; a good filter stands at the upper left.
    Middle: mean error on held-out labeled frames. Right: variance of rigid distances of held-out mice over that of
    training mice. Bars are 95 % intervals of a bootstrap over mice.

    Parameters
    ----------
    comparisons : list of ModelComparison
        As `pipeline.query.filter_comparison.compare_filters` gives them.
    """
    figure = Figure(figsize=(12, 4.2 * len(comparisons)), dpi=110, layout="constrained")
    axes = figure.subplots(len(comparisons), 3, squeeze=False, width_ratios=(1.5, 1, 1))
    for (trade, labels, groups), comparison in zip(axes, comparisons, strict=True):
        _trade_off(trade, comparison)
        _intervals(
            labels,
            [
                (one, one.labels.mean_px if one.labels and one.labels.known_unseen else None)
                for one in comparison.filters
            ],
            "mean error on held-out labeled frames (px)",
            "no held-out labeled frame\nis of an ingested video",
        )
        _intervals(
            groups,
            [(one, one.held_out_over_training) for one in comparison.filters],
            "variance of rigid distances,\nheld-out over training mice",
            "one of the groups has no mouse",
        )
        groups.axvline(1, color="black", linewidth=0.8, linestyle="--")
    return figure


def _trade_off(ax: Any, comparison: ModelComparison) -> None:
    for one in comparison.filters:
        x, y = one.rigid_variance, one.power_kept
        if x.value is None or y.value is None:
            continue
        ax.errorbar(
            x.value,
            y.value,
            xerr=_bars(x),
            yerr=_bars(y),
            fmt=_MARKERS.get(one.filter_method, "o"),
            markersize=13 if one.filter_method == "kalman" else 8,
            color=trace_color(one.filter_method),
            elinewidth=1,
            label=one.filter_method,
        )
    if ax.has_data():
        ax.legend(fontsize=8, frameon=False, loc="best")
    else:
        ax.text(0.5, 0.5, "needs a rigid and a moving pair", transform=ax.transAxes, ha="center")
    ax.axhline(1, color="black", linewidth=0.8, linestyle="--")
    ax.set_xlabel("noise left: variance of rigid distances, of raw")
    ax.set_ylabel("movement kept: power in its band")
    n_mice = sum(comparison.n_mice.values())
    ax.set_title(f"camera {comparison.camera}, {n_mice} mice: upper left is better", loc="left", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)


def _intervals(ax: Any, values: list[tuple[FilterSummary, Interval | None]], label: str, otherwise: str) -> None:
    known = [(one, interval) for one, interval in values if interval is not None and interval.value is not None]
    for place, (one, interval) in enumerate(reversed(known)):
        ax.errorbar(
            interval.value, place, xerr=_bars(interval), fmt="o", color=trace_color(one.filter_method), elinewidth=1
        )
    ax.set_yticks(range(len(known)), [one.filter_method for one, _ in reversed(known)], fontsize=8)
    if not known:
        ax.text(0.5, 0.5, otherwise, transform=ax.transAxes, ha="center", fontsize=9)
        ax.set_xticks([])
    ax.set_xlabel(label)
    ax.spines[["top", "right"]].set_visible(False)


def _bars(interval: Interval) -> Any:
    if interval.value is None or interval.low is None or interval.high is None:
        return None
    return np.array([[max(interval.value - interval.low, 0)], [max(interval.high - interval.value, 0)]])
