"""What a person says of a session goes the way of session.toml: checked, kept, and mm are computed anew."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from compute.errors import SessionError
from ingest.correction_history import parse_session_text
from pipeline.corrections.values import described_session, listed_mice, listed_sessions, set_mouse, set_session

SESSION = dict(parse_session_text("mouse01/2026-03-02_1").key)


def set_values(settings: Any, **said: str) -> str:
    return set_session(SESSION, {name.replace("__", "."): text for name, text in said.items()}, settings, reason="seen")


def test_a_scale_is_corrected_and_mm_are_computed_anew(small_lab: Any) -> None:
    from pipeline.work.populate import populate
    from schemas.metric import DistanceMetrics
    from schemas.session import Video

    video = {**SESSION, "camera": "side"}
    before = (DistanceMetrics & video & {"filter_method": "raw"}).fetch1("mean_mm")
    said = set_values(small_lab.settings, px_per_mm__side="20")
    assert said == (
        "px_per_mm of camera side was 10.0, is 20.0; 16 rows in mm depended on it, and the next populate computes them"
        " anew"
    )
    assert (Video & video).fetch1("px_per_mm") == 20
    assert populate().computed == {"DistanceMetrics": 8, "FilterComparison": 8}
    assert (DistanceMetrics & video & {"filter_method": "raw"}).fetch1("mean_mm") == pytest.approx(before / 2)
    (line,) = described_session(SESSION)["corrections"]
    assert (line["value_before"], line["value_after"], line["correction_reason"]) == ("10.0", "20.0", "seen")
    assert "@" in line["corrected_by"] and line["session_file"] == ""
    set_values(small_lab.settings, px_per_mm__side="10")
    populate()


def test_values_are_set_forgotten_and_known(small_lab: Any) -> None:
    from schemas.session import Session

    before = (Session & SESSION).fetch1()
    assert (
        set_values(small_lab.settings, rig="left", notes="")
        == "rig was rig 1, is left; session_notes was calm, is unknown"
    )
    assert set_values(small_lab.settings, rig="left") == ""
    dry = set_session(SESSION, {"rig": "right"}, small_lab.settings, dry_run=True)
    assert dry == "rig was left, is right" and (Session & SESSION).fetch1("rig") == "left"
    set_values(small_lab.settings, rig="rig 1", session_notes="calm")
    assert (Session & SESSION).fetch1() == before


def test_a_start_is_read_as_session_toml_does(small_lab: Any) -> None:
    from schemas.session import Session

    before = (Session & SESSION).fetch1("session_start", "session_utc_offset_min")
    set_values(small_lab.settings, start="2026-03-02T11:30:00+02:00")
    assert (Session & SESSION).fetch1("session_start", "session_utc_offset_min") == (datetime(2026, 3, 2, 11, 30), 120)
    set_values(small_lab.settings, start="2026-03-02T12:00:00")
    assert (Session & SESSION).fetch1("session_start", "session_utc_offset_min") == (datetime(2026, 3, 2, 12), 120)
    set_values(small_lab.settings, start="", utc_offset_min="")
    assert (Session & SESSION).fetch1("session_start", "session_utc_offset_min") == (None, None)
    Session.update1({**SESSION, "session_start": before[0], "session_utc_offset_min": before[1]})


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"rigg": "left"}, "there is no 'rigg' to say; known are start"),
        ({"px_per_mm": "10"}, "there is no 'px_per_mm' to say"),
        ({"px_per_mm.side": "0.001"}, "would show 6.4e\\+04 mm"),
        ({"px_per_mm.side": "-1"}, "greater than 0"),
        ({"px_per_mm.top": "10"}, "unknown camera 'top'"),
        ({"start": "2026-03-02"}, "no day with a time"),
        ({"start": "2026-05-02T10:00:00"}, "of 2026-03-02"),
        ({"rig": "x" * 65}, "at most 64"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(small_lab: Any, said: dict[str, str], message: str) -> None:
    from schemas.session import Correction, Session

    before = (Session & SESSION).fetch1(), len(Correction())
    with pytest.raises(SessionError, match=message):
        set_session(SESSION, said, small_lab.settings)
    assert ((Session & SESSION).fetch1(), len(Correction())) == before


def test_a_mouse_must_have_been_born_when_it_was_filmed(small_lab: Any) -> None:
    with pytest.raises(SessionError, match="before its birth"):
        set_mouse("mouse01", {"date_of_birth": "2026-03-03"})


def test_mice_and_sessions_are_listed(small_lab: Any) -> None:
    mice = {row["mouse_id"]: row for row in listed_mice()}
    assert (mice["mouse01"]["sex"], mice["mouse01"]["n_sessions"]) == ("female", 1)
    assert [row["session"] for row in listed_sessions("mouse02")] == ["mouse02/2026-03-02_1"]
    assert listed_sessions()[0]["cameras"] == ["lower", "side"]
