"""How good models are on labeled frames that they have not seen, and which video each labeled frame is of."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from compute import estimators
from compute.files import VIDEO_SUFFIXES
from schemas.label_images import fetch_labels_package
from schemas.labels import LabeledFrames, Skeleton, same_skeleton_nodes
from schemas.making import provenance
from schemas.making.resources import Resources
from schemas.model import Model, Training, load_model
from schemas.session import Video

schema = dj.Schema()


@schema
class ModelEvaluation(dj.Computed):
    """Error of a model on the labeled frames of one set that it has not seen.

    A frame is known by the hash of its image; and by its video and number, where the path of its file says these, since
    the gray levels of two decoders differ by one. A model of which it is not known what it was trained on is evaluated
    on all frames, and `known_unseen` is false: that is no error on held-out frames. A model that has seen all frames
    has a row with ``n_evaluated_frames`` 0.
    """

    resources = Resources(estimator=lambda kind: kind.can_estimate_images)

    definition = """
    -> Model
    -> LabeledFrames
    ---
    known_unseen : bool  # true: the model has seen none of these frames; false: which it has seen is not known
    n_evaluated_frames : int32  # labeled frames that were compared; 0: the model has seen them all
    n_seen_frames : int32  # labeled frames left out, since the model was trained on them
    error_p50_px=null : float64  # (px) over all nodes; null: nothing was found
    error_p90_px=null : float64  # (px)
    error_mean_px=null : float64  # (px)
    score_exponent=null : float64  # precision of a point goes as score to this power; null: too few points to say
    evaluation_provenance=null : json  # code version, packages, host, start (UTC), duration; null: not recorded
    """

    class Frame(dj.Part):
        """A labeled frame that was compared: where the person placed the nodes, and how far away the model did."""

        definition = """
        -> master
        -> LabeledFrames.Source
        ---
        placed_px : <blob>  # (px) shape (node, 2), in the order of the labels' skeleton; NaN: not placed
        error_px=null : <blob>  # (px) shape (node,), same order; inf: missed; NaN: not placed; null: not recorded
        """

    class Node(dj.Part):
        """Error of one node."""

        definition = """
        -> master
        node : varchar(64)
        ---
        n_points : int32  # placed by a person and found by the model
        n_missed : int32  # placed by a person, not found by the model
        error_p50_px=null : float64  # (px) distance between them; null: n_points is 0
        error_p90_px=null : float64  # (px)
        error_mean_px=null : float64  # (px)
        """

    @property
    def key_source(self) -> dj.expression.QueryExpression:
        """Models with labels of their camera, frame size and nodes, in whatever order the nodes are.

        Only models whose estimator can estimate single images, and that read gray: labels are kept as gray images.
        """
        able = [
            {"estimator": name} for name, kind in estimators.registered_estimators().items() if kind.can_estimate_images
        ]
        models = (Model & able & "n_channels is null or n_channels = 1").proj(
            model_skeleton="skeleton_id", model_camera="camera", model_width_px="width_px", model_height_px="height_px"
        )
        labels = LabeledFrames.proj(
            "image_width_px", "image_height_px", labels_skeleton="skeleton_id", labels_camera="camera"
        )
        return (
            (models * labels).restrict(same_skeleton_nodes(), semantic_check=False)
            & "model_camera = labels_camera"
            & "model_width_px is null or model_width_px = image_width_px"
            & "model_height_px is null or model_height_px = image_height_px"
        ).proj()

    def make_fetch(self, key: dict[str, Any]) -> tuple[list[int], int, bool]:
        """Fetch which labeled frames the model has not seen, how many it has, and whether that is known."""
        seen = set((Model.Frame & key).to_arrays("image_hash"))
        same_camera = LabeledFrames.proj("camera") & {"camera": (LabeledFrames & key).fetch1("camera")}
        of_seen = (LabeledFrames.Source * same_camera).restrict((Model.Frame & key).proj(), semantic_check=False)
        seen_of_videos = {_frame_of_video(row) for row in of_seen.to_dicts()} - {None}
        rows = (LabeledFrames.Source & key).to_dicts(order_by="labeled_frame_index")
        is_seen = [row["image_hash"] in seen or _frame_of_video(row) in seen_of_videos for row in rows]
        unseen = [index for index, one in enumerate(is_seen) if not one]
        return unseen, sum(is_seen), bool((Model & key).fetch1("training_frames_known"))

    def make_compute(
        self, key: dict[str, Any], unseen: list[int], n_seen: int, known_unseen: bool
    ) -> tuple[dict[str, Any], estimators.EvaluationResult | None, list[dict[str, Any]], dict[str, Any]]:
        """Compare the model's points with the placed points."""
        from compute.labels import labeled_positions, load_package

        row = {"known_unseen": known_unseen, "n_evaluated_frames": len(unseen), "n_seen_frames": n_seen}
        with provenance.recording_provenance() as record:
            if not unseen:
                return row, None, [], record
            nodes = (Skeleton & (LabeledFrames & key).proj("skeleton_id")).nodes()
            with fetch_labels_package(key["labels_id"]) as package:
                placed = labeled_positions(load_package(package))
                evaluation = load_model(key["model_id"]).evaluate(package, frames=unseen)
            order = [list(evaluation.nodes).index(node) for node in nodes]
            frames = [
                {"labeled_frame_index": index, "placed_px": placed[index], "error_px": error_px[order]}
                for index, error_px in zip(unseen, evaluation.error_px, strict=True)
            ]
        return row, evaluation, frames, record

    def make_insert(
        self,
        key: dict[str, Any],
        row: dict[str, Any],
        evaluation: estimators.EvaluationResult | None,
        frames: list[dict[str, Any]],
        record: dict[str, Any],
    ) -> None:
        """Insert the errors."""
        row = {**key, **row, "evaluation_provenance": record}
        if evaluation is None:
            self.insert1(row)
            return
        overall = _error_row(evaluation.overall)
        del overall["n_points"], overall["n_missed"]
        self.insert1({**row, **overall, "score_exponent": evaluation.score_exponent})
        self.Node.insert([{**key, "node": node, **_error_row(error)} for node, error in evaluation.nodes.items()])
        self.Frame.insert([{**key, **frame} for frame in frames])


def first_model_evaluation(model_id: str) -> dict[str, Any] | None:
    """The evaluation that speaks for a model, as a row of `ModelEvaluation`; None if there is none.

    That on the labels it was trained with; for a model trained elsewhere the one on the labels that were imported
    first, of those that it has not seen for sure if there are any.
    """
    rows = _evaluations(model_id)
    rows.sort(key=lambda row: (not row["known_unseen"], not row["n_evaluated_frames"]))  # stable: then by import
    return rows[0] if rows else None


def evaluated_score_exponent(model_id: str) -> float | None:
    """What labeled frames say of a model's scores, see `compute.filters.score_noise`.

    Of the labels that the model was trained with, as far as it has not seen them; for a model trained elsewhere of the
    labels that were imported first. None where there were too few points to say.
    """
    known = (row["score_exponent"] for row in _evaluations(model_id))
    return next((float(value) for value in known if value is not None and not math.isnan(value)), None)


def unevaluated_models() -> list[str]:
    """Models whose `evaluated_score_exponent` waits for an evaluation; one that failed is not waited for."""
    waiting = (ModelEvaluation().key_source - ModelEvaluation.proj()).to_dicts()
    if not waiting:
        return []
    failed = (ModelEvaluation().jobs & "status in ('error', 'ignore')").proj()
    given_up = {(row["model_id"], row["labels_id"]) for row in failed.to_dicts()}
    own = _labels_of_trainings()
    return sorted(
        {
            row["model_id"]
            for row in waiting
            if (row["model_id"], row["labels_id"]) not in given_up
            and row["labels_id"] in own.get(row["model_id"], {row["labels_id"]})
        }
    )


def _evaluations(model_id: str) -> list[dict[str, Any]]:
    """Evaluations that may speak for a model, the first imported labels first; of its own training where it has one."""
    rows: list[dict[str, Any]] = (
        (ModelEvaluation * LabeledFrames.proj("imported_at")) & {"model_id": model_id}
    ).to_dicts(order_by="imported_at, labels_id")
    own = _labels_of_trainings({"model_id": model_id}).get(model_id)
    return rows if own is None else [row for row in rows if row["labels_id"] in own]


def _labels_of_trainings(restriction: dict[str, Any] | None = None) -> dict[str, set[str]]:
    """The labels that each model was trained with here."""
    own: dict[str, set[str]] = {}
    for row in (Training & (restriction or {})).proj("model_id").to_dicts():
        own.setdefault(row["model_id"], set()).add(row["labels_id"])
    return own


def _error_row(error: estimators.NodeEvaluation) -> dict[str, Any]:
    quantiles = {"error_p50_px": error.p50_px, "error_p90_px": error.p90_px, "error_mean_px": error.mean_px}
    return {
        "n_points": error.n,
        "n_missed": error.n_missed,
        **{name: None if math.isnan(value) else value for name, value in quantiles.items()},
    }


def _frame_of_video(source: dict[str, Any]) -> tuple[Any, ...] | None:
    """Session and number of a labeled frame, a row of `LabeledFrames.Source`; None: of no known session's video."""
    if source["source_date"] is None or Path(source["original_file"]).suffix.lower() not in VIDEO_SUFFIXES:
        return None
    return source["mouse_id"], source["source_date"], source["source_number"], source["frame_index"]


@schema
class LabeledVideo(dj.Computed):
    """Which labeled frames are a video's: their path names its session and camera, and their image is its frame.

    What the path says is not believed alone: a labeled frame whose image is not the video's is not matched. See
    `compute.labels.SAME_IMAGE_GRAY_LEVELS`. A path names one session at most, so no frame is matched with two videos.
    """

    resources = Resources(device="cpu", memory_gb=1, modules=("sleap_io",))  # the images of the labels

    definition = """
    -> Video
    -> LabeledFrames
    ---
    n_named_frames : int32  # labeled frames whose path names the session and the camera
    n_matched_frames : int32  # of these, those whose image is the video's frame
    matching_provenance=null : json  # code version, packages, host, start (UTC), duration; null: not recorded
    """

    class Frame(dj.Part):
        """A labeled frame whose path names the video."""

        definition = """
        -> master
        -> LabeledFrames.Source
        ---
        gray_difference=null : float64  # (gray levels) mean absolute one from the video's frame; null: no such frame
        is_matched : bool  # whether the image is the video's frame
        """

    @property
    def key_source(self) -> dj.expression.QueryExpression:
        """Videos with labels that name them."""
        sources = (LabeledFrames.Source & "source_date is not null").proj(
            "mouse_id", session_date="source_date", session_number="source_number"
        )
        named = sources * LabeledFrames.proj("camera")
        return (Video.proj() * LabeledFrames.proj()).restrict(named, semantic_check=False)

    def make_fetch(self, key: dict[str, Any]) -> tuple[str, list[tuple[int, int]]]:
        """Fetch where the video lies, and the labeled frames that name it."""
        session = {"source_date": key["session_date"], "source_number": key["session_number"]}
        named = LabeledFrames.Source & {"labels_id": key["labels_id"], "mouse_id": key["mouse_id"], **session}
        rows = named.proj("frame_index").to_dicts(order_by="labeled_frame_index")
        return (Video & key).fetch1("video_file"), [(row["labeled_frame_index"], row["frame_index"]) for row in rows]

    def make_compute(
        self, key: dict[str, Any], video_file: str, named: list[tuple[int, int]]
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Compare the labels' images with the video's frames."""
        from compute.labels import (
            SAME_IMAGE_GRAY_LEVELS,
            labeled_images,
            labeled_subset,
            load_package,
            match_with_video,
        )

        with provenance.recording_provenance() as record:
            with fetch_labels_package(key["labels_id"]) as package:
                images = labeled_images(labeled_subset(load_package(package), [index for index, _ in named]))
            differences = match_with_video(images, [frame_index for _, frame_index in named], video_file)
            frames = [
                {
                    "labeled_frame_index": index,
                    "gray_difference": None if np.isnan(difference) else float(difference),
                    "is_matched": bool(difference <= SAME_IMAGE_GRAY_LEVELS),
                }
                for (index, _), difference in zip(named, differences, strict=True)
            ]
        return frames, record

    def make_insert(self, key: dict[str, Any], frames: list[dict[str, Any]], record: dict[str, Any]) -> None:
        """Insert what was found."""
        n_matched = sum(frame["is_matched"] for frame in frames)
        counts = {"n_named_frames": len(frames), "n_matched_frames": n_matched}
        self.insert1({**key, **counts, "matching_provenance": record})
        self.Frame.insert([{**key, **frame} for frame in frames])


def compared_videos() -> dj.expression.QueryExpression:
    """Videos with the evaluations that compared a labeled frame of theirs."""
    compared = ModelEvaluation.Frame.proj() * (LabeledVideo.Frame & "is_matched").proj()
    return dj.U(*LabeledVideo.primary_key, *ModelEvaluation.primary_key) & compared


def compared_points(key: dict[str, Any]) -> tuple[list[int], NDArray[np.float64], list[str]]:
    """The labeled frames of one video that one evaluation compared.

    Parameters
    ----------
    key : dict
        Holds the primary keys of a row of `Video` and of one of `ModelEvaluation`.

    Returns
    -------
    frame_indices : list of int
        Their frames in the video.
    placed_px : array, shape (labeled frame, node, 2)
        Where a person placed the nodes (px); NaN: not placed.
    nodes : list of str
        In the labels' order.
    """
    matched = LabeledVideo.Frame.proj("is_matched") * LabeledFrames.Source.proj("frame_index") & "is_matched"
    frames = (ModelEvaluation.Frame.proj("placed_px") * matched & key).to_dicts(order_by="labeled_frame_index")
    nodes = (Skeleton & (LabeledFrames & key).proj("skeleton_id")).nodes()
    placed_px = np.array([frame["placed_px"] for frame in frames]).reshape(-1, len(nodes), 2)
    return [frame["frame_index"] for frame in frames], placed_px, nodes
