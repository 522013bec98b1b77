"""A session.toml that is changed after ingest is taken in with its history, or it is said why not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ingest.sessions import SessionOutcome, ingest_sessions

MakeSession = Callable[..., Path]


pytestmark = pytest.mark.usefixtures("emptied")


def ingest(folder: Path, **options: Any) -> SessionOutcome:
    (outcome,) = ingest_sessions(folder, **{"stable_after_s": 0, **options})
    return outcome


def ingested(folder: Path, text: str | None, **options: Any) -> Path:
    """Ingest a session's folder with this session.toml; return the file."""
    path = folder / "session.toml"
    if text is not None:
        path.write_text(text)
    outcome = ingest(folder, **options)
    assert outcome.status == "ingested", outcome.message
    return path


def history() -> list[tuple[str, str, str, str]]:
    from schemas.session import Correction

    rows = Correction.to_dicts(order_by="correction_number, correction_line")
    return [(row["corrected_column"], row["corrected_camera"], row["value_before"], row["value_after"]) for row in rows]


def everything() -> list[Any]:
    from schemas.session import Session, Video
    from schemas.subject import Mouse

    return [Session.to_dicts(), Video.proj("px_per_mm").to_dicts(), Mouse.to_dicts()]


ALL = 'start = 2026-03-02T10:30:00+01:00\nrig = "rig 1"\n[mouse]\nsex = "male"\n[px_per_mm]\nside = 10.0\n'


def test_each_change_is_taken_in_and_what_was_is_kept(make_session: MakeSession) -> None:
    from schemas.session import Session, Video
    from schemas.subject import Mouse

    path = ingested(make_session(), ALL)
    path.write_text(
        'start = 2026-03-02T11:30:00+01:00\nrig = "rig 2"\nexperimenter = "Doe, Jane"\n'
        '[mouse]\nsex = "female"\ndate_of_birth = 2026-01-01\n[px_per_mm]\nside = 12.0\nlower = 9.0\n'
    )
    dry = ingest(path.parent, dry_run=True)
    assert (dry.status, history()) == ("would be corrected", [])
    outcome = ingest(path.parent)
    assert outcome.status == "corrected"
    for said in ("rig was rig 1, is rig 2", "px_per_mm of camera side was 10.0, is 12.0", "experimenter was unknown"):
        assert said in outcome.message
    assert Mouse.fetch1("sex") == "female"
    assert Session.fetch1("session_start", "rig") == (datetime(2026, 3, 2, 11, 30), "rig 2")
    assert sorted(Video.to_arrays("px_per_mm").tolist()) == [9, 12]
    assert sorted(history()) == [
        ("date_of_birth", "", "", "2026-01-01"),
        ("experimenter", "", "", "Doe, Jane"),
        ("px_per_mm", "lower", "", "9.0"),
        ("px_per_mm", "side", "10.0", "12.0"),
        ("rig", "", "rig 1", "rig 2"),
        ("session_start", "", "2026-03-02T10:30:00", "2026-03-02T11:30:00"),
        ("sex", "", "male", "female"),
    ]
    assert ingest(path.parent).status == "known"
    path.write_text(ALL)
    assert ingest(path.parent).status == "corrected"
    assert history()[-1][2:] != history()[0][2:] and len(history()) == 14


def test_a_line_that_is_gone_becomes_unknown_but_what_was_never_said_stays(make_session: MakeSession) -> None:
    from schemas.session import Session

    path = ingested(make_session(), ALL)
    Session.update1({**Session.fetch1("KEY"), "session_notes": "by hand"})
    path.write_text("[px_per_mm]\nside = 10.0\n")
    assert ingest(path.parent).status == "corrected"
    assert Session.fetch1("session_start", "session_utc_offset_min", "rig", "session_notes") == (
        None,
        None,
        "",
        "by hand",
    )


def test_other_words_for_the_same_are_no_correction(make_session: MakeSession) -> None:
    path = ingested(make_session(), ALL)
    path.write_text("# checked\n" + ALL.replace("10.0", "10"))
    before = everything()
    assert ingest(path.parent).status == "known"
    assert (everything(), history()) == (before, [])


def test_a_file_that_comes_later_is_taken_in(make_session: MakeSession) -> None:
    folder = make_session()
    ingested(folder, None)
    (folder / "session.toml").write_text(ALL)
    assert ingest(folder).status == "corrected"
    assert len(history()) == 5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is gone, so that nothing of it can be corrected; what it said stays as it is"),
        ("rig = rig 2\n", "is not valid TOML"),
        ('rigg = "rig 2"\n', "rigg"),
        ('start = 2025-03-02T10:30:00\nrig = "rig 2"\n', "the folder is of 2026-03-02"),
        ("[mouse]\ndate_of_birth = 2026-09-01\n", "183 days before its birth"),
        ("[px_per_mm]\nside = 0.001\n", "would show 6.4e+04 mm"),
        ("[px_per_mm]\ntop = 10\n", "unknown camera 'top'"),
    ],
)
def test_what_cannot_be_a_correction_is_said_and_changes_nothing(
    make_session: MakeSession, text: str | None, said: str
) -> None:
    path = ingested(make_session(), ALL)
    before = everything()
    path.unlink() if text is None else path.write_text(text)
    outcome = ingest(path.parent)
    assert outcome.status == "refused"
    assert str(path) in outcome.message or str(path.parent) in outcome.message
    assert said in outcome.message
    assert (everything(), history()) == (before, [])


def test_a_file_that_is_still_written_waits(make_session: MakeSession) -> None:
    path = ingested(make_session(), ALL)
    path.write_text("rig = 'rig 2'\n")
    assert ingest(path.parent, stable_after_s=600).status == "known"
    assert history() == []


def test_sessions_of_a_mouse_must_agree(make_session: MakeSession) -> None:
    from schemas.subject import Mouse

    first = ingested(make_session("mouse01/2026-03-02_1"), '[mouse]\nsex = "male"\n')
    second = ingested(make_session("mouse01/2026-03-03_1"), '[mouse]\nsex = "male"\n')
    first.write_text('[mouse]\nsex = "female"\n')
    outcome = ingest(first.parent)
    assert outcome.status == "refused"
    assert str(second) in outcome.message
    second.write_text('[mouse]\nsex = "female"\n')
    assert ingest(first.parent).status == "corrected"
    assert ingest(second.parent).status == "known"
    assert (Mouse.fetch1("sex"), len(history())) == ("female", 1)
    first.write_text("")
    assert ingest(first.parent).status == "known"  # the second one still says it
    assert Mouse.fetch1("sex") == "female"


def test_a_row_of_an_older_version_keeps_a_start_without_a_zone(make_session: MakeSession) -> None:
    from schemas.session import Session

    path = ingested(make_session(), 'start = 2026-03-02T10:30:00\nrig = "rig 1"\n')
    key = Session.fetch1("KEY")
    Session.update1({**key, "session_utc_offset_min": None, "session_file_said": None, "rig": "rig 7"})
    outcome = ingest(path.parent)
    assert (outcome.status, history()) == ("corrected", [("rig", "", "rig 7", "rig 1")])
    assert Session.fetch1("session_utc_offset_min") is None
    Session.update1({**key, "session_file_said": None})
    assert ingest(path.parent, rig_time_zone="Asia/Tokyo").status == "corrected"
    assert Session.fetch1("session_start", "session_utc_offset_min") == (datetime(2026, 3, 2, 10, 30), 540)


def test_a_scale_of_a_camera_without_a_video_is_said(make_session: MakeSession) -> None:
    """As the session is ingested, and as its session.toml changes."""
    folder = make_session(cameras=("side",))
    (folder / "session.toml").write_text("[px_per_mm]\nlower = 9.0\n")
    first = ingest(folder)
    (folder / "session.toml").write_text("[px_per_mm]\nlower = 8.0\nside = 10.0\n")
    second = ingest(folder)
    (folder / "session.toml").write_text("[px_per_mm]\nlower = 7.0\nside = 10.0\n")
    third = ingest(folder)
    assert [first.status, second.status, third.status] == ["ingested", "corrected", "corrected"]
    for outcome, scale in ((first, 9.0), (second, 8.0), (third, 7.0)):
        assert f"px_per_mm of lower is {scale} in session.toml and is not used" in outcome.message
    assert "px_per_mm of camera side was unknown, is 10.0" in second.message
