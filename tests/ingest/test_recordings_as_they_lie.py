"""What an ingest makes of files by a lab's layout: numbers, files beside, lists, names that clash, odd folders."""

from __future__ import annotations

import os
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compute.errors import SessionError
from ingest.layout import Layout
from ingest.layout_report import report_layout
from ingest.outcomes import SessionOutcome
from ingest.search import LINK_TO_A_FOLDER_ABOVE, find_recordings
from ingest.sessions import ingest_sessions

pytestmark = pytest.mark.usefixtures("emptied")

Write = Callable[[str], Path]
FLAT = Layout("{mouse}_{date:%Y%m%d}_{camera}.mp4")
TIMED = Layout("{mouse}_{date:%Y%m%d}_{time:%H%M%S}_{camera}.mp4")


def ingest(folder: Path, layout: Layout, **options: Any) -> list[SessionOutcome]:
    return list(ingest_sessions(folder, layout=layout, **{"stable_after_s": 0, **options}))


def statuses(outcomes: list[SessionOutcome]) -> dict[str, str]:
    return {one.session: one.status for one in outcomes}


def test_sessions_of_a_flat_folder_have_their_own_times_and_session_files(write: Write, raw: Path) -> None:
    from schemas.session import Session, Video
    from schemas.subject import Mouse

    write("m1_20260302_side.mp4")
    write("m2_20260302_side.mp4")
    np.savetxt(raw / "m1_20260302_side.timestamps.csv", np.arange(8) / 49)
    (raw / "m2_20260302.session.toml").write_text('rig = "rig 2"\n[mouse]\nsex = "female"\n')
    assert statuses(ingest(raw, FLAT)) == {"m1/2026-03-02_1": "ingested", "m2/2026-03-02_1": "ingested"}
    assert dict(zip(*Video.to_arrays("mouse_id", "times_from"), strict=True)) == {"m1": "camera", "m2": "rate"}
    assert dict(zip(*Session.to_arrays("mouse_id", "rig"), strict=True)) == {"m1": "", "m2": "rig 2"}
    assert set(Session.to_arrays("session_folder")) == {str(raw)}
    (raw / "m2_20260302.session.toml").write_text('rig = "rig 3"\n[mouse]\nsex = "male"\n')
    assert statuses(ingest(raw, FLAT)) == {"m1/2026-03-02_1": "known", "m2/2026-03-02_1": "corrected"}
    assert (Mouse & {"mouse_id": "m2"}).fetch1("sex") == "male"


def test_what_another_session_of_a_flat_folder_says_of_the_mouse_counts(write: Write, raw: Path) -> None:
    write("m1_20260302_side.mp4")
    write("m1_20260303_side.mp4")
    for day in (2, 3):
        (raw / f"m1_2026030{day}.session.toml").write_text('[mouse]\nsex = "female"\n')
    ingest(raw, FLAT)
    (raw / "m1_20260303.session.toml").write_text('[mouse]\nsex = "male"\n')
    refused = ingest(raw, FLAT)[1]
    assert f"{raw / 'm1_20260302.session.toml'} says female" in refused.message


def test_a_session_toml_of_a_shared_folder_is_of_no_session(write: Write, raw: Path) -> None:
    write("m1_20260302_side.mp4")
    (raw / "session.toml").write_text('rig = "rig 2"\n')
    refused = ingest(raw, FLAT)[1]
    assert refused.status == "refused"
    assert "sessions share this folder; expected such as <name>.session.toml" in refused.message


def test_a_marker_of_a_flat_folder_is_each_sessions_own(write: Write, raw: Path) -> None:
    write("m1_20260302_side.mp4")
    write("m2_20260302_side.mp4")
    (raw / "m1_20260302.done").touch()
    assert list(statuses(ingest(raw, FLAT, marker="done")).values()) == ["ingested", "waiting"]


def test_sessions_are_numbered_by_their_times_and_keep_their_numbers(write: Write, raw: Path) -> None:
    from schemas.session import Video

    write("m1_20260302_150000_side.mp4")
    write("m1_20260302_100000_side.mp4")
    for dry_run in (True, False):
        assert set(statuses(ingest(raw, TIMED, dry_run=dry_run))) == {"m1/2026-03-02_1", "m1/2026-03-02_2"}
    write("m1_20260302_090000_side.mp4")
    write("m1_20260302_170000_side.mp4")
    found = statuses(ingest(raw, TIMED))
    assert {name for name, status in found.items() if status == "ingested"} == {"m1/2026-03-02_3", "m1/2026-03-02_4"}
    numbers = {
        row["video_file"].rpartition("/")[2][12:14]: row["session_number"]
        for row in Video.proj("video_file").to_dicts()
    }
    assert numbers == {"10": 1, "15": 2, "09": 3, "17": 4}
    assert set(statuses(ingest(raw, TIMED)).values()) == {"known"}


def test_two_sessions_that_nothing_tells_apart_are_refused_by_both_names(write: Write, raw: Path) -> None:
    layout = Layout("{date}/{mouse}/{camera}.mp4")
    first, second = write("a/2026-03-02/m1/side.mp4"), write("b/2026-03-02/m1/side.mp4")
    (reported,) = report_layout(raw, layout).refused
    assert str(first.parent) in reported["reason"] and str(second.parent) in reported["reason"]
    for dry_run in (True, False):
        refused = ingest(raw, layout, dry_run=dry_run)[1]
        assert refused.status == "refused"
        assert str(first.parent) in refused.message and str(second.parent) in refused.message
        assert "{number} or {time}" in refused.message
    one = Layout("{mouse}_{date:%Y%m%d}_*_{camera}.mp4")
    write("c/m2_20260302_am_side.mp4")
    write("c/m2_20260302_pm_side.mp4")
    (refused,) = ingest(raw / "c", one)
    assert "two videos, m2_20260302_am_side.mp4 and m2_20260302_pm_side.mp4" in refused.message


def test_a_recording_of_one_part_is_taken_in_and_one_of_several_is_not(write: Write, raw: Path) -> None:
    layout = Layout("{mouse}/{date:%y%m%d}_{number}/{camera}_{part}.mp4")
    write("m1/260302_1/side_0.mp4")
    write("m2/260302_1/side_0.mp4")
    write("m2/260302_1/side_1.mp4")
    assert [one["part"] for one in report_layout(raw, layout).recordings] == [0, 0, 1]
    ingested, refused = ingest(raw, layout)
    assert (ingested.status, refused.status) == ("ingested", "refused")
    assert "camera side is in 2 parts, from side_0.mp4 to side_1.mp4; a recording in several files" in refused.message


def test_a_list_says_what_no_layout_can(write: Write, raw: Path) -> None:
    from schemas.session import Session, Video

    write("Tuesday/left cam.mp4")
    write("Tuesday/from below.mp4")
    write("more/again.mp4")
    stray = write("more/test.mp4")
    layout = Layout("recordings.csv", {"bottom": "lower"})
    (raw / "recordings.csv").write_text(
        "mouse,date,number,camera,part,file\n"
        "m1,2026-03-02,,side,,Tuesday/left cam.mp4\n"
        "m1,2026-03-02,,bottom,,Tuesday/from below.mp4\n"
        "m1,2026-03-02,2,side,,more/again.mp4\n"
    )
    (raw / "Tuesday" / "m1_2026-03-02_1.session.toml").write_text('rig = "rig 2"\n')
    first, second, refused = ingest(raw, layout)
    assert (first.session, second.session) == ("m1/2026-03-02_1", "m1/2026-03-02_2")
    assert (first.status, second.status, refused.status) == ("ingested", "ingested", "refused")
    assert f"{stray} is of no session: recordings.csv does not list it" in refused.message
    assert list(Video.to_arrays("camera", order_by="session_number, camera")) == ["lower", "side", "side"]
    assert list(Session.to_arrays("rig", order_by="session_number")) == ["rig 2", ""]
    assert [one.status for one in ingest(raw, layout)] == ["known", "known", "refused"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("mouse,date,file\n", "expected mouse, date, camera, file"),
        ("mouse,date,camera,file\nm1,2026-03-02,side,x.mp4\nm1,2026-03-02,lower,x.mp4\n", "line 3 names .* again"),
        ("mouse,date,camera,file\nm1,2026-02-31,side,x.mp4\n", "line 2: '2026-02-31' is no date"),
        ("mouse,date,camera,file\nm1,2026-03-02,side,y.mp4\n", "line 2: there is no file"),
        ("mouse,date,camera,file\nm1,2026-03-02,side,../x.mp4\n", "expected a path below"),
        ("mouse,date,camera,file\n,2026-03-02,side,x.mp4\n", "line 2: mouse is empty"),
        ("mouse,date,number,camera,file\nm1,2026-03-02,one,side,x.mp4\n", "number is 'one'; expected digits"),
        ("mouse,date,camera,file\nm1,2026-03-02,side\n", "line 2 has not 4 values"),
    ],
)
def test_a_list_with_a_wrong_line_says_which(write: Write, raw: Path, lines: str, said: str) -> None:
    write("x.mp4")
    (raw / "recordings.csv").write_text(lines)
    with pytest.raises(SessionError, match=said):
        ingest(raw, Layout("recordings.csv"))


@pytest.mark.parametrize("mouse", ["a/b", ".m1", "m\\1", "m%1"])
def test_a_name_of_a_list_that_no_path_could_have_is_refused(write: Write, raw: Path, mouse: str) -> None:
    write("x.mp4")
    (raw / "recordings.csv").write_text(f"mouse,date,camera,file\n{mouse},2026-03-02,side,x.mp4\n")
    (refused,) = ingest(raw, Layout("recordings.csv"))
    assert "the mouse's name would be" in refused.message


def test_mice_that_differ_in_case_only_are_refused_by_both_names(write: Write, raw: Path) -> None:
    write("M1_20260302_side.mp4")
    write("m1_20260303_side.mp4")
    assert "'M1' and 'm1' differ only in case" in report_layout(raw, FLAT).refused[0]["reason"]
    for dry_run in (True, False):
        ingested, refused = ingest(raw, FLAT, dry_run=dry_run)
        assert "ingested" in ingested.status and refused.status == "refused"
        assert "mouse 'm1' differs from the known mouse 'M1' only in upper and lower case" in refused.message


@pytest.mark.parametrize("known", ["NFC", "NFD"])
def test_a_mouse_is_one_however_the_disk_writes_its_accents(write: Write, raw: Path, known: str) -> None:
    from schemas.subject import Mouse

    name = unicodedata.normalize(known, "müller")
    Mouse.insert1({"mouse_id": name})
    for day, form in ((2, "NFC"), (3, "NFD")):
        write(unicodedata.normalize(form, f"müller_2026030{day}_side.mp4"))
    assert [one.status for one in ingest(raw, FLAT)] == ["ingested", "ingested"]
    assert list(Mouse.to_arrays("mouse_id")) == [name]
    assert [one.status for one in ingest(raw, FLAT)] == ["known", "known"]


def test_names_of_200_characters_and_hidden_ones(write: Write, raw: Path) -> None:
    write(f"{'m' * 200}_20260302_side.mp4")
    write(".m1_20260302_side.mp4")
    (refused,) = ingest(raw, FLAT)
    assert "too long (200 characters)" in refused.message


def test_a_link_to_a_folder_above_is_not_followed(write: Write, raw: Path) -> None:
    write("2026/m1_20260302_side.mp4")
    (raw / "2026" / "again").symlink_to(raw)
    (raw / "twice").symlink_to(raw / "2026" / "again")
    found = find_recordings(raw, FLAT)
    assert len(found.sessions) == 1
    assert (raw / "2026" / "again", LINK_TO_A_FOLDER_ABOVE) in found.left_out
    assert [one.status for one in ingest(raw, FLAT)] == ["ingested", "left out"]


def test_a_folder_that_cannot_be_written_stays_as_it_was(write: Write, raw: Path) -> None:
    video = write("m1_20260302_side.mp4")
    for path, mode in ((video, 0o444), (raw, 0o555)):
        path.chmod(mode)
    before = [(path, path.stat().st_mtime_ns) for path in (raw, *raw.iterdir())]
    assert report_layout(raw, FLAT).counts["recordings"] == 1
    assert [one.status for one in ingest(raw, FLAT)] == ["ingested"]
    assert [(path, path.stat().st_mtime_ns) for path in (raw, *raw.iterdir())] == before
    raw.chmod(0o755)


def test_a_file_whose_time_is_to_come_waits_no_longer_than_others(write: Write, raw: Path) -> None:
    video = write("m1_20260302_side.mp4")
    os.utime(video, (time.time() + 86400, time.time() + 86400))
    assert [one.status for one in ingest(raw, FLAT, stable_after_s=3600)] == ["waiting"]
    assert [one.status for one in ingest(raw, FLAT, stable_after_s=0)] == ["ingested"]


def test_what_fits_nothing_is_refused_with_the_layout_and_the_way_out(write: Write, raw: Path) -> None:
    video = write("m1_2026-03-02_side.mp4")
    write("m2_20260302_side.avi")
    refused = ingest(raw, FLAT)
    assert [one.status for one in refused] == ["refused"]
    assert f"{video} is of no session:" in refused[0].message
    assert "its date would be '2026-03-02'; that is {date}, and 1 other file of this folder" in refused[0].message
    assert f"'orofacial layout test {raw}' shows all files" in refused[0].message
    why = {one["file"]: one["reason"] for one in report_layout(raw, FLAT).fits_nothing}
    assert why["m2_20260302_side.avi"] == f"it fits but for its ending; {FLAT.text} takes .mp4"


def test_a_copy_of_a_known_session_of_a_flat_folder_is_refused(write: Write, raw: Path) -> None:
    import shutil

    video = write("m1_20260302_side.mp4")
    ingest(raw, FLAT)
    (raw / "backup").mkdir()
    shutil.copy(video, raw / "backup")
    known, refused = ingest(raw, FLAT)
    assert (known.status, refused.status) == ("known", "refused")
    assert f"and so is {video}, which was ingested" in refused.message


def test_watching_takes_the_same_layout(write: Write, raw: Path) -> None:
    from ingest.watching import watch_raw_folder

    write("m1_20260302_side.mp4")
    (raw / "m2_20260302_side.mp4").write_text("no video")
    outcomes = watch_raw_folder(raw, layout=FLAT, stable_after_s=0, scan_every_s=1)
    assert statuses([next(outcomes), next(outcomes)]) == {"m1/2026-03-02_1": "ingested", "m2/2026-03-02_1": "refused"}
    write("m2_20260302_side.mp4")
    write("m3_20260302_side.mp4")
    assert statuses([next(outcomes), next(outcomes)]) == {"m2/2026-03-02_1": "ingested", "m3/2026-03-02_1": "ingested"}
    outcomes.close()


def test_a_session_is_named_by_the_path_of_its_video(write: Write, raw: Path, tmp_path: Path) -> None:
    from pipeline.query.sessions import session_key
    from pipeline.settings import Settings

    write("m1_20260302_100000_side.mp4")
    video = write("m1_20260302_150000_side.mp4")
    ingest(raw, TIMED)
    settings = Settings(data_folder=tmp_path, layout=TIMED.text)
    assert session_key(str(video), settings)["session_number"] == 2
    assert session_key("m1/2026-03-02_1", settings)["session_number"] == 1


def test_labels_find_their_session_by_the_layout() -> None:
    from ingest.labeled_sources import read_source_path

    for path in (r"C:\raw\m1_20260302_side.mp4", "labeled-data/m1_20260302_side/img0001.png"):
        read = read_source_path(path, FLAT)
        assert read is not None and (read.mouse_id, str(read.session_date), read.camera) == ("m1", "2026-03-02", "side")
