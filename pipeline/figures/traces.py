"""Pictures of tracks and distances. Every function returns a matplotlib figure and changes nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from compute.measures.distances import distance_px
from compute.tracks import Tracks
from pipeline.figures.colors import REJECTED_COLOR, method_colors
from schemas.training_mice import TRAINING_GROUPS

# Okabe and Ito's colours, which colour-blind people can tell apart; for filters see `pipeline.figures.colors`.
NODE_COLORS = ("#56B4E9", "#E69F00", "#F0E442", "#009E73", "#D55E00", "#CC79A7", "#0072B2", "#FFFFFF")
SHOWN_METHODS = ("raw", "gaussian", "median", "kalman")
"""Filter methods in pictures of tracks and in the demo's tables: more lines could not be told apart."""
WRONG_PLACEMENT_PX = 5.0
"""How far from the filtered paths (px) a raw point is marked as a wrong placement, beside being rejected."""


def wrong_trace_points(tracks: Mapping[str, Tracks]) -> tuple[NDArray[np.bool_], str]:
    """Raw points that are marked as wrong placements, and the rule.

    A gate alone also rejects a good point now and then, such as the peak of a fast movement, and a path alone cuts
    such a peak. So a point is marked where a filter rejected it and it lies `WRONG_PLACEMENT_PX` off that filter's path
    and the median filter's. Where no filter rejects points, the median's path decides alone. The first and last two
    frames are not marked: there a path knows one side only.

    Parameters
    ----------
    tracks : mapping
        Tracks by filter method; ``raw`` is among them.

    Returns
    -------
    marked : array, shape (frame, node), bool
    rule : str
        For the legend.
    """
    raw = tracks["raw"]
    gated = next(((method, one) for method, one in tracks.items() if one.rejected is not None), None)
    paths = ([] if gated is None else [gated]) + [(name, one) for name, one in tracks.items() if name == "median"]
    marked = raw.found.copy()
    if gated is not None and gated[1].rejected is not None:
        marked &= gated[1].rejected
    for _, path in paths or [("raw", raw)]:
        with np.errstate(invalid="ignore"):
            near = np.linalg.norm(raw.position - path.position, axis=-1) <= WRONG_PLACEMENT_PX
        marked &= ~near
    marked[:2] = marked[-2:] = False
    off = f"> {WRONG_PLACEMENT_PX:g} px off {' and '.join(name for name, _ in paths) or 'itself'}"
    return marked, off if gated is None else f"rejected by {gated[0]}, {off}"


def interesting_trace_span(marked: NDArray[np.bool_], n_shown: int) -> slice:
    """The frames to show: those with the most marked points, but not a whole burst of nothing else."""
    if marked.size <= n_shown:
        return slice(0, marked.size)
    counts = np.convolve(marked, np.ones(n_shown), "valid")
    start = int(np.argmax(counts))
    return slice(start, start + n_shown)


def plot_traces(
    tracks: Mapping[str, Tracks],
    node: str,
    *,
    n_shown: int = 300,
    truth: NDArray[np.float64] | None = None,
    colors: Mapping[str, str] | None = None,
) -> Figure:
    """Draw x and y of a node over time, raw against filtered, wrong placements marked (see `wrong_trace_points`).

    Parameters
    ----------
    tracks : mapping
        Tracks by filter method; ``raw`` is among them.
    node : str
        The node.
    n_shown : int
        Number of frames shown, around the wrong placements.
    truth : array, shape (frame, 2), optional
        True position in px.
    colors : mapping, optional
        Colour of each filter method, see `pipeline.figures.colors.method_colors`.
    """
    raw, colors = tracks["raw"], colors or method_colors(tracks)
    index = raw.node_index(node)
    marked, rule = wrong_trace_points(tracks)
    span = interesting_trace_span(marked[:, index], n_shown)
    figure = Figure(figsize=(10, 4.8), dpi=110, layout="constrained")
    for axis, name, ax in zip((0, 1), "xy", figure.subplots(2, 1, sharex=True), strict=True):
        if truth is not None:
            ax.plot(raw.time[span], truth[span, axis], color="black", linewidth=0.8, label="truth")
        for method, one in tracks.items():
            style = {"marker": ".", "linestyle": "none", "markersize": 4} if method == "raw" else {"linewidth": 1.3}
            ax.plot(one.time[span], one.position[span, index, axis], color=colors[method], label=method, **style)
        shown = np.flatnonzero(marked[span, index]) + span.start
        ax.plot(raw.time[shown], raw.position[shown, index, axis], "x", color=REJECTED_COLOR, label=rule)
        ax.set_ylabel(f"{name} (px)")
        ax.spines[["top", "right"]].set_visible(False)
    figure.axes[1].set_xlabel("time (s)")
    figure.suptitle(node.replace("_", " "), x=0.01, ha="left")
    _legend_below(figure)
    return figure


def plot_position_traces(image: NDArray[np.uint8], tracks: Tracks, edges: Sequence[tuple[str, str]] = ()) -> Figure:
    """Draw every position of the nodes over a whole video on one still frame of the mouse.

    Parameters
    ----------
    image : array, shape (height, width), uint8
        A frame of the video.
    tracks : Tracks
        Tracks of the nodes to draw.
    edges : sequence of (str, str)
        Drawn between the nodes' median positions.
    """
    height, width = image.shape
    figure = Figure(figsize=(5, 5 * height / width + 0.35), dpi=110, layout="constrained")
    ax = figure.subplots()
    ax.imshow(image, cmap="gray", vmin=0, vmax=255)
    found = tracks.found.any(axis=0)
    center = np.full((len(tracks.nodes), 2), np.nan)
    if found.any():
        center[found] = np.nanmedian(tracks.position[:, found], axis=0)
    for source, target in edges:
        if source in tracks.nodes and target in tracks.nodes:
            ends = [tracks.node_index(source), tracks.node_index(target)]
            ax.plot(*center[ends].T, color="white", linewidth=0.7, alpha=0.7)
    for index, node in enumerate(tracks.nodes):
        color = NODE_COLORS[index % len(NODE_COLORS)]
        ax.plot(*tracks.position[:, index].T, ".", color=color, markersize=1.5, label=node.replace("_", " "))
    ax.set_xlim(-0.5, width - 0.5)
    ax.set_ylim(height - 0.5, -0.5)
    ax.set_axis_off()
    figure.legend(loc="outside lower center", ncols=4, fontsize=6, frameon=False, markerscale=4)
    return figure


def plot_distance_traces(
    tracks: Mapping[str, Tracks],
    node_a: str,
    node_b: str,
    *,
    truth: NDArray[np.float64] | None = None,
    colors: Mapping[str, str] | None = None,
) -> Figure:
    """Draw the distance between two nodes over a whole video, a line a filter.

    Parameters
    ----------
    tracks : mapping
        Tracks by filter method.
    node_a, node_b : str
        The pair.
    truth : array, shape (frame,), optional
        True distance in px.
    colors : mapping, optional
        Colour of each filter method, see `pipeline.figures.colors.method_colors`.
    """
    colors = colors or method_colors(tracks)
    figure = Figure(figsize=(10, 3), dpi=110, layout="constrained")
    ax = figure.subplots()
    for method, one in tracks.items():
        ax.plot(one.time, distance_px(one, node_a, node_b), color=colors[method], linewidth=0.8, label=method)
    if truth is not None:
        ax.plot(next(iter(tracks.values())).time, truth, color="black", linewidth=1, label="truth")
    ax.set_xlabel("time (s)")
    ax.set_ylabel("distance (px)")
    figure.suptitle(f"{node_a} - {node_b}".replace("_", " "), x=0.01, ha="left")
    ax.spines[["top", "right"]].set_visible(False)
    _legend_below(figure)
    return figure


def plot_distance_variance(
    rows: Sequence[dict[str, Any]],
    truth: Mapping[str, float] | None = None,
    *,
    colors: Mapping[str, str] | None = None,
) -> Figure:
    """Draw the variance of each pair's distance: a panel a pair, a line a filter, a dot a video.

    Parameters
    ----------
    rows : sequence of dict
        Rows of `pipeline.query.distances_by_filter.distance_rows` of one camera and model.
    truth : mapping, optional
        True variance (px²) of each pair, averaged over videos.
    colors : mapping, optional
        Colour of each filter method, see `pipeline.figures.colors.method_colors`.
    """
    pairs = sorted({row["pair"] for row in rows})
    methods = sorted({row["filter_method"] for row in rows}, key=lambda name: (name != "raw", name))
    colors = colors or method_colors(methods)
    groups = [group for group in TRAINING_GROUPS if any(row["group"] == group for row in rows)]
    n_columns = min(len(pairs), 3)
    n_lines = -(-len(pairs) // n_columns)
    names = [wrapped_name(method, 24) for method in methods]
    method_height = 0.14 + 0.13 * max(name.count("\n") + 1 for name in names)
    figure = Figure(figsize=(11, 0.9 + n_lines * (1.1 + method_height * len(methods))), dpi=110, layout="constrained")
    axes = figure.subplots(n_lines, n_columns, squeeze=False, sharey=True)
    for ax in axes.ravel()[len(pairs) :]:
        ax.set_axis_off()
    for ax, pair in zip(axes.ravel(), pairs, strict=False):
        for row in (row for row in rows if row["pair"] == pair and row["variance_px2"]):
            y = methods.index(row["filter_method"]) + 0.5 * ((groups.index(row["group"]) + 0.5) / len(groups) - 0.5)
            style = GROUP_STYLES[row["group"]]
            ax.plot(row["variance_px2"], y, color=colors[row["filter_method"]], linestyle="none", markersize=5, **style)
        if truth is not None and truth.get(pair):
            ax.axvline(truth[pair], color="black", linewidth=0.8, linestyle="--")
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
        ax.set_yticks(range(len(methods)), names, fontsize=8)
        ax.set_ylim(len(methods) - 0.5, -0.5)
        ax.grid(axis="y", color="#EEEEEE")
        ax.set_title(
            "\n".join(wrapped_name(name, 34) for name in pair.replace("_", " ").split(" - ")), fontsize=8, loc="left"
        )
        ax.set_xlabel("variance of distance (px²)", fontsize=8)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    handles = [Line2D([], [], color="black", linestyle="none", label=group, **GROUP_STYLES[group]) for group in groups]
    if truth:
        handles.append(Line2D([], [], color="black", linewidth=0.8, linestyle="--", label="truth"))
    figure.legend(handles=handles, loc="outside upper left", ncols=4, fontsize=8, frameon=False, title="mice")
    return figure


GROUP_STYLES: dict[str, dict[str, Any]] = {
    "in training": {"marker": "o", "fillstyle": "full"},
    "held out": {"marker": "o", "fillstyle": "none"},
    "not known": {"marker": "d", "fillstyle": "none"},
}


def wrapped_name(name: str, longest: int) -> str:
    r"""A name that fits beside an axis: in lines of that many characters, broken behind underscores and spaces.

    Examples
    --------
    >>> wrapped_name("median", 10), wrapped_name("chosen_by_somebody", 10)
    ('median', 'chosen_by_\nsomebody')
    """
    lines = [""]
    for word in re.findall(r"[^_ ]*[_ ]|[^_ ]+", name):
        if lines[-1] and len(lines[-1]) + len(word) > longest:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)


def _legend_below(figure: Figure) -> None:
    """The legend of the first axes, below all of them, so that it covers nothing."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    names = [wrapped_name(label, 60) for label in labels]
    figure.legend(handles, names, loc="outside lower left", ncols=6, fontsize=8, frameon=False)
