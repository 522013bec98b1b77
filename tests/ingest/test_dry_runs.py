"""A dry run says what the real run would, also where sessions of the same run contradict each other."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.sessions import ingest_sessions

MakeSession = Callable[..., Path]


pytestmark = pytest.mark.usefixtures("emptied")


def outcomes(raw_folder: Path, *, dry_run: bool) -> list[tuple[str, str]]:
    """Status and message of each session, as of a real run."""
    found = ingest_sessions(raw_folder, stable_after_s=0, dry_run=dry_run)
    return [(one.status.removeprefix("would be "), one.message) for one in found]


def check(raw_folder: Path, statuses: list[str]) -> list[str]:
    """The dry run and then the real run say the same; return the messages."""
    from schemas.subject import Mouse

    before = Mouse.to_dicts()
    planned = outcomes(raw_folder, dry_run=True)
    assert Mouse.to_dicts() == before
    assert planned == outcomes(raw_folder, dry_run=False)
    assert [status for status, _ in planned] == statuses
    return [message for _, message in planned]


def test_two_new_sessions_with_two_birth_dates(make_session: MakeSession, tmp_path: Path) -> None:
    for number, text in enumerate(('date_of_birth = 2026-01-01\nsex = "male"', "date_of_birth = 2026-01-02", "")):
        folder = make_session(f"mouse01/2026-03-0{number + 2}_1", cameras=("side",))
        (folder / "session.toml").write_text(f"[mouse]\n{text}\n")
    messages = check(tmp_path / "raw", ["ingested", "refused", "ingested"])
    assert "mouse mouse01 is there already: date_of_birth is 2026-01-01, not 2026-01-02" in messages[1]


def test_a_new_session_and_what_a_known_one_corrects(make_session: MakeSession, tmp_path: Path) -> None:
    folder = make_session("mouse01/2026-03-02_1", cameras=("side",))
    check(tmp_path / "raw", ["ingested"])
    (folder / "session.toml").write_text('[mouse]\nsex = "male"\n')
    later = make_session("mouse01/2026-03-03_1", cameras=("side",))
    (later / "session.toml").write_text('[mouse]\nsex = "female"\n')
    earlier = make_session("mouse01/2026-03-01_1", cameras=("side",))
    (earlier / "session.toml").write_text('[mouse]\ngenotype = "wild type"\n')
    messages = check(tmp_path / "raw", ["ingested", "corrected", "refused"])
    assert "sex is male, not female" in messages[2]
    (folder / "session.toml").write_text('[mouse]\nsex = "male"\ngenotype = "other"\n')
    shutil.rmtree(later)
    messages = check(tmp_path / "raw", ["known", "refused"])
    assert "genotype other" in messages[1] and "wild type" in messages[1]


def test_a_correction_of_a_known_session_against_a_new_one_before_it(make_session: MakeSession, tmp_path: Path) -> None:
    folder = make_session("mouse01/2026-03-02_1", cameras=("side",))
    check(tmp_path / "raw", ["ingested"])
    (folder / "session.toml").write_text('[mouse]\nsex = "male"\n')
    earlier = make_session("mouse01/2026-03-01_1", cameras=("side",))
    (earlier / "session.toml").write_text('[mouse]\nsex = "female"\n')
    assert "has sex male, but" in check(tmp_path / "raw", ["ingested", "refused"])[1]


def test_a_copy_of_a_new_session_and_the_same_session_in_two_folders(make_session: MakeSession, tmp_path: Path) -> None:
    first = make_session("a/mouse01/2026-03-02_1", cameras=("side",))
    make_session("b/mouse01/2026-03-02_1")
    copy = make_session("b/mouse02/2026-03-02_1", cameras=())
    shutil.copy(first / "side.mp4", copy / "side.mp4")
    messages = check(tmp_path / "raw", ["ingested", "refused", "refused"])
    assert f"is called session mouse01/2026-03-02_1, and so is {first}" in messages[1]
    assert f"is a copy of {first / 'side.mp4'}" in messages[2]


def test_a_session_before_its_mouse_was_born_as_another_session_says(make_session: MakeSession, tmp_path: Path) -> None:
    folder = make_session("mouse01/2026-03-02_1", cameras=("side",))
    (folder / "session.toml").write_text("[mouse]\ndate_of_birth = 2026-01-10\n")
    check(tmp_path / "raw", ["ingested"])
    make_session("mouse01/2026-01-05_1", cameras=("side",))
    message = check(tmp_path / "raw", ["refused", "known"])[0]
    assert "2026-01-10" in message and "mouse01" in message
