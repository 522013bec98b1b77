"""What labeled frames that a model has not seen say of its tracks: lasting offsets, and how far it may be off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from statistics import median
from typing import TYPE_CHECKING, Any

import datajoint as dj
import numpy as np

from compute.tracks import Tracks
from schemas.evaluation import ModelEvaluation, compared_points, compared_videos
from schemas.labels import LabeledFrames, Skeleton
from schemas.making import provenance
from schemas.making.resources import Resources
from schemas.stored.fetching import TracksReference
from schemas.track import FilteredTrack, fetch_tracks
from schemas.training_mice import TrainingMice

if TYPE_CHECKING:
    from compute.calibration.calibrated import NodeInterval
    from compute.calibration.label_offsets import NodeCalibration

schema = dj.Schema()

EXPECTED_FRAMES = (10, 20, 40)
"""Numbers of labeled frames for which a half-width is predicted."""


@schema
class TrackCalibration(dj.Computed):
    """Lasting offset and error of a video's tracks, by its labeled frames of one set that the model has not seen.

    Computed only where it is known which frames the model has seen: on frames that it was trained on its error is too
    small. Queries and exports take the offset off, and give the interval, where they are asked for calibrated tracks.
    """

    resources = Resources(device="cpu", memory_gb=1)

    definition = """
    -> FilteredTrack
    -> ModelEvaluation
    ---
    n_labeled_frames : int32  # of this video that were compared
    calibration_provenance=null : json  # code version, packages, host, start (UTC), duration; null: not recorded
    """

    class Node(dj.Part):
        """What the labeled frames say of one node, see `compute.calibration.label_offsets.NodeCalibration`."""

        definition = """
        -> master
        node : varchar(64)
        ---
        n_labeled_points : int32  # placed by a person where the tracks have the node
        offset_x_px : float64  # (px) lasting error of x, tracks minus labels; nearer to 0 where it is uncertain
        offset_y_px : float64  # (px) of y
        error_variance_px2=null : float64  # (px^2) of x, and of y, around the offset; null: too few frames
        degrees_of_freedom=null : float64  # of that variance
        filter_variance_px2 : float64  # (px^2) mean posterior variance in the labeled frames; 0: the filter has none
        half_width_px=null : float64  # (px) of the interval (0.95) of x, and of y, in a usual frame
        half_width_10_frames_px=null : float64  # (px) expected with 10 labeled frames
        half_width_20_frames_px=null : float64  # (px) with 20
        half_width_40_frames_px=null : float64  # (px) with 40
        """

    @property
    def key_source(self) -> dj.expression.QueryExpression:
        """Tracks with the evaluations of their model that compared labeled frames of their video, none of them seen."""
        return FilteredTrack.proj() * compared_videos() & (ModelEvaluation & "known_unseen").proj()

    def make(self, key: dict[str, Any]) -> None:
        """Fetch the placed points of this video and the tracks, compare, insert."""
        from compute.calibration.label_offsets import calibrate_nodes

        with provenance.recording_provenance() as record:
            frame_indices, placed_px, nodes = compared_points(key)
            found = calibrate_nodes(fetch_tracks(key), frame_indices, placed_px, nodes)
        self.insert1({**key, "n_labeled_frames": len(frame_indices), "calibration_provenance": record})
        self.Node.insert([{**key, **_node_row(one)} for one in found])


def _node_row(one: NodeCalibration) -> dict[str, Any]:
    widths = {"half_width_px": one.half_width_px}
    widths |= {f"half_width_{n}_frames_px": one.expected_half_width_px(n) for n in EXPECTED_FRAMES}
    return {**asdict(one), **{name: None if math.isnan(value) else value for name, value in widths.items()}}


class CalibrationReader:
    """What is known of where the nodes of tracks really are; reads once what the tracks of a model share."""

    def __init__(self) -> None:
        self._errors: dict[str, list[dict[str, Any]]] = {}

    def intervals(self, key: dict[str, Any], nodes: Sequence[str]) -> tuple[dict[str, NodeInterval], dict[str, Any]]:
        """Offset and interval of each node of a track, and what they come from.

        Of the video's own labeled frames: of the set with most of them; of several with as many, of the one imported
        last. Nodes that these say nothing of have an interval by labeled frames of other mice that the model was not
        trained on, and no offset is taken off them; without these too, the interval of the node is not known.

        Parameters
        ----------
        key : dict
            Holds the primary key of a row of `FilteredTrack`.
        nodes : sequence of str
            The track's nodes.

        Returns
        -------
        intervals : dict of str to NodeInterval
            By node, without those of which nothing is known.
        about : dict
            As JSON can hold it: ``labels_id`` and ``n_labeled_frames`` of the video's own labeled frames (None and 0:
            there are none), ``offset_px`` and ``half_width_px`` by node, ``expected_half_width_px`` of the median node
            by number of labeled frames (None: not known), and ``other_mice``, by which the rest has its interval.
        """
        from compute.calibration.calibrated import NodeInterval

        labels, rows = _labels_of_video(key)
        known = {row["node"]: row for row in rows if row["error_variance_px2"] is not None and row["node"] in nodes}
        intervals = {node: NodeInterval.of_session(_node_calibration(row)) for node, row in known.items()}
        unknown = [node for node in nodes if node not in known]
        mice, widths = self._by_other_mice(key, unknown) if unknown else ([], {})
        intervals |= {node: NodeInterval.of_other_mice(width_px) for node, width_px in widths.items()}
        expected: dict[str, float | None] = {
            str(n): median(row[f"half_width_{n}_frames_px"] for row in known.values()) if known else None
            for n in EXPECTED_FRAMES
        }
        return intervals, {
            **labels,
            "offset_px": {node: list(one.offset_px) for node, one in intervals.items()},
            "half_width_px": {node: one.half_width_px for node, one in intervals.items()},
            "expected_half_width_px": expected,
            "other_mice": mice if widths else [],
        }

    def _by_other_mice(self, key: dict[str, Any], nodes: Sequence[str]) -> tuple[list[str], dict[str, float]]:
        """The held-out mice with labeled frames, without the track's own, and the half-widths that they give."""
        from compute.calibration.other_mice import other_mice_half_width_px

        model_id = key["model_id"]
        if model_id not in self._errors:
            self._errors[model_id] = _errors_of_held_out_mice(model_id)
        errors = [row for row in self._errors[model_id] if row["mouse_id"] != key["mouse_id"]]
        mice = sorted({row["mouse_id"] for row in errors})
        widths = {}
        for node in nodes:
            by_mouse = [[row["error_px"].get(node, np.nan) for row in errors if row["mouse_id"] == one] for one in mice]
            widths[node] = other_mice_half_width_px(by_mouse)
        return mice, {node: width_px for node, width_px in widths.items() if not math.isnan(width_px)}


def _labels_of_video(key: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The set of labels that says most of a track, and the rows of its nodes."""
    track = {name: key[name] for name in FilteredTrack.primary_key}
    sets = (TrackCalibration.proj("n_labeled_frames") * LabeledFrames.proj("imported_at") & track).to_dicts()
    if not sets:
        return {"labels_id": None, "n_labeled_frames": 0}, []
    best = max(sets, key=lambda row: (row["n_labeled_frames"], row["imported_at"], row["labels_id"]))
    labels = {name: best[name] for name in ("labels_id", "n_labeled_frames")}
    return labels, (TrackCalibration.Node & track & {"labels_id": best["labels_id"]}).to_dicts()


def _node_calibration(row: dict[str, Any]) -> NodeCalibration:
    from compute.calibration.label_offsets import NodeCalibration

    return NodeCalibration(**{one.name: row[one.name] for one in fields(NodeCalibration)})


def _errors_of_held_out_mice(model_id: str) -> list[dict[str, Any]]:
    """Errors of a model on labeled frames of mice that it was not trained on: ``mouse_id``, ``error_px`` by node.

    A frame that several sets have counts once, as the set that was imported last has it.
    """
    training = TrainingMice.fetch(model_id)
    evaluations = ModelEvaluation & {"model_id": model_id} & "known_unseen"
    frames = (
        (ModelEvaluation.Frame & evaluations.proj() & "error_px is not null").proj("error_px")
        * LabeledFrames.Source.proj("mouse_id", "image_hash")
        * LabeledFrames.proj("imported_at", "skeleton_id")
    )
    found: dict[str, dict[str, Any]] = {}
    nodes: dict[str, list[str]] = {}
    for row in frames.to_dicts(order_by="imported_at, labels_id"):
        if row["mouse_id"] is None or not training.held_out(row):
            continue
        skeleton_id = row["skeleton_id"]
        if skeleton_id not in nodes:
            nodes[skeleton_id] = (Skeleton & {"skeleton_id": skeleton_id}).nodes()
        error_px = dict(zip(nodes[skeleton_id], np.asarray(row["error_px"], np.float64), strict=True))
        found[row["image_hash"]] = {"mouse_id": row["mouse_id"], "error_px": error_px}
    return list(found.values())


class CalibratedTracksReference(TracksReference):
    """Tracks in a store; read, their lasting offsets are taken off and every point has an interval.

    Parameters
    ----------
    stored : TracksReference
        The tracks as they are stored.
    key : dict
        Primary key of their row of `FilteredTrack`.
    reader : CalibrationReader
        Shared by the tracks of a question.
    """

    def __init__(self, stored: TracksReference, key: dict[str, Any], reader: CalibrationReader) -> None:
        vars(self).update(vars(stored))
        self.filter_columns = (*stored.filter_columns, "interval_half_width")
        self._key = key
        self._reader = reader

    def intervals(self, nodes: Sequence[str] | None = None) -> dict[str, NodeInterval]:
        """Offset and interval of each node, see `CalibrationReader.intervals`. Reads no position."""
        return self._reader.intervals(self._key, nodes or self.nodes)[0]

    def about(self, nodes: Sequence[str] | None = None) -> dict[str, Any]:
        """What offsets and intervals come from, see `CalibrationReader.intervals`. Reads no position."""
        return self._reader.intervals(self._key, nodes or self.nodes)[1]

    def tracks(self, nodes: Sequence[str] | None = None, time_span_s: tuple[float, float] | None = None) -> Tracks:
        """Read the tracks, see `TracksReference.tracks`, and calibrate them."""
        return calibrate(super().tracks(nodes, time_span_s), self._key, self._reader)


def calibrate(tracks: Tracks, key: dict[str, Any], reader: CalibrationReader) -> Tracks:
    """Tracks of a row of `FilteredTrack` with offsets taken off and intervals, see `CalibrationReader.intervals`."""
    from compute.calibration.calibrated import calibrated_tracks

    return calibrated_tracks(tracks, *reader.intervals(key, tracks.nodes))
