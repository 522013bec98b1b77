"""The demo's results beside the simulation's truth: summary.json, report.html, and the table in the terminal."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.json_text import json_text
from compute.simulated_mouse.anatomy import CAMERAS, NODES
from pipeline import query
from pipeline.demo.simulated_lab import SimulatedLab
from pipeline.figures.report import write_report, write_report_text
from pipeline.figures.report_truth import ReportTruth
from pipeline.figures.traces import SHOWN_METHODS
from pipeline.query.distances_by_filter import distance_comparison
from pipeline.query.models import describe_models
from schemas.track import FilterMethod
from schemas.training_mice import TRAINING_GROUPS, training_group

Summary = dict[str, Any]

GROUPS = TRAINING_GROUPS[:2]
"""Of the simulation it is known of every mouse."""

GROUPS_SHORT = "mice in training (train) and held out (held)"


def write_demo_report(lab: SimulatedLab, folder: Path) -> Summary:
    """Write report.html and summary.json into the demo's folder, and return the summary.

    The summary holds, for each camera: ``models``; ``node_error_px`` by filter, group and node (p50, p90, rmse over
    the frames in which the filter gives a position, and the fraction of those frames); ``distances`` by pair: kind,
    truth by group, and mean and variance by filter and group.
    """
    pairs = {tuple(row.pair.split(" - ")) for row in distance_comparison()}
    truth = ReportTruth(lab.true_position_px, _true_distances(lab, pairs))
    summary: Summary = {
        "cameras": {camera: _camera_summary(lab, camera, truth) for camera in CAMERAS},
        "machine": {"system": platform.platform(), "python": platform.python_version()},
    }
    write_report(folder / "report.html", truth=truth)
    write_report_text(folder / "summary.json", json_text(summary, indent=2))
    return summary


def _mice(lab: SimulatedLab, group: str) -> tuple[str, ...]:
    return lab.training_mice if group == GROUPS[0] else lab.held_out_mice


def _true_distances(lab: SimulatedLab, pairs: set[tuple[str, ...]]) -> dict[tuple[str, str, str], tuple[float, float]]:
    """Mean over videos of mean and variance of the true distance in the picture: perspective moves even a rigid one."""
    result = {}
    for camera in CAMERAS:
        for group in GROUPS:
            positions = [lab.true_position_px(mouse, camera) for mouse in _mice(lab, group)]
            for node_a, node_b in pairs:
                a, b = NODES.index(node_a), NODES.index(node_b)
                distances = [np.linalg.norm(position[:, a] - position[:, b], axis=-1) for position in positions]
                mean = float(np.mean([distance.mean() for distance in distances]))
                variance = float(np.mean([distance.var(ddof=1) for distance in distances]))
                result[camera, f"{node_a} - {node_b}", group] = (mean, variance)
    return result


def _camera_summary(lab: SimulatedLab, camera: str, truth: ReportTruth) -> Summary:
    distances: Summary = {}
    for row in distance_comparison():
        if row.camera != camera:
            continue
        entry = distances.setdefault(row.pair, {"kind": row.kind, "truth": {}, "filters": {}})
        mean, variance = truth.distances[camera, row.pair, row.group]
        entry["truth"][row.group] = {"mean_px": mean, "variance_px2": variance}
        entry["filters"].setdefault(row.filter_method, {})[row.group] = {
            "mean_px": row.mean_px,
            "variance_px2": row.variance_px2,
            "mean_mm": row.mean_mm,
            "variance_mm2": row.variance_mm2,
            "fraction_missing": row.fraction_missing,
        }
    methods = [str(method) for method in FilterMethod.to_arrays("filter_method")]
    return {
        "models": [model for model in describe_models() if model["camera"] == camera],
        "node_error_px": {method: _node_errors(lab, camera, method) for method in methods},
        "distances": distances,
    }


def _node_errors(lab: SimulatedLab, camera: str, method: str) -> Summary:
    """Distance from the truth of each node, for each group of mice."""
    errors: dict[str, list[NDArray[np.float64]]] = {group: [] for group in GROUPS}
    for row, tracks in query.tracks(camera=camera, filter=method):
        error = np.linalg.norm(tracks.position - lab.true_position_px(row["mouse_id"], camera), axis=-1)
        errors[training_group(row["held_out"])].append(error)
    return {
        group: {node: _describe(np.concatenate(found)[:, index]) for index, node in enumerate(NODES)}
        for group, found in errors.items()
        if found
    }


def _describe(error_px: NDArray[np.float64]) -> dict[str, float | None]:
    known = error_px[np.isfinite(error_px)]
    if not known.size:
        return {"p50": None, "p90": None, "rmse": None, "fraction_found": 0.0}
    p50, p90 = np.quantile(known, [0.5, 0.9])
    return {
        "p50": float(p50),
        "p90": float(p90),
        "rmse": float(np.sqrt(np.mean(known**2))),
        "fraction_found": known.size / error_px.size,
    }


def print_demo_results(summary: Summary) -> None:
    """Print, for each camera, the distances and the errors against the truth."""
    from pipeline.terminal import print_table

    for camera, result in summary["cameras"].items():
        rows = []
        for pair, entry in result["distances"].items():
            for method, groups in entry["filters"].items():
                if method not in SHOWN_METHODS:
                    continue
                cells = [_short(pair) if method == "raw" else "", method]
                for quantity in ("variance_px2", "mean_px"):
                    for group in GROUPS:
                        cells += [_cell(groups.get(group, {}).get(quantity)), _cell(entry["truth"][group][quantity])]
                rows.append(cells)
        heads = ["pair", "filter"]
        for quantity in ("var.", "mean"):
            heads += [f"{quantity}\ntrain", "\ntruth", "\nheld", "\ntruth"]
        print_table(heads, rows, title=f"camera {camera}: variance (px²) and mean (px) of distances, {GROUPS_SHORT}")
    rows = [
        [camera, method, *(cell for group in GROUPS for cell in _error_cells(groups.get(group, {})))]
        for camera, result in summary["cameras"].items()
        for method, groups in result["node_error_px"].items()
        if method in SHOWN_METHODS
    ]
    heads = ["camera", "filter"]
    for group in ("train", "held"):
        heads += [f"{group}\np50 px", "\np90 px", "\nfound"]
    title = f"distance from the truth (median over nodes) and frames in which the worst node was found, {GROUPS_SHORT}"
    print_table(heads, rows, title=title)


def _error_cells(nodes: dict[str, dict[str, float | None]]) -> list[str]:
    """Errors of the median node, and the fraction of frames in which the worst node was found, with its name."""
    if not nodes:
        return ["-", "-", "-"]
    worst = min(nodes, key=lambda node: nodes[node]["fraction_found"] or 0)
    found = nodes[worst]["fraction_found"] or 0
    return [_median_error(nodes, "p50"), _median_error(nodes, "p90"), f"{found:.1%}" + f" {worst}" * (found < 0.95)]


def _short(pair: str) -> str:
    return pair.replace("_snout_tip", "").replace("_tip", "")


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.{2 if abs(value) < 10 else 1}f}"


def _median_error(nodes: dict[str, dict[str, float | None]], key: str) -> str:
    """Median over the nodes; a node that is never found counts as infinity."""
    median = float(np.median([np.inf if (error := node[key]) is None else error for node in nodes.values()]))
    return _cell(median)
