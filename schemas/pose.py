"""Where a model found the nodes in a video, and the files that some models read beside it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from compute import estimators
from compute.errors import ModelError, VideoError
from compute.picture_points import describe_normalized_points, describe_points_outside
from compute.text import session_text
from compute.tracks import Tracks
from schemas.making import progress, provenance
from schemas.making.resources import Resources
from schemas.model import EnsembleMember, Model, load_model, running_models
from schemas.session import Video
from schemas.stored.publishing import published_or_removed

schema = dj.Schema()


@schema
class PoseFile(dj.Manual):
    """The file that a model reads for a video, such as poses that another program wrote. Never altered."""

    definition = """
    -> Video
    -> Model
    ---
    pose_file : varchar(1000)  # absolute path, the same on every machine of the lab
    pose_file_hash : char(64)  # sha256 of the file
    pose_file_found_at=CURRENT_TIMESTAMP : datetime
    """


@schema
class PoseEstimation(dj.Computed):
    """Position and score of every node in every frame of a video, by one model."""

    resources = Resources(estimator=lambda kind: True)
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
        """Videos with the models that are deployed for their camera; undeploying a model deletes nothing.

        A model that reads a further file for each video has those videos whose file is known, and an ensemble those of
        which each of its members has tracks.
        """
        running = running_models().proj(model_camera="camera")
        keys = ((Video.proj() * running) & "camera = model_camera").proj()
        keys &= [dj.Not(models_with_pose_files().proj()), PoseFile.proj()]
        members = EnsembleMember & running.proj()
        return keys - _without_member(members) if members else keys

    def make_fetch(self, key: dict[str, Any]) -> tuple[str, int, int, int, dict[str, str], list[str]]:
        """Fetch where the video lies, its size, the further file that the model reads (or none), and its members."""
        video = (Video & key).fetch1("video_file", "n_frames", "width_px", "height_px")
        pose_file: dict[str, str] = next(iter((PoseFile & key).proj("pose_file", "pose_file_hash").to_dicts()), {})
        members = (EnsembleMember & {"model_id": key["model_id"]}).to_arrays("member_id", order_by="member_id")
        return (*video, pose_file, [str(member) for member in members])

    def make_compute(
        self,
        key: dict[str, Any],
        video_file: str,
        n_frames: int,
        width_px: int,
        height_px: int,
        pose_file: dict[str, str],
        members: list[str],
    ) -> tuple[Tracks, str, float, dict[str, Any]]:
        """Run the model over the video."""
        model = (Model & key).fetch1()
        if model["width_px"] is not None and (width_px, height_px) != (model["width_px"], model["height_px"]):
            raise ModelError(
                f"{video_file} is {width_px} x {height_px} px, model {key['model_id']} was trained on"
                f" {model['width_px']} x {model['height_px']} px; deploy a model for this size,"
                " or record with the size that the model knows"
            )
        video = (Video & key).fetch1()
        if not pose_file and not members:
            _check_video(video)
        times = Video.frame_times(video)
        with provenance.recording_provenance() as record:
            started = time.monotonic()
            estimator = load_model(key["model_id"])
            if members:
                of_members = [(self & {**key, "model_id": member}).fetch1("tracks").tracks() for member in members]
                tracks = estimator.estimate(
                    video_file, time=times, members=of_members, progress=progress.report_progress
                )
            else:
                tracks = _estimate(estimator, video_file, times, pose_file)
            duration_s = time.monotonic() - started
        if pose_file:
            _check_picture(tracks, pose_file["pose_file"], video_file, width_px, height_px)
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


def models_with_pose_files() -> dj.expression.QueryExpression:
    """Models that need a further file for each video."""
    kinds = [{"estimator": name} for name, kind in estimators.registered_estimators().items() if kind.reads_input_file]
    return Model & kinds


def _without_member(members: dj.expression.QueryExpression) -> dj.expression.QueryExpression:
    """Keys of ensembles for which some member has no tracks of the video yet."""
    needed = Video.proj() * members
    return dj.U(*PoseEstimation.primary_key) & (needed - PoseEstimation.proj(member_id="model_id"))


def _estimate(
    estimator: estimators.Estimator, video_file: str, times: NDArray[np.float64], pose_file: dict[str, str]
) -> Tracks:
    """Estimate from the video, and from the further file while it is the one that was found."""
    if not pose_file:
        return estimator.estimate(video_file, time=times, progress=progress.report_progress)
    from compute.video import video_content_hash

    path, expected = pose_file["pose_file"], pose_file["pose_file_hash"]
    _check_hash(path, video_content_hash(path) if Path(path).is_file() else "none, it is gone", expected)
    tracks = estimator.estimate(video_file, time=times, input_file=path, progress=progress.report_progress)
    _check_hash(path, tracks.attributes["input_file_hash"], expected)  # what was read, should it have changed meanwhile
    return tracks


def _check_video(video: dict[str, Any]) -> None:
    """Refuse a file that is not the recording that was ingested, though it may have as many frames of that size."""
    from compute.video import video_content_hash

    path, expected = video["video_file"], video["content_hash"]
    found = video_content_hash(path)
    if found != expected:
        raise VideoError(
            f"{path} has the hash {found}, but session {session_text(video)} was ingested with {expected}: it was"
            " overwritten, or another recording took its place. Put the recording back that was ingested, then:"
            " orofacial retry"
        )


def _check_picture(tracks: Tracks, path: str, video_file: str, width_px: int, height_px: int) -> None:
    """Refuse poses of another picture than this video's: of another size or crop, or fractions of its size."""
    size = {"width_px": width_px, "height_px": height_px}
    found = describe_normalized_points(tracks.position, **size)
    if not found and (outside := describe_points_outside(tracks.position, **size)):
        found = f"{outside}; it is of a video of another size or crop. Estimate the poses in this video"
    if found:
        raise ModelError(
            f"{path} holds no poses of {video_file}: {found}. As poses of a changed file are"
            f" another model, import it then: orofacial model import {path} --name NEW"
        )


def _check_hash(path: str, found: str, expected: str) -> None:
    if found != expected:
        raise ModelError(
            f"{path} has the hash {found}, expected {expected}: it has changed since it was found. Restore it; or, as"
            f" poses of a changed file are another model: orofacial model import {path} --name NEW"
        )
