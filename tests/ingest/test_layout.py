"""What a layout reads from a path, and what it says of a path or a text that it cannot read."""

from __future__ import annotations

import unicodedata
from datetime import date, time

import pytest

from ingest.layout import Layout, UnreadablePathError
from ingest.layout_reasons import why_not
from ingest.layout_text import LayoutError

DAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("text", "path", "read"),
    [
        ("{mouse}/{date}_{number}/{camera}", "m1/2026-03-02_2/side.MKV", ("m1", DAY, 2, None, "side", None)),
        ("{mouse}_{date:%Y%m%d}_{camera}.avi", "m_1_20260302_side.AVI", ("m_1", DAY, None, None, "side", None)),
        ("{date}/{mouse}/{camera}.avi", "2026-03-02/m 1/side.avi", ("m 1", DAY, None, None, "side", None)),
        (
            "{mouse}/{date:%y%m%d}_{number}/{camera}_{part}.mp4",
            "raw/m1/260302_01/side_07.mp4",
            ("m1", DAY, 1, None, "side", 7),
        ),
        ("{date:%Y}/{date:%b-%d}/{mouse}_{camera}", "2026/Mar-02/m1_side.mp4", ("m1", DAY, None, None, "side", None)),
        ("{date:%Y/%j}/{mouse}_{camera}", "2026/061/m1_side.mp4", ("m1", DAY, None, None, "side", None)),
        ("{mouse}_{date:%-d-%-m-%Y}_{camera}", "m1_2-3-2026_side.mp4", ("m1", DAY, None, None, "side", None)),
        (
            "{mouse}/{mouse}_{date}T{time:%H_%M_%S}*/{camera}.*",
            "m1/m1_2026-03-02T10_30_05_whisking/side.mov",
            ("m1", DAY, None, time(10, 30, 5), "side", None),
        ),
        ("{mouse}_{date}{camera=side}", "m1_2026-03-02.mp4", ("m1", DAY, None, None, "side", None)),
    ],
)
def test_it_reads_a_path_from_its_end(text: str, path: str, read: tuple[object, ...]) -> None:
    found = Layout(text).read(f"/lab/raw/{path}")
    assert found is not None
    assert (found.mouse_id, found.session_date, found.number, found.time, found.camera, found.part) == read


@pytest.mark.parametrize(
    ("text", "path", "session_file"),
    [
        ("{mouse}/{date}_{number}/{camera}", "m1/2026-03-02_1/side.mp4", "m1/2026-03-02_1/session.toml"),
        ("{mouse}/{date}/{number}/{camera}/video", "m1/2026-03-02/1/a/video.mp4", "m1/2026-03-02/1/session.toml"),
        ("{mouse}_{date}_{camera}.avi", "m1_2026-03-02_side.avi", "m1_2026-03-02.session.toml"),
        ("{mouse}_{camera}_{date}_{part}.avi", "m1_side_2026-03-02_3.avi", "m1_2026-03-02.session.toml"),
        ("{date}/{mouse}_{camera}.avi", "2026-03-02/m1_side.avi", "2026-03-02/m1.session.toml"),
        ("{camera}/{mouse}_{date}.avi", "side/m1_2026-03-02.avi", "m1_2026-03-02.session.toml"),
    ],
)
def test_it_says_where_the_session_file_lies(text: str, path: str, session_file: str) -> None:
    from pathlib import Path

    from ingest.found_sessions import session_file_path
    from ingest.session_names import SessionName

    layout = Layout(text)
    found = layout.read(path)
    assert found is not None
    folder = found.folder_of(Path(path))
    assert session_file_path(layout, SessionName("m1", DAY, 1), folder, Path(path)) == Path(session_file)


def test_names_that_stand_twice_are_the_same_or_the_path_does_not_fit() -> None:
    layout = Layout("{mouse}/{date}/{mouse}_{date:%Y%m%d}_{camera}")
    assert layout.read("m1/2026-03-02/m1_20260302_side.mp4") is not None
    for path in ("m1/2026-03-02/m2_20260302_side.mp4", "m1/2026-03-02/m1_20260303_side.mp4"):
        assert layout.read(path) is None
        assert "names twice is not the same" in why_not(layout, path)


def test_what_can_be_read_in_two_ways_is_read_by_the_known_cameras_or_not_at_all() -> None:
    layout = Layout("{mouse}_{camera}_{date}", {"bottom_left": "lower"})
    with pytest.raises(UnreadablePathError, match="mouse 'm_1', camera 'side'; or mouse 'm', camera '1_side'"):
        layout.read("m_1_side_2026-03-02.mp4")
    found = layout.read("m_1_side_2026-03-02.mp4", ["side", "lower"])
    assert found is not None and (found.mouse_id, found.camera) == ("m_1", "side")
    found = layout.read("m_1_bottom_left_2026-03-02.mp4", ["side", "lower"])
    assert found is not None and (found.mouse_id, found.camera) == ("m_1", "lower")


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("{mouse}_{date}_{camera}", "m1_2026-02-30_side.mp4", "2026-02-30 is no date of the calendar"),
        ("{mouse}_{date:%y%m%d}_{camera}", "m1_020326_side.mp4", ""),
        ("{mouse}_{date:%m%d%y}_{camera}", "m1_310226_side.mp4", "2026-31-02 is no date of the calendar"),
        ("{mouse}_{date}_{time}_{camera}", "m1_2026-03-02_256000_side.mp4", "25:60:00 is no time of day"),
    ],
)
def test_a_date_or_time_that_does_not_exist_is_said(text: str, path: str, said: str) -> None:
    if not said:
        assert Layout(text).read(path) is not None
        return
    with pytest.raises(UnreadablePathError, match=said):
        Layout(text).read(path)


def test_an_accent_is_one_letter_however_the_disk_writes_it() -> None:
    layout = Layout("Mäuse/{mouse}_{date}_{camera}")
    read = [layout.read(unicodedata.normalize(form, "Mäuse/müller_2026-03-02_side.mp4")) for form in ("NFC", "NFD")]
    assert read[0] == read[1] and read[0] is not None and read[0].mouse_id == "müller"


def test_case_counts_as_on_the_disk() -> None:
    path = "RAW/m1_2026-03-02_side.mp4"
    assert Layout("raw/{mouse}_{date}_{camera}").read(path) is None
    assert Layout("raw/{mouse}_{date}_{camera}", ignores_case=True).read(path) is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{mouse}/{camera}.avi", r"lacks {date}:"),
        ("{date}/{camera}.avi", r"lacks {mouse}:"),
        ("{date}.avi", r"lacks {mouse} and {camera}: .*{camera=side}"),
        ("{mouse}/{date}_{nummer}/{camera}", r"{nummer} is no field; known are {mouse}, {date}"),
        ("{mouse}/{date/{camera}", "a brace is not closed"),
        ("{mouse}_{date:%Y-%m}_{camera}", r"{date} lacks the year, month or day"),
        ("{mouse}_{date:%Y%m%d%H}_{camera}", r"%H is not known in {date}.*{time:%H%M%S}"),
        ("{mouse}_{date}_{time:%M}_{camera}", r"{time} lacks the hour"),
        ("{mouse:3}_{date}_{camera}", r"which only {date} and {time} have"),
        ("{mouse}{number}_{date}_{camera}", r"nothing between {mouse} and {number}"),
        ("{mouse}_{date}_{camera}.webm", r"\.webm are not taken; accepted are \.mp4"),
        ("/lab/{mouse}/{date}/{camera}", "below the raw folder"),
        ("{mouse}\\{date}\\{camera}", "one / between"),
        ("{mouse}/{date}_{camera}{camera=side}", "names the camera twice"),
    ],
)
def test_a_text_that_is_no_layout_says_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(LayoutError, match=said):
        Layout(text)


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("{mouse}_{date}_{camera}", "m1_20260302_side.mp4", "its date would be '20260302'; .*{date:%Y%m%d}"),
        ("{mouse}_{date:%Y%m%d}_{camera}", "m1_2026-03-02_side.mp4", "would be '2026-03-02'; that is {date}"),
        ("{mouse}/{date}_{number}/{camera}", "m1/2026-03-02_a/side.mp4", "its number would be 'a'; expected digits"),
        ("{mouse}/{date}_{number}/{camera}", "side.mp4", "has 1 of the 3 names .* as mouse01/2026-03-02_1/side.mp4"),
        ("{mouse}_{date}_{camera}.avi", "notes.avi", "'notes' is not {mouse}_{date}_{camera}$"),
    ],
)
def test_a_path_that_does_not_fit_says_why(text: str, path: str, said: str) -> None:
    import re

    assert Layout(text).read(path) is None
    assert re.search(said, why_not(Layout(text), path))
