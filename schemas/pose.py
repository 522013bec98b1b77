"""Where a model found the nodes in a video."""

from __future__ import annotations

import time
from typing import Any

import datajoint as dj

from compute.errors import ModelError, VideoError
from compute.tracks import Tracks
from schemas.making import progress, provenance
from schemas.making.resources import Resources
from schemas.model import DeployedModel, Model, load_model
from schemas.session import Video
from schemas.stored.publishing import published_or_removed

schema = dj.Schema()


@schema
class PoseEstimation(dj.Computed):
    """Every node in every frame of a video, as one model sees it."""

    resources = Resources(device="gpu", memory_gb=4, estimator=True)
    is_stage = True

    definition = """
    -> Video
    -> Model
    ---
    tracks : <tracks@tracks>  # one row a frame of the video
    device : varchar(64)  # what the network ran on
    estimation_duration_s : float64
    estimation_provenance=null : json  # code version, packages, host, start (UTC), duration; null: not recorded
    """

    @property
    def key_source(self) -> dj.expression.QueryExpression:
        """Videos with the models that are deployed for their camera; undeploying a model deletes nothing."""
        return Video.proj() * DeployedModel.proj()

    def make_fetch(self, key: dict[str, Any]) -> tuple[str, int, int, int]:
        """Fetch where the video lies, and its size."""
        return (Video & key).fetch1("video_file", "n_frames", "width_px", "height_px")

    def make_compute(
        self, key: dict[str, Any], video_file: str, n_frames: int, width_px: int, height_px: int
    ) -> tuple[Tracks, str, float, dict[str, Any]]:
        """Run the model over the video."""
        model = (Model & key).fetch1()
        if model["width_px"] is not None and (width_px, height_px) != (model["width_px"], model["height_px"]):
            raise ModelError(
                f"{video_file} is {width_px} x {height_px} px, model {key['model_id']} was trained on"
                f" {model['width_px']} x {model['height_px']} px; deploy a model for this size,"
                " or record with the size that the model knows"
            )
        times = Video.frame_times((Video & key).fetch1())
        with provenance.recording() as record:
            started = time.monotonic()
            estimator = load_model(key["model_id"])
            tracks = estimator.estimate(video_file, time=times, progress=progress.report)
            duration_s = time.monotonic() - started
        if tracks.n_frames != n_frames:
            raise VideoError(
                f"{video_file} gave poses for {tracks.n_frames} frames, it was ingested with {n_frames};"
                " the file has changed since: restore it"
            )
        return tracks, estimator.device, duration_s, record

    def make_insert(
        self, key: dict[str, Any], tracks: Tracks, device: str, duration_s: float, record: dict[str, Any]
    ) -> None:
        """Insert the tracks."""
        with published_or_removed():
            row = {**key, "tracks": tracks, "device": device, "estimation_duration_s": duration_s}
            self.insert1({**row, "estimation_provenance": record})
