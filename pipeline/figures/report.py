"""The report: one HTML file with the table of distances and pictures, for any lab."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from compute.comparison.intervals import Interval
from compute.errors import OrofacialError
from compute.files import whole_file
from compute.text import count_text
from compute.tracks import Tracks
from compute.video import read_video_frame
from pipeline import query
from pipeline.figures import traces as plots
from pipeline.figures.trade_off import plot_trade_off
from pipeline.query.distances_by_filter import DistanceRow, distance_comparison, distance_rows
from pipeline.query.filter_comparison import ComparisonError, compare_filters
from pipeline.query.models import describe_models
from schemas.labels import Skeleton
from schemas.metric import NodePair
from schemas.model import Model
from schemas.session import Session, Video
from schemas.subject import Mouse
from schemas.track import TrackQuality

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; font-size: 13px; margin: 1rem 0; }
td, th { padding: .2rem .7rem; text-align: right; }
th { border-bottom: 2px solid #222; vertical-align: bottom; } td { border-bottom: 1px solid #eee; white-space: nowrap; }
td:first-child, th:first-child, td:nth-child(2), th:nth-child(2) { text-align: left; }
figure { margin: 1rem 0; display: inline-block; max-width: 100%; } img { max-width: 100%; height: auto; }
figcaption, p.note { color: #555; font-size: 13px; } div.wide { overflow-x: auto; }
"""


class ReportError(OrofacialError):
    """There is nothing to report yet."""


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


def write_report(output: Path, *, summary_file: Path | None = None, truth: ReportTruth | None = None) -> None:
    """Write the report, and the numbers of its table as JSON where that is asked for.

    Parameters
    ----------
    output : Path
        HTML file; it holds its pictures itself.
    summary_file : Path, optional
        JSON file.
    truth : Truth, optional
        Shown beside the results.

    Raises
    ------
    ReportError
        If no tracks have been computed, or a file cannot be written.
    """
    if not query.tracks(filter="raw").rows:
        raise ReportError("no tracks have been computed yet; see 'orofacial status', then run 'orofacial populate'")
    rows = distance_comparison()
    parts = [_headline(), _models(), _filters()]
    for camera in sorted(set(Video.to_arrays("camera"))):
        parts += _camera(str(camera), truth)
    parts.append(_distance_table(rows, truth))
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>orofacial report</title><style>{STYLE}</style>'
    write_report_text(output, page + '<meta name="viewport" content="width=device-width">' + "".join(parts) + "</html>")
    if summary_file is not None:
        write_report_text(summary_file, json.dumps([asdict(row) for row in rows], indent=2))


def write_report_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all.

    Raises
    ------
    ReportError
        If it cannot be written.
    """
    with whole_file(path, ReportError) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _headline() -> str:
    mice, sessions = count_text(len(Mouse()), "mouse", "mice"), count_text(len(Session()), "session")
    counts = f"{mice}, {sessions}, {count_text(len(Video()), 'video')}"
    return f"<h1>orofacial</h1><p class=note>{counts} &middot; {datetime.now():%Y-%m-%d %H:%M}</p>"


def _models() -> str:
    rows = [
        [
            model["model_id"],
            model["camera"],
            ", ".join(model["mice"] + ([] if model["mice_known"] else ["not known"])),
            _number(model["error_p50_px"]),
            "-" if model["fraction_missed"] is None else f"{model['fraction_missed']:.1%}",
            {None: "-", True: "held out", False: "maybe seen in training"}[model["known_unseen"]],
        ]
        for model in describe_models()
    ]
    heads = ["model", "camera", "trained on", "median error on labeled frames (px)", "points missed there", "frames"]
    return "<h2>Models</h2>" + _table(heads, rows)


def _filters() -> str:
    """The filters side by side: the picture, and a table with a line a filter for each model."""
    try:
        comparisons = compare_filters()
    except ComparisonError:
        return "<h2>Filters</h2><p class=note>Not compared yet: see 'orofacial compare'.</p>"
    heads = ["camera", "filter", "rigid variance, of raw", "movement kept", "bouts kept", "noise kept", "lag (ms)"]
    heads += [
        "error on held-out labeled frames (px; *: the model may have been trained on them)",
        "held-out over training mice",
    ]
    body = [
        [
            comparison.camera,
            one.filter_method,
            *(_interval(value) for value in (one.rigid_variance, one.power_kept, one.bout_amplitude_kept)),
            _interval(one.noise_kept),
            "-" if one.lag_s.value is None else f"{one.lag_s.value * 1000 + 0.0:.1f}",
            "-" if one.labels is None else _interval(one.labels.mean_px) + ("" if one.labels.known_unseen else " *"),
            _interval(one.held_out_over_training),
        ]
        for comparison in comparisons
        for one in comparison.filters
    ]
    note = "Noise left against movement kept; in brackets and as bars the 95 % interval of a bootstrap over mice."
    picture = _figure(plot_trade_off(comparisons), note)
    return "<h2>Filters</h2>" + picture + _table(heads, body)


def _interval(interval: Interval) -> str:
    bounds = "" if interval.low is None else f" [{_number(interval.low)}, {_number(interval.high)}]"
    return _number(interval.value) + bounds


def _distance_table(rows: list[DistanceRow], truth: ReportTruth | None) -> str:
    if not rows:
        return "<p class=note>No node pairs are measured yet: see 'orofacial pairs add'.</p>"
    heads = ["camera", "pair", "kind", "filter", "mice", "n", "variance (px²)", "mean (px)", "missing"]
    heads += ["true variance (px²)", "true mean (px)"] if truth else []
    body = []
    for row in rows:
        cells = [row.camera, row.pair, row.kind, row.filter_method, row.group, str(row.n_mice)]
        cells += [_number(row.variance_px2), _number(row.mean_px), f"{row.fraction_missing:.1%}"]
        if truth:
            mean, variance = truth.distances.get((row.camera, row.pair, row.group), (None, None))
            cells += [_number(variance), _number(mean)]
        body.append(cells)
    note = (
        "The variance of a rigid pair is noise: smaller is better, as long as the mean stays. That of a moving pair is"
    )
    return f"<h2>Distances</h2><p class=note>{note} movement too, and a filter must not take it away.</p>" + _table(
        heads, body
    )


def _camera(camera: str, truth: ReportTruth | None) -> list[str]:
    """Pictures of one camera: variance, then for an example mouse of each group its traces, distances, positions."""
    parts = [f"<h2>Camera {escape(camera)}</h2>"]
    rows = [row for row in distance_rows() if row["camera"] == camera]
    if rows:
        known = {
            pair: variance
            for (of, pair, _), (_, variance) in (truth.distances if truth else {}).items()
            if of == camera
        }
        parts.append(
            _figure(plots.plot_distance_variance(rows, known or None), "Variance of each distance, a dot a video.")
        )
    for held_out in (False, True):
        examples = query.tracks(camera=camera, filter="raw", held_out=held_out).rows
        if examples:
            parts += _example(examples[0], truth)
    parts.append(_quality(camera))
    return parts


def _example(row: dict[str, Any], truth: ReportTruth | None) -> list[str]:
    """Pictures of one video."""
    mouse, camera = row["mouse_id"], row["camera"]
    key = {name: row[name] for name in ("mouse_id", "session_date", "session_number", "camera", "model_id")}
    tracks = _by_filter(key)
    skeleton = Skeleton & (Model & key).proj("skeleton_id")
    pairs = (NodePair & skeleton).to_dicts(order_by="pair_kind, node_a, node_b")
    moving = next((pair["node_b"] for pair in pairs if pair["pair_kind"] == "moving"), tracks["raw"].nodes[-1])
    position = truth.position_px(mouse, camera) if truth else None
    node_index = tracks["raw"].node_index(moving)
    group = "held out from training" if row["held_out"] else "in training"
    parts = [f"<h3>{escape(mouse)}, {group}</h3>"]
    traces = plots.plot_traces(tracks, moving, truth=None if position is None else position[:, node_index])
    parts.append(_figure(traces, f"{moving}: raw against filtered, where most wrong placements are."))
    for pair in pairs[-1:]:  # rigid sorts after moving
        nodes = [tracks["raw"].node_index(pair[name]) for name in ("node_a", "node_b")]
        true = None if position is None else np.linalg.norm(position[:, nodes[0]] - position[:, nodes[1]], axis=-1)
        figure = plots.plot_distance_traces(tracks, pair["node_a"], pair["node_b"], truth=true)
        parts.append(_figure(figure, f"Distance of a {pair['pair_kind']} pair over the whole video."))
    video_file, n_frames = (Video & key).fetch1("video_file", "n_frames")
    if Path(video_file).exists():
        edges = (Skeleton.Edge & skeleton).to_arrays("source_node", "target_node")
        image = read_video_frame(video_file, n_frames // 2)
        for method in ("raw", "kalman"):
            if method in tracks:
                figure = plots.plot_position_traces(image, tracks[method], list(zip(*edges, strict=True)))
                parts.append(_figure(figure, f"Every position of the video, {method}."))
    return parts


def _by_filter(key: dict[str, Any]) -> dict[str, Tracks]:
    from schemas.track import FilteredTrack, fetch_tracks

    there = set((FilteredTrack & key).to_arrays("filter_method"))
    methods = [method for method in plots.SHOWN_METHODS if method in there]
    return {str(method): fetch_tracks({**key, "filter_method": method}) for method in methods}


def _quality(camera: str) -> str:
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in (TrackQuality.Node & {"camera": camera}).to_dicts():
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
    heads = ["node", "videos", "found", "found, worst video", "jumps in all videos"]
    return "<h3>Quality of the raw tracks</h3>" + _table(heads, body)


def _table(heads: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=wide><table><tr>{head}</tr>{body}</table></div>"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _figure(figure: Figure, caption: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    data = base64.b64encode(buffer.getvalue()).decode()
    alt = escape(caption, quote=True)
    image = f'<img alt="{alt}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"
