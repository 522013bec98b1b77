"""Videos: probed, read in order as gray levels or colors, checked for wholeness, written."""

from compute.video.decoding import (
    VideoInfo,
    probe_video,
    read_video_frame,
    read_video_header,
    read_video_luma,
    read_video_rgb,
    video_content_hash,
)
from compute.video.writing import write_video

__all__ = [
    "VideoInfo",
    "probe_video",
    "read_video_frame",
    "read_video_header",
    "read_video_luma",
    "read_video_rgb",
    "video_content_hash",
    "write_video",
]
