"""The part of the report about one model: pictures of an example mouse of each group, quality, distances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from compute.tracks import Tracks
from compute.video import read_video_frame
from pipeline.figures import traces as plots
from pipeline.figures.html_parts import html_figure, html_note, html_table
from pipeline.figures.report_truth import ReportTruth
from pipeline.query.chosen_models import model_line
from pipeline.query.distances_by_filter import DistanceRow, distance_comparison, distance_rows
from schemas.labels import Skeleton
from schemas.metric import NodePair
from schemas.model import Model
from schemas.session import Video
from schemas.track import FilteredTrack, TrackQuality, fetch_tracks
from schemas.training_mice import GROUP_TEXTS, TRAINING_GROUPS, TrainingMice

Row = dict[str, Any]


def report_model(model: Row, rows: Sequence[Row], truth: ReportTruth | None, colors: Mapping[str, str]) -> list[str]:
    """The parts about one model.

    Parameters
    ----------
    model : dict
        Of `pipeline.query.chosen_models.describe_chosen_models`.
    rows : sequence of dict
        Rows of `pipeline.query.tracks`: the model's raw tracks.
    truth : ReportTruth, optional
        Shown beside the results.
    colors : mapping
        Colour of each filter method.
    """
    line = model_line(model)
    parts = [f"<h2>{escape(line[0].upper() + line[1:])}</h2>"]
    measured = [row for row in distance_rows(model=model["model_id"])]
    if measured:
        known = {
            pair: variance
            for (camera, pair, _), (_, variance) in (truth.distances if truth else {}).items()
            if camera == model["camera"]
        }
        caption = "Variance of each distance within a video: a panel a node pair, a line a filter, a dot a video."
        parts.append(html_figure(plots.plot_distance_variance(measured, known or None, colors=colors), caption))
    groups = TrainingMice.fetch()
    for group in TRAINING_GROUPS:
        examples = [row for row in rows if groups.group(row) == group]
        if examples:
            parts += _example(examples[0], group, truth, colors)
    parts += [_quality(model), _distances(distance_comparison(model=model["model_id"]), truth)]
    return parts


def _example(row: Row, group: str, truth: ReportTruth | None, colors: Mapping[str, str]) -> list[str]:
    """Pictures of one video."""
    mouse, camera = row["mouse_id"], row["camera"]
    key = {name: row[name] for name in ("mouse_id", "session_date", "session_number", "camera", "model_id")}
    tracks = _by_filter(key)
    skeleton = Skeleton & (Model & key).proj("skeleton_id")
    pairs = (NodePair & skeleton).to_dicts(order_by="pair_kind, node_a, node_b")
    moving = next((pair["node_b"] for pair in pairs if pair["pair_kind"] == "moving"), tracks["raw"].nodes[-1])
    position = truth.position_px(mouse, camera) if truth else None
    node_index = tracks["raw"].node_index(moving)
    parts = [f"<h3>Example: {escape(mouse)}, a mouse {GROUP_TEXTS[group]}</h3>"]
    node_truth = None if position is None else position[:, node_index]
    caption = (
        f"{moving}, x and y: raw points against filtered paths, in the 3 s with most marked points. A cross marks a raw"
        " point by the rule that the legend names: it is taken for a wrong placement."
    )
    parts.append(html_figure(plots.plot_traces(tracks, moving, truth=node_truth, colors=colors), caption))
    for pair in pairs[-1:]:  # rigid sorts after moving
        nodes = [tracks["raw"].node_index(pair[name]) for name in ("node_a", "node_b")]
        true = None if position is None else np.linalg.norm(position[:, nodes[0]] - position[:, nodes[1]], axis=-1)
        figure = plots.plot_distance_traces(tracks, pair["node_a"], pair["node_b"], truth=true, colors=colors)
        parts.append(html_figure(figure, f"Distance of a {pair['pair_kind']} pair over the whole video."))
    return parts + _still_frame(key, tracks, skeleton)


def _still_frame(key: Row, tracks: Mapping[str, Tracks], skeleton: Any) -> list[str]:
    """Every position on one frame of the video, where the video can be read."""
    video_file, n_frames = (Video & key).fetch1("video_file", "n_frames")
    if not Path(video_file).exists():
        return [html_note(f"No still picture: {video_file} is not there (any more, or on this machine).")]
    edges = (Skeleton.Edge & skeleton).to_arrays("source_node", "target_node")
    image = read_video_frame(video_file, n_frames // 2)
    return [
        html_figure(
            plots.plot_position_traces(image, tracks[method], list(zip(*edges, strict=True))),
            f"Every position in the video on its middle frame, {method}.",
        )
        for method in ("raw", "kalman")
        if method in tracks
    ]


def _by_filter(key: Row) -> dict[str, Tracks]:
    there = set((FilteredTrack & key).to_arrays("filter_method"))
    methods = [method for method in plots.SHOWN_METHODS if method in there]
    return {str(method): fetch_tracks({**key, "filter_method": method}) for method in methods}


def _quality(model: Row) -> str:
    rows: dict[str, list[Row]] = {}
    for row in (TrackQuality.Node & {"model_id": model["model_id"]}).to_dicts():
        rows.setdefault(row["node"], []).append(row)
    body = [
        [
            node,
            str(len(found)),
            f"{np.mean([row['fraction_found'] for row in found]):.1%}",
            f"{min(row['fraction_found'] for row in found):.1%}",
            str(sum(row["n_jumps"] for row in found)),
        ]
        for node, found in sorted(rows.items())
    ]
    heads = ["node", "videos", "found, mean of videos", "found, worst video", "jumps in all videos"]
    note = html_note("found: frames in which the model gives the node a position. jump: a move too large for the node.")
    return "<h3>Quality of the raw tracks</h3>" + note + html_table(heads, body)


def _distances(rows: Sequence[DistanceRow], truth: ReportTruth | None) -> str:
    """A line a pair and filter, with the groups of mice side by side."""
    if not rows:
        return html_note("No node pairs are measured yet: see 'orofacial pairs add'.")
    groups = [group for group in TRAINING_GROUPS if any(row.group == group for row in rows)]
    heads = ["pair", "kind", "filter"]
    for group in groups:
        heads += [f"{group}: mice", "variance (px²)", *(["true"] if truth else [])]
        heads += ["mean (px)", *(["true"] if truth else []), "missing"]
    by_line: dict[tuple[str, str, str], dict[str, DistanceRow]] = {}
    for row in rows:
        by_line.setdefault((row.pair, row.kind, row.filter_method), {})[row.group] = row
    body = [
        [*line, *(cell for group in groups for cell in _distance_cells(found.get(group), truth))]
        for line, found in by_line.items()
    ]
    note = (
        "Mean over videos of variance and mean of each distance, for each group of mice. The variance of a rigid pair"
        " is noise: smaller is better, as long as the mean stays. That of a moving pair is movement too, and a filter"
        " must not take it away. missing: frames without the distance."
    )
    return "<h3>Distances</h3>" + html_note(note) + html_table(heads, body, n_text_columns=3)


def _distance_cells(row: DistanceRow | None, truth: ReportTruth | None) -> list[str]:
    if row is None:
        return ["-"] * (6 if truth else 4)
    mean, variance = (truth.distances if truth else {}).get((row.camera, row.pair, row.group), (None, None))
    return [
        str(row.n_mice),
        *(number_text(value) for value in (row.variance_px2, *([variance] if truth else []))),
        *(number_text(value) for value in (row.mean_px, *([mean] if truth else []))),
        f"{row.fraction_missing:.1%}",
    ]


def number_text(value: float | None) -> str:
    """Three digits, or a dash where there is no number."""
    return "-" if value is None else f"{value:.3g}"
