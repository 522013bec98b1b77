"""Ingesting session folders: whole or not at all, and as often as one likes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from compute.errors import SessionError
from compute.video import probe_video
from ingest.sessions import SessionOutcome, ingest_sessions
from pipeline.settings import Settings

MakeSession = Callable[..., Path]


pytestmark = pytest.mark.usefixtures("emptied")


def ingest_all(folder: Path, **options: object) -> list[SessionOutcome]:
    return list(ingest_sessions(folder, **{"stable_after_s": 0, **options}))


def rows() -> tuple[int, int, int]:
    from schemas.session import Session, Video
    from schemas.subject import Mouse

    return len(Mouse()), len(Session()), len(Video())


def stored_files(settings: Settings) -> list[Path]:
    return [path for path in settings.tracks_store.rglob("*") if path.is_file()]


def refusal(folder: Path, settings: Settings) -> str:
    """Ingest a folder that must be refused, and leave nothing behind; return the message."""
    before = rows(), stored_files(settings)
    outcomes = ingest_all(folder)
    assert [outcome.status for outcome in outcomes] == ["refused"]
    assert (rows(), stored_files(settings)) == before
    return outcomes[0].message


def test_a_session_becomes_rows_that_say_what_the_files_say(make_session: MakeSession, tmp_path: Path) -> None:
    from schemas.session import Session, Video
    from schemas.subject import Mouse

    folder = make_session(n_frames=25)
    times = np.cumsum(np.full(25, 0.0101)) + 3
    np.savetxt(folder / "side.timestamps.csv", times, header="time_s", comments="")
    (folder / "session.toml").write_text(
        'start = 2026-03-02T10:30:00\nrig = "rig 2"\n'
        '[mouse]\nsex = "female"\ngenotype = "wt"\n[px_per_mm]\nside = 12.5\n'
    )
    assert [outcome.status for outcome in ingest_all(tmp_path / "raw")] == ["ingested"]
    assert Mouse.to_dicts() == [{"mouse_id": "mouse01", "sex": "female", "date_of_birth": None, "genotype": "wt"}]
    session = Session.fetch1()
    assert (session["session_date"], session["session_number"], session["rig"]) == (date(2026, 3, 2), 1, "rig 2")
    side = (Video & {"camera": "side"}).fetch1()
    info = probe_video(folder / "side.mp4")
    assert (side["n_frames"], side["width_px"], side["height_px"], side["px_per_mm"]) == (25, 64, 48, 12.5)
    assert (side["fps_numerator"], side["fps_denominator"]) == info.fps.as_integer_ratio()
    np.testing.assert_array_equal(Video.frame_times(side), times)
    lower = (Video & {"camera": "lower"}).fetch1()
    np.testing.assert_allclose(Video.frame_times(lower), np.arange(25) / 100)


def test_twice_is_once_and_dry_run_is_nothing(make_session: MakeSession, tmp_path: Path) -> None:
    make_session("mouse01/2026-03-02_1")
    make_session("mouse02/2026-03-02_1", cameras=("side",))
    assert {outcome.status for outcome in ingest_all(tmp_path / "raw", dry_run=True)} == {"would be ingested"}
    assert rows() == (0, 0, 0)
    assert {outcome.status for outcome in ingest_all(tmp_path / "raw")} == {"ingested"}
    assert {outcome.status for outcome in ingest_all(tmp_path / "raw")} == {"known"}
    assert rows() == (2, 2, 3)


def test_a_bad_session_does_not_keep_the_others_out(make_session: MakeSession, tmp_path: Path) -> None:
    bad = make_session("mouse01/2026-03-02_1")
    (bad / "side.mp4").write_bytes(b"")
    make_session("mouse02/2026-03-02_1")
    assert [outcome.status for outcome in ingest_all(tmp_path / "raw")] == ["refused", "ingested"]
    assert rows() == (1, 1, 2)


def test_a_folder_that_is_still_written_waits(make_session: MakeSession, tmp_path: Path) -> None:
    make_session()
    assert [outcome.status for outcome in ingest_all(tmp_path / "raw", stable_after_s=60)] == ["waiting"]
    assert rows() == (0, 0, 0)


@pytest.mark.parametrize("day", [date(1899, 5, 1), date(1985, 3, 2), date.today() + timedelta(days=3)])
def test_a_day_on_which_nobody_can_have_filmed_is_refused(
    make_session: MakeSession, database: Settings, day: date
) -> None:
    """Also where nothing but the folder's name says the day."""
    folder = make_session(f"mouse01/{day}_1", cameras=("side",))
    assert f"{folder}: the folder is of {day}" in (message := refusal(folder, database))
    assert "expected a day from 1990-01-01 to today" in message


def write_instants(folder: Path, camera: str, first: datetime, zone: str, n_frames: int = 20) -> None:
    """Instants of the frames of a camera at 100 Hz; `zone` is written behind each."""
    cells = [
        f"{(first + timedelta(seconds=i / 100)).isoformat(timespec='milliseconds')}{zone}" for i in range(n_frames)
    ]
    (folder / f"{camera}.timestamps.csv").write_text("\n".join(["time", *cells]))


def test_the_offset_that_a_camera_says_is_the_sessions(make_session: MakeSession) -> None:
    """Local time of the rig is what its clock says, not what it is on the machine that ingests."""
    from schemas.session import Session

    write_instants(make_session(), "side", datetime(2026, 3, 2, 10, 30), "-05:00")
    folder = make_session("mouse02/2026-03-02_1")
    write_instants(folder, "side", datetime(2026, 3, 2, 10, 30), "-05:00")
    (folder / "session.toml").write_text("start = 2026-03-02T10:29:00\n")
    assert [one.status for one in ingest_all(folder.parents[1])] == ["ingested", "ingested"]
    starts = Session.to_dicts(order_by="mouse_id")
    assert [(one["session_start"].isoformat(), one["session_utc_offset_min"]) for one in starts] == [
        ("2026-03-02T10:30:00", -300),
        ("2026-03-02T10:29:00", -300),
    ]


@pytest.mark.parametrize(
    ("start", "zone", "apart"),
    [
        (datetime(2026, 3, 2, 10, 30), "", "1 h"),
        (datetime(2026, 3, 2, 21, 30), "Z", "12 h"),
        (datetime(2026, 3, 2, 9, 30, 2), "Z", "2 s"),
    ],
)
def test_cameras_that_never_film_at_the_same_time_are_refused(
    make_session: MakeSession, database: Settings, start: datetime, zone: str, apart: str
) -> None:
    """One clock says the rig's time without a zone, the other one UTC; or one of them is wrong."""
    folder = make_session()
    write_instants(folder, "lower", datetime(2026, 3, 2, 9, 30), "Z")
    write_instants(folder, "side", start, zone)
    before = rows(), stored_files(database)
    (outcome,) = ingest_all(folder, rig_time_zone="UTC")
    assert (outcome.status, rows(), stored_files(database)) == ("refused", *before)
    assert f"{folder / 'side.timestamps.csv'}: its first frame is of" in outcome.message
    assert str(folder / "lower.timestamps.csv") in outcome.message
    assert f"their first frames are {apart} apart" in outcome.message


def test_cameras_that_film_at_the_same_time_in_part_are_taken(make_session: MakeSession) -> None:
    folder = make_session()
    write_instants(folder, "lower", datetime(2026, 3, 2, 9, 30), "Z")
    write_instants(folder, "side", datetime(2026, 3, 2, 10, 30, 0, 150000), "+01:00")
    assert [outcome.status for outcome in ingest_all(folder)] == ["ingested"]


def cut(path: Path) -> None:
    """Cut a video in the middle of its frames; its header still promises all of them."""
    path.write_bytes(path.read_bytes()[:-200])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: cut(path), "side.mp4"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_text("this is not a video"), "side.mp4"),
    ],
    ids=["truncated", "empty", "text"],
)
def test_a_video_that_cannot_be_read_to_its_end_is_refused(
    make_session: MakeSession, database: Settings, spoil: Callable[[Path], None], said: str
) -> None:
    folder = make_session()
    spoil(folder / "side.mp4")
    message = refusal(folder, database)
    assert str(folder / "side.mp4") in message
    assert said in message


def test_a_video_without_frames_is_refused(make_session: MakeSession, database: Settings) -> None:
    import av

    folder = make_session()
    with av.open(str(folder / "side.mp4"), "w") as container:
        stream = container.add_stream("h264", rate=100)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    assert "side.mp4" in refusal(folder, database)


def write_damaged(path: Path) -> None:
    """Write a video of which the checksum of one frame is wrong."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=100)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "gray"
        stream.options = {"level": "3", "slicecrc": "1", "g": "1"}
        for seed in range(20):
            gray = np.random.default_rng(seed).integers(0, 256, (48, 64), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(gray, format="gray")))
        container.mux(stream.encode(None))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def test_a_damaged_video_is_refused_unless_a_setting_accepts_it(make_session: MakeSession, database: Settings) -> None:
    from schemas.session import Video

    folder = make_session(cameras=("lower",))
    write_damaged(folder / "side.mkv")
    message = refusal(folder, database)
    assert str(folder / "side.mkv") in message
    assert "1 frame of 20 cannot be read whole" in message
    assert "accept_damaged_videos = true in settings.toml" in message
    (outcome,) = ingest_all(folder, accept_damaged_videos=True)
    assert (outcome.status, "side 20 frames, 1 damaged" in outcome.message) == ("ingested", True)
    counted = dict(zip(*Video.to_arrays("camera", "n_damaged_frames"), strict=True))
    assert counted == {"side": 1, "lower": 0}


def test_timestamps_must_fit_the_frames(make_session: MakeSession, database: Settings) -> None:
    folder = make_session(n_frames=20)
    np.savetxt(folder / "side.timestamps.csv", np.arange(19) / 100)
    message = refusal(folder, database)
    assert "19 times" in message
    assert "20 frames" in message


def test_ingest_says_which_file_of_times_it_does_not_use(make_session: MakeSession, tmp_path: Path) -> None:
    folder = make_session()
    (folder / "side_timestamps.csv").write_text("0\n")
    for dry_run in (True, False):
        (outcome,) = ingest_all(tmp_path / "raw", dry_run=dry_run)
        assert "side_timestamps.csv looks like times of frames and is not used" in outcome.message


def test_timestamps_must_increase(make_session: MakeSession, database: Settings) -> None:
    folder = make_session(n_frames=20)
    times = np.arange(20) / 100
    times[7] = 0.055
    np.savetxt(folder / "lower.timestamps.csv", times)
    assert "frame 7" in refusal(folder, database)


def test_an_unknown_camera_is_refused(make_session: MakeSession, database: Settings) -> None:
    message = refusal(make_session(cameras=("side", "top")), database)
    assert "'top'" in message
    assert "lower, side" in message


def test_a_name_that_does_not_fit_is_refused(make_session: MakeSession, database: Settings) -> None:
    message = refusal(make_session("mouse01/yesterday"), database)
    assert "{mouse}/{date}_{number}" in message


def test_a_date_that_is_none_is_refused_as_such(make_session: MakeSession, database: Settings) -> None:
    message = refusal(make_session("mouse01/2026-13-45_1"), database)
    assert "2026-13-45 is no date" in message
    assert "pattern" not in message


def test_a_session_file_that_is_no_toml_says_what_to_do(make_session: MakeSession, database: Settings) -> None:
    folder = make_session()
    (folder / "session.toml").write_text("rig = rig 2\n")
    message = refusal(folder, database)
    assert str(folder / "session.toml") in message
    assert "line 1" in message
    assert "text stands in quotes" in message


def test_a_camera_that_comes_later_is_refused_with_the_way_out(
    make_session: MakeSession, tmp_path: Path, database: Settings
) -> None:
    folder = make_session(cameras=("side", "lower"))
    (folder / "lower.mp4").rename(tmp_path / "lower.mp4")
    assert [outcome.status for outcome in ingest_all(tmp_path / "raw")] == ["ingested"]
    (tmp_path / "lower.mp4").rename(folder / "lower.mp4")
    message = refusal(folder, database)
    assert "'orofacial delete session mouse01/2026-03-02_1'" in message
    assert f"'orofacial ingest {folder}'" in message
    assert "--marker" in message
    from pipeline.stores.deletion import plan_session_deletion, run_deletion
    from schemas.session import Session

    run_deletion(plan_session_deletion(Session.fetch1("KEY")))
    assert [outcome.status for outcome in ingest_all(tmp_path / "raw")] == ["ingested"]
    assert rows() == (1, 1, 2)


def test_a_typo_in_session_toml_is_refused(make_session: MakeSession, database: Settings) -> None:
    folder = make_session()
    (folder / "session.toml").write_text('experimentor = "Ada"\n')
    assert "experimentor" in refusal(folder, database)


def test_what_is_known_of_a_mouse_is_not_overwritten(make_session: MakeSession, database: Settings) -> None:
    from schemas.subject import Mouse

    Mouse.insert1({"mouse_id": "mouse01", "sex": "male"})
    folder = make_session()
    (folder / "session.toml").write_text('[mouse]\nsex = "female"\n')
    assert "male" in refusal(folder, database)
    assert Mouse.fetch1("sex") == "male"


def test_a_renamed_copy_is_recognised(make_session: MakeSession, tmp_path: Path, database: Settings) -> None:
    original = make_session("mouse01/2026-03-02_1")
    ingest_all(tmp_path / "raw")
    copy = tmp_path / "copies" / "mouse02" / "2026-03-03_1"
    copy.mkdir(parents=True)
    shutil.copy(original / "side.mp4", copy / "lower.mp4")
    message = refusal(copy, database)
    assert f"{original / 'side.mp4'}, which is known already" in message


@pytest.mark.parametrize("name", ["raw/mouse01/2026-03-02_01", "backup/mouse01/2026-03-02_1"])
def test_a_copy_that_is_called_as_the_session_never_speaks_for_it(
    name: str, make_session: MakeSession, tmp_path: Path, database: Settings
) -> None:
    from schemas.session import Correction, Session

    original = make_session(cameras=("side",))
    (original / "session.toml").write_text('rig = "rig 1"\n')
    ingest_all(original)
    copy = tmp_path / name
    shutil.copytree(original, copy)
    (copy / "session.toml").write_text('rig = "rig 2"\n')
    for options in ({}, {"dry_run": True}):
        (outcome,) = ingest_all(copy, **options)
        assert outcome.status == "refused"
        assert f"{copy} is called session mouse01/2026-03-02_1, and so is {original}, which" in outcome.message
    assert (Session.fetch1("rig"), len(Correction())) == ("rig 1", 0)
    shutil.rmtree(copy)
    original.rename(copy)  # a session that was moved is known where it is, and its rows follow
    assert [one.status for one in ingest_all(copy)] == ["moved"]
    assert Session.fetch1("session_folder") == str(copy)
    assert [one.status for one in ingest_all(copy)] == ["known"]


def test_a_dry_run_finds_a_copy_too(make_session: MakeSession, tmp_path: Path) -> None:
    original = make_session(cameras=("side",))
    shutil.copytree(original, original.with_name("2026-03-02_01"))
    assert [one.status for one in ingest_all(tmp_path / "raw", dry_run=True)] == ["would be ingested", "refused"]


def test_a_link_to_a_session_is_the_session(make_session: MakeSession, tmp_path: Path) -> None:
    original = make_session(cameras=("side",))
    ingest_all(original)
    (tmp_path / "linked" / "mouse01").mkdir(parents=True)
    (tmp_path / "linked" / "mouse01" / original.name).symlink_to(original)
    assert [one.status for one in ingest_all(tmp_path / "linked")] == ["known"]


def put_hole(folder: Path, hole_s: int) -> None:
    """Let the container of the side video say that nothing was filmed for a time after frame 9."""
    (folder / "side.mp4").unlink()
    rng = np.random.default_rng(hole_s)
    with av.open(str(folder / "side.mkv"), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=100)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "gray"
        stream.codec_context.time_base = Fraction(1, 1000)
        for index in range(20):
            frame = av.VideoFrame.from_ndarray(rng.integers(0, 256, (48, 64), np.uint8), format="gray")
            frame.pts, frame.time_base = 10 * index + 1000 * hole_s * (index >= 10), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_a_hole_in_the_times_of_a_container_is_said_and_one_of_hours_refused(
    make_session: MakeSession, database: Settings
) -> None:
    from schemas.session import Video

    folder = make_session(cameras=("side",))
    put_hole(folder, 7200)
    message = refusal(folder, database)
    assert f"{folder / 'side.mkv'}: time jumps by 2 h at frame 10" in message
    assert "expected at most 1 h between two frames" in message and "<camera>.timestamps.csv" in message
    folder = make_session("mouse02/2026-03-02_1", cameras=("side",))
    put_hole(folder, 60)
    (outcome,) = ingest_all(folder)
    assert outcome.status == "ingested"
    assert "side 20 frames, 1 hole in time (the longest of 60.01 s after frame 9)" in outcome.message
    times_s = Video.frame_times(Video.fetch1())
    assert np.diff(times_s).argmax() == 9 and times_s[-1] == pytest.approx(60 + 19 / 100)


def test_a_recording_that_changed_is_refused(make_session: MakeSession, tmp_path: Path, database: Settings) -> None:
    folder = make_session()
    ingest_all(tmp_path / "raw")
    with (folder / "side.mp4").open("ab") as file:
        file.write(b"more")
    assert "never change" in refusal(folder, database)


def test_an_unreadable_folder_is_refused_and_the_others_go_on(make_session: MakeSession, tmp_path: Path) -> None:
    bad = make_session("mouse01/2026-03-02_1")
    make_session("mouse02/2026-03-02_1")
    # pytest's temporary folders are closed to others, and below this test becomes one of them.
    for path in [*tmp_path.rglob("*"), tmp_path, *tmp_path.parents]:
        if path.is_relative_to(tempfile.gettempdir()) and path != Path(tempfile.gettempdir()):
            path.chmod(path.stat().st_mode | 0o055)
    bad.chmod(0)
    is_root = os.geteuid() == 0
    try:
        if is_root:  # nothing is unreadable to root
            os.seteuid(65534)
        outcomes = ingest_all(tmp_path / "raw", dry_run=True)
    finally:
        if is_root:
            os.seteuid(0)
        bad.chmod(0o755)
    assert [outcome.status for outcome in outcomes] == ["refused", "would be ingested"]
    assert str(bad) in outcomes[0].message


def test_a_raw_folder_that_does_not_exist_is_an_error(database: Settings, tmp_path: Path) -> None:
    with pytest.raises(SessionError, match="not a folder"):
        ingest_all(tmp_path / "nowhere")


INGEST = """
import sys
import tempfile
import schemas
from pathlib import Path
from pipeline.database.connection import open_connection
from pipeline.settings import Settings
settings = Settings(data_folder=Path(sys.argv[1]), schema_prefix=sys.argv[2])
schemas.activate(settings.schema_prefix, open_connection(settings))
from ingest.sessions import ingest_sessions
print("ready", flush=True)
sys.stdin.readline()
for outcome in ingest_sessions(Path(sys.argv[3]), stable_after_s=0):
    print(outcome.status)
"""


def test_two_processes_ingest_the_same_folder_once(
    make_session: MakeSession, tmp_path: Path, database: Settings
) -> None:
    for number in range(1, 5):
        make_session(f"mouse01/2026-03-02_{number}")
    command = [sys.executable, "-c", INGEST, database.data_folder, database.schema_prefix, tmp_path / "raw"]
    root = Path(__file__).parent.parent.parent
    processes = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    statuses = [status for process in processes for status in process.communicate(timeout=100)[0].split()]
    assert sorted(statuses) == ["ingested"] * 4 + ["known"] * 4
    assert rows() == (1, 4, 8)
