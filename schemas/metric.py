"""Distances of node pairs, the effect of filters on them, and errors on labeled frames."""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from typing import Any

import datajoint as dj
import numpy as np

from compute.measures.distances import distance_px, summarize_distances
from compute.measures.label_errors import label_error_px
from compute.tracks import Tracks
from schemas.evaluation import LabeledVideo, ModelEvaluation
from schemas.labels import LabeledFrames, Skeleton
from schemas.making import provenance
from schemas.making.resources import Resources
from schemas.model import Model
from schemas.pose import PoseEstimation
from schemas.session import Video
from schemas.track import FilteredTrack, estimated_tracks, fetch_tracks

schema = dj.Schema()


@schema
class NodePair(dj.Manual):
    """Two nodes whose distance is measured in every video with this skeleton."""

    definition = """
    -> Skeleton
    -> Skeleton.Node.proj(node_a='node')
    -> Skeleton.Node.proj(node_b='node')
    ---
    pair_kind='moving' : enum('rigid', 'moving')  # rigid: the distance cannot really change
    length_mm=null : float64  # (mm) true length, where it is the same in all mice and known
    band_low_hz=null : float64  # (Hz) band of the pair's movement; null: found in each video
    band_high_hz=null : float64  # (Hz)
    """


@schema
class DistanceMetrics(dj.Computed):
    """Distance of a pair of nodes over a whole video, after a filter."""

    resources = Resources(device="cpu", memory_gb=1)
    is_stage = True

    definition = """
    -> FilteredTrack
    -> NodePair
    ---
    mean_px=null : float64  # (px) null: the pair was never seen together
    variance_px2=null : float64  # (px^2) of a rigid pair: how noisy the track is
    mean_mm=null : float64  # (mm) null: no scale known
    variance_mm2=null : float64  # (mm^2)
    fraction_missing : float64  # of all frames: one of the nodes has no position
    distance_provenance=null : json  # code version, packages, host, start (UTC), duration; null: not recorded
    """

    @property
    def key_source(self) -> dj.expression.QueryExpression:
        """Tracks with the pairs of their own model's skeleton."""
        return (FilteredTrack * Model.proj("skeleton_id")).proj("skeleton_id") * NodePair.proj()

    def make(self, key: dict[str, Any]) -> None:
        """Fetch the two nodes, measure, insert."""
        with provenance.recording_provenance() as record:
            tracks = fetch_tracks(key, (key["node_a"], key["node_b"]))
            px_per_mm = (Video & key).fetch1("px_per_mm")
            summary = summarize_distances(distance_px(tracks, key["node_a"], key["node_b"]), px_per_mm=px_per_mm)
        self.insert1({**key, **asdict(summary), "distance_provenance": record})


@schema
class FilterComparison(dj.Computed):
    """How much noise and how much movement of a pair's distance a filter keeps. Adds to `DistanceMetrics`."""

    resources = Resources(device="cpu", memory_gb=1)

    definition = """
    -> DistanceMetrics
    ---
    corrected_mean_px=null : float64  # (px) of the real distance; null: the filter gives no posterior variance
    corrected_variance_px2=null : float64  # (px^2) of the real distance, noise and smoothing taken out
    length_px=null : float64  # (px) true length; null: not known
    band_low_hz=null : float64  # (Hz) band of a moving pair; null: rigid, or no movement stands out of the noise
    band_high_hz=null : float64  # (Hz)
    power_kept=null : float64  # power in the band, of the unfiltered track's without spikes
    noise_kept=null : float64  # power in the upper third of frequencies, of the same
    lag_s=null : float64  # (s) how much later the movement comes
    bout_amplitude_kept=null : float64  # amplitude of the median bout, of the unfiltered one's; null: no bout
    n_bouts : int32
    comparison_provenance=null : json  # code version, packages, host, start (UTC), duration; null: not recorded
    """

    def make(self, key: dict[str, Any]) -> None:
        """Fetch the tracks of both sides, compare, insert."""
        from compute.comparison.filter_effect import filter_effect_on_distance, filter_effect_on_movement
        from compute.measures.movement import NOTHING_MOVES

        nodes = (key["node_a"], key["node_b"])
        pair = (NodePair & key).fetch1()
        real, kept, length_px = None, NOTHING_MOVES, None
        with provenance.recording_provenance() as record:
            filtered = fetch_tracks(key, nodes)
            if filtered.sd is not None:
                real = filter_effect_on_distance(estimated_tracks(key, nodes), filtered, *nodes)
            if pair["pair_kind"] == "moving":
                kept = filter_effect_on_movement(_despiked(key), filtered, *nodes, band_hz=_band(pair))
            if pair["length_mm"] is not None:
                px_per_mm = (Video & key).fetch1("px_per_mm")
                length_px = None if px_per_mm is None else pair["length_mm"] * px_per_mm
        self.insert1(
            {
                **key,
                "corrected_mean_px": None if real is None else real.mean_px,
                "corrected_variance_px2": None if real is None else real.variance_px2,
                "length_px": length_px,
                **asdict(kept),
                "comparison_provenance": record,
            }
        )


def _band(pair: dict[str, Any]) -> tuple[float, float] | None:
    return None if pair["band_low_hz"] is None else (pair["band_low_hz"], pair["band_high_hz"])


def _despiked(key: dict[str, Any]) -> Tracks:
    """The estimator's tracks without wrong placements; cached for the other filters of the same video."""
    path = (PoseEstimation & key).fetch1("tracks").path
    return _gated_tracks(path, tuple((name, key[name]) for name in PoseEstimation.primary_key))


@lru_cache(maxsize=1)
def _gated_tracks(path: str, key: tuple[tuple[str, Any], ...]) -> Tracks:
    """Gated tracks by the path of their file, which changes when they are computed again."""
    from compute.filters.gate import gated

    return gated(estimated_tracks(dict(key)))


@schema
class LabelError(dj.Computed):
    """Distance of filtered tracks from the labeled frames of their video that were compared in `ModelEvaluation`.

    Which labeled frames are the video's says `LabeledVideo`. Whether the model has not seen them says the evaluation's
    `known_unseen`.
    """

    resources = Resources(device="cpu", memory_gb=1)

    definition = """
    -> FilteredTrack
    -> ModelEvaluation
    ---
    n_frames : int32  # labeled frames of this video that were compared
    n_points : int32  # placed by a person and found
    n_missed : int32  # placed by a person, without a position after the filter
    error_p50_px=null : float64  # (px) null: n_points is 0
    error_p90_px=null : float64  # (px)
    error_px : <blob>  # (px) shape (labeled frame, node), node in the labels' order; inf: missed; NaN: not placed
    label_error_provenance=null : json  # code version, packages, host, start (UTC), duration; null: not recorded
    """

    @property
    def key_source(self) -> dj.expression.QueryExpression:
        """Tracks with the evaluations of their own model that compared a labeled frame of their video."""
        compared = ModelEvaluation.Frame.proj() * (LabeledVideo.Frame & "is_matched").proj()
        return FilteredTrack.proj() * (dj.U(*LabeledVideo.primary_key, *ModelEvaluation.primary_key) & compared)

    def make(self, key: dict[str, Any]) -> None:
        """Fetch the placed points of this video and the tracks, measure, insert."""
        with provenance.recording_provenance() as record:
            matched = LabeledVideo.Frame.proj("is_matched") * LabeledFrames.Source.proj("frame_index") & "is_matched"
            frames = (ModelEvaluation.Frame.proj("placed_px") * matched & key).to_dicts(order_by="labeled_frame_index")
            nodes = (Skeleton & (LabeledFrames & key).proj("skeleton_id")).nodes()
            placed = np.array([frame["placed_px"] for frame in frames]).reshape(-1, len(nodes), 2)
            error = label_error_px(fetch_tracks(key), [frame["frame_index"] for frame in frames], placed, nodes)
        found = error[np.isfinite(error)]
        p50, p90 = np.quantile(found, [0.5, 0.9]).tolist() if found.size else (None, None)
        self.insert1(
            {
                **key,
                "n_frames": len(frames),
                "n_points": int(found.size),
                "n_missed": int(np.isinf(error).sum()),
                "error_p50_px": p50,
                "error_p90_px": p90,
                "error_px": error,
                "label_error_provenance": record,
            }
        )
