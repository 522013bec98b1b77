"""Pictures of tracks and distances. Every function returns a matplotlib figure and changes nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from compute.filters import registered_filters
from compute.measures.distances import distance_px
from compute.tracks import Tracks
from pipeline.query.distances_by_filter import GROUPS
from schemas.training_mice import NOT_KNOWN

# Okabe and Ito's colours, which colour-blind people can tell apart; a filter's own stands in its registration.
NODE_COLORS = ("#56B4E9", "#E69F00", "#F0E442", "#009E73", "#D55E00", "#CC79A7", "#0072B2", "#FFFFFF")
OTHER_COLOR = "#000000"
SHOWN_METHODS = ("raw", "gaussian", "median", "kalman")
"""Filter methods in pictures of tracks and in the demo's tables: more lines could not be told apart."""
WRONG_PLACEMENT_PX = 5.0
"""A raw point so far from the filtered track is marked as a wrong placement, where no filter rejected it itself."""


def trace_color(method: str) -> str:
    """Colour of a filter method; one that a lab added has black."""
    default = re.sub(r"_v\d+$", "", method)  # a default method of a newer version, see `FilterMethod.contents`
    for one in registered_filters().values():
        if default in one.colors:
            return one.colors[default]
    return OTHER_COLOR


def wrong_trace_points(raw: Tracks, filtered: Tracks) -> NDArray[np.bool_]:
    """Raw points that are wrong placements: rejected by the filter, else far from its median-filtered path.

    Returns
    -------
    array, shape (frame, node), bool
    """
    if filtered.rejected is not None:
        return filtered.rejected
    with np.errstate(invalid="ignore"):
        far = np.linalg.norm(raw.position - filtered.position, axis=-1) > WRONG_PLACEMENT_PX
    return np.asarray(far & raw.found)


def interesting_trace_span(marked: NDArray[np.bool_], n_shown: int) -> slice:
    """The frames to show: those with the most marked points, but not a whole burst of nothing else."""
    if marked.size <= n_shown:
        return slice(0, marked.size)
    counts = np.convolve(marked, np.ones(n_shown), "valid")
    start = int(np.argmax(counts))
    return slice(start, start + n_shown)


def plot_traces(
    tracks: Mapping[str, Tracks], node: str, *, n_shown: int = 300, truth: NDArray[np.float64] | None = None
) -> Figure:
    """Draw x and y of a node over time, raw against filtered, wrong placements marked.

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
    """
    raw = tracks["raw"]
    # What a filter rejected itself, else what is far from the median.
    reference = next((one for one in tracks.values() if one.rejected is not None), tracks.get("median", raw))
    index = raw.node_index(node)
    wrong = wrong_trace_points(raw, reference)[:, index]
    span = interesting_trace_span(wrong, n_shown)
    figure = Figure(figsize=(10, 4.4), dpi=110, layout="constrained")
    for axis, name, ax in zip((0, 1), "xy", figure.subplots(2, 1, sharex=True), strict=True):
        if truth is not None:
            ax.plot(raw.time[span], truth[span, axis], color="black", linewidth=0.8, label="truth")
        for method, one in tracks.items():
            style = {"marker": ".", "linestyle": "none", "markersize": 4} if method == "raw" else {"linewidth": 1.3}
            color = trace_color(method)
            ax.plot(one.time[span], one.position[span, index, axis], color=color, label=method, **style)
        shown = np.flatnonzero(wrong[span]) + span.start
        ax.plot(raw.time[shown], raw.position[shown, index, axis], "x", color="#D55E00", label="wrong placement")
        ax.set_ylabel(f"{name} (px)")
        ax.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_title(node.replace("_", " "), loc="left")
    figure.axes[0].legend(ncols=6, fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1, 1))
    figure.axes[1].set_xlabel("time (s)")
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
    tracks: Mapping[str, Tracks], node_a: str, node_b: str, *, truth: NDArray[np.float64] | None = None
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
    """
    figure = Figure(figsize=(10, 2.6), dpi=110, layout="constrained")
    ax = figure.subplots()
    for method, one in tracks.items():
        color = trace_color(method)
        ax.plot(one.time, distance_px(one, node_a, node_b), color=color, linewidth=0.8, label=method)
    if truth is not None:
        ax.plot(next(iter(tracks.values())).time, truth, color="black", linewidth=1, label="truth")
    ax.set_xlabel("time (s)")
    ax.set_ylabel("distance (px)")
    ax.set_title(f"{node_a} - {node_b}".replace("_", " "), loc="left")
    ax.legend(ncols=6, fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1, 1))
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def plot_distance_variance(rows: Sequence[dict[str, Any]], truth: Mapping[str, float] | None = None) -> Figure:
    """Draw the variance of each pair's distance by filter: in training, held out, not known; a dot a video.

    Parameters
    ----------
    rows : sequence of dict
        Rows of `pipeline.query.distances_by_filter.distance_rows` of one camera.
    truth : mapping, optional
        True variance (px²) of each pair, averaged over videos.
    """
    pairs = sorted({row["pair"] for row in rows})
    methods = sorted({row["filter_method"] for row in rows}, key=lambda name: (name != "raw", name))
    figure = Figure(figsize=(3.1 * len(pairs) + 0.6, 3.2), dpi=110, layout="constrained")
    axes = figure.subplots(1, len(pairs), squeeze=False)[0]
    for ax, pair in zip(axes, pairs, strict=True):
        for x, method in enumerate(methods):
            for group, offset, fill in zip(GROUPS, (-0.2, 0.0, 0.2), ("full", "none", "left"), strict=True):
                values = [
                    row["variance_px2"]
                    for row in rows
                    if (row["pair"], row["filter_method"], row["group"]) == (pair, method, group)
                    and row["variance_px2"]
                ]
                color = trace_color(method)
                ax.plot([x + offset] * len(values), values, "o", color=color, fillstyle=fill, markersize=5)
        if truth is not None and truth.get(pair):
            ax.axhline(truth[pair], color="black", linewidth=0.8, linestyle="--")
        ax.set_yscale("log")
        ax.set_xticks(range(len(methods)), methods, fontsize=8)
        ax.set_title(pair.replace("_", " ").replace(" - ", " -\n"), fontsize=8, loc="left")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("variance of distance (px²)")
    note = "filled: mouse in training; open: held out"
    note += "; half filled: not known" if any(row["group"] == NOT_KNOWN for row in rows) else ""
    note += "; dashed: truth" if truth else ""
    figure.suptitle(note, fontsize=8, x=0.01, ha="left")
    return figure
