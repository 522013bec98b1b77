"""Whether labeled images are frames of a video."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compute.video import read_video_luma

SAME_IMAGE_GRAY_LEVELS = 2.5
"""Mean absolute difference (gray levels) up to which a labeled image is a video's frame.

Measured on a mouse that runs on a wheel (250 frames/s, side and lower view). The same frame differs by at most 0.7
levels when OpenCV decoded it, by 0.8 as a JPEG file of quality 90, and by 1.2, 1.6 and 2.2 when the video was encoded
again by x264 with crf 12, 18 and 23. The next frame, 4 ms later, differs by 6.6 in the median and by 1.8 at least; a
frame 0.2 s later by 5.7 at least. So another session is refused, and a neighbor of the right frame while the mouse
moves; while it is still, a neighbor can be accepted.
"""


def match_with_video(
    images: Sequence[NDArray[np.uint8]], frame_indices: Sequence[int], video_path: str | Path
) -> NDArray[np.float64]:
    """Mean absolute difference of labeled images from the frames of a video.

    Parameters
    ----------
    images : sequence of array, shape (height, width), uint8
        Gray images.
    frame_indices : sequence of int
        Index of each image's frame in the video, from 0.
    video_path : str or Path
        The video. It is decoded in order, up to the last of these frames.

    Returns
    -------
    array, shape (image,), float64
        In gray levels, 0: identical. NaN where the video has no such frame, or its frames have another size.

    Raises
    ------
    VideoError
        If the video cannot be read.
    """
    differences = np.full(len(images), np.nan)
    wanted: dict[int, list[int]] = {}
    for place, frame_index in enumerate(frame_indices):
        wanted.setdefault(frame_index, []).append(place)
    last = max(wanted, default=-1)
    for frame_index, gray in enumerate(read_video_luma(video_path) if wanted else ()):
        for place in wanted.get(frame_index, ()):
            if images[place].shape == gray.shape:
                differences[place] = np.abs(images[place].astype(np.int16) - gray).mean()
        if frame_index == last:
            break
    return differences
