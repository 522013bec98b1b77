"""Distances of node pairs, the effect of filters on them, errors on labeled frames, and bouts of movement."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import datajoint as dj
import numpy as np

from compute.errors import TracksError
from compute.measures.bouts import BOUT_LIMITS, BOUTS_VERSION, check_bout_limits, default_bout_limits, find_bouts
from compute.measures.distances import common_variances_px2, distance_px, summarize_distances
from compute.measures.label_errors import label_error_px
from compute.measures.node_pairs import check_node_pair
from schemas.evaluation import ModelEvaluation, compared_points, compared_videos  # noqa: F401  (named in definitions)
from schemas.labels import Skeleton
from schemas.making import provenance
from schemas.making.checked_rows import CheckedRows, check_row_name
from schemas.making.resources import Resources
from schemas.making.transactions import in_transaction
from schemas.model import Model
from schemas.session import Camera, Video
from schemas.track import FilteredTrack, FilterMethod, estimated_tracks, fetch_tracks

schema = dj.Schema()


@schema
class NodePair(CheckedRows, dj.Manual):
    """Two nodes whose distance is measured in every video with this skeleton.

    Kind, length and band may be changed. What depends on them hangs on `PairDefinition`, which keeps each that the pair
    ever had: this row says which counts now.
    """

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

    def checked(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row, if it can be a pair: see `compute.measures.node_pairs.check_node_pair`."""
        check_node_pair({**_NO_DEFINITION, **row})
        return row

    def insert(self, rows: Any, **options: Any) -> None:
        """Insert pairs, and what they are."""
        with in_transaction(self.connection):
            super().insert(rows, **options)
            _define_pairs()

    def update1(self, row: Mapping[str, Any]) -> None:
        """Change what a pair is; what was computed for another kind, length or band stays that pair's."""
        key = {name: row[name] for name in self.primary_key}
        with in_transaction(self.connection):
            check_node_pair({**(self & key).fetch1(), **row})
            super().update1(row)
            _define_pairs()


_NO_DEFINITION = {"pair_kind": "moving", "length_mm": None, "band_low_hz": None, "band_high_hz": None}


@schema
class PairDefinition(dj.Manual):
    """What a pair is, or was before it was changed; written by `NodePair`."""

    definition = """
    -> NodePair
    pair_definition : char(8)  # hash of what follows
    ---
    pair_kind : enum('rigid', 'moving')
    length_mm=null : float64  # (mm)
    band_low_hz=null : float64  # (Hz)
    band_high_hz=null : float64  # (Hz)
    """

    @classmethod
    def of(cls, pair: Mapping[str, Any]) -> dict[str, Any]:
        """The row of a pair as it is."""
        said = {name: pair[name] for name in _NO_DEFINITION}
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:8]
        return {**{name: pair[name] for name in NodePair.primary_key}, "pair_definition": digest, **said}

    @classmethod
    def current(cls) -> dj.expression.QueryExpression:
        """The definitions that count now, one a pair."""
        now = NodePair.proj(**{f"{name}_now": name for name in _NO_DEFINITION})
        same = [f"coalesce({name}, -1) = coalesce({name}_now, -1)" for name in list(_NO_DEFINITION)[1:]]
        return (cls * now & dj.AndList(["pair_kind = pair_kind_now", *same])).proj()


def _define_pairs() -> None:
    """Insert the definitions that pairs have and that are missing."""
    wanted = [PairDefinition.of(pair) for pair in NodePair.to_dicts()]
    there = {tuple(key.values()) for key in PairDefinition.proj().to_dicts()}
    PairDefinition.insert(
        [row for row in wanted if tuple(row[name] for name in PairDefinition.primary_key) not in there]
    )


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
    """How much noise and how much movement of a pair's distance a filter keeps. Adds to `DistanceMetrics`.

    Filters differ in the frames in which they have the distance, so its variance is also that in the frames which the
    raw tracks have too.
    """

    resources = Resources(device="cpu", memory_gb=1)

    definition = """
    -> DistanceMetrics
    -> PairDefinition
    ---
    common_variance_px2=null : float64  # (px^2) in the frames in which the raw tracks have the distance too
    common_raw_variance_px2=null : float64  # (px^2) of the raw distance in the same frames
    corrected_mean_px=null : float64  # (px) of the real distance; null: the filter gives no posterior variance
    corrected_variance_px2=null : float64  # (px^2) of the real distance, if it is slow and its noise does not last
    length_px=null : float64  # (px) true length; null: not known
    band_low_hz=null : float64  # (Hz) band of a moving pair; null: rigid, or no movement stands out of the noise
    band_high_hz=null : float64  # (Hz)
    power_kept=null : float64  # power of the movement, filtered over true; null: not known to 0.05
    noise_kept=null : float64  # power in the upper third of frequencies, of the unfiltered track's without spikes
    lag_s=null : float64  # (s) how much later the movement comes
    bout_amplitude_kept=null : float64  # amplitude of the median bout, of the unfiltered one's; null: no bout
    n_bouts : int32
    comparison_provenance=null : json  # code version, packages, host, start (UTC), duration; null: not recorded
    """

    @property
    def key_source(self) -> dj.expression.QueryExpression:
        """Distances with what their pair is now."""
        return DistanceMetrics.proj() * PairDefinition.current()

    def make(self, key: dict[str, Any]) -> None:
        """Fetch the tracks of both sides, compare, insert."""
        from compute.comparison.filter_effect import filter_effect_on_distance, filter_effect_on_movement
        from compute.measures.movement import NOTHING_MOVES

        nodes = (key["node_a"], key["node_b"])
        pair = (PairDefinition & key).fetch1()
        real, kept, length_px = None, NOTHING_MOVES, None
        with provenance.recording_provenance() as record:
            raw, filtered = estimated_tracks(key, nodes), fetch_tracks(key, nodes)
            common = common_variances_px2(*(distance_px(tracks, *nodes) for tracks in (raw, filtered)))
            if filtered.sd is not None:
                real = filter_effect_on_distance(raw, filtered, *nodes)
            if pair["pair_kind"] == "moving":
                kept = filter_effect_on_movement(raw, filtered, *nodes, band_hz=_band(pair))
            if pair["length_mm"] is not None:
                px_per_mm = (Video & key).fetch1("px_per_mm")
                length_px = None if px_per_mm is None else pair["length_mm"] * px_per_mm
        self.insert1(
            {
                **key,
                "common_raw_variance_px2": common[0],
                "common_variance_px2": common[1],
                "corrected_mean_px": None if real is None else real.mean_px,
                "corrected_variance_px2": None if real is None else real.variance_px2,
                "length_px": length_px,
                **asdict(kept),
                "comparison_provenance": record,
            }
        )


def _band(pair: dict[str, Any]) -> tuple[float, float] | None:
    return None if pair["band_low_hz"] is None else (pair["band_low_hz"], pair["band_high_hz"])


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
        return FilteredTrack.proj() * compared_videos()

    def make(self, key: dict[str, Any]) -> None:
        """Fetch the placed points of this video and the tracks, measure, insert."""
        with provenance.recording_provenance() as record:
            frame_indices, placed_px, nodes = compared_points(key)
            error = label_error_px(fetch_tracks(key), frame_indices, placed_px, nodes)
        found = error[np.isfinite(error)]
        p50, p90 = np.quantile(found, [0.5, 0.9]).tolist() if found.size else (None, None)
        self.insert1(
            {
                **key,
                "n_frames": len(frame_indices),
                "n_points": int(found.size),
                "n_missed": int(np.isinf(error).sum()),
                "error_p50_px": p50,
                "error_p90_px": p90,
                "error_px": error,
                "label_error_provenance": record,
            }
        )


@schema
class BoutMethod(CheckedRows, dj.Manual):
    """What a lab counts as a bout of movement: of which node, in which tracks, how fast and long. Never altered.

    A speed in px/s means another one for another camera, so a method may be of one camera only.
    """

    definition = """
    bout_method : varchar(64)
    ---
    -> FilterMethod
    -> [nullable] Camera
    node : varchar(64)  # the node that moves
    reference_node='' : varchar(64)  # movement is against this node; empty: in the picture
    minimum_speed_px_per_s : float64  # (px/s) a bout is at least this fast
    minimum_duration_s : float64  # (s) and at least this long
    maximum_gap_s : float64  # (s) rests up to this long are part of it
    bouts_version : int16  # version of the algorithm
    """

    def checked(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row with all limits and the version of the algorithm.

        Raises
        ------
        TracksError
            If the name cannot be one, a limit is outside its range, or there is no such filter method or camera.
        """
        check_row_name("bout method", row.get("bout_method"), TracksError)
        whole = {"camera": None, "reference_node": "", **default_bout_limits(), **row, "bouts_version": BOUTS_VERSION}
        check_bout_limits({name: whole.get(name) for name in BOUT_LIMITS})
        if whole["reference_node"] == whole["node"]:
            raise TracksError(
                f"bout method {row['bout_method']}: {whole['node']} never moves against itself; name another reference"
                " node, or none"
            )
        for name, table in (("filter_method", FilterMethod), ("camera", Camera)):
            value = whole.get(name)
            if not (value is None and name == "camera") and value not in table.to_arrays(name):
                known = ", ".join(sorted(table.to_arrays(name)))
                raise TracksError(f"bout method {row['bout_method']}: no {name} {value!r}; known are {known}")
        return whole


@schema
class Bouts(dj.Computed):
    """Bouts of movement in a video's tracks."""

    resources = Resources(device="cpu", memory_gb=1)

    definition = """
    -> FilteredTrack
    -> BoutMethod
    ---
    n_bouts : int32
    time_in_bouts_s : float64  # (s) from the first to the last frame of each
    fraction_known : float64  # of all frames: the node (and the one that it moves against) has a position
    bouts_provenance=null : json  # code version, packages, host, start (UTC), duration; null: not recorded
    """

    class Bout(dj.Part):
        """One bout."""

        definition = """
        -> master
        bout_index : int32  # from 0, in order of time
        ---
        start_s : float64  # (s) time of its first frame
        end_s : float64  # (s) time of its last frame
        path_px : float64  # (px) length of the path
        peak_speed_px_per_s : float64  # (px/s) greatest speed between two frames
        """

    @property
    def key_source(self) -> dj.expression.QueryExpression:
        """Tracks of each method's filter and camera whose skeleton has its nodes; methods of today's version only."""
        nodes: dict[str, set[str]] = {}
        for row in Skeleton.Node.proj().to_dicts():
            nodes.setdefault(row["skeleton_id"], set()).add(row["node"])
        wanted = [
            {"bout_method": method["bout_method"], "filter_method": method["filter_method"], "skeleton_id": skeleton_id}
            | ({} if method["camera"] is None else {"camera": method["camera"]})
            for method in (BoutMethod & {"bouts_version": BOUTS_VERSION}).to_dicts()
            for skeleton_id, names in nodes.items()
            if {method["node"], method["reference_node"] or method["node"]} <= names
        ]
        return (FilteredTrack.proj() * Model.proj("skeleton_id") * BoutMethod.proj() & wanted).proj()

    def make(self, key: dict[str, Any]) -> None:
        """Fetch the tracks, find the bouts, insert."""
        method = (BoutMethod & {"bout_method": key["bout_method"]}).fetch1()
        nodes = [method["node"], *filter(None, [method["reference_node"]])]
        with provenance.recording_provenance() as record:
            tracks = fetch_tracks(key, nodes)
            limits = {name: method[name] for name in BOUT_LIMITS}
            bouts = find_bouts(tracks, nodes[0], reference_node=nodes[1] if nodes[1:] else None, **limits)
            known = tracks.found.all(axis=1)
        row = {"n_bouts": len(bouts), "time_in_bouts_s": sum(bout.end_s - bout.start_s for bout in bouts)}
        row["fraction_known"] = float(known.mean()) if known.size else 0.0
        self.insert1({**key, **row, "bouts_provenance": record})
        self.Bout.insert([{**key, "bout_index": index, **asdict(bout)} for index, bout in enumerate(bouts)])
