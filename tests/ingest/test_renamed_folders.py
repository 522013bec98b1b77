"""Folders of sessions that were renamed in the lab, on disk, or both: known, and their rows follow their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingest.correction_history import parse_session_text
from ingest.sessions import SessionOutcome, ingest_sessions
from pipeline.corrections.renames import assign_camera, move_session, rename_mouse

MakeSession = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("emptied")


def ingest(folder: Path, **options: Any) -> list[SessionOutcome]:
    return list(ingest_sessions(folder, **{"stable_after_s": 0, **options}))


def statuses(folder: Path) -> list[str]:
    return [outcome.status for outcome in ingest(folder)]


def key(text: str) -> dict[str, Any]:
    return dict(parse_session_text(text).key)


def files() -> dict[str, str]:
    """Where the lab says that each video is, by session and camera."""
    from compute.text import session_text
    from schemas.session import Video

    return {f"{session_text(row)}/{row['camera']}": row["video_file"] for row in Video.to_dicts()}


def test_a_folder_keeps_the_old_name_and_is_known(make_session: MakeSession, tmp_path: Path) -> None:
    make_session("mouse01/2026-03-02_1")
    make_session("mouse02/2026-03-02_1")
    ingest(tmp_path / "raw")
    rename_mouse("mouse01", "M001")
    move_session(key("mouse02/2026-03-02_1"), parse_session_text("mouse02/2026-03-03_4"))
    before = files()
    first, second = ingest(tmp_path / "raw")
    assert (first.status, second.status) == ("known", "known")
    assert "M001/2026-03-02_1 was ingested before (renamed from mouse01/2026-03-02_1)" in first.message
    assert "(renamed from mouse02/2026-03-02_1)" in second.message and second.called == "mouse02/2026-03-02_1"
    assert files() == before


def test_session_toml_of_a_renamed_session_is_read_as_before(make_session: MakeSession, tmp_path: Path) -> None:
    from schemas.session import Session

    folder = make_session("mouse01/2026-03-02_1")
    ingest(tmp_path / "raw")
    rename_mouse("mouse01", "M001")
    (folder / "session.toml").write_text('rig = "left"\n')
    assert statuses(folder) == ["corrected"]
    assert Session.fetch1("mouse_id", "rig") == ("M001", "left")


def test_the_folder_is_renamed_too_and_its_rows_follow(make_session: MakeSession, tmp_path: Path) -> None:
    from schemas.session import Session

    folder = make_session("mouse01/2026-03-02_1")
    ingest(tmp_path / "raw")
    rename_mouse("mouse01", "M001")
    folder.parent.rename(tmp_path / "raw" / "M001")
    now = tmp_path / "raw" / "M001" / "2026-03-02_1"
    (dry,) = ingest(tmp_path / "raw", dry_run=True)
    assert dry.status == "would be moved" and str(folder / "side.mp4") in files().values()
    (outcome,) = ingest(tmp_path / "raw")
    assert outcome.status == "moved"
    assert f"2 videos moved from {folder} to {now}; nothing is computed anew" in outcome.message
    assert set(files().values()) == {str(now / "side.mp4"), str(now / "lower.mp4")}
    assert Session.fetch1("session_folder") == str(now)
    assert statuses(tmp_path / "raw") == ["known"]


def test_only_the_folder_is_renamed_and_the_message_names_the_command(
    make_session: MakeSession, tmp_path: Path
) -> None:
    folder = make_session("mouse01/2026-03-02_1")
    ingest(tmp_path / "raw")
    folder.parent.rename(tmp_path / "raw" / "M001")
    (outcome,) = ingest(tmp_path / "raw")
    assert outcome.status == "refused"
    assert "orofacial mice rename mouse01 M001" in outcome.message
    assert "orofacial sessions move mouse01/2026-03-02_1 M001/2026-03-02_1" in outcome.message
    rename_mouse("mouse01", "M001")
    assert statuses(tmp_path / "raw") == ["moved"]


def test_a_moved_file_with_another_content_is_refused(make_session: MakeSession, tmp_path: Path) -> None:
    folder = make_session("mouse01/2026-03-02_1", cameras=("side",))
    ingest(tmp_path / "raw")
    rename_mouse("mouse01", "M001")
    now = tmp_path / "raw" / "M001" / "2026-03-02_1"
    folder.parent.rename(now.parent)
    content = bytearray((now / "side.mp4").read_bytes())
    content[-1] ^= 1
    (now / "side.mp4").write_bytes(content)
    before = files()
    (outcome,) = ingest(tmp_path / "raw")
    assert outcome.status == "refused" and "another content" in outcome.message
    assert files() == before


def test_a_new_session_under_a_name_that_was_corrected_is_refused(make_session: MakeSession, tmp_path: Path) -> None:
    make_session("mouse01/2026-03-02_1")
    ingest(tmp_path / "raw")
    rename_mouse("mouse01", "M001")
    new = make_session("mouse01/2026-03-03_1")
    (outcome,) = ingest(new)
    assert outcome.status == "refused"
    assert "mouse mouse01 was renamed, and is M001 now" in outcome.message
    assert "M001/2026-03-03_1" in outcome.message
    (tmp_path / "raw" / "M001").mkdir()
    new.rename(tmp_path / "raw" / "M001" / "2026-03-03_1")
    assert statuses(tmp_path / "raw" / "M001") == ["ingested"]


def test_two_sessions_that_were_exchanged_are_known_in_each_others_folder(
    make_session: MakeSession, tmp_path: Path
) -> None:
    first, second = make_session("mouse01/2026-03-02_1"), make_session("mouse02/2026-03-02_1")
    ingest(tmp_path / "raw")
    move_session(key("mouse01/2026-03-02_1"), parse_session_text("mouse02/2026-03-02_1"), swap=True)
    assert [outcome.called for outcome in ingest(tmp_path / "raw")] == ["mouse01/2026-03-02_1", "mouse02/2026-03-02_1"]
    first.rename(tmp_path / "aside")
    second.rename(first)
    (tmp_path / "aside").rename(second)
    assert statuses(tmp_path / "raw") == ["moved", "moved"]
    assert files()["mouse01/2026-03-02_1/side"] == str(first / "side.mp4")
    assert statuses(tmp_path / "raw") == ["known", "known"]


def test_cameras_that_were_exchanged_are_known_whatever_their_files_are_called(
    make_session: MakeSession, tmp_path: Path
) -> None:
    from schemas.session import Video

    folder = make_session("mouse01/2026-03-02_1")
    ingest(tmp_path / "raw")
    hashes = dict(zip(*Video.to_arrays("camera", "content_hash"), strict=True))
    assign_camera(key("mouse01/2026-03-02_1"), "side", "lower", swap=True)
    assert statuses(folder) == ["known"]
    (folder / "side.mp4").rename(folder / "aside")
    (folder / "lower.mp4").rename(folder / "side.mp4")
    (folder / "aside").rename(folder / "lower.mp4")
    (outcome,) = ingest(folder)
    assert outcome.status == "moved", outcome.message
    assert files()["mouse01/2026-03-02_1/side"] == str(folder / "side.mp4")
    assert dict(zip(*Video.to_arrays("camera", "content_hash"), strict=True)) == {
        "side": hashes["lower"],
        "lower": hashes["side"],
    }
    assert statuses(folder) == ["known"]


def test_what_sessions_say_of_a_mouse_is_settled_by_a_command(make_session: MakeSession, tmp_path: Path) -> None:
    """One session.toml was corrected, another still says what was wrong."""
    from pipeline.corrections.values import set_mouse
    from schemas.subject import Mouse

    first, second = make_session("mouse01/2026-03-02_1"), make_session("mouse01/2026-03-03_1")
    for folder in (first, second):
        (folder / "session.toml").write_text('[mouse]\nsex = "male"\n')
    ingest(tmp_path / "raw")
    (first / "session.toml").write_text('[mouse]\nsex = "female"\n')
    (refused, _) = ingest(tmp_path / "raw")
    assert refused.status == "refused" and "orofacial mice set mouse01 sex=female" in refused.message
    set_mouse("mouse01", {"sex": "female"}, reason="seen by the vet")
    assert statuses(tmp_path / "raw") == ["known", "known"]
    assert Mouse.fetch1("sex") == "female"
    third = make_session("mouse01/2026-03-04_1")
    (third / "session.toml").write_text('[mouse]\nsex = "male"\n')
    (refused,) = ingest(third)
    assert refused.status == "refused" and "orofacial mice set mouse01 sex=male" in refused.message
    set_mouse("mouse01", {"sex": "male"})
    assert statuses(third) == ["ingested"]
