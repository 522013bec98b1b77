"""Sessions that were renamed in the lab, on disk, or both, where a layout says how files are called."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.correction_history import NameHistory, parse_session_text
from ingest.layout import Layout
from ingest.outcomes import SessionOutcome
from ingest.sessions import ingest_sessions
from pipeline.corrections.renames import assign_camera, move_session, rename_mouse

pytestmark = pytest.mark.usefixtures("emptied")

Write = Callable[[str], Path]
FLAT = Layout("{mouse}_{date:%Y%m%d}_{camera}.mp4")
TIMED = Layout("{mouse}_{date:%Y%m%d}_{time:%H%M%S}_{camera}.mp4")


def ingest(folder: Path, layout: Layout, **options: Any) -> list[SessionOutcome]:
    return list(ingest_sessions(folder, layout=layout, **{"stable_after_s": 0, **options}))


def statuses(folder: Path, layout: Layout = FLAT) -> list[str]:
    return [one.status for one in ingest(folder, layout)]


def key(text: str) -> dict[str, Any]:
    return dict(parse_session_text(text).key)


def files() -> dict[str, str]:
    """Name of each video's file, by session and camera."""
    from compute.text import session_text
    from schemas.session import Video

    return {f"{session_text(row)}/{row['camera']}": Path(row["video_file"]).name for row in Video.to_dicts()}


def test_files_of_a_flat_folder_keep_the_old_name_and_each_session_is_known(write: Write, raw: Path) -> None:
    from schemas.session import Session

    write("m1_20260302_side.mp4")
    write("m2_20260302_side.mp4")
    ingest(raw, FLAT)
    rename_mouse("m1", "M1x")
    move_session(key("m2/2026-03-02_1"), parse_session_text("m2/2026-03-03_4"))
    before = files()
    first, second = ingest(raw, FLAT)
    assert (first.status, second.status) == ("known", "known")
    assert (first.session, first.called) == ("M1x/2026-03-02_1", "m1/2026-03-02_1")
    assert (second.session, second.called) == ("m2/2026-03-03_4", "m2/2026-03-02_1")
    assert files() == before
    (raw / "m1_20260302.session.toml").write_text('rig = "left"\n')
    assert statuses(raw) == ["corrected", "known"]
    assert (Session & {"mouse_id": "M1x"}).fetch1("rig") == "left"
    write("m1_20260304_side.mp4")
    refused = ingest(raw, FLAT)[1]
    assert refused.status == "refused" and "mouse m1 was renamed, and is M1x now" in refused.message


def test_files_that_are_renamed_too_are_followed_and_so_are_their_poses(write: Write, raw: Path) -> None:
    from ingest.models import import_model
    from schemas.model import Model
    from schemas.pose import PoseFile
    from schemas.session import Session

    video = write("m1_20260302_side.mp4")
    network = "DLC_resnet50_snoutJan5shuffle1_50000"
    poses = raw / f"{video.stem}{network}.csv"
    lines = [f"scorer{f',{network}' * 3}", f"bodyparts{',snout' * 3}", "coords,x,y,likelihood"]
    poses.write_text("\n".join([*lines, *(f"{index},{30 + index},20,0.9" for index in range(8))]) + "\n")
    ingest(raw, FLAT)
    model_id = import_model(poses, camera="side")
    from compute.video import video_content_hash

    of_video = {**key("m1/2026-03-02_1"), "camera": "side", "model_id": model_id}
    PoseFile.insert1({**of_video, "pose_file": str(poses), "pose_file_hash": video_content_hash(poses)})
    rename_mouse("m1", "M1x")
    now = raw / "M1x_20260302_side.mp4"
    video.rename(now)
    poses.rename(raw / f"{now.stem}{network}.csv")
    (outcome,) = ingest(raw, FLAT)
    assert outcome.status == "moved" and f"1 video moved in {raw}; nothing is computed anew" in outcome.message
    assert files() == {"M1x/2026-03-02_1/side": now.name}
    assert PoseFile.fetch1("mouse_id", "pose_file") == ("M1x", str(raw / f"{now.stem}{network}.csv"))
    assert Session.fetch1("session_folder") == str(raw) and len(Model()) == 1
    assert statuses(raw) == ["known"]


def test_sessions_that_are_numbered_by_their_times_are_known_by_other_names(write: Write, raw: Path) -> None:
    from ingest.labeled_sources import named_by_source
    from ingest.named_by_paths import session_of_path

    first, second = write("m1_20260302_100000_side.mp4"), write("m1_20260302_150000_side.mp4")
    ingest(raw, TIMED)
    rename_mouse("m1", "M1x")
    move_session(key("M1x/2026-03-02_2"), parse_session_text("M2/2026-03-05_7"), new_mouse=True)
    outcomes = ingest(raw, TIMED)
    assert [(one.status, one.session) for one in outcomes] == [
        ("known", "M1x/2026-03-02_1"),
        ("known", "M2/2026-03-05_7"),
    ]
    names = NameHistory.fetch()
    for path, session in ((first, "M1x/2026-03-02_1"), (second, "M2/2026-03-05_7")):
        assert str(session_of_path(TIMED, str(path))) == session
        named = named_by_source(f"labeled-data/{path.stem}/img01.png", TIMED, names)
        assert named is not None and (str(named.session), named.camera) == (session, "side")
    unknown = named_by_source("m1_20260302_110000_side.mp4", TIMED, names)
    assert unknown is not None and (unknown.mouse_id, unknown.session) == ("M1x", None)
    first.rename(raw / "M1x_20260302_100000_side.mp4")
    write("M1x_20260302_170000_side.mp4")
    assert sorted((one.status, one.session) for one in ingest(raw, TIMED)) == [
        ("ingested", "M1x/2026-03-02_2"),
        ("known", "M2/2026-03-05_7"),
        ("moved", "M1x/2026-03-02_1"),
    ]
    assert str(session_of_path(TIMED, str(second))) == "M2/2026-03-05_7"


def test_cameras_that_were_exchanged_are_known_in_a_flat_folder(write: Write, raw: Path) -> None:
    side, lower = write("m1_20260302_side.mp4"), write("m1_20260302_lower.mp4")
    ingest(raw, FLAT)
    assign_camera(key("m1/2026-03-02_1"), "side", "lower", swap=True)
    assert statuses(raw) == ["known"]
    side.rename(raw / "aside")
    lower.rename(side)
    (raw / "aside").rename(lower)
    assert statuses(raw) == ["moved"]
    assert files() == {"m1/2026-03-02_1/side": side.name, "m1/2026-03-02_1/lower": lower.name}
    assert statuses(raw) == ["known"]


def test_a_listed_session_keeps_the_name_of_its_session_toml(write: Write, raw: Path) -> None:
    """What it says of its mouse counts where another session of the mouse says something else."""
    for day in (2, 3):
        write(f"{day}.mp4")
        (raw / f"m1_2026-03-0{day}_1.session.toml").write_text('[mouse]\nsex = "female"\n')
    layout = Layout("recordings.csv")
    lines = [f"m1,2026-03-0{day},side,{day}.mp4" for day in (2, 3)]
    (raw / layout.text).write_text("\n".join(["mouse,date,camera,file", *lines]))
    assert statuses(raw, layout) == ["ingested", "ingested"]
    rename_mouse("m1", "M1x")
    assert statuses(raw, layout) == ["known", "known"]
    (raw / "m1_2026-03-03_1.session.toml").write_text('[mouse]\nsex = "male"\n')
    refused = ingest(raw, layout)[1]
    assert refused.status == "refused" and (refused.session, refused.called) == ("M1x/2026-03-03_1", "m1/2026-03-03_1")
    assert f"{raw / 'm1_2026-03-02_1.session.toml'} says female" in refused.message


def test_a_renamed_session_that_is_refused_is_said_once_by_watch(write: Write, raw: Path) -> None:
    from ingest.watching import watch_raw_folder

    write("m1_20260302_side.mp4")
    ingest(raw, FLAT)
    rename_mouse("m1", "M1x")
    (raw / "m1_20260302.session.toml").write_text("rig =")
    outcomes = watch_raw_folder(raw, layout=FLAT, stable_after_s=0, scan_every_s=1)
    refused = next(outcomes)
    assert (refused.status, refused.called) == ("refused", "m1/2026-03-02_1")
    (raw / "m1_20260302.session.toml").write_text('rig = "left"\n')
    assert next(outcomes).status == "corrected"
    outcomes.close()


def test_a_session_is_known_whose_path_was_written_through_a_link(write: Write, raw: Path) -> None:
    """Versions before layouts kept the paths as they were given."""
    from schemas.session import Session, Video

    video = write("m1_20260302_side.mp4")
    ingest(raw, FLAT)
    link = raw.with_name("link")
    link.symlink_to(raw)
    Video.update1({**Video.fetch1("KEY"), "video_file": str(link / video.name)})
    Session.update1({**Session.fetch1("KEY"), "session_folder": str(link)})
    assert statuses(raw) == ["known"]
    rename_mouse("m1", "M1x")
    (outcome,) = ingest(raw, FLAT)
    assert (outcome.status, outcome.session) == ("known", "M1x/2026-03-02_1")


def test_labels_and_models_know_a_mouse_however_its_accents_are_written(tmp_path: Path) -> None:
    from compute.labels import write_package
    from ingest.labels import import_labels
    from schemas.subject import Mouse

    known, other = (unicodedata.normalize(form, "müller") for form in ("NFD", "NFC"))
    Mouse.insert1({"mouse_id": known})
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 60), np.uint8)
    position = np.full((2, 2, 2), 9.0)
    sources = [(f"raw/{one}/2026-03-02_1/side.mp4", 0) for one in (known, other)]
    write_package(tmp_path / "side.pkg.slp", images, position, ("snout", "jaw_tip"), (("snout", "jaw_tip"),), sources)
    assert import_labels(tmp_path / "side.pkg.slp", camera="side", mouse=other).mice == (known,)
    assert list(Mouse.to_arrays("mouse_id")) == [known]
    assert NameHistory.fetch().mouse_now(other) == known
