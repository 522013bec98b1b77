"""Videos: exact counts and rates, gray levels that survive, and a refusal for everything that cannot be read."""

import hashlib
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from compute.errors import VideoError
from compute.video import probe_video, read_video_frame, read_video_luma, video_content_hash, write_video

NTSC = Fraction(30000, 1001)


def ramp_frames(n_frames=25, height=48, width=64):
    """A gray ramp with a bright bar that moves by two columns a frame: each frame tells its own index."""
    frames = np.tile(np.linspace(0, 200, width).astype(np.uint8), (n_frames, height, 1))
    for index in range(n_frames):
        frames[index, :8, 2 * index : 2 * index + 2] = 255
    return frames


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "side.mp4"
    write_video(path, ramp_frames(), NTSC)
    return path


@pytest.mark.parametrize("fps", [NTSC, 250, 29.97, Fraction(500, 3)])
@pytest.mark.parametrize(("height", "width"), [(48, 64), (51, 65), (50, 66)])
def test_round_trip_keeps_count_rate_size_and_gray_levels(tmp_path, fps, height, width):
    frames = ramp_frames(height=height, width=width)
    write_video(tmp_path / "a.mp4", frames, fps)
    info = probe_video(tmp_path / "a.mp4")
    read = np.stack(list(read_video_luma(tmp_path / "a.mp4")))
    assert (info.n_frames, info.width_px, info.height_px, info.codec) == (25, width, height, "h264")
    assert info.fps == Fraction(str(fps))
    assert info.duration_s == pytest.approx(25 / float(fps))
    assert read.dtype == np.uint8
    assert np.abs(read[:, 16:].astype(int) - frames[:, 16:]).max() <= 3
    assert np.abs(read.astype(int) - frames).mean() < 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("width", [64, 65])
def test_without_compression_every_gray_level_comes_back_exactly(tmp_path, width):
    frames = np.random.default_rng(0).integers(0, 256, (3, 48, width), np.uint8)
    write_video(tmp_path / "a.mp4", frames, 30, crf=0)
    np.testing.assert_array_equal(list(read_video_luma(tmp_path / "a.mp4")), frames)


def test_the_same_frames_give_the_same_bytes(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (120, 256, 320), np.uint8)
    frames = [cv2.GaussianBlur(frame, (9, 9), 3) for frame in noise]
    for name in "abc":
        write_video(tmp_path / f"{name}.mp4", frames, 100)
    assert len({video_content_hash(path) for path in tmp_path.iterdir()}) == 1


def test_limited_range_gives_the_gray_levels_that_opencv_shows(tmp_path):
    path = tmp_path / "limited.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt, stream.options = 64, 48, "yuv420p", {"crf": "0"}
        for gray in ramp_frames(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(gray, format="gray").reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    shown = cv2.VideoCapture(str(path)).read()[1][..., 1]
    assert np.abs(read_video_frame(path, 0).astype(int) - shown).max() <= 1
    assert np.abs(read_video_frame(path, 0).astype(int) - ramp_frames(1)[0]).max() <= 2


def test_ten_bit_video_is_read_as_eight_bit_gray(tmp_path):
    path = tmp_path / "ten.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
        for gray in ramp_frames(3):
            frame = av.VideoFrame.from_ndarray(gray, format="gray").reformat(format="yuv420p10le")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert probe_video(path).n_frames == 3
    assert np.abs(read_video_frame(path, 2).astype(int) - ramp_frames(3)[2]).max() <= 2


@pytest.mark.parametrize(("start", "stop"), [(0, None), (7, None), (3, 9), (24, 25), (5, 5)])
def test_read_luma_gives_exactly_the_frames_asked_for(video, start, stop):
    all_frames = list(read_video_luma(video))
    some = list(read_video_luma(video, start=start, stop=stop))
    np.testing.assert_array_equal(
        np.array(some).reshape(-1, 48, 64), np.array(all_frames[start:stop]).reshape(-1, 48, 64)
    )


def test_every_frame_tells_its_own_index(video):
    bars = [int(np.argmax(read_video_frame(video, index)[2, :] > 240)) for index in (0, 11, 24)]
    assert bars == [0, 22, 48]


def test_frames_after_the_end_are_refused(video):
    with pytest.raises(VideoError, match="25 frames"):
        read_video_frame(video, 25)
    with pytest.raises(VideoError, match="expected 0 <= start"):
        read_video_frame(video, -1)


def write_noise(path, n_frames=200, options=None):
    frames = np.random.default_rng(0).integers(0, 255, (n_frames, 48, 64), np.uint8)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for gray in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(gray, format="gray").reformat(format="yuv420p")))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("fraction", [0.02, 0.3, 0.7, 0.99])
@pytest.mark.parametrize("options", [{}, {"movflags": "faststart"}], ids=["index at the end", "index in front"])
def test_a_video_cut_anywhere_is_refused(tmp_path, fraction, options):
    path = tmp_path / "cut.mp4"
    write_noise(path, options=options)
    content = path.read_bytes()
    path.write_bytes(content[: int(fraction * len(content))])
    with pytest.raises(VideoError, match="cut") as caught:
        probe_video(path)
    assert str(path) in str(caught.value)
    with pytest.raises(VideoError):
        list(read_video_luma(path))


def test_a_stretch_of_zeros_in_the_middle_is_refused(tmp_path):
    path = tmp_path / "hole.mp4"
    write_noise(path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20_000] = bytes(20_000)
    path.write_bytes(content)
    with pytest.raises(VideoError):
        probe_video(path)


def test_a_video_trimmed_by_an_edit_list_has_the_frames_that_are_shown(tmp_path):
    source, trimmed = tmp_path / "source.mp4", tmp_path / "trimmed.mp4"
    write_noise(source, n_frames=30)
    with av.open(str(source)) as container, av.open(str(trimmed), "w") as output:
        stream = output.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.dts is None:
                continue
            shift = 10 * packet.duration
            packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
            output.mux(packet)
    shown = [frame.pts for frame in av.open(str(trimmed)).decode(video=0)]
    assert probe_video(trimmed).n_frames == len(shown)


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "empty"), (b"time,x,y\n" * 500, "not a video"), (None, "does not exist")]
)
def test_what_is_no_video_is_refused(tmp_path, content, message):
    path = tmp_path / "side.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VideoError, match=message):
        probe_video(path)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(VideoError, match=str(tmp_path)):
        probe_video(tmp_path)


def test_a_video_without_frames_is_refused(tmp_path):
    path = tmp_path / "zero.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    with pytest.raises(VideoError, match=str(path)):
        probe_video(path)


def test_a_frame_size_that_changes_is_refused(tmp_path):
    parts = []
    for name, width in (("a.ts", 64), ("b.ts", 80)):
        with av.open(str(tmp_path / name), "w", format="mpegts") as container:
            stream = container.add_stream("libx264", rate=30)
            stream.width, stream.height, stream.pix_fmt = width, 48, "yuv420p"
            for gray in ramp_frames(30, width=width):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(gray, format="gray").reformat(format="yuv420p")))
            container.mux(stream.encode(None))
        parts.append((tmp_path / name).read_bytes())
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(parts))
    with pytest.raises(VideoError, match="80 x 48"):
        probe_video(path)


def test_audio_alone_is_refused(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(VideoError, match="no video"):
        probe_video(path)


@pytest.mark.parametrize(
    "frames",
    [[], [np.zeros((48, 64), np.uint8), np.zeros((48, 66), np.uint8)], [np.zeros((48, 64), np.float32)]],
    ids=["none", "two sizes", "float"],
)
def test_frames_that_make_no_video_leave_no_file(tmp_path, frames):
    with pytest.raises(VideoError, match=r"a\.mp4"):
        write_video(tmp_path / "a.mp4", frames, 30)
    assert list(tmp_path.iterdir()) == []


def test_write_to_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(VideoError, match="cannot be written"):
        write_video(tmp_path / "missing" / "a.mp4", ramp_frames(2), 30)


def test_content_hash_is_sha256_of_the_bytes(video, tmp_path):
    assert video_content_hash(video) == hashlib.sha256(video.read_bytes()).hexdigest()
    with pytest.raises(VideoError, match="cannot be read"):
        video_content_hash(tmp_path / "missing.mp4")
