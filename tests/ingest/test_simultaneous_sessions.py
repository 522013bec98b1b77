"""A mouse is in one session at a time, as far as starts are known; numbers of a day follow their starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.sessions import SessionOutcome, ingest_sessions

MakeSession = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("emptied")


def ingest_all(raw_folder: Path) -> list[SessionOutcome]:
    """The dry run says what the real one says."""
    planned = list(ingest_sessions(raw_folder, stable_after_s=0, dry_run=True))
    real = list(ingest_sessions(raw_folder, stable_after_s=0))
    assert [one.message for one in planned] == [one.message for one in real]
    return real


def make(make_session: MakeSession, name: str, start: str) -> Path:
    """A session of two seconds."""
    folder = make_session(name, cameras=("side",), n_frames=200)
    (folder / "session.toml").write_text(f"start = {start}\n")
    return folder


@pytest.mark.parametrize("start", ["10:30:00Z", "12:30:00.5+02:00"])
def test_a_session_at_the_time_of_another_is_refused(make_session: MakeSession, tmp_path: Path, start: str) -> None:
    make(make_session, "mouse01/2026-03-02_1", "2026-03-02T10:30:00Z")
    second = make(make_session, "mouse01/2026-03-02_2", f"2026-03-02T{start}")
    make(make_session, "mouse02/2026-03-02_1", "2026-03-02T10:30:00Z")
    outcomes = ingest_all(tmp_path / "raw")
    assert [one.status for one in outcomes] == ["ingested", "refused", "ingested"]
    assert f"{second}: the session begins at" in outcomes[1].message
    assert "lasts 1.99 s, but session mouse01/2026-03-02_1 of the same mouse begins at" in outcomes[1].message


def test_sessions_in_a_row_are_taken(make_session: MakeSession, tmp_path: Path) -> None:
    """Their starts are written in whole seconds."""
    make(make_session, "mouse01/2026-03-02_1", "2026-03-02T10:30:00Z")
    make(make_session, "mouse01/2026-03-02_2", "2026-03-02T10:30:01Z")
    make_session("mouse01/2026-03-02_3", cameras=("side",))
    outcomes = ingest_all(tmp_path / "raw")
    assert [one.status for one in outcomes] == ["ingested"] * 3
    assert "order" not in "".join(one.message for one in outcomes)


def test_numbers_against_the_order_of_the_starts_are_said(make_session: MakeSession, tmp_path: Path) -> None:
    make(make_session, "mouse01/2026-03-02_1", "2026-03-02T10:30:00Z")
    make(make_session, "mouse01/2026-03-02_2", "2026-03-02T09:30:00Z")
    outcomes = ingest_all(tmp_path / "raw")
    assert [one.status for one in outcomes] == ["ingested"] * 2
    assert "2026-03-02_2 began at 2026-03-02 09:30:00+00:00 and mouse01/2026-03-02_1 at" in outcomes[1].message
    assert "their numbers are not in the order of their starts" in outcomes[1].message


def test_a_corrected_start_is_compared_too(make_session: MakeSession, tmp_path: Path) -> None:
    make(make_session, "mouse01/2026-03-02_1", "2026-03-02T10:30:00Z")
    second = make(make_session, "mouse01/2026-03-02_2", "2026-03-02T11:30:00Z")
    ingest_all(tmp_path / "raw")
    (second / "session.toml").write_text("start = 2026-03-02T10:30:00Z\n")
    outcomes = ingest_all(tmp_path / "raw")
    assert [one.status for one in outcomes] == ["known", "refused"]
    assert "session mouse01/2026-03-02_1 of the same mouse" in outcomes[1].message
