"""Whether a video is whole: what its container promises, beside what one pass over its packets and frames finds.

No single number of a header is believed. A video is complete if the demuxer reaches its end without a complaint, every
packet gives a picture, there are as many frames as promised, and the streams reach the promised end. It is undamaged if
the decoder had nothing to conceal.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

import av
import av.container
import av.logging
import av.video.stream

from compute.errors import VideoError
from compute.text import count_text

Message = tuple[int, str, str]
"""FFmpeg's level, the name of what speaks (a format or a codec), and what it says."""

_FRAMES_OF_SLACK = 1.5
"""How many frames before the promised end the last frame may end; writers round, and some leave out its duration."""

_HARMLESS = ("SEI type", "number of reference frames")
"""How errors of the decoder begin that touch no picture: cameras write notes and headers that are not quite right."""

_LOST_BEFORE = "Frame num gap"
"""How H.264's decoder begins to say that pictures before this one are lost and made up: in its debug log only."""

_NO_TIME = -(2**63)
"""Stands for no time among integers, as in FFmpeg."""

_HIDES_FRAMES = ("vp8",)
"""Codecs with packets that are never shown."""


class Wholeness:
    """What one pass over a video says of its wholeness. Give it every packet and frame, then ask.

    Parameters
    ----------
    container, stream
        The open file, and the video stream that is decoded.
    path : Path
        For messages.
    """

    def __init__(self, container: av.container.InputContainer, stream: av.video.stream.VideoStream, path: Path) -> None:
        self._container, self._stream, self._path = container, stream, path
        self._frame_times = array("q")
        self._packet_times = array("q")
        self._first_of_group = bytearray()
        """For each packet, in order of decoding, whether frames from it on need none before it."""
        self._damaged: set[int] = set()
        self._n_hidden = 0
        self._ends: dict[int, int] = {}
        """Where each stream ends so far, in units of its time base."""
        self._complaint = ""

    def add_packet(self, packet: av.Packet, messages: Sequence[Message] = ()) -> None:
        """Take a packet of any stream, and what FFmpeg said while it was read."""
        for _, name, text in messages:
            if name == self._container.format.name:
                self._complaint = self._complaint or text.strip().rstrip(".")
        if not packet.size:
            return
        time = _time(packet)
        index = packet.stream_index
        if time != _NO_TIME:
            self._ends[index] = max(self._ends.get(index, time), time + (packet.duration or 0))
        if index != self._stream.index:
            return
        if packet.is_corrupt:
            self._complaint = self._complaint or "a packet is incomplete"
        # An edit list hides frames: they are counted in the header but never shown.
        self._n_hidden += packet.is_discard
        self._packet_times.append(time)
        self._first_of_group.append(packet.is_keyframe)

    def add_messages(self, packet: av.Packet, messages: Sequence[Message]) -> None:
        """Take what FFmpeg said while a packet was decoded."""
        # Of the first packet, what was recorded before it is no loss.
        harmless = (*_HARMLESS, _LOST_BEFORE) if len(self._packet_times) == 1 else _HARMLESS
        if packet.size and any(not text.startswith(harmless) for _, _, text in messages):
            self._damaged.add(_time(packet))

    def add_frame(self, frame: av.VideoFrame) -> None:
        """Take a decoded frame."""
        time = _time(frame)
        self._frame_times.append(time)
        if frame.is_corrupt:
            self._damaged.add(time)

    @property
    def n_frames(self) -> int:
        """Frames so far."""
        return len(self._frame_times)

    @property
    def frame_pts(self) -> Sequence[int | None]:
        """Presentation time of each frame so far, in units of the stream's time base; None where it has none."""
        if _NO_TIME not in self._frame_times:
            return self._frame_times
        return [None if time == _NO_TIME else time for time in self._frame_times]

    def check_complete(self) -> None:
        """Check, after the last packet, that nothing is missing.

        Raises
        ------
        VideoError
            If the file ends early, or pictures are lost; the message says what was promised and what was found.
        """
        found = count_text(self.n_frames, "frame")
        n_lost = len(self._packet_times) - self._n_hidden - self.n_frames
        if n_lost > 0 and self._stream.codec_context.name not in _HIDES_FRAMES:
            raise VideoError(f"{self._path}: {self._lost_pictures(n_lost)}")
        promised = self._stream.frames - self._n_hidden
        if self.n_frames < promised and self.n_frames != promised - self._n_dropped():
            raise VideoError(
                f"{self._path} was cut off: {found} can be read, its header promises {promised};"
                " copy or record it again"
            )
        self._check_end(found)
        if self._complaint:
            raise VideoError(
                f"{self._path} was cut off or damaged ({self._complaint}): {found} can be read; copy or record it again"
            )
        if self.n_frames == 0:
            raise VideoError(f"{self._path} holds no frames; it may have been cut off")

    def damaged_frames(self) -> tuple[int, ...]:
        """Indices of the frames whose pictures the decoder had to make up in part, after the last packet.

        Frames that are predicted from such a frame show its damage: all up to the next key frame count.
        """
        if not self._damaged:
            return ()
        touched: set[int] = set()
        is_damaged = False
        for time, is_first in zip(self._packet_times, self._first_of_group, strict=True):
            is_damaged = time in self._damaged or (is_damaged and not is_first)
            if is_damaged:
                touched.add(time)
        touched |= self._damaged
        return tuple(index for index, time in enumerate(self._frame_times) if time in touched)

    def _lost_pictures(self, n_lost: int) -> str:
        if self._first_of_group and not self._first_of_group[0]:
            return (
                f"the recording does not begin with a key frame, so its first {count_text(n_lost, 'frame')} cannot be"
                " decoded, and programs count the others differently. Copy or record it again; or write the"
                " frames that can be read as a new video, for example with ffmpeg -i"
            )
        return (
            f"{count_text(n_lost, 'packet')} of {len(self._packet_times)} give no picture: frames are lost;"
            " copy or record it again"
        )

    def _n_dropped(self) -> int:
        """Frames that the header of an AVI counts although the camera dropped them: they are empty chunks."""
        return _count_empty_chunks(self._path, self._stream.index) if self._container.format.name == "avi" else 0

    def _check_end(self, found: str) -> None:
        """Where the header counts no frames, its promise is the time at which the last stream ends.

        In Matroska that is a time, in MP4 a duration from the start; other containers only guess it.
        """
        duration, rate, kind = self._container.duration, self._stream.average_rate, self._container.format.name
        if self._stream.frames or not duration or not rate or not kind.startswith(("matroska", "mov")):
            return
        promised = duration + (self._container.start_time or 0 if kind.startswith("mov") else 0)
        ends_s = [float(end * (self._container.streams[index].time_base or 0)) for index, end in self._ends.items()]
        promised_s, end_s = promised / av.time_base, max(ends_s, default=0)
        if end_s < promised_s - _FRAMES_OF_SLACK / rate:
            raise VideoError(
                f"{self._path} was cut off: it ends at {end_s:.3f} s ({found} can be read), its header promises"
                f" {promised_s:.3f} s; copy or record it again"
            )


class _DecoderLog:
    """FFmpeg's log, which is one for the whole process: switched on by the first listener, and back by the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_listeners = 0
        self._before: tuple[int | None, bool] = (None, True)

    @contextmanager
    def listening(self) -> Iterator[list[Message]]:
        with self._lock:
            if self._n_listeners == 0:
                self._before = av.logging.get_level(), av.logging.get_skip_repeated()
                av.logging.set_level(av.logging.DEBUG)
                av.logging.set_skip_repeated(False)
            self._n_listeners += 1
        try:
            with av.logging.Capture() as messages:
                yield messages
        finally:
            with self._lock:
                self._n_listeners -= 1
                if self._n_listeners == 0:
                    av.logging.set_level(self._before[0])
                    av.logging.set_skip_repeated(self._before[1])


_log = _DecoderLog()


def decoder_messages() -> AbstractContextManager[list[Message]]:
    """What FFmpeg says in this thread while the block runs, in a list that grows: see `take_messages`.

    Decoders conceal damage and say so in the log only, which PyAV keeps off: no other sign reaches Python for MJPEG,
    HEVC or FFV1.
    """
    return _log.listening()


def take_messages(messages: list[Message]) -> list[Message]:
    """The errors, and what is said of lost pictures, among the messages so far; the list is empty then."""
    taken = [one for one in messages if one[0] <= av.logging.ERROR or one[2].startswith(_LOST_BEFORE)]
    messages.clear()
    return taken


def frame_ranges(indices: Sequence[int]) -> str:
    """Indices of frames as ranges, for people.

    Examples
    --------
    >>> frame_ranges([3, 30, 31, 32])
    '3, 30-32'
    """
    ranges: list[list[int]] = []
    for index in indices:
        if ranges and index == ranges[-1][1] + 1:
            ranges[-1][1] = index
        else:
            ranges.append([index, index])
    named = [str(first) if first == last else f"{first}-{last}" for first, last in ranges]
    return ", ".join(named) if len(named) <= 10 else f"{', '.join(named[:10])} and {len(named) - 10} more"


def _time(timed: av.Packet | av.VideoFrame) -> int:
    """Presentation time, or that of decoding where a container (AVI) has no other."""
    known = (time for time in (timed.pts, timed.dts) if time is not None)
    return next(known, _NO_TIME)


def _count_empty_chunks(path: Path, stream_index: int) -> int:
    """Chunks without data of one stream of an AVI: a recorder writes one for each frame that the camera dropped.

    The layout is Microsoft's "AVI RIFF File Reference": chunks of a name, a size and data, padded to an even length;
    a LIST or RIFF chunk holds a type and further chunks. A stream's chunks begin with its number ("00dc", "00db").
    """
    name = f"{stream_index:02d}".encode()
    with open(path, "rb") as file:
        end = file.seek(0, 2)
        file.seek(0)
        return _count_empty(file, end, name)


def _count_empty(file: BinaryIO, end: int, name: bytes) -> int:
    n_empty = 0
    while file.tell() + 8 <= end:
        header = file.read(8)
        size = int.from_bytes(header[4:], "little")
        if header[:4] in (b"RIFF", b"LIST"):
            if file.read(4) in (b"AVI ", b"AVIX", b"movi", b"rec "):
                continue  # walk on inside
            size -= 4
        n_empty += header[:2] == name and header[2:4] in (b"dc", b"db") and size == 0
        file.seek(size + size % 2, 1)
    return n_empty
