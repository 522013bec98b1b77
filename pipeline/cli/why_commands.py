"""`orofacial why`: the chain that made a number."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import rich_click as click

from compute.text import count_text
from pipeline.cli.command_tools import command_says_errors, connect_command, json_option
from pipeline.terminal import console, print_json


@click.command()
@click.argument("session")
@click.option("--node", help="Only this node.  [default: all]")
@click.option("--filter", "filter_method", default="raw", show_default=True, help="The filter.")
@click.option("--camera", help="Only this camera.  [default: all]")
@click.option("--model", help="This model (name or id), or: all.  [default: the deployed one of each camera]")
@json_option
@click.pass_context
@command_says_errors
def why(
    context: click.Context,
    session: str,
    node: str | None,
    filter_method: str,
    camera: str | None,
    model: str | None,
    as_json: bool,
) -> None:
    """Print the chain that made the tracks of SESSION, such as mouse01/2026-03-02_1.

    Video, labels, model, estimation and filter: with hashes, parameters, versions, machines and times.
    """
    settings = connect_command(context)
    from pipeline.query.sessions import tracks_of_session
    from pipeline.why import why_chain

    selection = tracks_of_session(session, settings, camera=camera, node=node, filter=filter_method, model=model)
    chains = [why_chain(row, node) for row in selection.rows]
    if as_json:
        print_json({"chains": chains})
        return
    for one in chains:
        for line in describe_why(one):
            console.print(line, markup=False)


_WITH = "with Python "


def describe_why(chain: dict[str, Any]) -> list[str]:
    """The chain as lines of text, from the video to the number."""
    lines = [f"{chain['session']}, camera {chain['camera']}, filter {chain['filter']['filter_method']}"]
    for step in ("video", "labels", "model", "estimation", "filter"):
        said = _STEPS[step](chain)
        if said[-1].startswith(_WITH) and f"    {said[-1]}" in lines:
            said[-1] = "with the same versions"
        lines += ["", step, *(f"    {line}" for line in said)]
    lines += ["", "found, fraction of all frames"]
    lines += [f"    {node}: {_number(fraction)}" for node, fraction in chain["fraction_found"].items()]
    return [*lines, ""]


def _video(chain: dict[str, Any]) -> list[str]:
    from schemas.metadata import known_metadata
    from schemas.session import Session, Video
    from schemas.subject import Mouse

    video, mouse = chain["video"], chain["mouse"]
    of_mouse = {"mouse_id": mouse["mouse_id"], **known_metadata(Mouse.metadata, mouse)}
    of_recording = known_metadata(Session.metadata, chain["recording"]) | known_metadata(Video.metadata, video)
    return [
        str(video["video_file"]),
        f"sha256 {video['content_hash']}",
        f"{count_text(video['n_frames'], 'frame')} of {video['width_px']} x {video['height_px']} px,"
        f" {_fps(video['fps'])} fps; times: {video['times']}",
        _pairs(of_mouse),
        *([_pairs(of_recording)] if of_recording else []),
        *(_correction(one) for one in chain["corrections"]),
    ]


def _correction(one: dict[str, Any]) -> str:
    from ingest.correction_history import correction_source_text, correction_text

    return f"corrected {one['corrected_at']}: {correction_text(one)}, {correction_source_text(one)}"


def _labels(chain: dict[str, Any]) -> list[str]:
    labels = chain["labels"]
    if labels is None:
        return ["not known here: the model was trained elsewhere"]
    mice = ", ".join(labels["mice"]) or "no known mouse"
    return [
        f"{labels['labels_id']} {labels['labels_name']}, imported {labels['imported_at']}",
        f"{count_text(labels['n_labeled_frames'], 'labeled frame')} of {mice}",
    ]


def _model(chain: dict[str, Any]) -> list[str]:
    model = chain["model"]
    mice = _training_mice(model["training_mice"], model["training_mice_known"])
    n_frames = model["n_training_frames"] and count_text(model["n_training_frames"], "frame")
    lines = [
        f"{model['model_id']} {model['model_name']}, estimator {model['estimator']}",
        f"fitted to {n_frames or 'an unknown number of frames'} of {mice}; this mouse was"
        f" {_HELD_OUT[model['held_out']]}",
    ]
    lines += [
        f"corrected {one['corrected_at']}: it was said to be trained on"
        f" {_training_mice(one['mice_before'], one['mice_known_before'])}"
        for one in model["training_mice_corrections"]
    ]
    training = model["training"]
    if training is None:
        return [*lines, f"trained elsewhere, imported {model['created_at']}", *_error(model["error"])]
    lines += [f"config {training['training_config']}, seed {training['seed']}: {_pairs(training['parameters'])}"]
    lines += _error(model["error"])
    return lines + _made(training["provenance"])


def _training_mice(mice: list[str], are_all: bool) -> str:
    return ", ".join(mice if are_all else [*mice, "mice that are not known"])


_HELD_OUT = {True: "held out", False: "in training", None: "held out or in training, which is not known"}


def _error(error: dict[str, Any] | None) -> list[str]:
    if error is None:
        return ["error: not measured yet"]
    which = "that it was not trained on" if error["known_unseen"] else "that it may have been trained on"
    mice = ", ".join(f"{number} of mice {group}" for group, number in error["n_frames_of_groups"].items())
    lines = [
        f"error on {count_text(error['n_evaluated_frames'], 'labeled frame')} {which}{f' ({mice})' if mice else ''}:"
        f" median {_number(error['error_p50_px'])} px, p90 {_number(error['error_p90_px'])} px"
    ]
    for node, one in error["nodes"].items():
        lines.append(
            f"    {node}: median {_number(one['error_p50_px'])} px, p90 {_number(one['error_p90_px'])} px,"
            f" missed {one['n_missed']} of {one['n_points'] + one['n_missed']}"
        )
    return lines


def _estimation(chain: dict[str, Any]) -> list[str]:
    estimation = chain["estimation"]
    said = {
        name: value
        for name, value in estimation.items()
        if name not in ("device", "duration_s", "provenance", "versions", "input_file", "input_file_hash")
    }
    trained_with = estimation.get("versions")
    lines = [f"on {estimation['device']}, {_pairs(said)}"]
    if "input_file" in estimation:
        lines = [str(estimation["input_file"]), f"sha256 {estimation['input_file_hash']}", f"read: {_pairs(said)}"]
    lines += [f"model trained with {_pairs(trained_with)}"] if trained_with else []
    return lines + _made(estimation["provenance"])


def _filter(chain: dict[str, Any]) -> list[str]:
    one = chain["filter"]
    lines = [f"{one['filter_name']}: {_pairs(one['parameters']) or 'no parameters'}"]
    lines += [f"version {one['filter_version']} of the filter", *filter(None, [one["note"]])]
    lines += [f"power of the scores: {one['score_weight']}"] if one["score_weight"] else []
    for node, fitted in (one["fitted"] or {}).items():
        lines += [f"fitted to {node}:" if fitted else f"fitted to {node}: nothing, there was no point to use"]
        lines += [f"    {name}: {_of_axes(value)}" for name, value in (fitted or {}).items()]
    return lines + _made(one["provenance"])


_STEPS = {"video": _video, "labels": _labels, "model": _model, "estimation": _estimation, "filter": _filter}


def _made(record: dict[str, Any] | None) -> list[str]:
    """Which code, where, when, how long."""
    if record is None:
        return ["by which code, where and when was not recorded"]
    return [
        f"by orofacial {record['code_version']} on {record['host']}, {record['started_at']},"
        f" in {_number(record['duration_s'])} s",
        f"{_WITH}{record['python']}, {_pairs(record['packages'])}",
    ]


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {'none' if value is None else _number(value)}" for name, value in values.items())


def _of_axes(value: Any) -> str:
    """What a filter fitted: one number, a pair for x and y, or quantiles of such pairs."""
    if isinstance(value, dict):
        return "over the windows of the video " + "; ".join(f"{name} {_of_axes(item)}" for name, item in value.items())
    if isinstance(value, list) and len(value) == 2:
        return f"x {_number(value[0])}, y {_number(value[1])}"
    return _number(value)


def _fps(fraction: str) -> str:
    """A frame rate for people.

    Examples
    --------
    >>> _fps("100/1"), _fps("30000/1001")
    ('100', '29.97 (30000/1001)')
    """
    fps = Fraction(fraction)
    return str(fps) if fps.denominator == 1 else f"{float(fps):.4g} ({fraction})"


def _number(value: Any) -> str:
    if isinstance(value, dict):
        return f"({_pairs(value)})"
    if isinstance(value, list):
        return "[" + ", ".join(_number(item) for item in value) + "]"
    return "unknown" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
