"""Videos: probe, read gray levels in order, write.

Frames are always decoded in order from the first one: seeking by keyframe can land on another frame than asked for,
which would shift labels and tracks against the video for good.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from compute.errors import VideoError
from compute.frame_times import frame_times_of_pts

_EIGHT_BIT_LUMA = frozenset(
    ["yuv420p", "yuv422p", "yuv444p", "yuvj420p", "yuvj422p", "yuvj444p", "nv12", "nv21", "gray"]
)
"""Pixel formats whose first plane is one byte of luma a pixel; the others are converted by FFmpeg."""

_FULL_RANGE = 2
"""FFmpeg's AVCOL_RANGE_JPEG: luma from 0 to 255, otherwise from 16 (black) to 235 (white)."""

_EXPAND_RANGE = np.clip(np.round((np.arange(256) - 16) * (255 / 219)), 0, 255).astype(np.uint8).tobytes()
"""Gray level of each limited-range luma value (ITU-R BT.601), as FFmpeg and OpenCV show it."""


@dataclass(frozen=True)
class VideoInfo:
    """What a video holds.

    Parameters
    ----------
    n_frames : int
        Number of frames that decode.
    fps : Fraction
        Exact frame rate in frames a second, such as 30000/1001.
    width_px, height_px : int
        Size of every frame.
    duration_s : float
        ``n_frames / fps`` in seconds.
    codec : str
        FFmpeg's name of the codec, such as ``h264``.
    own_times_s : array, shape (frame,), float64, or None
        Time of each frame since the first one (s) of a video whose frames are not regular, as the container has it: it
        may not increase. None: frame index / fps, or it was not looked at (`read_video_header`).
    """

    n_frames: int
    fps: Fraction
    width_px: int
    height_px: int
    duration_s: float
    codec: str
    own_times_s: NDArray[np.float64] | None = field(default=None, compare=False)


def probe_video(path: str | Path) -> VideoInfo:
    """Decode a video to its end and say what it holds.

    Parameters
    ----------
    path : str or Path
        Any video that FFmpeg reads.

    Returns
    -------
    VideoInfo

    Raises
    ------
    VideoError
        If the file is missing, empty, no video, cut off, without frames or frame rate, or if its frame size changes.
    """
    path = Path(path)
    pts = [frame.pts for frame in _decode(path)]
    header = read_video_header(path)
    with _open(path) as container:
        stream = container.streams.video[0]
        rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
        times = frame_times_of_pts(pts, stream.time_base or Fraction(0), rates)
    n_frames, fps = len(pts), times.fps
    return replace(header, n_frames=n_frames, fps=fps, duration_s=float(n_frames / fps), own_times_s=times.own_times_s)


def read_video_header(path: str | Path) -> VideoInfo:
    """What the header of a video promises, without decoding it.

    Parameters
    ----------
    path : str or Path
        Any video that FFmpeg reads.

    Returns
    -------
    VideoInfo
        ``n_frames`` and ``duration_s`` are only a promise: 0 where the header does not say, and too large for a video
        that was cut off. Use `probe_video` where they must be true.

    Raises
    ------
    VideoError
        If the file is missing, empty, no video, or has no frame rate.
    """
    path = Path(path)
    with _open(path) as container:
        stream = container.streams.video[0]
        n_frames, fps = stream.frames, stream.average_rate or stream.guessed_rate
        width_px, height_px, codec = stream.width, stream.height, stream.codec_context.name
    if not fps:
        raise VideoError(f"{path} states no frame rate; write it again with one, for example with ffmpeg -r")
    return VideoInfo(n_frames, fps, width_px, height_px, duration_s=float(n_frames / fps), codec=codec)


def read_video_luma(path: str | Path, *, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
    """Read the gray levels of the frames, in order.

    Parameters
    ----------
    path : str or Path
        Any video that FFmpeg reads. Only the brightness is read; limited-range video is expanded to 0 to 255.
    start, stop : int
        First frame, and the frame to stop before; all by default. Frames before `start` are decoded and dropped.

    Yields
    ------
    array, shape (height, width), uint8
        Gray level of each pixel, 0 black, 255 white.

    Raises
    ------
    VideoError
        As `probe_video`, at the frame where reading breaks; also if the video ends before `stop`.

    Examples
    --------
    >>> for gray in read_video_luma("side.mp4", stop=10):  # doctest: +SKIP
    ...     print(gray.mean())
    """
    path = Path(path)
    if start < 0 or (stop is not None and stop < start):
        raise VideoError(f"{path}: cannot read frames {start} to {stop}; expected 0 <= start <= stop")
    n_read = 0
    if stop == start:
        return
    for index, frame in enumerate(_decode(path)):
        n_read = index + 1
        if index >= start:
            yield _luma(frame)
        if n_read == stop:
            return
    if n_read < (start if stop is None else stop):
        raise VideoError(f"{path} has {n_read} frames, but frames {start} to {stop} were asked for")


def read_video_frame(path: str | Path, index: int) -> NDArray[np.uint8]:
    """Read the gray levels of one frame; decodes all frames before it.

    Parameters
    ----------
    path : str or Path
        Any video that FFmpeg reads.
    index : int
        Index of the frame, from 0.

    Returns
    -------
    array, shape (height, width), uint8

    Raises
    ------
    VideoError
        As `read_video_luma`.
    """
    return next(read_video_luma(path, start=index, stop=index + 1))


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
    temporary = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        _encode(temporary, path, iter(frames), Fraction(fps).limit_denominator(1_000_000), crf)
        temporary.rename(path)
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(f"{path} cannot be written: {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def video_content_hash(path: str | Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits.

    Raises
    ------
    VideoError
        If the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise VideoError(f"{path} cannot be read: {error.strerror}") from error


def _open(path: Path) -> av.container.InputContainer:
    """Open a video for reading and check that it holds a video stream."""
    try:
        if path.stat().st_size == 0:
            raise VideoError(f"{path} is empty (0 bytes); copy it again")
        container = av.open(str(path))
    except FileNotFoundError as error:
        raise VideoError(f"{path} does not exist") from error
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(
            f"{path} is not a video that can be read, or it was cut off while it was written or copied"
            f" ({error.strerror}); copy it again"
        ) from error
    if not container.streams.video:
        container.close()
        raise VideoError(f"{path} holds no video stream")
    return container


def _decode(path: Path) -> Iterator[av.VideoFrame]:
    """All frames in order, on one thread; raises where one is missing or changes size."""
    with _open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        promised, n_frames = stream.frames, 0
        size = None
        try:
            for packet in container.demux(stream):
                # An edit list hides frames: they are counted in the header but never shown.
                promised -= packet.is_discard
                for frame in stream.decode(packet):
                    size = size or (frame.width, frame.height)
                    if (frame.width, frame.height) != size:
                        raise VideoError(
                            f"{path}: frame {n_frames} is {frame.width} x {frame.height} px, the frames before it are"
                            f" {size[0]} x {size[1]} px; one video needs one size"
                        )
                    yield frame
                    n_frames += 1
        except av.error.FFmpegError as error:
            raise VideoError(
                f"{path} breaks at frame {n_frames} of {stream.frames or 'an unknown number'} ({error.strerror});"
                " copy or record it again"
            ) from error
        if n_frames < promised:
            raise VideoError(
                f"{path} was cut off: {n_frames} frames can be read, its header promises {promised};"
                " copy or record it again"
            )
        if n_frames == 0:
            raise VideoError(f"{path} holds no frames")


def _luma(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Gray levels from 0 to 255 of one decoded frame, shape (height, width), in memory of its own."""
    if frame.format.name not in _EIGHT_BIT_LUMA:
        return np.asarray(frame.to_ndarray(format="gray"), np.uint8)
    plane = frame.planes[0]
    padded = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
    values = padded[: frame.height, : frame.width]
    if frame.color_range == _FULL_RANGE or frame.format.name.startswith(("yuvj", "gray")):
        return values.copy()
    # bytearray.translate is a table look-up as fast as OpenCV's, two to three times as fast as NumPy's.
    return np.frombuffer(bytearray(values.tobytes()).translate(_EXPAND_RANGE), np.uint8).reshape(values.shape)


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
