"""A video of a new session: read to its end and checked, then a row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta, tzinfo
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.frame_times import LONGEST_FRAME_INTERVAL_S, usual_frame_interval_s
from compute.text import count_text
from compute.video import VideoInfo, probe_video, video_content_hash
from ingest.plausibility import (
    check_plausible_frame_interval,
    check_plausible_holes,
    check_plausible_order,
    duration_text,
)
from ingest.session_files import SessionFile
from ingest.timestamps import Timestamps, read_timestamps, timestamps_path
from schemas.metadata import complete_metadata
from schemas.session import Video


@dataclass(frozen=True)
class NewVideo:
    """A video that was read to its end and is ready to be inserted."""

    camera: str
    path: Path
    info: VideoInfo
    content_hash: str
    timestamps: Timestamps | None
    """Of the file beside it."""
    metadata: dict[str, Any]
    """What session.toml says of it, by column."""

    @property
    def times_from(self) -> str:
        """Who says when its frames were taken."""
        if self.timestamps is not None:
            return "camera"
        return "rate" if self.info.own_times_s is None else "container"

    @property
    def times_s(self) -> NDArray[np.float64] | None:
        """Time of each frame (s) by the file beside it, or of an irregular video; None: regular."""
        return self.info.own_times_s if self.timestamps is None else self.timestamps.times_s

    @property
    def length_s(self) -> float:
        """Time (s) from its first frame to its last one."""
        times_s = self.times_s
        return float((self.info.n_frames - 1) / self.info.fps if times_s is None else times_s[-1] - times_s[0])

    def row(self) -> dict[str, Any]:
        """Columns of `Video`, without the session's key and the times."""
        fps: Fraction = self.info.fps
        return {
            "camera": self.camera,
            "video_file": str(self.path),
            "file_size_bytes": self.path.stat().st_size,
            "content_hash": self.content_hash,
            "n_frames": self.info.n_frames,
            "n_damaged_frames": len(self.info.damaged_frames),
            "fps_numerator": fps.numerator,
            "fps_denominator": fps.denominator,
            "width_px": self.info.width_px,
            "height_px": self.info.height_px,
            **complete_metadata(Video.metadata, self.metadata),
            "times_from": self.times_from,
        }

    def frames_text(self) -> str:
        """How many frames it has, and holes in time between them that no filter can bridge, for people."""
        text = f"{self.camera} {count_text(self.info.n_frames, 'frame')}"
        if self.info.damaged_frames:
            text += f", {len(self.info.damaged_frames)} damaged"
        steps_s = np.diff(self.times_s) if self.times_s is not None else np.zeros(0)
        if n_holes := int(np.count_nonzero(steps_s > LONGEST_FRAME_INTERVAL_S)):
            longest = duration_text(timedelta(seconds=float(steps_s.max())))
            text += f", {count_text(n_holes, 'hole')} in time (the longest of {longest} after frame {steps_s.argmax()})"
        return text


def read_new_video(
    camera: str, path: Path, file: SessionFile, zone: tzinfo | None, accept_damaged_frames: bool
) -> NewVideo:
    """Decode a video to its end, with the times of its frames.

    Parameters
    ----------
    camera : str
        Its camera.
    path : Path
        The video.
    file : SessionFile
        What session.toml says.
    zone : tzinfo or None
        The rig's time zone; None: this machine's.
    accept_damaged_frames : bool
        Take a video of which the decoder had to make up some frames in part.

    Raises
    ------
    SessionError, VideoError
        If it cannot be read to its end, or its times cannot be right.
    """
    info = probe_video(path, accept_damaged_frames=accept_damaged_frames)
    beside = timestamps_path(path)
    timestamps = None
    if beside.exists():
        timestamps = read_timestamps(
            beside,
            n_frames=info.n_frames,
            fps=_usual_rate(info),
            utc_offset_min=file.session.get("session_utc_offset_min"),
            zone=zone,
        )
    elif info.own_times_s is not None:
        check_plausible_order(str(path), info.own_times_s)
        check_plausible_holes(str(path), info.own_times_s, _usual_rate(info))
    if info.n_frames > 1:
        times_s = info.own_times_s if timestamps is None else timestamps.times_s
        check_plausible_frame_interval(
            str(path if timestamps is None else beside),
            float(1 / info.fps) if times_s is None else usual_frame_interval_s(times_s),
        )
    return NewVideo(camera, path, info, video_content_hash(path), timestamps, file.videos.get(camera, {}))


def _usual_rate(info: VideoInfo) -> float:
    """Rate (Hz) of most frames by the video file itself."""
    if info.own_times_s is None:
        return float(info.fps)
    step_s = float(np.median(np.diff(info.own_times_s)))
    return 1 / step_s if step_s > 0 else float(info.fps)
