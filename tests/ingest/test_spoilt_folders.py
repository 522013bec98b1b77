"""Folders as people and programs leave them: every fault is said, with a way out that loses nothing."""

from __future__ import annotations

import shlex
import shutil
import unicodedata
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
import pytest
from datajoint.errors import LostConnectionError

import ingest.sessions
from compute.errors import SessionError
from compute.video import write_video
from ingest.sessions import SessionOutcome, ingest_sessions

MakeSession = Callable[..., Path]


pytestmark = pytest.mark.usefixtures("emptied")


def ingest_all(folder: Path) -> list[SessionOutcome]:
    return list(ingest_sessions(folder, stable_after_s=0))


def refusal(folder: Path) -> str:
    from schemas.session import Session

    before = len(Session())
    outcomes = ingest_all(folder)
    assert [outcome.status for outcome in outcomes] == ["refused"]
    assert len(Session()) == before
    return outcomes[0].message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (r'notes = "a\u0000b"', "notes"),
        (r"[mouse]" "\n" r'genotype = "\u0001"', "mouse.genotype"),
        (r'rig = "a\u007f"', "rig"),
        ("[px_per_mm]\n" r'"side\u0000" = 1.0', "a name"),
    ],
)
def test_a_control_character_is_refused_and_the_next_session_goes_on(
    make_session: MakeSession, tmp_path: Path, text: str, place: str
) -> None:
    bad = make_session("mouse01/2026-03-02_1")
    (bad / "session.toml").write_text(text)
    make_session("mouse02/2026-03-02_1")
    refused, ingested = ingest_all(tmp_path / "raw")
    assert (refused.status, ingested.status) == ("refused", "ingested")
    assert f"{bad / 'session.toml'}: {place} holds the control character U+00" in refused.message
    assert "\0" not in refused.message


def test_tabs_and_line_breaks_are_text(make_session: MakeSession) -> None:
    from schemas.session import Session

    (make_session() / "session.toml").write_text(r'notes = "first\n\tsecond"')
    assert [outcome.status for outcome in ingest_all(make_session("mouse01/2026-03-03_1").parent)] == ["ingested"] * 2
    assert "first\n\tsecond" in Session.to_arrays("session_notes")


@pytest.mark.parametrize("error", [ValueError("odd"), psycopg2.DataError("odd"), KeyError("odd")])
def test_an_unexpected_error_of_a_session_keeps_no_other_out(
    make_session: MakeSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    bad = make_session("mouse01/2026-03-02_1")
    make_session("mouse02/2026-03-02_1")
    refused, ingested = _ingest_with(error, bad, tmp_path / "raw", monkeypatch)
    assert (refused.status, ingested.status) == ("refused", "ingested")
    assert str(bad) in refused.message
    assert "odd" in refused.message


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (f"{'a' * 200}/2026-03-02_1", "too long (200 characters)"),
        ("mouse01/2026-03-02_20260302103000", "too large (20260302103000)"),
        ("a-J\udcf6rg/2026-03-02_1", "not in UTF-8"),
    ],
    ids=["long", "large", "no UTF-8"],
)
def test_a_name_that_the_database_cannot_hold_keeps_no_other_out(
    make_session: MakeSession, tmp_path: Path, name: str, said: str
) -> None:
    good = make_session("mouse02/2026-03-02_1")
    bad = tmp_path / "raw" / name
    bad.parent.mkdir()
    shutil.move(make_session("mouse03/2026-03-02_1"), bad)
    outcomes = {outcome.folder: outcome for outcome in ingest_all(tmp_path / "raw")}
    assert {folder: outcome.status for folder, outcome in outcomes.items()} == {good: "ingested", bad: "refused"}
    assert said in outcomes[bad].message.encode().decode()  # which can be printed


@pytest.mark.parametrize("error", [LostConnectionError("gone"), psycopg2.OperationalError("gone")])
def test_a_lost_connection_ends_the_ingest(
    make_session: MakeSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    bad = make_session("mouse01/2026-03-02_1")
    with pytest.raises(type(error), match="gone"):
        _ingest_with(error, bad, tmp_path / "raw", monkeypatch)


def _ingest_with(error: Exception, bad: Path, raw: Path, monkeypatch: pytest.MonkeyPatch) -> list[SessionOutcome]:
    """Ingest, with an error at the end of one session's insertion."""
    insert = ingest.sessions.insert_new_session

    def fail(session: Any) -> None:
        if session.found.folder == bad:
            raise error
        insert(session)

    monkeypatch.setattr(ingest.sessions, "insert_new_session", fail)
    return ingest_all(raw)


@pytest.mark.parametrize("name", ["side.webm", "side.TS", "side.h264", "side.wmv", "side.mp4.part", "side.part"])
def test_a_session_with_a_video_that_is_not_taken_is_not_taken_half(make_session: MakeSession, name: str) -> None:
    folder = make_session()
    (folder / "side.mp4").rename(folder / name)
    message = refusal(folder)
    assert str(folder / name) in message
    assert ".mp4, .avi, .mkv, .mov" in message
    assert "ingest again" in message


@pytest.mark.parametrize("name", ["side.webm", "face.mpg", "side.mp4.part"])
def test_a_raw_folder_with_only_such_videos_says_so(make_session: MakeSession, tmp_path: Path, name: str) -> None:
    folder = make_session(cameras=("side",))
    (folder / "side.mp4").rename(folder / name)
    assert f"{folder / name} is " in refusal(tmp_path / "raw")


def test_a_known_session_that_was_taken_half_says_so(make_session: MakeSession, tmp_path: Path) -> None:
    folder = make_session(cameras=("lower",))
    ingest_all(folder)
    (folder / "side.webm").write_bytes(b"film")
    assert str(folder / "side.webm") in refusal(folder)
    (folder / "side.webm").rename(folder / "preview.webm")  # no camera's
    assert [outcome.status for outcome in ingest_all(folder)] == ["known"]


def test_two_videos_of_a_camera_in_two_formats_are_refused(make_session: MakeSession) -> None:
    folder = make_session()
    (folder / "side.webm").write_bytes(b"film")
    assert "move side.webm elsewhere" in refusal(folder)


@pytest.mark.parametrize("new", ["mouse02/2026-03-02_1", "mouse01/2026-03-02_2"])
def test_a_renamed_session_is_put_back_and_never_removed(make_session: MakeSession, tmp_path: Path, new: str) -> None:
    old = make_session("mouse01/2026-03-02_1")
    ingest_all(tmp_path / "raw")
    moved = tmp_path / "raw" / new
    moved.parent.mkdir(exist_ok=True)
    old.rename(moved)
    message = refusal(moved)
    assert f"known as {old / 'lower.mp4'} of session mouse01/2026-03-02_1" in message
    assert f"put it back under its old name {old / 'lower.mp4'}" in message
    assert not any(word in message.lower() for word in ("remove the", "delete", "copy of"))
    moved.rename(old)
    assert [outcome.status for outcome in ingest_all(tmp_path / "raw")] == ["known"]


def test_a_copy_is_compared_before_anything_is_removed(make_session: MakeSession, tmp_path: Path) -> None:
    original = make_session("mouse01/2026-03-02_1", cameras=("side",))
    ingest_all(tmp_path / "raw")
    copy = tmp_path / "raw" / "mouse 2's" / "2026-03-02_1"
    shutil.copytree(original, copy)
    message = refusal(copy)
    assert f"({shlex.join(['cmp', str(copy / 'side.mp4'), str(original / 'side.mp4')])})" in message
    assert "Remove the copy" not in message


def test_two_cameras_with_one_content_are_refused(make_session: MakeSession) -> None:
    folder = make_session(cameras=("side",))
    shutil.copy(folder / "side.mp4", folder / "lower.mp4")
    assert f"same content as {folder / 'lower.mp4'}" in refusal(folder)


def test_a_byte_order_mark_is_no_fault(make_session: MakeSession) -> None:
    from schemas.session import Session

    folder = make_session()
    (folder / "session.toml").write_text('rig = "rig 2"', encoding="utf-8-sig")
    assert [outcome.status for outcome in ingest_all(folder)] == ["ingested"]
    assert Session.fetch1("rig") == "rig 2"


def test_another_encoding_is_to_be_saved_as_utf_8(make_session: MakeSession) -> None:
    folder = make_session()
    (folder / "session.toml").write_text('rig = "1"\nexperimenter = "Jörg"', encoding="latin-1")
    message = refusal(folder)
    assert f"{folder / 'session.toml'} is not UTF-8: byte 0xf6 in line 2" in message
    assert "save it as UTF-8" in message


def test_what_deeplabcut_drew_is_left_out_and_said(make_session: MakeSession) -> None:
    folder = make_session()
    name = "sideDLC_resnet50_faceMar2shuffle1_1000_labeled.mp4"
    shutil.copy(folder / "side.mp4", folder / name)
    ingested, left_out = ingest_all(folder)
    assert (ingested.status, left_out.status) == ("ingested", "left out")
    assert left_out.message == f"1 file, as no recording: {folder / name} (*_labeled.*)"


@pytest.mark.parametrize("name", ["side.mp4", "side.timestamps.csv", "session.toml"])
def test_a_link_to_nothing_is_refused(make_session: MakeSession, tmp_path: Path, name: str) -> None:
    folder = make_session()
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / "gone")
    message = refusal(folder)
    assert f"{folder / name} is a link to {tmp_path / 'gone'}, which is not there" in message
    assert "point the link" in message


def test_a_time_lapse_is_refused_before_anything_is_computed(make_session: MakeSession) -> None:
    folder = make_session(cameras=())
    frames = np.random.default_rng(0).integers(0, 256, (10, 48, 64), np.uint8)
    write_video(folder / "side.mp4", frames, Fraction(1, 2))
    assert f"{folder / 'side.mp4'}: the frames are 2 s apart (0.5 a second); expected at most 1 s" in refusal(folder)
    write_video(folder / "side.mp4", frames, 1)
    (folder / "side.timestamps.csv").write_text("\n".join(str(1.5 * index) for index in range(10)))
    assert f"{folder / 'side.timestamps.csv'}: the frames are 1.5 s apart" in refusal(folder)
    (folder / "side.timestamps.csv").unlink()
    assert [outcome.status for outcome in ingest_all(folder)] == ["ingested"]


def test_a_camera_in_other_letters_is_refused(make_session: MakeSession) -> None:
    from ingest.cameras import add_camera

    said = "'Side' differs from the camera 'side' only in upper and lower case"
    assert said in refusal(make_session("mouse01/2026-03-02_1", cameras=("Side",)))
    assert said in refusal(make_session("mouse02/2026-03-02_1", cameras=("Side", "side")))
    folder = make_session("mouse03/2026-03-02_1", cameras=("side",))
    (folder / "session.toml").write_text("[px_per_mm]\nSIDE = 10.0\n")
    assert "'SIDE' differs from the camera 'side'" in refusal(folder)
    with pytest.raises(SessionError, match="camera Side differs from the camera side only in upper and lower case"):
        add_camera("Side", "from the left")
    assert not add_camera("side").is_new


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(("first", "second"), [("Mouse01", "mouse01"), ("Maus_\u00dc", "maus_u\u0308")])
def test_a_mouse_in_another_spelling_is_not_a_second_mouse(
    make_session: MakeSession, tmp_path: Path, first: str, second: str, dry_run: bool
) -> None:
    make_session(f"{first}/2026-03-02_1")
    again = make_session(f"{second}/2026-03-03_1")
    taken, refused = ingest_sessions(tmp_path / "raw", stable_after_s=0, dry_run=dry_run)
    assert (taken.status, refused.status) == ("would be ingested" if dry_run else "ingested", "refused")
    one = unicodedata.normalize("NFC", second)
    assert f"{again}: mouse {one!a} differs from the known mouse {first!a}" in refused.message
    assert f"Rename the mouse's files to {first}; or, if it is another mouse" in refused.message


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_mouse_whose_letters_are_encoded_otherwise_is_the_same(
    make_session: MakeSession, tmp_path: Path, dry_run: bool
) -> None:
    make_session("Maus_U\u0308/2026-03-02_1")
    make_session("Maus_\u00dc/2026-03-03_1")
    outcomes = list(ingest_sessions(tmp_path / "raw", stable_after_s=0, dry_run=dry_run))
    assert [one.status for one in outcomes] == ["would be ingested" if dry_run else "ingested"] * 2
    assert {one.session.partition("/")[0] for one in outcomes} == {"Maus_\u00dc"}
