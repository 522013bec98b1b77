"""Probe videos, and read their frames in order.

Frames are always decoded in order from the first one: seeking by keyframe can land on another frame than asked for,
which would shift labels and tracks against the video for good.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import av.container
import av.error
import av.video.stream
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

from compute.errors import VideoError
from compute.frame_times import frame_times_of_pts
from compute.text import count_text
from compute.video import pixels
from compute.video.wholeness import Message, Wholeness, decoder_messages, frame_ranges, take_messages


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
        Size of every frame, as it is shown.
    duration_s : float
        ``n_frames / fps`` in seconds.
    codec : str
        FFmpeg's name of the codec, such as ``h264``.
    damaged_frames : tuple of int
        Frames whose pictures the decoder had to make up in part, and those predicted from them; only `probe_video`
        looks for them.
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
    damaged_frames: tuple[int, ...] = ()
    own_times_s: NDArray[np.float64] | None = field(default=None, compare=False)


def probe_video(path: str | Path, *, accept_damaged_frames: bool = False) -> VideoInfo:
    """Decode a video to its end, check that it is whole, and say what it holds.

    Parameters
    ----------
    path : str or Path
        Any video that FFmpeg reads.
    accept_damaged_frames : bool
        Take a video with damaged frames, and name them in the result.

    Returns
    -------
    VideoInfo

    Raises
    ------
    VideoError
        If the file is missing, empty, no video, cut off, without frames or frame rate, if its frame size changes, or if
        frames are damaged.
    """
    path = Path(path)
    with decoder_messages() as messages, _open(path) as container:
        decoding = _Decoding(container, path, messages)
        n_frames = sum(1 for _ in decoding.frames())
        info = decoding.info_of_all()
    if info.damaged_frames and not accept_damaged_frames:
        raise VideoError(
            f"{path}: {count_text(len(info.damaged_frames), 'frame')} of {n_frames} cannot be read whole, the decoder"
            f" made up what is missing: {frame_ranges(info.damaged_frames)}, from 0. Copy or record it again; where"
            " there is no better copy, set accept_damaged_videos = true in settings.toml"
        )
    return info


def read_video_header(path: str | Path) -> VideoInfo:
    """What the header of a video promises; only its first frame is decoded.

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
        If the file is missing, empty, no video, has no frame, or no frame rate.
    """
    path = Path(path)
    with _open(path) as container:
        decoding = _Decoding(container, path)
        next(decoding.frames())
        info = decoding.info_of_header()
    return info


def read_video_luma(path: str | Path, *, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
    """Read the gray levels of the frames, in order.

    Parameters
    ----------
    path : str or Path
        Any video that FFmpeg reads. Only the brightness is read; limited-range video is expanded to 0 to 255. Frames
        stand as players show them: a rotation that the file asks for is done.
    start, stop : int
        First frame, and the frame to stop before; all by default. Frames before `start` are decoded and dropped.

    Yields
    ------
    array, shape (height, width), uint8
        Gray level of each pixel, 0 black, 255 white.

    Raises
    ------
    VideoError
        As `probe_video`, at the frame where reading breaks; also if the video ends before `stop`. Damaged frames are
        read as the decoder shows them.

    Examples
    --------
    >>> for gray in read_video_luma("side.mp4", stop=10):  # doctest: +SKIP
    ...     print(gray.mean())
    """
    return _read(Path(path), start, stop, pixels.luma_pixels)


def read_video_rgb(path: str | Path, *, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
    """Read red, green and blue of the frames, in order, for a model that was trained on color.

    Parameters and errors are those of `read_video_luma`. A gray video gives three equal channels.

    Yields
    ------
    array, shape (height, width, 3), uint8
    """
    return _read(Path(path), start, stop, pixels.rgb_pixels)


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


def _read(
    path: Path, start: int, stop: int | None, image_of: Callable[[av.VideoFrame, int], NDArray[np.uint8]]
) -> Iterator[NDArray[np.uint8]]:
    if start < 0 or (stop is not None and stop < start):
        raise VideoError(f"{path}: cannot read frames {start} to {stop}; expected 0 <= start <= stop")
    n_read = 0
    if stop == start:
        return
    with _open(path) as container:
        decoding = _Decoding(container, path)
        for index, frame in enumerate(decoding.frames()):
            n_read = index + 1
            if index >= start:
                yield image_of(frame, decoding.turns)
            if n_read == stop:
                return
    if n_read < (start if stop is None else stop):
        raise VideoError(f"{path} has {n_read} frames, but frames {start} to {stop} were asked for")


def _open(path: Path) -> av.container.InputContainer:
    """Open a video for reading."""
    try:
        if path.stat().st_size == 0:
            raise VideoError(f"{path} is empty (0 bytes); copy it again")
        return av.open(str(path))
    except FileNotFoundError as error:
        raise VideoError(f"{path} does not exist") from error
    except (av.error.FFmpegError, OSError) as error:
        raise VideoError(
            f"{path} is not a video that can be read, or it was cut off while it was written or copied"
            f" ({error.strerror}); copy it again"
        ) from error


def _video_stream(container: av.container.InputContainer, path: Path) -> av.video.stream.VideoStream:
    """The one stream of moving pictures; a cover picture is none."""
    streams = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
    if not streams:
        raise VideoError(f"{path} holds no video stream; it is no video, or it was cut off")
    if len(streams) > 1:
        raise VideoError(
            f"{path} holds {len(streams)} video streams, expected one camera a file; write each to a file of its own,"
            f" for example with ffmpeg -i {path.name} -map 0:v:0 -c copy"
        )
    return streams[0]


class _Decoding:
    """One pass over an open video: all frames in order, on one thread, and what they say of its wholeness."""

    def __init__(
        self, container: av.container.InputContainer, path: Path, messages: list[Message] | None = None
    ) -> None:
        self.path, self.container = path, container
        self.stream = _video_stream(container, path)
        self.stream.codec_context.thread_count = 1
        self.wholeness = Wholeness(container, self.stream, path)
        self.turns = 0
        self._decoded_size = (0, 0)
        self._messages = [] if messages is None else messages
        self._messages.clear()  # of opening

    def frames(self) -> Iterator[av.VideoFrame]:
        """Yield every frame; raise where one cannot be read or changes size, and at the end if something is missing."""
        try:
            for packet in self.container.demux():
                self.wholeness.add_packet(packet, take_messages(self._messages))
                if packet.stream.index != self.stream.index:
                    continue
                decoded = self.stream.decode(packet)
                self.wholeness.add_messages(packet, take_messages(self._messages))
                for frame in decoded:
                    self._check_size(frame)
                    self.wholeness.add_frame(frame)
                    yield frame
        except av.error.FFmpegError as error:
            raise VideoError(
                f"{self.path} breaks at frame {self.wholeness.n_frames} of {self.stream.frames or 'an unknown number'}"
                f" ({error.strerror}); copy or record it again"
            ) from error
        self.wholeness.check_complete()

    def info_of_header(self) -> VideoInfo:
        """What the header promises, once a frame was decoded."""
        fps = next(filter(None, self._rates()), None)
        if not fps:
            raise VideoError(f"{self.path} states no frame rate; write it again with one, for example with ffmpeg -r")
        n_frames, codec = self.stream.frames, self.stream.codec_context.name
        width_px, height_px = self._decoded_size[:: -1 if self.turns % 2 else 1]
        return VideoInfo(n_frames, fps, width_px, height_px, duration_s=float(n_frames / fps), codec=codec)

    def info_of_all(self) -> VideoInfo:
        """What the video holds, once all frames were decoded."""
        info, n_frames = self.info_of_header(), self.wholeness.n_frames
        times = frame_times_of_pts(self.wholeness.frame_pts, self.stream.time_base or Fraction(0), self._rates())
        return replace(
            info,
            n_frames=n_frames,
            fps=times.fps,
            duration_s=float(n_frames / times.fps),
            damaged_frames=self.wholeness.damaged_frames(),
            own_times_s=times.own_times_s,
        )

    def _rates(self) -> tuple[Fraction | None, ...]:
        """Frame rates that the header states, the most likely first."""
        return self.stream.average_rate, self.stream.guessed_rate, self.stream.base_rate

    def _check_size(self, frame: av.VideoFrame) -> None:
        if self.wholeness.n_frames == 0:
            self.turns = pixels.quarter_turns(frame, self.path)
            self._decoded_size = frame.width, frame.height
        elif (frame.width, frame.height) != self._decoded_size:
            raise VideoError(
                f"{self.path}: frame {self.wholeness.n_frames} is {frame.width} x {frame.height} px, the frames before"
                f" it are {self._decoded_size[0]} x {self._decoded_size[1]} px; one video needs one size"
            )
