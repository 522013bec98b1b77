"""Videos of every kind, written with PyAV; ten blocks in the first rows of each frame show its number in binary."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

N_BITS, BLOCK_PX = 10, 12
WIDTH, HEIGHT = 128, 96

Encode = Callable[..., Path]


def numbered_frames(n_frames: int, width: int = WIDTH, height: int = HEIGHT) -> Iterator[NDArray[np.uint8]]:
    """Gray frames with texture, a bright blob that moves, and their number."""
    texture = np.random.default_rng(0).integers(60, 120, (height, width)).astype(np.float64)
    y, x = np.mgrid[:height, :width]
    for number in range(n_frames):
        center = width / 2 + 30 * np.sin(number / 7)
        gray = (texture + 100 * np.exp(-((x - center) ** 2 + (y - height / 2) ** 2) / 200)).astype(np.uint8)
        for bit in range(N_BITS):
            gray[:BLOCK_PX, bit * BLOCK_PX : (bit + 1) * BLOCK_PX] = 235 if number >> bit & 1 else 16
        yield gray


def number_of(gray: NDArray[np.uint8]) -> int:
    """The number that a frame shows."""
    middle = BLOCK_PX // 2
    return sum(int(gray[middle, bit * BLOCK_PX + middle] > 128) << bit for bit in range(N_BITS))


@pytest.fixture
def numbers() -> Callable[[Iterable[NDArray[np.uint8]]], list[int]]:
    """The numbers that frames show."""
    return lambda frames: [number_of(gray) for gray in frames]


@pytest.fixture
def encode(tmp_path: Path) -> Encode:
    """Write numbered frames with any codec into any container."""

    def write(
        name: str = "side.mp4",
        codec: str = "libx264",
        pixel_format: str = "yuv420p",
        *,
        n_frames: int = 60,
        size: tuple[int, int] = (WIDTH, HEIGHT),
        codec_options: dict[str, str] | None = None,
        options: dict[str, str] | None = None,
        times_ms: Sequence[int] | None = None,
        n_audio_frames: int = 0,
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w", options=options or {}) as container:
            stream: Any = container.add_stream(codec, rate=30)
            stream.width, stream.height, stream.pix_fmt = *size, pixel_format
            stream.options = codec_options or {}
            if times_ms is not None:
                stream.codec_context.time_base = Fraction(1, 1000)
            sound: Any = container.add_stream("aac", rate=48000, layout="mono") if n_audio_frames else None
            for index, gray in enumerate(numbered_frames(n_frames, *size)):
                frame = av.VideoFrame.from_ndarray(gray, format="gray").reformat(format=pixel_format)
                if times_ms is not None:
                    frame.pts, frame.time_base = times_ms[index], Fraction(1, 1000)
                container.mux(stream.encode(frame))
                if sound and index < n_audio_frames:
                    container.mux(sound.encode(_silence(index)))
            container.mux(stream.encode(None))
            for index in range(n_frames, n_audio_frames):
                container.mux(sound.encode(_silence(index)))
            if sound:
                container.mux(sound.encode(None))
        return path

    return write


def _silence(index: int) -> av.AudioFrame:
    """1/30 s of it."""
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 1600), np.float32), format="fltp", layout="mono")
    frame.sample_rate, frame.pts = 48000, 1600 * index
    return frame


@pytest.fixture
def copy_packets(tmp_path: Path) -> Callable[..., Path]:
    """Copy some packets of a video, at other times, into another file, without decoding."""

    def copy(source: Path, name: str, *, keep: Callable[[int], bool] = lambda index: True, later_by: int = 0) -> Path:
        path = tmp_path / name
        with av.open(str(source)) as container, av.open(str(path), "w") as output:
            stream = output.add_stream_from_template(container.streams.video[0])
            packets = [packet for packet in container.demux(video=0) if packet.dts is not None]
            for index, packet in enumerate(packets):
                if keep(index):
                    shift = later_by * packet.duration
                    packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                    output.mux(packet)
        return path

    return copy
