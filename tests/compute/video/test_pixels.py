"""Pixels are those that a person sees: turned as the file says, full gray range, true colors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from compute.errors import VideoError
from compute.video import probe_video, read_video_frame, read_video_header, read_video_luma, read_video_rgb

ONE = 1 << 16
TURNS = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
"""Display matrices (a, b, c, d), by the angle clockwise."""


def set_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Write a display matrix into an MP4, as a camera that knows how it is held does."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 4 + 20 + 16  # version and flags, times and track, reserved
    matrix = (a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30)
    content[place : place + 36] = b"".join(value.to_bytes(4, "big", signed=True) for value in matrix)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("angle", TURNS)
def test_a_turned_video_is_read_as_opencv_and_so_sleap_shows_it(angle: int, encode: Any) -> None:
    path = set_display_matrix(encode(), *TURNS[angle])
    shown = cv2.VideoCapture(str(path)).read()[1]
    assert np.abs(read_video_frame(path, 0).astype(int) - shown[..., 1]).max() <= 2
    np.testing.assert_array_equal(next(read_video_rgb(path)), shown[..., ::-1])
    upright = read_video_frame(encode("upright.mp4"), 0)
    np.testing.assert_array_equal(read_video_frame(path, 0), np.rot90(upright, -angle // 90))


@pytest.mark.parametrize("angle", TURNS)
def test_the_size_is_that_of_the_turned_frames(angle: int, encode: Any) -> None:
    path = set_display_matrix(encode(), *TURNS[angle])
    height, width = read_video_frame(path, 0).shape
    assert (width, height) == ((128, 96) if angle == 180 else (96, 128))
    for info in (probe_video(path), read_video_header(path)):
        assert (info.width_px, info.height_px) == (width, height)


@pytest.mark.parametrize("matrix", [(-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0)], ids=["left-right", "upside", "both"])
def test_a_mirrored_video_is_refused(matrix: tuple[int, ...], encode: Any) -> None:
    path = set_display_matrix(encode(), *matrix)
    for read in (probe_video, read_video_header, lambda path: read_video_frame(path, 0)):
        with pytest.raises(VideoError, match="mirrored") as caught:
            read(path)
        assert str(path) in str(caught.value)


COLORS = [("libx264", "yuv420p"), ("mjpeg", "yuvj420p"), ("libx264", "yuv444p"), ("ffv1", "bgr0")]


@pytest.mark.parametrize(("codec", "pixel_format"), COLORS)
def test_colors_are_those_that_opencv_and_so_sleap_reads(codec: str, pixel_format: str, tmp_path: Path) -> None:
    path = tmp_path / "color.mkv"
    y, x = np.mgrid[:96, :128]
    colors = np.stack([2 * x, 2 * y, 255 - x], axis=-1).clip(0, 255).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 128, 96, pixel_format
        for _ in range(3):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(colors, format="rgb24").reformat(format=pixel_format))
            )
        container.mux(stream.encode(None))
    read = list(read_video_rgb(path))
    np.testing.assert_array_equal(read[0], cv2.VideoCapture(str(path)).read()[1][..., ::-1])
    assert np.abs(read[0].astype(int) - colors).mean() < 3
    assert len(read) == 3
    gray = cv2.cvtColor(np.ascontiguousarray(read[0]), cv2.COLOR_RGB2GRAY)
    assert np.abs(next(read_video_luma(path)).astype(int) - gray).max() <= 3


def test_a_gray_video_has_three_equal_channels(encode: Any) -> None:
    path = encode(pixel_format="gray")
    gray, colors = read_video_frame(path, 0), next(read_video_rgb(path))
    assert np.ptp(colors, axis=-1).max() <= 1
    assert np.abs(colors[..., 0].astype(int) - gray).max() <= 1
