"""Pixels of a decoded frame as a person sees them: turned as the file says, gray levels from 0 to 255, or colors.

Every part of the project reads pixels here: labels, training, evaluation, pose estimation, pictures, and the size.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type
from numpy.typing import NDArray

from compute.errors import VideoError

_EIGHT_BIT_LUMA = frozenset(
    ["yuv420p", "yuv422p", "yuv444p", "yuvj420p", "yuvj422p", "yuvj444p", "nv12", "nv21", "gray"]
)
"""Pixel formats whose first plane is one byte of luma a pixel; the others are converted by FFmpeg."""

_FULL_RANGE = 2
"""FFmpeg's AVCOL_RANGE_JPEG: luma from 0 to 255, otherwise from 16 (black) to 235 (white)."""

_EXPAND_RANGE = np.clip(np.round((np.arange(256) - 16) * (255 / 219)), 0, 255).astype(np.uint8).tobytes()
"""Gray level of each limited-range luma value (ITU-R BT.601), as FFmpeg and OpenCV show it."""

_ONE = 1 << 16
_QUARTER_TURNS = {
    (_ONE, 0, 0, _ONE): 0,
    (0, -_ONE, _ONE, 0): 1,
    (-_ONE, 0, 0, -_ONE): 2,
    (0, _ONE, -_ONE, 0): 3,
}
"""Quarter turns counterclockwise of the display matrices that only turn; elements a, b, c, d in 16.16 fixed point."""


def quarter_turns(frame: av.VideoFrame, path: Path) -> int:
    """Quarter turns, counterclockwise, after which a frame stands as players, OpenCV and SLEAP show it.

    Cameras of phones, and programs that turn a video without encoding it again, say the turn in the file's display
    matrix.

    Raises
    ------
    VideoError
        If the matrix mirrors the frame, or turns it by another angle: programs show such a video differently, so
        nobody knows what a labeler saw.
    """
    matrix: Any = frame.side_data.get(Type.DISPLAYMATRIX)  # type: ignore[call-overload]
    if matrix is None:
        return 0
    a, b, _, c, d = (int(element) for element in np.frombuffer(matrix, np.int32)[:5])
    if (a, b, c, d) not in _QUARTER_TURNS:
        raise VideoError(
            f"{path} is to be shown mirrored or at an angle (its display matrix is"
            f" {a / _ONE:g} {b / _ONE:g} {c / _ONE:g} {d / _ONE:g}), expected 0, 90, 180 or 270 degrees. Programs"
            " disagree on how to show it; encode it again as it should be seen, for example with ffmpeg -i"
        )
    return _QUARTER_TURNS[a, b, c, d]


def luma_pixels(frame: av.VideoFrame, turns: int) -> NDArray[np.uint8]:
    """Gray levels from 0 to 255, shape (height, width), turned, in memory of its own."""
    return _turned(_luma(frame), turns)


def rgb_pixels(frame: av.VideoFrame, turns: int) -> NDArray[np.uint8]:
    """Red, green and blue from 0 to 255, shape (height, width, 3), turned, in memory of its own."""
    return _turned(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8), turns)


def _turned(image: NDArray[np.uint8], turns: int) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def _luma(frame: av.VideoFrame) -> NDArray[np.uint8]:
    if frame.format.name not in _EIGHT_BIT_LUMA:
        return np.asarray(frame.to_ndarray(format="gray"), np.uint8)
    plane = frame.planes[0]
    padded = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
    values = padded[: frame.height, : frame.width]
    if frame.color_range == _FULL_RANGE or frame.format.name.startswith(("yuvj", "gray")):
        return values.copy()
    # bytearray.translate is a table look-up as fast as OpenCV's, two to three times as fast as NumPy's.
    return np.frombuffer(bytearray(values.tobytes()).translate(_EXPAND_RANGE), np.uint8).reshape(values.shape)
