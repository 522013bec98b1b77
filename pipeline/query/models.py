"""How good models are, and which is better on the same labeled frames."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from compute.errors import ModelError
from pipeline.query.label_summary import LabelSummary, label_summary, placed_quantile_px
from schemas.evaluation import ModelEvaluation, first_model_evaluation
from schemas.labels import LabeledFrames, Skeleton
from schemas.model import DeployedModel, Model
from schemas.training_mice import NOT_KNOWN, TRAINING_GROUPS, TrainingMice

Row = dict[str, Any]


def node_errors(model_id: str) -> list[Row]:
    """Error of each node in px, of the evaluation that speaks for a model; empty where there is none.

    Of a model that was trained elsewhere it may not be known whether it has seen these frames: see `describe_models`.
    """
    evaluation = first_model_evaluation(model_id)
    return [] if evaluation is None else _nodes_of(evaluation)


def _nodes_of(evaluation: Row) -> list[Row]:
    key = {name: evaluation[name] for name in ModelEvaluation.primary_key}
    rows: list[Row] = (ModelEvaluation.Node & key).to_dicts()
    return rows


def describe_models() -> list[Row]:
    """Every model: its camera, name, training mice, whether it is deployed, and how good it is.

    ``error_p50_px`` is the median distance from the points that people placed, in ``n_evaluated_frames`` labeled
    frames, and ``fraction_missed`` the fraction of those points that it did not find; None where it has not been
    evaluated.
    ``known_unseen`` is true if the model has seen none of these frames, and false where that is not known: then the
    error is none on held-out frames. ``mice`` has all mice that it was trained on if ``mice_known``. ``evaluations``
    has the same numbers for each set of labels.
    """
    deployed = set(DeployedModel.to_arrays("model_id"))
    names = ("camera", "model_name", "n_training_frames", "created_at", "training_mice_known")
    models: list[Row] = Model.proj(*names).to_dicts(order_by="created_at")
    for row in models:
        key = {"model_id": row["model_id"]}
        row["deployed"] = row["model_id"] in deployed
        row["mice"] = list((Model.Mouse & key).to_arrays("mouse_id", order_by="mouse_id"))
        row["mice_known"] = bool(row.pop("training_mice_known"))
        row |= _describe_evaluation(first_model_evaluation(row["model_id"]))
        evaluations = (ModelEvaluation * LabeledFrames.proj("labels_name", "imported_at") & key).to_dicts(
            order_by="imported_at, labels_id"
        )
        row["evaluations"] = [
            {"labels_id": one["labels_id"], "labels_name": one["labels_name"], **_describe_evaluation(one)}
            for one in evaluations
        ]
    return models


def model_errors_by_group(model_id: str) -> dict[str, LabelSummary]:
    """Error of a model on all labeled frames that it has not seen, apart for each group of mice.

    Frames of a mouse in training are easier than those of a mouse that was held out: the error on the first is none of
    the second. A frame is known by its image; where it was labeled in several sets, the labels that were imported last
    count.

    Returns
    -------
    dict of str to LabelSummary
        By group, in the order of `schemas.training_mice.TRAINING_GROUPS`; without groups that have no frame.
    """
    errors = _frame_errors(model_id)
    by_group = _by_group(model_id, _one_for_each_image(set(errors)), TrainingMice.fetch(model_id))
    return {
        group: label_summary(
            [(frame[-1], np.array([list(errors[frame][0].values())])) for frame in by_group[group]],
            known_unseen=all(errors[frame][1] for frame in by_group[group]),
        )
        for group in by_group
    }


def _by_group(model_id: str, frames: list[Frame], training: TrainingMice) -> dict[str, list[Frame]]:
    """Labeled frames by the group of their mouse, in the order of `TRAINING_GROUPS`, without groups that have none."""
    groups = [
        NOT_KNOWN if mouse is None else training.group({"model_id": model_id, "mouse_id": mouse})
        for *_, mouse in frames
    ]
    return {
        group: [frame for frame, of in zip(frames, groups, strict=True) if of == group]
        for group in TRAINING_GROUPS
        if group in groups
    }


def _describe_evaluation(evaluation: Row | None) -> Row:
    if evaluation is None:
        return {"error_p50_px": None, "fraction_missed": None, "known_unseen": None, "n_evaluated_frames": None}
    nodes = _nodes_of(evaluation)
    found, missed = (sum(node[name] for node in nodes) for name in ("n_points", "n_missed"))
    return {
        "error_p50_px": evaluation["error_p50_px"],
        "fraction_missed": missed / (found + missed) if found + missed else None,
        "known_unseen": bool(evaluation["known_unseen"]),
        "n_evaluated_frames": evaluation["n_evaluated_frames"],
    }


def compare_models(model_ids: Collection[str] = (), *, camera: str | None = None) -> list[Row]:
    """Compare models on the same labeled frames: those that none of them has seen.

    A frame is known by its image. Where it was labeled in several sets, the labels that were imported last count.

    Parameters
    ----------
    model_ids : collection of str
        The models; all without it. Models with other nodes or of another camera are compared apart.
    camera : str, optional
        Only models of this camera.

    Returns
    -------
    list of dict
        One for each camera and set of nodes: ``camera``, ``nodes``, ``n_frames``, ``n_mice`` (of known name), and
        ``models``. Each of these has ``model_id``, ``model_name``, ``deployed``, ``n_frames_of_groups`` (of mice in
        its training, held out, not known), ``known_unseen`` (false: it is not known whether the model has seen these
        frames), ``n_points``, ``error_p50_px`` and ``error_p90_px`` over all
        placed points, a missed one being infinitely far (None: infinite, or no point), ``fraction_missed``, and
        ``node_p50_px``, the median of each node. ``not_evaluated`` lists models without an evaluation to compare.

    Raises
    ------
    ModelError
        If there is no such model, or none at all.
    """
    models = _models(model_ids, camera)
    nodes = {skeleton: tuple(sorted((Skeleton & {"skeleton_id": skeleton}).nodes())) for skeleton in _skeletons(models)}
    groups: dict[tuple[str, tuple[str, ...]], list[Row]] = {}
    for model in models:
        groups.setdefault((model["camera"], nodes[model["skeleton_id"]]), []).append(model)
    return [_compare(*group, members) for group, members in groups.items()]


def _models(model_ids: Collection[str], camera: str | None) -> list[Row]:
    wanted = Model & ({"camera": camera} if camera is not None else {})
    models: list[Row] = wanted.proj("camera", "model_name", "skeleton_id").to_dicts(order_by="created_at")
    unknown = set(model_ids) - {model["model_id"] for model in models}
    if unknown or not models:
        of = f" of camera {camera}" if camera is not None else ""
        known = ", ".join(model["model_id"] for model in models) or "none yet"
        raise ModelError(f"no model {' '.join(sorted(unknown))}{of}; known are {known}. See 'orofacial model list'")
    return [model for model in models if not model_ids or model["model_id"] in model_ids]


def _skeletons(models: list[Row]) -> set[str]:
    return {model["skeleton_id"] for model in models}


def _compare(camera: str, nodes: tuple[str, ...], models: list[Row]) -> Row:
    errors = {model["model_id"]: _frame_errors(model["model_id"]) for model in models}
    seen_all = set((ModelEvaluation & "n_evaluated_frames = 0").to_arrays("model_id"))
    compared = [model for model in models if errors[model["model_id"]] or model["model_id"] in seen_all]
    shared = set.intersection(*(set(errors[model["model_id"]]) for model in compared)) if compared else set()
    frames = _one_for_each_image(shared)
    deployed, training = set(DeployedModel.to_arrays("model_id")), TrainingMice.fetch()
    return {
        "camera": camera,
        "nodes": [str(node) for node in nodes],
        "n_frames": len(frames),
        "n_mice": len({mouse for *_, mouse in frames if mouse is not None}),
        "models": [
            {
                "model_id": model["model_id"],
                "model_name": model["model_name"],
                "deployed": model["model_id"] in deployed,
                "n_frames_of_groups": {
                    group: len(of) for group, of in _by_group(model["model_id"], frames, training).items()
                },
                "known_unseen": all(errors[model["model_id"]][frame][1] for frame in frames),
                **_summary([errors[model["model_id"]][frame][0] for frame in frames], nodes),
            }
            for model in compared
        ],
        "not_evaluated": [model["model_id"] for model in models if model not in compared],
    }


Frame = tuple[str, Any, str, int, str | None]
"""A labeled frame: hash of its image, time of import and id of the labels, index, mouse."""


def _frame_errors(model_id: str) -> dict[Frame, tuple[dict[str, float], bool]]:
    """Error of each node (px) in each labeled frame, and whether the model is known not to have seen it."""
    rows = (
        ModelEvaluation.Frame.proj("error_px")
        * ModelEvaluation.proj("known_unseen")
        * LabeledFrames.Source.proj("image_hash", "mouse_id")
        * LabeledFrames.proj("imported_at", "skeleton_id")
        & {"model_id": model_id}
    ).to_dicts()
    nodes = {skeleton: (Skeleton & {"skeleton_id": skeleton}).nodes() for skeleton in _skeletons(rows)}
    return {
        (row["image_hash"], row["imported_at"], row["labels_id"], row["labeled_frame_index"], row["mouse_id"]): (
            dict(zip(nodes[row["skeleton_id"]], row["error_px"].tolist(), strict=True)),
            bool(row["known_unseen"]),
        )
        for row in rows
        if row["error_px"] is not None
    }


def _one_for_each_image(frames: set[Frame]) -> list[Frame]:
    """Of the frames with one image, that of the labels that were imported last."""
    return list({frame[0]: frame for frame in sorted(frames, key=lambda frame: frame[:4])}.values())


def _summary(errors: list[dict[str, float]], nodes: tuple[str, ...]) -> Row:
    error_px = np.array([[error[node] for node in nodes] for error in errors]).reshape(-1, len(nodes))
    placed = error_px[~np.isnan(error_px)]
    return {
        "n_points": int(placed.size),
        "error_p50_px": placed_quantile_px(placed, 0.5),
        "error_p90_px": placed_quantile_px(placed, 0.9),
        "fraction_missed": float(np.isinf(placed).mean()) if placed.size else None,
        "node_p50_px": {
            str(node): placed_quantile_px(column[~np.isnan(column)], 0.5)
            for node, column in zip(nodes, error_px.T, strict=True)
        },
    }
