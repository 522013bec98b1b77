"""Poses are those of the recording that was ingested, whatever lies at its path now."""

from __future__ import annotations

import shutil
from typing import Any


def test_another_recording_at_the_path_of_a_video_gets_no_poses(small_lab: Any) -> None:
    from pipeline.work.populate import populate
    from schemas.pose import PoseEstimation
    from schemas.session import Video

    key = {"mouse_id": "mouse03", "camera": "side"}
    path, other = ((Video & {**key, "mouse_id": mouse}).fetch1("video_file") for mouse in ("mouse03", "mouse02"))
    (PoseEstimation & key).delete(prompt=False)
    shutil.copyfile(other, path)  # as many frames, of the same size
    (failure,) = populate(tables=(PoseEstimation,)).failed
    assert f"{path} has the hash " in failure["message"] and "another recording took its place" in failure["message"]
    assert not PoseEstimation & key
