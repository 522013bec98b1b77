"""The picture of a comparison: noise left against movement kept, labeled frames, held-out against training mice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from compute.comparison.intervals import Interval
from compute.text import count_text
from pipeline.figures.colors import method_colors
from pipeline.figures.traces import GROUP_STYLES, wrapped_name
from pipeline.query.filter_comparison import FilterSummary, ModelComparison

_NAME_LENGTH = 20
_MARKERS = {"raw": "X", "kalman": "*"}


def plot_trade_off(comparisons: list[ModelComparison], *, colors: Mapping[str, str] | None = None) -> Figure:
    """Draw a row of three panels a model.

    Left: power of the movement kept over variance of rigid distances left; a good filter stands at the upper left.
    Middle: mean error on labeled frames that the model has not seen, apart for each group of mice. Right: variance of
    rigid distances of held-out mice over that of training mice. Bars are 95 % intervals over mice, where there are
    enough (see `compute.comparison.intervals`).

    Parameters
    ----------
    comparisons : list of ModelComparison
        As `pipeline.query.filter_comparison.compare_filters` gives them.
    colors : mapping, optional
        Colour of each filter method, see `pipeline.figures.colors.method_colors`.
    """
    colors = colors or method_colors(one.filter_method for comparison in comparisons for one in comparison.filters)
    heights = [2.2 + sum(0.14 + 0.14 * _n_lines(one) for one in comparison.filters) for comparison in comparisons]
    figure = Figure(figsize=(12, sum(heights)), dpi=110, layout="constrained")
    axes = figure.subplots(len(comparisons), 3, squeeze=False, width_ratios=(1.5, 1, 1), height_ratios=heights)
    for (trade, labels, groups), comparison in zip(axes, comparisons, strict=True):
        _draw_trade_off(trade, comparison, colors)
        _draw_labels(labels, comparison, colors)
        _draw_groups(groups, comparison, colors)
    return figure


def _n_lines(one: FilterSummary) -> int:
    return wrapped_name(one.filter_method, _NAME_LENGTH).count("\n") + 1


def _draw_trade_off(ax: Any, comparison: ModelComparison, colors: Mapping[str, str]) -> None:
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
            color=colors[one.filter_method],
            elinewidth=1,
            label=wrapped_name(one.filter_method, _NAME_LENGTH),
        )
    if ax.has_data():
        ax.legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    else:
        ax.text(0.5, 0.5, "needs a rigid and a moving pair", transform=ax.transAxes, ha="center")
    ax.axhline(1, color="black", linewidth=0.8, linestyle="--")
    ax.set_xlabel("noise left: variance of rigid distances, of raw")
    ax.set_ylabel("movement kept: power in its band")
    n_mice = count_text(sum(comparison.n_mice.values()), "mouse", "mice")
    title = (
        f"camera {comparison.camera}, model {wrapped_name(comparison.model_name, 40)}\n{n_mice}; upper left is better"
    )
    ax.set_title(title, loc="left", fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)


def _draw_labels(ax: Any, comparison: ModelComparison, colors: Mapping[str, str]) -> None:
    """The error of each filter, a row of marks for each group of mice that has labeled frames."""
    groups = [group for group in comparison.n_mice if any(group in one.labels for one in comparison.filters)]
    for number, group in enumerate(groups):
        known = [(one, one.labels[group].mean_px if group in one.labels else None) for one in comparison.filters]
        _draw_intervals(ax, known, colors, offset=0.3 * (number - (len(groups) - 1) / 2), group=group)
    _name_methods(ax, comparison.filters)
    if groups:
        ax.legend(fontsize=8, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, title_fontsize=8)
    else:
        said = "no labeled frame that the\nmodel has not seen is of\nan ingested video"
        ax.text(0.5, 0.5, said, transform=ax.transAxes, ha="center", va="center", fontsize=9)
        ax.set_xticks([])
    ax.set_xlabel("mean error on labeled frames (px)")


def _draw_groups(ax: Any, comparison: ModelComparison, colors: Mapping[str, str]) -> None:
    known = [(one, one.held_out_over_training) for one in comparison.filters]
    _draw_intervals(ax, known, colors)
    _name_methods(ax, comparison.filters)
    if not any(interval.value is not None for _, interval in known):
        said = "needs mice in training\nand mice held out"
        ax.text(0.5, 0.5, said, transform=ax.transAxes, ha="center", va="center", fontsize=9)
        ax.set_xticks([])
    else:
        ax.axvline(1, color="black", linewidth=0.8, linestyle="--")
    ax.set_xlabel("variance of rigid distances,\nheld-out over training mice")


def _draw_intervals(
    ax: Any,
    values: Sequence[tuple[FilterSummary, Interval | None]],
    colors: Mapping[str, str],
    *,
    offset: float = 0,
    group: str | None = None,
) -> None:
    label = group
    for place, (one, interval) in enumerate(values):
        if interval is None or interval.value is None:
            continue
        style = {"marker": "o"} if group is None else GROUP_STYLES[group]
        color = colors[one.filter_method]
        bars = _bars(interval)
        ax.errorbar(
            interval.value, place + offset, xerr=bars, color=color, elinewidth=1, linestyle="none", label=label, **style
        )
        label = None


def _name_methods(ax: Any, filters: list[FilterSummary]) -> None:
    ax.set_yticks(range(len(filters)), [wrapped_name(one.filter_method, _NAME_LENGTH) for one in filters], fontsize=8)
    ax.set_ylim(len(filters) - 0.5, -0.5)
    ax.spines[["top", "right"]].set_visible(False)


def _bars(interval: Interval) -> Any:
    if interval.value is None or interval.low is None or interval.high is None:
        return None
    return np.array([[max(interval.value - interval.low, 0)], [max(interval.high - interval.value, 0)]])
