"""Regular videos stay at their exact rate whatever the container's ticks; irregular ones keep their own times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from compute.frame_times import frame_times_of_pts
from compute.video import probe_video

NTSC = Fraction(30000, 1001)
MILLISECOND = Fraction(1, 1000)


def half_up(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.floor(values + 0.5)


@given(
    fps=st.sampled_from([Fraction(24), Fraction(25), NTSC, Fraction(30), Fraction(100), Fraction(500), Fraction(2000)]),
    tick_s=st.sampled_from([MILLISECOND, Fraction(1, 90000), Fraction(1, 15360), Fraction(1, 600)]),
    start=st.integers(-5000, 100_000),
    offset=st.floats(0, 1, exclude_max=True),
    rounded=st.sampled_from([half_up, np.floor, np.ceil]),
)
def test_rounding_to_ticks_leaves_a_video_regular(
    fps: Fraction,
    tick_s: Fraction,
    start: int,
    offset: float,
    rounded: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> None:
    pts = start + rounded(np.arange(300) / float(fps * tick_s) + offset + 1e-9).astype(int)
    found = frame_times_of_pts(pts.tolist(), tick_s, [fps])
    assert (found.fps, found.own_times_s) == (fps, None)


def test_the_rate_that_fits_is_taken_and_not_the_first() -> None:
    pts = np.round(np.arange(200) * 1000 / 30).astype(int).tolist()
    found = frame_times_of_pts(pts, MILLISECOND, [None, Fraction(1000), Fraction(30)])
    assert (found.fps, found.own_times_s) == (Fraction(30), None)
    even = frame_times_of_pts([0, 40, 80, 120], MILLISECOND, [Fraction(30)])
    assert (even.fps, even.own_times_s) == (Fraction(25), None)


@pytest.mark.parametrize("tick_s", [Fraction(1, 30), MILLISECOND, Fraction(1, 15360)])
def test_one_dropped_frame_makes_times_of_its_own(tick_s: Fraction) -> None:
    times = np.delete(np.arange(61), 10) / 30
    pts = np.round(times / float(tick_s)).astype(int).tolist()
    found = frame_times_of_pts(pts, tick_s, [Fraction(30)])
    assert found.own_times_s is not None
    np.testing.assert_allclose(found.own_times_s, times, atol=float(tick_s) / 2)
    np.testing.assert_array_equal(found.own_times_s, np.array(pts) * tick_s.numerator / tick_s.denominator)
    assert float(found.fps) == pytest.approx(59 / 2, rel=1e-3)


@pytest.mark.parametrize("dropped", [[1], [23], [46], [15, 31], [5, 11, 17, 23, 29, 35, 41]])
def test_frames_that_miss_in_an_mp4_are_not_spread_over_its_mean_rate(dropped: list[int]) -> None:
    """MP4 has no other first rate than the mean of its own frames."""
    slots = np.delete(np.arange(48), dropped)
    mean_rate = Fraction(slots.size * 30, 48)
    found = frame_times_of_pts((512 * slots).tolist(), Fraction(1, 15360), [mean_rate, Fraction(30), Fraction(30)])
    assert found.own_times_s is not None
    np.testing.assert_allclose(found.own_times_s, slots / 30)


def test_times_are_since_the_first_frame_and_may_be_wrong() -> None:
    found = frame_times_of_pts([500, 533, 633, 600], MILLISECOND, [Fraction(30)])
    assert found.own_times_s is not None
    assert found.own_times_s.tolist() == [0.0, 0.033, 0.133, 0.1]


@pytest.mark.parametrize("pts", [[], [7], [0, None, 66], [None, None]])
def test_without_time_stamps_the_stated_rate_holds(pts: list[int | None]) -> None:
    found = frame_times_of_pts(pts, MILLISECOND, [None, NTSC])
    assert (found.fps, found.own_times_s) == (NTSC, None)


def write_with_times(path: Path, ticks: Sequence[int], tick_s: Fraction) -> None:
    """Write a video whose frames have these presentation times, with frames that are stored in another order."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = stream.time_base = tick_s
        stream.options = {"bf": "2"}
        for index, pts in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64), 4 * index, np.uint8), format="gray")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = pts, tick_s
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_an_irregular_video_says_the_time_of_each_frame(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"side.{ending}"
    ticks = [0, 33, 67, 100, 200, 210, 900, 933, 967, 1000]
    write_with_times(path, ticks, MILLISECOND)
    info = probe_video(path)
    assert info.own_times_s is not None
    np.testing.assert_allclose(info.own_times_s, np.array(ticks) / 1000, atol=1e-12)
    assert (info.n_frames, info.fps) == (10, 9)


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
@pytest.mark.parametrize("first", [0, 500])
def test_a_regular_video_has_its_exact_rate_wherever_it_starts(tmp_path: Path, ending: str, first: int) -> None:
    path = tmp_path / f"side.{ending}"
    write_with_times(path, [first + round(index * 1001 / 30) for index in range(60)], MILLISECOND)
    info = probe_video(path)
    assert info.own_times_s is None
    assert info.fps == pytest.approx(NTSC, rel=2e-3)
