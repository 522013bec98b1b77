"""A video is whole or refused by name: cut, damaged, frames lost or dropped, in every container."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import av.logging
import numpy as np
import pytest

from compute.errors import VideoError
from compute.video import probe_video, read_video_luma
from compute.video.wholeness import decoder_messages

KINDS = {
    "b-frames.mp4": ("libx264", "yuv420p", {"bf": "3"}),
    "h264.mkv": ("libx264", "yuv420p", {}),
    "h264.mov": ("libx264", "yuv420p", {}),
    "h264.avi": ("libx264", "yuv420p", {}),
    "gray.mkv": ("libx264", "gray", {}),
    "hevc.mp4": ("libx265", "yuv420p", {"x265-params": "log-level=none"}),
    "mjpeg.avi": ("mjpeg", "yuvj420p", {}),
    "mjpeg.mkv": ("mjpeg", "yuvj420p", {}),
    "mjpeg.mov": ("mjpeg", "yuvj420p", {}),
    "ten_bit.mkv": ("ffv1", "yuv420p10le", {}),
    "ffv1.avi": ("ffv1", "gray", {}),
    "vp8.mkv": ("libvpx", "yuv420p", {}),
    "vp9.mkv": ("libvpx-vp9", "yuv420p", {}),
    "mpeg4.avi": ("mpeg4", "yuv420p", {}),
    "mpeg4.mp4": ("mpeg4", "yuv420p", {"bf": "2"}),
    "raw.avi": ("rawvideo", "gray", {}),
    "png.mov": ("png", "gray", {}),
}
"""Codec, pixel format and options of what rigs and programs write, by the name of a file."""


@pytest.mark.parametrize("name", KINDS)
def test_what_is_right_but_unusual_is_read_as_it_is(name: str, encode: Any, numbers: Any) -> None:
    codec, pixel_format, options = KINDS[name]
    path = encode(name, codec, pixel_format, codec_options=options)
    info = probe_video(path)
    assert (info.n_frames, info.fps, info.damaged_frames) == (60, 30, ())
    assert numbers(read_video_luma(path)) == list(range(60))


@pytest.mark.parametrize("size", [(129, 97), (130, 98), (125, 51)])
def test_odd_sizes_are_read(size: tuple[int, int], encode: Any, numbers: Any) -> None:
    path = encode("odd.mkv", "ffv1", "gray", size=size)
    info = probe_video(path)
    assert (info.width_px, info.height_px) == size
    assert numbers(read_video_luma(path)) == list(range(60))


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "late.mov"])
def test_a_video_that_starts_later_than_zero_is_read(name: str, encode: Any, copy_packets: Any, numbers: Any) -> None:
    path = copy_packets(encode("a.mp4"), name, later_by=300)
    assert probe_video(path).n_frames == 60
    assert numbers(read_video_luma(path)) == list(range(60))


@pytest.mark.parametrize("n_audio_frames", [30, 60, 200], ids=["shorter", "as long", "longer"])
@pytest.mark.parametrize("name", ["sound.mp4", "sound.mkv", "sound.avi"])
def test_sound_beside_the_video_changes_nothing(name: str, n_audio_frames: int, encode: Any, numbers: Any) -> None:
    path = encode(name, "mpeg4" if name.endswith("avi") else "libx264", n_audio_frames=n_audio_frames)
    assert probe_video(path).n_frames == 60
    assert numbers(read_video_luma(path)) == list(range(60))


@pytest.mark.parametrize(
    "options",
    [{"movflags": "frag_keyframe+empty_moov"}, {"movflags": "dash+global_sidx"}, {"movflags": "faststart"}],
    ids=lambda options: options["movflags"],
)
def test_fragmented_mp4_is_read(options: dict[str, str], encode: Any, numbers: Any) -> None:
    path = encode(options=options, codec_options={"g": "15"})
    assert probe_video(path).n_frames == 60
    assert numbers(read_video_luma(path)) == list(range(60))


def test_irregular_times_are_no_sign_of_a_cut(encode: Any) -> None:
    times_ms = [33 * index + (300 if index > 40 else 0) for index in range(60)]
    assert probe_video(encode("irregular.mkv", times_ms=times_ms)).n_frames == 60
    assert probe_video(encode("irregular.mp4", times_ms=times_ms)).n_frames == 60


def test_a_recording_without_a_promised_length_is_read(encode: Any) -> None:
    assert probe_video(encode("live.mkv", options={"live": "1"})).n_frames == 60


CUT = {
    **{name: ({}, *kind) for name, kind in KINDS.items()},
    "live.mkv": ({"live": "1"}, "libx264", "yuv420p", {}),
    "faststart.mp4": ({"movflags": "faststart"}, "libx264", "yuv420p", {}),
    "faststart.mov": ({"movflags": "faststart"}, "mjpeg", "yuvj420p", {}),
    "fragmented.mp4": ({"movflags": "frag_keyframe+empty_moov"}, "libx264", "yuv420p", {"g": "15"}),
    "segmented.mp4": ({"movflags": "dash+global_sidx"}, "libx264", "yuv420p", {"g": "15"}),
}


@pytest.mark.parametrize("fraction", [0.3, 0.56, 0.9])
@pytest.mark.parametrize("name", CUT)
def test_a_file_that_is_cut_is_refused(name: str, fraction: float, encode: Any) -> None:
    options, codec, pixel_format, codec_options = CUT[name]
    path = encode(name, codec, pixel_format, options=options, codec_options=codec_options)
    content = path.read_bytes()
    path.write_bytes(content[: int(fraction * len(content))])
    with pytest.raises(VideoError, match=r"cut off|breaks at frame") as caught:
        probe_video(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("n_audio_frames", [30, 60, 100])
def test_a_cut_is_found_beside_sound(n_audio_frames: int, encode: Any) -> None:
    path = encode("sound.mkv", n_audio_frames=n_audio_frames)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(VideoError, match=r"ends at .* its header promises"):
        probe_video(path)


def test_a_cut_between_the_parts_of_a_segmented_file_is_refused(encode: Any) -> None:
    path = encode(options={"movflags": "dash+global_sidx"}, codec_options={"g": "15"})
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"moof") - 4])
    with pytest.raises(VideoError, match="its header promises"):
        probe_video(path)


@pytest.mark.parametrize("name", ["tail.mkv", "tail.mp4"])
def test_a_recording_without_a_key_frame_at_its_start_is_refused(name: str, encode: Any, copy_packets: Any) -> None:
    whole = encode(codec_options={"g": "30", "bf": "0"})
    with pytest.raises(VideoError, match="does not begin with a key frame, so its first 23 frames"):
        probe_video(copy_packets(whole, name, keep=lambda index: index >= 7))


def hurt(path: Path, place: float, n_bytes: int = 60) -> Path:
    """Copy a video with other bytes in the middle."""
    content, rng = bytearray(path.read_bytes()), random.Random(0)
    start = int(place * len(content))
    content[start : start + n_bytes] = rng.randbytes(n_bytes)
    hurt_path = path.with_name(f"hurt_{place}_{path.name}")
    hurt_path.write_bytes(content)
    return hurt_path


PLACES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
LEAST_FOUND = {"h264.mkv": 4, "b-frames.mp4": 4, "mjpeg.avi": 4, "mjpeg.mov": 4, "mpeg4.avi": 7, "hevc.mp4": 2}
"""Of damage in seven places, how often the decoder notices at least; no decoder can tell all bytes that are wrong."""


@pytest.mark.parametrize("name", LEAST_FOUND)
def test_damage_that_the_decoder_notices_is_refused(name: str, encode: Any) -> None:
    codec, pixel_format, options = KINDS[name]
    whole = encode(name, codec, pixel_format, codec_options=options)
    pictures = [gray.tobytes() for gray in read_video_luma(whole)]
    n_found = sum(_is_found(hurt(whole, place), pictures) for place in PLACES)
    assert n_found >= LEAST_FOUND[name]


def _is_found(path: Path, pictures: list[bytes]) -> bool:
    """Whether a video is refused, and says which; also if no picture has changed."""
    try:
        probe_video(path)
    except VideoError as error:
        return str(path) in str(error)
    return [gray.tobytes() for gray in read_video_luma(path)] == pictures


@pytest.mark.parametrize("name", ["checked.mkv", "checked.avi"])
def test_the_checksums_of_ffv1_name_the_frame(name: str, encode: Any, numbers: Any) -> None:
    options = {"level": "3", "slicecrc": "1", "g": "1"}
    whole = encode(name, "ffv1", "gray", codec_options=options)
    path = hurt(whole, 0.5, n_bytes=3)
    info = probe_video(path, accept_damaged_frames=True)
    pairs = enumerate(zip(read_video_luma(path), read_video_luma(whole), strict=True))
    differing = [index for index, (found, expected) in pairs if (found != expected).any()]
    assert list(info.damaged_frames) == differing
    assert len(differing) == 1


@pytest.mark.parametrize(("name", "options"), [("a.mp4", {"g": "20"}), ("b.mkv", {"g": "20", "bf": "3"})])
def test_damaged_frames_are_named_up_to_the_next_key_frame(name: str, options: dict[str, str], encode: Any) -> None:
    whole = encode(name, codec_options=options)
    pictures = list(read_video_luma(whole))
    n_named = 0
    for place in PLACES:
        path = hurt(whole, place)
        try:
            info = probe_video(path, accept_damaged_frames=True)
        except VideoError:
            continue  # more than damaged
        if not info.damaged_frames:
            continue
        n_named += 1
        first, last = min(info.damaged_frames), max(info.damaged_frames)
        assert last in (19, 39, 59)
        with pytest.raises(VideoError, match=f"cannot be read whole.*{first}-{last}, from 0") as caught:
            probe_video(path)
        assert "accept_damaged_videos" in str(caught.value)
        differing = {index for index, gray in enumerate(read_video_luma(path)) if (gray != pictures[index]).any()}
        assert differing <= set(info.damaged_frames)
    assert n_named >= 2


@pytest.mark.parametrize("options", [{"bf": "0"}, {"bf": "0", "refs": "1"}, {"bf": "3"}], ids=str)
@pytest.mark.parametrize("name", ["lost.mp4", "lost.mkv", "lost.mov"])
def test_frames_after_a_lost_picture_are_damaged_up_to_the_next_key_frame(
    name: str, options: dict[str, str], encode: Any, copy_packets: Any
) -> None:
    """The decoder takes the picture before the lost one in its place, and says so in its debug log only."""
    whole = encode(codec_options={"g": "30", "keyint_min": "30", "sc_threshold": "0", **options})
    lost = next(index for index in range(20, 30) if is_referred_to(whole, index))
    path = copy_packets(whole, name, keep=lambda index: index != lost)
    with pytest.raises(VideoError, match=r"of 59 cannot be read whole, the decoder made up what is missing"):
        probe_video(path)
    damaged = probe_video(path, accept_damaged_frames=True).damaged_frames
    assert lost - 4 < min(damaged) and max(damaged) == 28


def is_referred_to(path: Path, index: int) -> bool:
    """Whether other pictures are predicted from the picture of a packet of H.264 (nal_ref_idc)."""
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.dts is not None]
    content, places = packets[index], [0]
    while places[-1] + 4 < len(content):
        places.append(places[-1] + 4 + int.from_bytes(content[places[-1] : places[-1] + 4], "big"))
    return any(content[place + 4] & 0x1F == 1 and content[place + 4] & 0x60 for place in places[:-1])


def test_frames_that_were_dropped_before_they_were_encoded_are_no_damage(encode: Any) -> None:
    times_ms = [33 * index for index in range(60) if index != 25]
    path = encode("dropped.mkv", n_frames=59, times_ms=times_ms, codec_options={"bf": "0"})
    assert probe_video(path).damaged_frames == ()


def test_a_recording_that_begins_within_a_stream_is_no_damage(encode: Any, copy_packets: Any) -> None:
    """At a key frame that does not reset the decoder; frames before it are needed by none that is shown."""
    open_ended = {"x264-params": "open-gop=1:keyint=20:min-keyint=20:scenecut=0:bframes=3:b-adapt=0:b-pyramid=none"}
    whole = encode("whole.mkv", codec_options=open_ended)
    with av.open(str(whole)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.dts is not None]
    second = next(index for index, packet in enumerate(packets) if packet.is_keyframe and index)
    times = [packet.pts for packet in packets]
    path = copy_packets(whole, "part.mkv", keep=lambda index: index >= second and times[index] >= times[second])
    assert probe_video(path).damaged_frames == ()


def empty_chunks(path: Path, frames: set[int]) -> Path:
    """Take the data out of some chunks of an AVI, as a recorder that dropped these frames writes it."""
    content = path.read_bytes()
    start = content.index(b"movi") + 4
    place, number, chunks, index = start, 0, b"", b""
    while content[place : place + 4] in (b"00dc", b"00db"):
        name, size = content[place : place + 4], int.from_bytes(content[place + 4 : place + 8], "little")
        data = b"" if number in frames else content[place + 8 : place + 8 + size]
        index += name + b"".join(n.to_bytes(4, "little") for n in (16, 4 + len(chunks), len(data)))
        chunks += name + len(data).to_bytes(4, "little") + data + bytes(len(data) % 2)
        place, number = place + 8 + size + size % 2, number + 1
    size = (4 + len(chunks)).to_bytes(4, "little")
    whole = content[: start - 8] + size + b"movi" + chunks + b"idx1" + len(index).to_bytes(4, "little") + index
    path.write_bytes(whole[:4] + (len(whole) - 8).to_bytes(4, "little") + whole[8:])
    return path


@pytest.mark.parametrize("dropped", [{20, 21, 40}, {0, 1, 30}, {58, 59}], ids=["middle", "start", "end"])
@pytest.mark.parametrize("codec", ["mjpeg", "ffv1"])
def test_dropped_frames_of_an_avi_are_no_cut(dropped: set[int], codec: str, encode: Any, numbers: Any) -> None:
    path = empty_chunks(
        encode("side.avi", codec, {"mjpeg": "yuvj420p", "ffv1": "gray"}[codec], codec_options={"g": "1"}), dropped
    )
    info, there = probe_video(path), [number for number in range(60) if number not in dropped]
    assert info.n_frames == len(there)
    assert numbers(read_video_luma(path)) == there
    times_s = np.arange(len(there)) / 30 if info.own_times_s is None else info.own_times_s
    np.testing.assert_allclose(times_s, (np.array(there) - there[0]) / 30)


def test_an_avi_with_dropped_frames_that_is_cut_is_refused(encode: Any) -> None:
    path = empty_chunks(encode("side.avi", "mjpeg", "yuvj420p"), {20, 21, 58})
    content = path.read_bytes()
    path.write_bytes(content[: int(0.6 * len(content))])
    with pytest.raises(VideoError, match=r"was cut off|breaks at frame"):
        probe_video(path)


def test_a_header_that_counts_fewer_frames_than_there_are_is_not_believed(encode: Any, numbers: Any) -> None:
    path = encode("side.avi", "mjpeg", "yuvj420p")
    content = bytearray(path.read_bytes())
    place = content.index(b"strh") + 8 + 32
    content[place : place + 4] = (20).to_bytes(4, "little")
    path.write_bytes(content)
    assert probe_video(path).n_frames == 60


def test_notes_of_a_camera_that_the_decoder_cannot_read_are_no_damage(encode: Any, tmp_path: Path) -> None:
    path = tmp_path / "notes.mkv"
    note = bytes([6, 5, 200]) + bytes(range(1, 20)) + b"\x80"  # says that it is 200 bytes long
    with av.open(str(encode())) as container, av.open(str(path), "w") as output:
        stream: Any = output.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.dts is not None:
                with_note = av.Packet(len(note).to_bytes(4, "big") + note + bytes(packet))
                with_note.pts, with_note.dts, with_note.time_base = packet.pts, packet.dts, packet.time_base
                with_note.is_keyframe, with_note.stream = packet.is_keyframe, stream
                output.mux(with_note)
    with decoder_messages() as messages:
        list(av.open(str(path)).decode(video=0))
        assert any(text.startswith("SEI type") for _, _, text in messages)
    assert probe_video(path).damaged_frames == ()


def test_two_videos_in_one_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams: list[Any] = [container.add_stream("mpeg4", rate=30) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for stream in streams:
            container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
    with pytest.raises(VideoError, match="2 video streams"):
        probe_video(path)


def test_listening_to_the_decoder_leaves_pyavs_log_as_it_was(encode: Any) -> None:
    before = av.logging.get_level(), av.logging.get_skip_repeated()
    broken = hurt(encode("a.avi", "mjpeg", "yuvj420p"), 0.5)
    with decoder_messages():
        for found in _in_threads(4, lambda: probe_video(broken, accept_damaged_frames=True).damaged_frames):
            assert len(found) >= 1
    assert (av.logging.get_level(), av.logging.get_skip_repeated()) == before


def _in_threads(n_threads: int, work: Callable[[], Any]) -> list[Any]:
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(work())) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == n_threads
    return results
