"""Write gray frames as a video."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from compute.errors import VideoError
from compute.files import whole_file


def write_video(path: str | Path, frames: Iterable[NDArray[np.uint8]], fps: Fraction | float, *, crf: int = 12) -> None:
    """Write gray frames as H.264, at their exact size and full gray range.

    The video is written beside `path` under a temporary name and renamed when it is complete. The same frames give
    the same bytes.

    Parameters
    ----------
    path : str or Path
        Video to write; its ending chooses the container (``.mp4``).
    frames : iterable of array, shape (height, width), uint8
        Gray levels, all of one size. An odd width or height is kept (with 4:4:4 chroma, which 4:2:0 cannot hold).
    fps : Fraction or float
        Frame rate in frames a second.
    crf : int
        x264's constant rate factor: 0 is lossless, 12 (default) keeps gray levels to about 2, 23 is visibly lossy.

    Raises
    ------
    VideoError
        If there is no frame, a frame has another size or type than the first, or the file cannot be written.
    """
    path = Path(path)
    with whole_file(path, VideoError, av.error.FFmpegError) as temporary:
        _encode(temporary, path, iter(frames), Fraction(fps).limit_denominator(1_000_000), crf)


def _encode(temporary: Path, path: Path, frames: Iterator[NDArray[np.uint8]], fps: Fraction, crf: int) -> None:
    """Write all frames to the temporary file; messages name the final path."""
    first = next(frames, None)
    if first is None:
        raise VideoError(f"{path}: no frames were given to write")
    height, width = first.shape
    with av.open(str(temporary), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height = width, height
        # The "j" formats say in the file that luma goes from 0 to 255, so that every reader gets back these levels.
        stream.pix_fmt = "yuvj444p" if width % 2 or height % 2 else "yuvj420p"
        stream.codec_context.thread_count = 1
        # x264's faster, machine-dependent arithmetic gives other bytes from one run to the next.
        stream.options = {"crf": str(crf), "x264-params": "cpu-independent=1"}
        index = 0
        gray: NDArray[np.uint8] | None = first
        while gray is not None:
            if gray.shape != first.shape or gray.dtype != np.uint8:
                raise VideoError(
                    f"{path}: frame {index} is {gray.dtype} of shape {gray.shape}, expected uint8 of {first.shape}"
                )
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(gray), format="gray")
            container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
            gray, index = next(frames, None), index + 1
        container.mux(stream.encode(None))
