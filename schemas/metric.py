"""Distances between nodes: constant across the rigid snout, changing where the mouse moves."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import datajoint as dj

from compute.distances import distance_px, summarize
from schemas.labels import Skeleton  # noqa: F401  (named in the definitions)
from schemas.model import Model
from schemas.resources import Resources
from schemas.session import Video
from schemas.track import FilteredTrack, fetch_tracks

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
    """


@schema
class DistanceMetrics(dj.Computed):
    """Distance of a pair of nodes over a whole video, after a filter."""

    resources = Resources(device="cpu", memory_gb=1)

    definition = """
    -> FilteredTrack
    -> NodePair
    ---
    mean_px=null : float64  # (px) null: the pair was never seen together
    variance_px2=null : float64  # (px^2) of a rigid pair: how noisy the track is
    mean_mm=null : float64  # (mm) null: no scale known
    variance_mm2=null : float64  # (mm^2)
    fraction_missing : float64  # of all frames: one of the nodes has no position
    """

    @property
    def key_source(self) -> dj.expression.QueryExpression:
        """Tracks with the pairs of their own model's skeleton."""
        return (FilteredTrack * Model.proj("skeleton_id")).proj("skeleton_id") * NodePair.proj()

    def make(self, key: dict[str, Any]) -> None:
        """Fetch the two nodes, measure, insert."""
        tracks = fetch_tracks(key, (key["node_a"], key["node_b"]))
        px_per_mm = (Video & key).fetch1("px_per_mm")
        summary = summarize(distance_px(tracks, key["node_a"], key["node_b"]), px_per_mm=px_per_mm)
        self.insert1({**key, **asdict(summary)})
