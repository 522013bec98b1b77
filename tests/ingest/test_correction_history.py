"""A mouse or a session is followed through all of its names, and the history of another never becomes its own."""

from __future__ import annotations

from datetime import date
from typing import Any

from ingest.correction_history import (
    CAMERA,
    MERGED_MOUSE,
    MOUSE_NAME,
    SESSION_NAME,
    NameHistory,
    camera_history,
    correction_line,
    mouse_history,
    parse_session_text,
    session_history,
)

Row = dict[str, Any]


def session(text: str) -> Row:
    return dict(parse_session_text(text).key)


def mouse(name: str) -> Row:
    return {"mouse_id": name}


def rows(*corrections: list[Row]) -> list[Row]:
    """Rows of `Correction`: each list was corrected at once."""
    return [
        {"correction_number": number, "correction_line": index, **line}
        for number, lines in enumerate(corrections, start=1)
        for index, line in enumerate(lines, start=1)
    ]


def moved(before: str, after: str) -> Row:
    return correction_line(session(before), SESSION_NAME, before, after)


def renamed(before: str, after: str) -> Row:
    return correction_line(mouse(before), MOUSE_NAME, before, after)


def value(key: Row, column: str, before: str, after: str, camera: str = "") -> Row:
    return correction_line(key, column, before, after, camera=camera)


def values(lines: list[Row]) -> list[tuple[str, str]]:
    return [(line["corrected_column"], line["value_after"]) for line in lines]


def test_a_session_keeps_its_history_through_its_names() -> None:
    lines = rows(
        [value(session("m1/2026-03-02_1"), "rig", "", "left")],
        [value(session("m2/2026-03-02_1"), "rig", "", "of another")],
        [renamed("m1", "m3")],
        [value(mouse("m3"), "sex", "", "female")],
        [moved("m3/2026-03-02_1", "m3/2026-03-05_2")],
        [value(session("m3/2026-03-05_2"), "rig", "left", "right")],
    )
    found = values(session_history(session("m3/2026-03-05_2"), lines))
    assert found == [
        ("rig", "left"),
        ("mouse_id", "m3"),
        ("sex", "female"),
        ("session", "m3/2026-03-05_2"),
        ("rig", "right"),
    ]
    assert values(mouse_history("m3", lines)) == [("mouse_id", "m3"), ("sex", "female")]


def test_two_sessions_that_are_exchanged_exchange_their_histories() -> None:
    first, second = "m1/2026-03-02_1", "m2/2026-03-02_1"
    lines = rows(
        [value(session(first), "rig", "", "of the first")],
        [value(session(second), "rig", "", "of the second")],
        [moved(first, second), moved(second, first)],
    )
    assert values(session_history(session(second), lines)) == [("rig", "of the first"), ("session", second)]
    assert values(session_history(session(first), lines)) == [("rig", "of the second"), ("session", first)]


def test_a_merged_mouse_has_both_histories_and_each_session_its_own() -> None:
    both = ("m1/2026-03-02_1", "m2/2026-03-02_1")
    lines = rows(
        [value(mouse("m1"), "sex", "", "female")],
        [value(mouse("m2"), "genotype", "", "wild type")],
        [value(session(both[0]), "rig", "", "left")],
        [moved(*both), correction_line(mouse("m1"), MERGED_MOUSE, "m1", "m2")],
    )
    assert values(mouse_history("m2", lines)) == [("sex", "female"), ("genotype", "wild type"), (MERGED_MOUSE, "m2")]
    assert ("rig", "left") in values(session_history(session(both[1]), lines))
    assert ("rig", "left") not in values(session_history(session("m2/2026-03-03_1"), lines))


def test_a_name_that_another_mouse_has_now_is_not_followed_to_it() -> None:
    """m1 and m2 have exchanged their names."""
    lines = rows(
        [value(mouse("m1"), "sex", "", "female")], [renamed("m1", "x")], [renamed("m2", "m1")], [renamed("x", "m2")]
    )
    assert ("sex", "female") in values(mouse_history("m2", lines))
    assert ("sex", "female") not in values(mouse_history("m1", lines))


def test_a_video_keeps_its_history_when_cameras_are_exchanged() -> None:
    key = session("m1/2026-03-02_1")
    lines = rows(
        [value(key, "px_per_mm", "", "10.0", camera="side")],
        [value(key, "px_per_mm", "", "20.0", camera="lower")],
        [
            correction_line(key, CAMERA, "side", "lower", camera="side"),
            correction_line(key, CAMERA, "lower", "side", camera="lower"),
        ],
        [value(key, "rig", "", "left")],
    )
    assert values(camera_history(lines, "lower")) == [("px_per_mm", "10.0"), ("camera", "lower"), ("rig", "left")]
    assert values(camera_history(lines, "side")) == [("px_per_mm", "20.0"), ("camera", "side"), ("rig", "left")]


def test_an_old_name_of_a_mouse_is_the_mouse_of_today() -> None:
    names = NameHistory([[renamed("m1", "m2")], [renamed("m2", "m3")]], frozenset({"m3"}))
    assert [names.mouse_now(one) for one in ("m1", "m2", "m3", "m4")] == ["m3", "m3", "m3", "m4"]
    reused = NameHistory([[renamed("m1", "m2")]], frozenset({"m1", "m2"}))
    assert reused.mouse_now("m1") == "m1"


def test_a_session_is_read_from_its_text() -> None:
    name = parse_session_text("a b_c/2026-03-02_12")
    assert (name.mouse_id, name.session_date, name.session_number) == ("a b_c", date(2026, 3, 2), 12)
