"""A session's start is one instant, on whichever machine its folder is read."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compute.errors import SessionError
from compute.formats.nwb_session import new_nwb_session
from ingest.plausibility import check_plausible_birth, check_plausible_scale
from ingest.rig_time import rig_time_zone_of, unix_time_instant
from ingest.session_files import read_session_file, session_file_places
from ingest.session_start import first_frame_instants, session_start_columns, times_since_start
from ingest.timestamps import Timestamps

DAY = date(2026, 3, 2)
ZONES = ["UTC", "America/Los_Angeles", "Asia/Tokyo", "Europe/Berlin", "Pacific/Kiritimati"]


@pytest.fixture(params=ZONES)
def machine_zone(request: pytest.FixtureRequest) -> Iterator[str]:
    """The time zone of the machine."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


def began(text: str, tmp_path: Path, *, zone: str = "", day: date = DAY, first_unix_s: float | None = None) -> Any:
    """The start that a session.toml gives, as local time and offset (min)."""
    (tmp_path / "session.toml").write_text(text)
    said = read_session_file(tmp_path / "session.toml").session
    cameras = {} if first_unix_s is None else {"side.timestamps.csv": unix_time_instant(first_unix_s)}
    row = session_start_columns(str(tmp_path / "session.toml"), said, cameras, day, rig_time_zone_of(zone))
    return row["session_start"], row["session_utc_offset_min"]


def instant(start: tuple[datetime, int]) -> datetime:
    return (start[0] - timedelta(minutes=start[1])).replace(tzinfo=UTC)


HALF_PAST_NINE = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("start = 2026-03-02T10:30:00+01:00", ""),
        ("start = 2026-03-02T10:30:00+01:00", "America/New_York"),
        ('start = "2026-03-02 10:30:00+01:00"', ""),
        ("start = 2026-03-02T09:30:00Z", ""),
        ("start = 2026-03-02T10:30:00", "Europe/Berlin"),
        ("start = 2026-03-02T10:30:00\nutc_offset_min = 60", ""),
        ("start = 2026-03-02T10:30:00+01:00\nutc_offset_min = 60", "Asia/Tokyo"),
    ],
)
def test_a_start_is_the_same_instant_on_every_machine(text: str, zone: str, tmp_path: Path, machine_zone: str) -> None:
    assert instant(began(text, tmp_path, zone=zone)) == HALF_PAST_NINE


def test_a_start_without_a_zone_is_local_and_says_so(tmp_path: Path, machine_zone: str) -> None:
    start = began("start = 2026-03-02T10:30:00", tmp_path)
    assert start[0] == datetime(2026, 3, 2, 10, 30)
    assert instant(start) == datetime(2026, 3, 2, 10, 30).astimezone(UTC)


def test_a_camera_that_knows_the_instant_says_the_start(tmp_path: Path, machine_zone: str) -> None:
    assert instant(began("", tmp_path, first_unix_s=1772443800)) == HALF_PAST_NINE
    start = began("", tmp_path, first_unix_s=1772443800, zone="Europe/Berlin")
    assert start == (datetime(2026, 3, 2, 10, 30), 60)
    told = began("start = 2026-03-02T10:29:00+01:00", tmp_path, first_unix_s=1772443800)
    assert instant(told) == HALF_PAST_NINE - timedelta(minutes=1)


@pytest.mark.parametrize(
    ("text", "first_unix_s", "said"),
    [
        ("start = 2025-03-02T10:30:00+01:00", None, "the folder is of 2026-03-02"),
        ("start = 2026-03-03T10:30:00+01:00", None, "the folder is of 2026-03-02"),
        ("start = 2026-03-01T22:30:00+01:00", None, "the folder is of 2026-03-02"),
        ("start = 2026-03-03T02:00:00", None, "the folder is of 2026-03-02"),
        ("start = 2026-03-04T10:30:00Z", None, "the folder is of 2026-03-02"),
        ("start = 2026-03-02T11:30:00+01:00", 1772443800, "at most 5 minutes between them"),
        ("", 1772443800 - 365 * 86400, "the folder is of 2026-03-02"),
        ("", 1772443800 + 2**31, "the folder is of 2026-03-02"),
        ("start = 2026-03-02T10:30:00+01:00\nutc_offset_min = 120", None, "expected the same offset"),
        ("start = 2026-03-02T10:30:00\nutc_offset_min = 6000", None, "expected -720 to 840 min"),
        ("start = 0001-01-01T00:00:00", None, "is an instant of the year 1;"),
        ("start = 9999-12-31T23:59:00-12:00", None, "is an instant of the year 9999;"),
        ("start = 2026-03-02", None, "is no day with a time"),
        ('start = "2026-03-02"', None, "is no day with a time"),
        ("start = 10:30:00", None, "start"),
        ("start = 1772443800", None, "is no day with a time"),
    ],
)
def test_a_start_that_cannot_be_is_refused_on_every_machine(
    text: str, first_unix_s: float | None, said: str, tmp_path: Path, machine_zone: str
) -> None:
    with pytest.raises(SessionError) as refused:
        began(text, tmp_path, first_unix_s=first_unix_s)
    assert said in str(refused.value)


@pytest.mark.parametrize("text", ["2026-03-02T00:00:00", "2026-03-02T23:59:59", "2026-03-03T00:20:00"])
def test_a_session_around_midnight_belongs_to_the_day_on_which_it_was_begun(text: str, tmp_path: Path) -> None:
    assert began(f"start = {text}-08:00", tmp_path)[1] == -480
    assert began(f"start = {text}", tmp_path, zone="America/Los_Angeles")[1] == -480


def test_utc_of_a_rig_elsewhere_may_be_the_next_day(tmp_path: Path, machine_zone: str) -> None:
    evening = "start = 2026-03-03T06:00:00Z"  # 22:00 in Los Angeles
    assert began(evening, tmp_path)[0].day == 3
    assert began(evening, tmp_path, zone="America/Los_Angeles")[0].day == 3
    with pytest.raises(SessionError, match="15:00"):
        began(evening, tmp_path, zone="Asia/Tokyo")


@pytest.mark.parametrize(
    ("text", "day", "said"),
    [("2026-03-29T02:30:00", date(2026, 3, 29), "no time"), ("2026-10-25T02:30:00", date(2026, 10, 25), "two times")],
)
def test_a_time_that_clocks_skip_or_repeat_is_refused(text: str, day: date, said: str, tmp_path: Path) -> None:
    with pytest.raises(SessionError, match=f"{said} in Europe/Berlin"):
        began(f"start = {text}", tmp_path, day=day, zone="Europe/Berlin")
    assert began(f"start = {text}+02:00", tmp_path, day=day, zone="Europe/Berlin")[1] == 120


@pytest.mark.parametrize("place", [place for place, one in session_file_places().items() if not one.is_text])
@pytest.mark.parametrize("value", ["true", "false"])
def test_true_and_false_are_no_numbers(place: str, value: str, tmp_path: Path) -> None:
    section, _, key = place.replace("<camera>", "side").rpartition(".")
    (tmp_path / "session.toml").write_text(f"[{section}]\n{key} = {value}\n" if section else f"{key} = {value}\n")
    with pytest.raises(SessionError, match=place.replace("<camera>", "side")):
        read_session_file(tmp_path / "session.toml")


def test_blanks_around_a_text_are_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "session.toml").write_text('rig = "  "\n[mouse]\ngenotype = " wt "\n')
    file = read_session_file(tmp_path / "session.toml")
    assert (file.session, file.mouse) == ({"rig": ""}, {"genotype": "wt"})


def test_summer_and_winter_have_their_own_offset(tmp_path: Path) -> None:
    for day, offset_min in ((date(2026, 3, 28), 60), (date(2026, 3, 30), 120)):
        assert began(f"start = {day}T10:30:00", tmp_path, day=day, zone="Europe/Berlin")[1] == offset_min


def test_cameras_that_know_the_instant_share_one_time_zero() -> None:
    times = np.arange(3) / 100
    side = Timestamps(Path("side.csv"), times, Decimal("1772443800.5"))
    lower = Timestamps(Path("lower.csv"), times, Decimal("1772443800.25"))
    top = Timestamps(Path("top.csv"), times + 7, None)
    first = first_frame_instants({"side": side, "lower": lower, "top": top})
    assert first == {"side": Decimal("1772443800.5"), "lower": Decimal("1772443800.25")}
    zero = min(first.values())
    np.testing.assert_allclose(times_since_start(side, first["side"], zero), times + 0.25)
    np.testing.assert_array_equal(times_since_start(lower, first["lower"], zero), times)
    np.testing.assert_array_equal(times_since_start(top, None, zero), times + 7)


def test_nwb_says_the_instant_on_every_machine(machine_zone: str) -> None:
    recording = {"session_date": "2026-03-02", "session_start": "2026-03-02T10:30:00", "session_utc_offset_min": 60}
    mouse = {"mouse_id": "mouse01", "date_of_birth": "2025-12-01"}
    video = {"time_zero": "2026-03-02T09:30:00.250000+00:00"}
    file = new_nwb_session({"recording": recording, "mouse": mouse, "video": video})
    assert file.session_start_time == HALF_PAST_NINE
    assert file.timestamps_reference_time == HALF_PAST_NINE + timedelta(seconds=0.25)
    assert file.subject.age == "P91D"
    old = new_nwb_session({"recording": {**recording, "session_utc_offset_min": None}})
    assert old.session_start_time == datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
    assert "time zone is not known" in old.session_description


@pytest.mark.parametrize(
    ("born", "said"),
    [(date(2026, 3, 3), "1 days before its birth"), (date(1926, 1, 1), "at the age of 100.2 years"), (DAY, "")],
)
def test_a_mouse_is_filmed_in_its_life(born: date, said: str) -> None:
    if not said:
        check_plausible_birth("session.toml", "mouse01", born, DAY)
        return
    with pytest.raises(SessionError, match=said):
        check_plausible_birth("session.toml", "mouse01", born, DAY)


def test_a_scale_the_wrong_way_round_is_refused_with_the_right_one() -> None:
    check_plausible_scale("session.toml", "side", 20, 640)
    with pytest.raises(SessionError, match=r"would show 1.28e\+04 mm.*such as 20"):
        check_plausible_scale("session.toml", "side", 0.05, 640)
