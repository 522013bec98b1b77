"""The report: one HTML file with pictures and tables of the deployed models, or of others by choice."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from compute.comparison.intervals import MINIMUM_MICE, NOTHING, Interval
from compute.errors import AnswerWarning, OrofacialError
from compute.files import whole_file
from compute.json_text import json_text
from compute.text import count_text
from pipeline import query
from pipeline.figures.colors import method_colors
from pipeline.figures.html_parts import html_figure, html_note, html_page, html_table, html_terms
from pipeline.figures.report_model import number_text, report_model
from pipeline.figures.report_truth import ReportTruth
from pipeline.figures.trade_off import plot_trade_off
from pipeline.query.chosen_models import Choice, describe_chosen_models, model_text
from pipeline.query.distances_by_filter import distance_comparison
from pipeline.query.filter_comparison import ComparisonError, FilterSummary, ModelComparison, compare_filters
from pipeline.query.label_summary import LabelSummary
from pipeline.query.models import describe_models, model_errors_by_group
from schemas.model import Model
from schemas.session import Session, Video
from schemas.subject import Mouse
from schemas.track import FilterMethod
from schemas.training_mice import TRAINING_GROUPS

Row = dict[str, Any]

TERMS = {
    "deployed model": "The model that runs by itself on every video of its camera. Others are left out.",
    "in training, held out, not known": "Whether the model was trained on labeled frames of the mouse. A model knows"
    " its training mice, so that only the numbers of held-out mice say how good it is on a new mouse. Not known: not"
    " all of its training mice are known.",
    "labeled frames": "Frames in which a person placed the nodes. Only those that the model was not trained on count:"
    " others would flatter it.",
    "interval": "In brackets and as bars the 95 % interval over mice (Student's t on logarithms); each value is the"
    " geometric mean over mice, which the interval covers (not the arithmetic one). Fewer than three mice give no"
    " interval, and the table says so. Of raw: each mouse's error over its own without a filter; mice differ more than"
    " filters do, so this says whether a filter is better.",
    "raw": "The points as the model gave them. Filters make a path of them; gated ones first leave out wrong placements"
    " (points that are not where the node is, often far away and for few frames).",
    "rigid and moving pairs": "Two nodes whose distance is constant in the mouse (across the snout), so that its"
    " variance is noise; and two nodes that move against each other (the jaw), which a filter must keep.",
    "movement, bouts, noise kept; lag": "Of moving pairs: power of the movement over the true one (no value where it"
    " is not known to 0.05); amplitude of the median bout and power in the upper third of frequencies over those of the"
    " raw track without single frames far from their neighbours, which no filter has made; and how much later the"
    " movement comes. Best are 1, 1, 0 and 0.",
}
"""What the report's words mean."""


class ReportError(OrofacialError):
    """There is nothing to report yet."""


def write_report(
    output: Path, *, model: Choice = None, summary_file: Path | None = None, truth: ReportTruth | None = None
) -> None:
    """Write the report, and the numbers of its table as JSON where that is asked for.

    Parameters
    ----------
    output : Path
        HTML file; it holds its pictures itself.
    model : str or sequence of str, optional
        As of `pipeline.query.Question`: without it, the deployed model of each camera.
    summary_file : Path, optional
        JSON file.
    truth : ReportTruth, optional
        Shown beside the results.

    Raises
    ------
    ReportError
        If no tracks have been computed, or a file cannot be written.
    QueryError
        If there is no such model, or only models have tracks that are not deployed.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", AnswerWarning)
        tracks = query.tracks(filter="raw", model=model).rows
    if not tracks:
        raise ReportError("no tracks have been computed yet; see 'orofacial status', then run 'orofacial populate'")
    notes = [one.message for one in caught if isinstance(one.message, AnswerWarning)]
    colors = method_colors(map(str, FilterMethod.to_arrays("filter_method", order_by="filter_method")))
    models = [one for one in describe_chosen_models(model) if _tracks_of(one, tracks)]
    parts = [_headline(models, list(map(str, notes))), _models(models), _filters(model, colors)]
    for one in models:
        parts += report_model(one, _tracks_of(one, tracks), truth, colors)
    parts.append("<h2>Terms</h2>" + html_terms(TERMS))
    write_report_text(output, html_page("orofacial report", parts))
    if summary_file is not None:
        write_report_text(summary_file, json_text(distance_comparison(model=model), indent=2))
    for note in notes:
        warnings.warn(note, stacklevel=2)


def write_report_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all.

    Raises
    ------
    ReportError
        If it cannot be written.
    """
    with whole_file(path, ReportError) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _tracks_of(model: Row, tracks: list[Row]) -> list[Row]:
    return [row for row in tracks if row["model_id"] == model["model_id"]]


def _headline(models: list[Row], notes: list[str]) -> str:
    mice, sessions = count_text(len(Mouse()), "mouse", "mice"), count_text(len(Session()), "session")
    counts = f"{mice}, {sessions}, {count_text(len(Video()), 'video')}"
    others = len(Model()) - len(models)
    said = [f"{count_text(others, 'other model')} in the database: see 'orofacial model list'."] if others else []
    without = sorted(set(map(str, Video.to_arrays("camera"))) - {one["camera"] for one in models})
    said += [f"No tracks of camera {camera}: it has videos, and no chosen model has run on them." for camera in without]
    lines = "".join(html_note(text) for text in [*said, *notes])
    return f"<h1>orofacial</h1><p class=note>{counts} &middot; {datetime.now():%Y-%m-%d %H:%M}</p>{lines}"


def _models(models: list[Row]) -> str:
    described = {one["model_id"]: one for one in describe_models()}
    errors = {one["model_id"]: model_errors_by_group(one["model_id"]) for one in models}
    groups = [group for group in TRAINING_GROUPS if any(group in found for found in errors.values())]
    body = [
        [
            *(one["camera"], model_text(one) + ("" if one["is_deployed"] else ", not deployed")),
            ", ".join(known["mice"] + ([] if known["mice_known"] else ["not known"])),
            *(_label_cell(errors[one["model_id"]].get(group)) for group in groups),
        ]
        for one in models
        for known in [described[one["model_id"]]]
    ]
    heads = ["camera", "model", "trained on mice", *(f"error of mice {group} (px)" for group in groups)]
    note = (
        "Error: distance from the points that people placed in labeled frames that the model was not trained on. The"
        " error of mice in training says nothing about a new mouse."
    )
    missing = (
        html_note("No labeled frame is of a held-out mouse: how good a model is on a new mouse is not known here.")
        if "held out" not in groups
        else ""
    )
    return "<h2>Models</h2>" + html_note(note) + html_table(heads, body, n_text_columns=3) + missing


def _label_cell(labels: LabelSummary | None) -> str:
    if labels is None:
        return "-"
    said = f"{_interval(labels.mean_px)}; {count_text(labels.mean_px.n_mice, 'mouse', 'mice')},"
    said += f" {count_text(labels.n_frames, 'frame')}, {labels.fraction_missing:.1%} of points missed"
    return said + ("" if labels.known_unseen else "; the model may have been trained on these frames")


def _filters(model: Choice, colors: Mapping[str, str]) -> str:
    """The filters side by side: the picture, and a table with a line a filter for each model."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AnswerWarning)  # said of the tracks
            comparisons = compare_filters(model=model)
    except ComparisonError:
        return "<h2>Filters</h2>" + html_note("Not compared yet: see 'orofacial compare'.")
    note = (
        "Left: noise left against movement kept, a mark a filter. Middle: error on labeled frames that the model was"
        " not trained on, apart for each group of mice. Right: how much noisier tracks of held-out mice are. Bars are"
        " 95 % intervals over mice, where there are three or more."
    )
    parts = ["<h2>Filters</h2>", html_figure(plot_trade_off(comparisons, colors=colors), note)]
    for comparison in comparisons:
        parts += [f"<h3>Camera {escape(comparison.camera)}, model {escape(comparison.model_name)}</h3>"]
        parts += [html_note(_mice(comparison)), _filter_table(comparison)]
    return "".join(parts)


def _mice(comparison: ModelComparison) -> str:
    counted = ", ".join(f"{number} {group}" for group, number in comparison.n_mice.items() if number)
    return f"Mice: {counted}. Columns are explained under Terms."


def _filter_table(comparison: ModelComparison) -> str:
    groups = [group for group in TRAINING_GROUPS if any(group in one.labels for one in comparison.filters)]
    heads = [
        "filter",
        "rigid variance, of raw (in frames that both have)",
        "movement kept",
        "bouts kept",
        "noise kept",
        "lag (ms)",
    ]
    for group in groups:
        heads += [f"error on labeled frames, mice {group}, at points that all filters have (px)", "of raw"]
    heads += ["distances missing", "variance, held-out over training mice"]
    return html_table(heads, [_filter_cells(one, groups) for one in comparison.filters])


def _filter_cells(one: FilterSummary, groups: list[str]) -> list[str]:
    return [
        one.filter_method,
        *(_interval(value) for value in (one.rigid_variance, one.power_kept, one.bout_amplitude_kept, one.noise_kept)),
        "-" if one.lag_s.value is None else f"{round(one.lag_s.value * 1000, 1) + 0.0:.1f}",
        *(
            _interval(value)
            for group in groups
            for found in [one.labels.get(group)]
            for value in ((NOTHING, NOTHING) if found is None else (found.mean_px, found.over_raw))
        ),
        f"{one.fraction_missing:.1%}",
        _interval(one.held_out_over_training),
    ]


def _interval(interval: Interval) -> str:
    bounds = "" if interval.low is None else f" [{number_text(interval.low)},\u00a0{number_text(interval.high)}]"
    if interval.value is not None and interval.n_mice < MINIMUM_MICE:
        bounds = " [few mice]"
    return number_text(interval.value) + bounds
