"""Where a number comes from: the chain of rows that made it, from the video to the filter."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from compute.errors import OrofacialError
from compute.json_text import json_value
from compute.text import session_text
from compute.tracks import Tracks
from ingest.correction_history import camera_history, session_history
from pipeline.query.selection import selection_row_name
from schemas.evaluation import ModelEvaluation, evaluated_score_exponent, first_model_evaluation
from schemas.labels import LabeledFrames
from schemas.model import Model, Training, TrainingConfig, TrainingMiceCorrection, TrainingTask
from schemas.pose import PoseEstimation
from schemas.session import Session, Video
from schemas.subject import Mouse
from schemas.track import FilteredTrack, FilterMethod, fetch_tracks
from schemas.training_mice import NOT_KNOWN, TRAINING_GROUPS, TrainingMice


def why_chain(key: dict[str, Any], node: str | None = None, *, tracks: Tracks | None = None) -> dict[str, Any]:
    """Everything that made one track, as JSON can hold it.

    Parameters
    ----------
    key : dict
        Primary key of a row of `FilteredTrack`.
    node : str, optional
        Only what concerns this node.
    tracks : Tracks, optional
        The row's tracks, if they have been read already.

    Returns
    -------
    dict
        ``session``, ``camera``, ``nodes``, ``fraction_found`` (of each node), ``mouse`` and ``recording`` (what is
        said of them), ``corrections`` (of names and values after ingest), then the steps ``video``, ``labels``
        (None for a model that was trained elsewhere), ``model``, ``estimation`` and ``filter``. What is not known is
        None: also whether the mouse was held out, and the provenance of rows that were computed before it was recorded.

    Raises
    ------
    DatabaseError, TracksError
        If the tracks cannot be read, or do not have the node.
    """
    key = {name: key[name] for name in FilteredTrack.primary_key}
    if tracks is None:
        tracks = why_tracks(key, None if node is None else (node,))
    nodes = tracks.nodes if node is None else (node,)
    result = {
        "session": session_text(key),
        "camera": key["camera"],
        "nodes": list(nodes),
        "fraction_found": {name: _fraction_found(tracks, name) for name in nodes},
        "mouse": (Mouse & key).fetch1(),
        "recording": (Session & key).proj(*(column.name for column in Session.metadata)).fetch1(),
        "video": _video(key),
        "corrections": _corrections(key),
        **_labels_and_model(key, nodes),
        "estimation": _estimation(key, tracks),
        "filter": _filter(key, tracks, nodes),
    }
    return {name: json_value(value) for name, value in result.items()}


def why_tracks(key: dict[str, Any], nodes: Sequence[str] | None = None) -> Tracks:
    """Read the tracks of one row of `FilteredTrack`; an error names the row, not only the file.

    Parameters
    ----------
    key : dict
        Primary key of the row.
    nodes : sequence of str, optional
        Read only these nodes.

    Raises
    ------
    DatabaseError, TracksError
        If the tracks cannot be read, or do not have a node.
    """
    try:
        return fetch_tracks(key, nodes)
    except OrofacialError as error:
        raise type(error)(f"{selection_row_name(key)}: {error}") from error


def _fraction_found(tracks: Tracks, node: str) -> float | None:
    found = tracks.found[:, tracks.node_index(node)]
    return float(found.mean()) if found.size else None


def _video(key: dict[str, Any]) -> dict[str, Any]:
    row = (Video & key).fetch1()
    return {
        **{
            name: row[name]
            for name in ("video_file", "content_hash", "file_size_bytes", "n_frames", "n_damaged_frames")
        },
        "fps": f"{row['fps_numerator']}/{row['fps_denominator']}",
        **{name: row[name] for name in ("width_px", "height_px", *(column.name for column in Video.metadata))},
        "times": _TIMES[row["times_from"]],
        "time_zero": None if row["time_zero_unix_s"] is None else _iso_utc(row["time_zero_unix_s"]),
    }


_TIMES = {
    "rate": "frame index / fps",
    "camera": "timestamps of the camera",
    "container": "the video file's own, which are not regular",
}


def _corrections(key: dict[str, Any]) -> list[dict[str, Any]]:
    """What was corrected of the session, of this camera's video, and of the mouse, the first correction first."""
    return [
        {**{name: line[name] for name in _CORRECTED}, "corrected_at": _in_utc(line["corrected_at"])}
        for line in camera_history(session_history(key), key["camera"])
    ]


_CORRECTED = (
    *("corrected_column", "corrected_camera", "value_before", "value_after"),
    *("session_file", "corrected_by", "correction_reason"),
)


def _labels_and_model(key: dict[str, Any], nodes: tuple[str, ...]) -> dict[str, Any]:
    """The model, what it was trained on and how, and how good it is."""
    model_key = {"model_id": key["model_id"]}
    names = ("model_name", "estimator", "skeleton_id", "n_training_frames", "created_at")
    model = (Model & key).proj(*names).fetch1()
    model["created_at"] = _in_utc(model["created_at"])
    mice = [str(mouse) for mouse in (Model.Mouse & model_key).to_arrays("mouse_id", order_by="mouse_id")]
    training_mice = TrainingMice.fetch(key["model_id"])
    model |= {"training_mice": mice, "training_mice_known": bool(training_mice.known)}
    model["training_mice_corrections"] = [
        {**{name: row[name] for name in _CORRECTED_MICE}, "corrected_at": _in_utc(row["corrected_at"])}
        for row in (TrainingMiceCorrection & model_key).to_dicts(order_by="correction_number")
    ]
    model |= {"held_out": training_mice.held_out(key), "error": _error(key["model_id"], nodes)}
    trainings = (Training & model_key).to_dicts(limit=1)
    if not trainings:
        return {"labels": None, "model": {**model, "training": None}}
    training = trainings[0]
    key = {name: training[name] for name in Training.primary_key}
    labels = (LabeledFrames & key).proj("labels_name", "camera", "n_labeled_frames", "imported_at").fetch1()
    labels["imported_at"] = _in_utc(labels["imported_at"])
    labelled = {mouse for mouse in (LabeledFrames.Source & key).to_arrays("mouse_id") if mouse}
    fraction_held_out, split_by = (TrainingTask & key).fetch1("fraction_held_out", "split_by")
    model["training"] = {
        **{name: training[name] for name in ("training_config", "seed", "training_duration_s")},
        "provenance": training["training_provenance"],
        "fraction_held_out": fraction_held_out,
        "split_by": split_by,
        "parameters": (TrainingConfig & key).fetch1("training_parameters"),
    }
    return {"labels": {**labels, "mice": sorted(labelled)}, "model": model}


_CORRECTED_MICE = ("mice_before", "mice_known_before", "mice_after", "mice_known_after")


def _in_utc(time: datetime) -> str:
    """A time of the database's clock, given in the connection's time zone, as ISO 8601 in UTC."""
    connection = Model.connection
    is_postgresql = connection.adapter.backend == "postgresql"
    seconds = "extract(epoch FROM CAST(%s AS timestamptz))" if is_postgresql else "unix_timestamp(%s)"
    (since_1970_s,) = connection.query(f"SELECT {seconds}", args=(time.isoformat(" "),)).fetchone()
    return _iso_utc(since_1970_s, "milliseconds")


def _iso_utc(since_1970_s: float, timespec: str = "auto") -> str:
    """Seconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(float(since_1970_s), UTC).isoformat(timespec=timespec)


def _error(model_id: str, nodes: tuple[str, ...]) -> dict[str, Any] | None:
    """Error on labeled frames, in px; None if it has not been measured.

    ``known_unseen`` is false where it is not known whether the model was trained on these frames.
    """
    evaluation = first_model_evaluation(model_id)
    if evaluation is None:
        return None
    key = {name: evaluation[name] for name in ModelEvaluation.primary_key}
    names = ("labels_id", "n_evaluated_frames", "error_p50_px", "error_p90_px", "error_mean_px")
    by_node = {row["node"]: row for row in (ModelEvaluation.Node & key).to_dicts()}
    columns = ("n_points", "n_missed", "error_p50_px", "error_p90_px", "error_mean_px")
    return {
        **{name: evaluation[name] for name in names},
        "known_unseen": bool(evaluation["known_unseen"]),
        "n_frames_of_groups": _groups_of(key),
        "provenance": evaluation["evaluation_provenance"],
        "nodes": {node: {name: by_node[node][name] for name in columns} for node in nodes if node in by_node},
    }


def _groups_of(evaluation: dict[str, Any]) -> dict[str, int]:
    """Compared labeled frames of mice in training, held out, and not known, without groups that have none."""
    mice = (ModelEvaluation.Frame.proj() * LabeledFrames.Source.proj("mouse_id") & evaluation).to_arrays("mouse_id")
    training = TrainingMice.fetch(evaluation["model_id"])
    model_id = evaluation["model_id"]
    groups = [NOT_KNOWN if one is None else training.group({"model_id": model_id, "mouse_id": one}) for one in mice]
    return {group: groups.count(group) for group in TRAINING_GROUPS if group in groups}


def _estimation(key: dict[str, Any], tracks: Tracks) -> dict[str, Any]:
    row = (PoseEstimation & key).proj("device", "estimation_duration_s", "estimation_provenance").fetch1()
    said = {name: value for name, value in tracks.attributes.items() if name != "filter"}
    made = {"duration_s": row["estimation_duration_s"], "provenance": row["estimation_provenance"]}
    return {"device": row["device"], **made, **said}


def _filter(key: dict[str, Any], tracks: Tracks, nodes: tuple[str, ...]) -> dict[str, Any]:
    """The filter's row, the parameters that it really used, and what it fitted to each node."""
    row = (FilterMethod & key).fetch1()
    used = tracks.attributes.get("filter", {})
    fitted = used.get("fitted") or {}
    return {
        "filter_method": row["filter_method"],
        "filter_name": row["filter_name"],
        "filter_version": row["filter_version"],
        "parameters": used.get("parameters", row["filter_parameters"]),
        "note": used.get("note"),
        "score_weight": _score_weight(key["model_id"], row["filter_parameters"], used.get("parameters", {})),
        "fitted": {node: fitted[node] for node in nodes if node in fitted} or None,
        "provenance": (FilteredTrack & key).fetch1("filter_provenance"),
    }


def _score_weight(model_id: str, asked: dict[str, Any], used: dict[str, Any]) -> str | None:
    """Where the power of the scores that a filter weighs points by comes from; None: the filter has none."""
    if "score_exponent" not in used:
        return None
    if asked.get("score_exponent") is not None:
        return "as the filter method says"
    labeled = evaluated_score_exponent(model_id)
    if labeled is not None and used["score_exponent"] == labeled:
        return "from the model's labeled frames"
    if labeled is not None:
        return "not from the model's labeled frames, which had not been evaluated then"
    failed = ModelEvaluation().jobs & {"model_id": model_id} & "status in ('error', 'ignore')"
    return "the default: " + (
        "the model's evaluation failed" if failed else "no labeled frames say better, or too few of them"
    )
