"""Times beside a video: whatever wrote the file, each frame gets its time, or the file is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compute.errors import SessionError
from ingest.rig_time import rig_time_zone_of
from ingest.timestamps import Timestamps, read_timestamps, unused_timestamps

EVEN_S = [0.0, 0.033333, 0.066667, 0.1, 0.133333]


def read(
    path: Path,
    text: str | bytes,
    n_frames: int = 5,
    fps: float = 30,
    *,
    zone: str = "",
    utc_offset_min: int | None = None,
) -> Timestamps:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_timestamps(path, n_frames=n_frames, fps=fps, zone=rig_time_zone_of(zone), utc_offset_min=utc_offset_min)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "side.timestamps.csv"


def lines(*cells: str) -> str:
    return "\n".join(cells) + "\n"


def column(unit: float = 1, decimal: str = ".", times: Sequence[float] = EVEN_S) -> list[str]:
    return [f"{time * unit:.6f}".replace(".", decimal) for time in times]


def beside(separator: str, cells: Sequence[str]) -> list[str]:
    return [f"{index}{separator}{cell}{separator}4.5" for index, cell in enumerate(cells, 7)]


@pytest.mark.parametrize(
    "text",
    [
        lines(*column()),
        lines("time_s", *column()),
        lines("side", *column()),
        lines("time (s)", *column()),
        lines("Time [s]", *column()),
        lines("# time_s", *column()),
        lines("# recorded by hand, calm", *column()),
        lines("timestamp_ms", *column(1e3)),
        lines("time (ms)", *column(1e3)),
        lines("time/ms", *column(1e3)),
        lines("# time_ms", *column(1e3)),
        lines("TimeStampMs", *column(1e3)),
        lines("us", *column(1e6)),
        lines("Time [µs]", *column(1e6)),
        lines("timestamp_ns", *column(1e9)),
        lines(*column(decimal=",")),
        lines("time_s", *column(decimal=",")),
        lines("frame;time_s;exposure_ms", *beside(";", column(decimal=","))),
        lines("frame;time_s;exposure_ms", *beside(";", column())),
        lines("frame\ttime_ms\texposure_ms", *beside("\t", column(1e3, ","))),
        lines("frame,time_s,exposure_ms", *beside(",", column())),
        lines("frame, time_ms, exposure (ms)", *beside(", ", column(1e3))),
        lines("frame time_s exposure", *beside(" ", column())),
        lines("frame,exposure_ms,time_s", *(f"{index},4.5,{cell}" for index, cell in enumerate(column()))),
        lines("frame,time_s,system_time", *(f"{index},{cell},9" for index, cell in enumerate(column()))),
        lines('"frame","time_s"', *(f'"{index}","{cell}"' for index, cell in enumerate(column(decimal=",")))),
        lines(*(f"{time:e}" for time in EVEN_S)),
        lines(*(f"{time:e}".replace(".", ",") for time in EVEN_S)),
        "\n\n".join(column()) + "\n\n",
        "\r\n".join(["time_s", *column()]),
        "\ufeff" + lines(*column()),
        "\ufeff" + lines("time_s", *column()),
        lines("time_s,", *(f"{cell}," for cell in column())),
        lines("time_s", *column()).encode("utf-16"),
        lines("Time [µs]", *column(1e6)).encode("latin-1"),
    ],
)
def test_the_times_are_read_whoever_wrote_them(file: Path, text: str | bytes) -> None:
    read_times = read(file, text)
    np.testing.assert_allclose(read_times.times_s, EVEN_S, atol=1e-6)
    assert read_times.first_unix_s is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (lines(*beside(",", column())), "3 columns and no header"),
        (lines(*(f"{index},{33 * index}" for index in range(5))), "2 columns and no header"),
        (lines("a,b", *(f"{index},{cell}" for index, cell in enumerate(column()))), "none of them is a time"),
        (lines("exposure_ms", *column(1e3)), "none of them is a time"),
        (lines("frame", *map(str, range(5))), "none of them is a time"),
        (lines("time_camera,time_pc", *(f"{cell},{cell}" for cell in column())), "2 of them may be the time"),
        (lines(*column(1e3)), "As ms they would fit: name the column time_ms"),
        (lines("time_us", *column(1e3)), "As ms they would fit"),
        (lines("timestamp", *column(1e9)), "As ns they would fit"),
        (lines(*map(str, range(5))), "taken as s, the times have 1 frames a second, but the video has 30"),
        (lines(*column(times=np.arange(5) / 70)), "70 frames a second"),
        (lines("time_s", *column()[:3], "0.1 s", "0.2"), "line 5: '0.1 s' is not a time"),
        (lines("time_s", *column()[:3], "nan", "0.2"), "line 5: 'nan' is not a time"),
        (lines("time_s", *column()[:3], "", "0.2,3"), "2 cells, expected 1"),
        (lines("frame,time_s", "0,0.0", "1", "2,0.06"), "line 3: 1 cells, expected 2"),
        (lines("frame,time_s", *(f"{index},0,{33 * index:03}" for index in range(5))), "3 cells, expected 2"),
        (lines("time", "s", *column()), "line 2: 's' is no time; expected one header line"),
        (
            lines("time", "10:30:00.5"),
            "line 2: '10:30:00.5' holds a time of day in a form that is not known; expected a day",
        ),
        (
            lines("time", "03/02/2026 10:30:00 AM"),
            "expected a day with its time in one column, such as 2026-03-02T10:30",
        ),
        (
            lines("date,clock", "2026-03-02,10:30:00.5"),
            "'2026-03-02,10:30:00.5' holds a time of day in a form that is not",
        ),
        (
            lines("frame,time", "-,[ms]", *(f"{i},{c}" for i, c in enumerate(column(1e3)))),
            "line 2: '-,[ms]' is no time",
        ),
        (lines("time_s", *column(), "end"), "line 7: 'end' is not a time"),
        (lines("time_s", *column(), "0.2"), "6 times, the video has 5 frames"),
        (lines(*column()[:4]), "4 times, the video has 5 frames"),
        ("", "0 times, the video has 5 frames"),
        (lines("time_s", *column()[:3], "0.0", "0.033333"), "line 5: the clock starts again at frame 3"),
        (lines(*column()[:3], "0.066667", "0.1"), "line 4: time does not increase at frame 3"),
        (bytes(range(256)), "is no text"),
    ],
)
def test_what_cannot_be_the_times_is_refused_by_name(file: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(SessionError) as refused:
        read(file, text)
    assert said in str(refused.value)
    assert str(file) in str(refused.value)


@pytest.mark.parametrize(
    ("head", "write"),
    [
        ("unix", lambda time: f"{1772443800.25 + time:.6f}"),
        ("time_ms", lambda time: f"{1772443800250 + 1000 * time:.3f}"),
        ("timestamp_ns", lambda time: str(1772443800250000000 + round(time * 1e9))),
        ("datetime", lambda time: f"2026-03-02T09:30:00.{round((0.25 + time) * 1e7):07}Z"),
        (
            "frame;utc_time",
            lambda time: f"{round(time * 30) + 9};2026-03-02 10:30:00.{round((0.25 + time) * 1e6):06}+01:00",
        ),
    ],
)
def test_instants_become_times_since_the_first_frame(file: Path, head: str, write: Callable[[float], str]) -> None:
    found = read(file, lines(head, *map(write, EVEN_S)))
    np.testing.assert_allclose(found.times_s, EVEN_S, atol=1e-9)
    assert found.first_unix_s == Decimal("1772443800.25")


def test_days_and_times_without_a_zone_are_local(file: Path) -> None:
    text = lines(*(f"2026-03-02T10:30:{time:09.6f}" for time in EVEN_S))
    assert read(file, text, zone="Europe/Berlin").first_unix_s == 1772443800
    assert read(file, text, zone="Asia/Tokyo", utc_offset_min=60).first_unix_s == 1772443800
    here = read(file, text).first_unix_s
    assert here == int(datetime(2026, 3, 2, 10, 30).astimezone().timestamp())
    with pytest.raises(SessionError, match="line 2"):
        read(file, lines("2026-03-02T10:30:00", "2026-03-02T10:30:01Z"), n_frames=2, fps=1)


NEW_YORK = timedelta(hours=-5)


@pytest.mark.parametrize(
    ("head", "line", "offset"),
    [
        ("time,utc_offset", "2026-03-02T04:30:{:09.6f},-05:00", NEW_YORK),
        ("time;UTC offset;exposure_ms", "2026-03-02 04:30:{:09.6f};-0500;4.5", NEW_YORK),
        ("utc_offset_min,time", "-300,2026-03-02T04:30:{:09.6f}", NEW_YORK),
        ("datetime,tz_offset_s", "2026-03-02T04:30:{:09.6f},-18000", NEW_YORK),
        ("time,time_zone", "2026-03-02T04:30:{:09.6f},UTC-05", NEW_YORK),
        ("time,utc_offset", "2026-03-02T09:30:{:09.6f}Z,-05:00", NEW_YORK),
        ("time_utc,utc_offset_h", "2026-03-02T09:30:{:09.6f},-5", NEW_YORK),
        ("time", "2026-03-02T04:30:{:09.6f}-05:00", NEW_YORK),
        ("time,tz", "2026-03-02T09:30:{:09.6f},UTC", timedelta(0)),
        ("time", "2026-03-02T09:30:{:09.6f}Z", None),
        ("time_utc", "2026-03-02T09:30:{:09.6f}", None),
    ],
)
def test_an_offset_from_utc_is_read_and_kept_wherever_it_stands(
    file: Path, head: str, line: str, offset: timedelta | None
) -> None:
    found = read(file, lines(head, *map(line.format, EVEN_S)), zone="Asia/Tokyo")
    assert (found.first_unix_s, found.utc_offset) == (1772443800, offset)
    np.testing.assert_allclose(found.times_s, EVEN_S, atol=1e-9)


def test_an_offset_beside_seconds_since_1970_is_kept(file: Path) -> None:
    found = read(file, lines("timestamp,utc_offset", *(f"{1772443800 + time:.6f},-05:00" for time in EVEN_S)))
    assert (found.first_unix_s, found.utc_offset) == (1772443800, NEW_YORK)
    # By a camera's own clock there is no instant that it could belong to.
    assert read(file, lines("time_s,tz", *(f"{time},?" for time in EVEN_S))).utc_offset is None


@pytest.mark.parametrize(
    ("head", "line", "said"),
    [
        (
            "time,utc_offset",
            "{},-5",
            "line 2: '-5' in column utc_offset is no offset from UTC; expected such as -05:00",
        ),
        ("time,utc_offset_min", "{},-05:00", "line 2: '-05:00' in column utc_offset_min is no offset from UTC"),
        ("time,utc_offset", "{},+25:00", "line 2: '+25:00' in column utc_offset is no offset from UTC"),
        ("time,utc_offset", "{},+01:75", "line 2: '+01:75' in column utc_offset is no offset from UTC"),
        ("utc_offset,time", ",{}", "line 2: '' in column utc_offset is no offset from UTC"),
        ("time,tz", "{},Europe/Berlin", "line 2: 'Europe/Berlin' in column tz is no offset from UTC"),
        ("time,utc_offset_s", "{},-18001", "line 2: '-18001' in column utc_offset_s is no offset from UTC"),
        ("time,utc_offset_h", "{},nan", "line 2: 'nan' in column utc_offset_h is no offset from UTC"),
        ("time,utc_offset_h", "{},-300", "line 2, column utc_offset_h: utc_offset_min is -18000; expected -720 to 840"),
        ("time,tz,utc_offset", "{},Z,-05:00", "has 2 columns of offsets from UTC (tz, utc_offset); expected one"),
        ("time,utc_offset", "{}+01:00,-05:00", "another column says -05:00; expected the same"),
    ],
)
def test_an_offset_from_utc_that_cannot_be_is_refused(file: Path, head: str, line: str, said: str) -> None:
    cells = [f"2026-03-02T04:30:{time:09.6f}" for time in EVEN_S]
    with pytest.raises(SessionError) as refused:
        read(file, lines(head, *map(line.format, cells)))
    assert str(file) in str(refused.value) and said in str(refused.value)


def test_an_offset_from_utc_other_than_that_of_session_toml_is_refused(file: Path) -> None:
    text = lines("time,utc_offset", *(f"2026-03-02T04:30:{time:09.6f},-05:00" for time in EVEN_S))
    with pytest.raises(
        SessionError, match=r"line 2: the offset from UTC is -05:00 .* of session\.toml is 60; expected"
    ):
        read(file, text, utc_offset_min=60)
    assert read(file, text, utc_offset_min=-300).utc_offset == NEW_YORK


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["20260302102959.50", "20260302102959.53"], "20260302102959.50 is an instant of the year 643993;"),
        (
            ["20260302102959.94", "20260302102959.97", "20260302103000.00"],
            "20260302102959.94 is an instant of the year 643993;",
        ),
        (["0001-01-01 00:00:00.00", "0001-01-01 00:00:00.03"], "0001-01-01 00:00:00 is an instant of the year 1;"),
        (["9999-12-31T23:59:59.00-05:00", "9999-12-31T23:59:59.03-05:00"], "is an instant of the year 9999;"),
    ],
)
def test_an_instant_beyond_the_calendar_is_refused_with_its_line(file: Path, cells: list[str], said: str) -> None:
    with pytest.raises(SessionError) as refused:
        read(file, lines("time", *cells), n_frames=len(cells), zone="Europe/Berlin")
    assert f"{file}, line 2: " in str(refused.value) and said in str(refused.value)
    assert "write them as 2026-03-02T10:30:00.5" in str(refused.value)


def numbered(numbers: Sequence[object], times: Sequence[float] = EVEN_S, head: str = "frame") -> str:
    return lines(f"time_s,{head}", *(f"{time},{number}" for time, number in zip(times, numbers, strict=True)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (numbered([0, 1, 2, 3, 3]), "column frame, line 6: number 3 follows 3;"),
        (numbered([5, 4, 3, 2, 1]), "column frame, line 3: number 4 follows 5;"),
        (numbered([0, 1, 0, 1, 2], head="Frame ID"), "column Frame ID, line 4: number 0 follows 1;"),
        (numbered([0, 1, 2, 4, 5]), "line 5: number 4 follows 2, but only 0.033333 s passed, where frames are 0.0333"),
        (numbered([0, 1, 2, 5, 6], [0, 0.033, 0.066, 0.132, 0.165]), "line 5: number 5 follows 2, but only 0.066"),
        (numbered([0, 1, "x", 3, 4], head="frame_number"), "line 4: 'x' in column frame_number is no frame number"),
        (numbered([0, 1, 1.5, 3, 4]), "line 4: '1.5' in column frame is no frame number"),
    ],
)
def test_frame_numbers_that_do_not_count_the_frames_are_refused(file: Path, text: str, said: str) -> None:
    with pytest.raises(SessionError) as refused:
        read(file, text)
    assert str(file) in str(refused.value) and said in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        numbered(range(5)),
        numbered(range(1, 6), head="frameIndex"),
        numbered(range(7811, 7816)),
        numbered([65533, 65534, 65535, 1, 2], head="frame_id"),
        numbered([4.0, 5.0, 6.0, 7.0, 8.0], head="index"),
        numbered(["a.png", "b.png", "c.png", "d.png", "e.png"]),
        numbered([9] * 5, head="camera_id"),
        numbered([30] * 5, head="frame_rate"),
        numbered([0, 1, 2, 5, 6], [0, 0.033, 0.066, 0.165, 0.198]),
        numbered([0, 1, 2, 3, 4], [0, 0.033, 0.066, 0.165, 0.198]),
    ],
)
def test_frame_numbers_of_a_camera_are_taken(file: Path, text: str) -> None:
    """They start anywhere, skip what was dropped in time, and go on where the camera paused."""
    assert read(file, text).times_s.size == 5


LOS_ANGELES = "America/Los_Angeles"
SPRING = ["2026-03-08 01:59:59.94", "2026-03-08 01:59:59.97"]


def test_local_times_go_on_where_clocks_are_set_forward(file: Path) -> None:
    text = lines("time", *SPRING, *(f"2026-03-08 03:00:00.{hundredths:02}" for hundredths in (0, 3, 6)))
    found = read(file, text, zone=LOS_ANGELES)
    np.testing.assert_allclose(found.times_s, np.arange(5) * 0.03, atol=1e-9)
    assert found.first_unix_s == Decimal("1772963999.94")


def test_one_offset_for_times_on_both_sides_of_a_change_is_refused(file: Path) -> None:
    text = lines("time", *SPRING, "2026-03-08 03:00:00.00")
    with pytest.raises(SessionError, match=r"line 4: .*America/Los_Angeles .*Remove its utc_offset_min"):
        read(file, text, 3, zone=LOS_ANGELES, utc_offset_min=-480)
    before = read(file, lines("time", *SPRING), 2, zone=LOS_ANGELES, utc_offset_min=-480)
    assert before.first_unix_s == Decimal("1772963999.94")


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([*SPRING, "2026-03-08 02:00:00.00"], "line 4: 2026-03-08 02:00:00 is no time in America/Los_Angeles"),
        (["2026-11-01 00:59:59.99", "2026-11-01 01:00:00.02"], "line 3: 2026-11-01 01:00:00.020000 is two times"),
        (["2026-11-01 01:30:00.00", "2026-11-01 01:30:00.03"], "line 2: 2026-11-01 01:30:00 is two times"),
    ],
)
def test_a_local_time_that_clocks_skip_or_repeat_is_refused(file: Path, cells: list[str], said: str) -> None:
    with pytest.raises(SessionError) as refused:
        read(file, lines("time", *cells), n_frames=len(cells), zone=LOS_ANGELES)
    assert f"{file}, {said}" in str(refused.value)
    assert "Give each time with its offset from UTC" in str(refused.value)
    with_offset = read(file, lines("time", *(f"{cell}-08:00" for cell in cells)), len(cells), zone=LOS_ANGELES)
    np.testing.assert_allclose(with_offset.times_s, np.arange(len(cells)) * 0.03, atol=1e-9)


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ([0.0, 1.77e9, 1.77e9 + 0.033, 1.77e9 + 0.066, 1.77e9 + 0.1], "line 3: time jumps by 20486 days"),
        ([0.0, 0.033, 0.066, 1.77e9, 1.77e9 + 0.033], "line 5: time jumps by 20486 days"),
        ([0.0, 1.77e9, 1.77e9 + 0.033], "line 3: time jumps by 20486 days"),
        ([1.76e9, 1.77e9, 1.77e9 + 0.033, 1.77e9 + 0.066, 1.77e9 + 0.1], "line 3: time jumps by 116 days"),
        ([0.0, 0.033, 7200.0, 7200.033, 7200.066], "line 4: time jumps by 2 h"),
    ],
)
def test_a_jump_of_a_clock_that_is_set_is_no_hole(file: Path, times: list[float], said: str) -> None:
    with pytest.raises(SessionError) as refused:
        read(file, lines("time_s", *column(times=times)), len(times))
    assert f"{file}: {said}" in str(refused.value)
    assert "If the camera's clock was set there" in str(refused.value)


def test_pauses_are_holes(file: Path) -> None:
    """Trials of a second, ten minutes apart, and a break of two hours in a video of two minutes."""
    trials = np.concatenate([600 * trial + np.arange(30) / 30 for trial in range(12)])
    np.testing.assert_allclose(read(file, lines(*column(times=trials)), trials.size).times_s, trials, atol=1e-6)
    parts = np.concatenate([np.arange(1800) / 30, 7200 + np.arange(1800) / 30])
    np.testing.assert_allclose(read(file, lines(*column(times=parts)), parts.size).times_s, parts, atol=1e-6)


def test_a_clock_that_ran_before_the_video_keeps_its_times(file: Path) -> None:
    np.testing.assert_array_equal(read(file, lines(*column(times=np.add(EVEN_S, 86400)))).times_s[0], 86400)


def test_a_hole_is_no_wrong_rate(file: Path) -> None:
    times = [0.0, 0.033333, 0.066667, 3600.0, 3600.033333]
    np.testing.assert_allclose(read(file, lines(*column(times=times))).times_s, times)


def test_one_frame_has_one_time(file: Path) -> None:
    assert read(file, "time_s\n5.5\n", n_frames=1).times_s.tolist() == [5.5]
    assert read(file, "5,5\n", n_frames=1).times_s.tolist() == [5.5]


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("side.timestamps.txt", "the name that is read is side.timestamps.csv"),
        ("side_timestamps.csv", "the name that is read is side.timestamps.csv"),
        ("Side.TimeStamps.CSV", "the name that is read is side.timestamps.csv"),
        ("frame_times_side.npy", "the name that is read is side.timestamps.csv"),
        ("lower.timestamps.csv", "no video is of this name; read would be side.timestamps.csv"),
        ("times.csv", "no video is of this name; read would be side.timestamps.csv"),
        ("side.timestamps.csv", ""),
        ("session.toml", ""),
        ("sometimes.txt", ""),
    ],
)
def test_what_looks_like_times_and_is_not_read_is_said(tmp_path: Path, name: str, needs: str) -> None:
    (tmp_path / name).touch()
    said = unused_timestamps(tmp_path.iterdir(), {"side": tmp_path / "side.mp4"})
    assert said == ([f"{name} looks like times of frames and is not used: {needs}"] if needs else [])
    if "side" in name.lower():
        (tmp_path / "side.timestamps.csv").touch()
        assert unused_timestamps(tmp_path.iterdir(), {"side": tmp_path / "side.mp4"}) == []


@given(
    steps=st.lists(st.floats(0.6, 1.6), min_size=3, max_size=40),
    start=st.floats(0, 1e5),
    unit=st.sampled_from([("s", 1), ("ms", 1e3), ("us", 1e6)]),
    separator=st.sampled_from([";", "\t"]),
    decimal=st.sampled_from([".", ","]),
)
def test_times_go_round(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[float],
    start: float,
    unit: tuple[str, float],
    separator: str,
    decimal: str,
) -> None:
    times = start + np.cumsum(steps) / 100
    cells = [f"{time * unit[1]:.6f}".replace(".", decimal) for time in times]
    text = lines(f"frame{separator}time_{unit[0]}", *(f"{i}{separator}{cell}" for i, cell in enumerate(cells)))
    path = tmp_path_factory.mktemp("times") / "side.timestamps.csv"
    np.testing.assert_allclose(read(path, text, n_frames=times.size, fps=100).times_s, times, atol=1e-6)
