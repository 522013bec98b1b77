"""A corrected name carries every result along: the same numbers under the new name, nothing computed, nothing left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from compute.errors import OrofacialError, SessionError
from ingest.correction_history import parse_session_text
from pipeline.corrections.keys import CorrectionError
from pipeline.corrections.renames import assign_camera, merge_mice, move_session, rename_mouse

DAY = "2026-03-02_1"


def key(text: str) -> dict[str, Any]:
    return dict(parse_session_text(text).key)


def tables(prefix: str) -> dict[str, list[dict[str, Any]]]:
    """Rows of every table that the database has, job tables included; of DataJoint's own only those."""
    import schemas

    query = schemas.subject.Mouse.connection.query
    found = {}
    for schema in schemas.table_schema_names(prefix):
        for (name,) in query(f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'").fetchall():
            if not name.startswith("~") or name.startswith("~~"):
                rows = query(f'SELECT to_jsonb(t) FROM "{schema}"."{name}" t').fetchall()
                found[f"{schema.removeprefix(prefix)}.{name}"] = [row for (row,) in rows]
    return found


def contents(prefix: str) -> dict[str, list[str]]:
    """The same as text, without what is only ever added and when something was written."""
    return {
        name: sorted(json.dumps(row, sort_keys=True) for row in rows)
        for name, rows in tables(prefix).items()
        if name not in ("session.correction", "model.training_mice_correction")
    }


def answers(mouse: str) -> dict[str, Any]:
    """What questions about a mouse answer, without its name."""
    from pipeline import query
    from pipeline.why import why_chain

    found: dict[str, Any] = {}
    for name, ask in (("manifest", query.manifest), ("distances", query.distances), ("qualities", query.qualities)):
        rows = ask(mouse=mouse).to_pylist()
        found[name] = [{**row, "mouse_id": None, "session_date": None, "session_number": None} for row in rows]
    found["sql"] = query.sql("select sum(jaw_tip_x), count(*), bool_or(held_out) from tracks", mouse=mouse).fetchall()
    selection = query.tracks(mouse=mouse, filter="kalman")
    found["positions"] = [float(tracks.position[10, 0, 0]) for _, tracks in selection]
    chains = [why_chain(row) for row in selection.rows]
    found["why"] = [{name: chain[name] for name in ("video", "estimation", "filter")} for chain in chains]
    found["held_out"] = [chain["model"]["held_out"] for chain in chains]
    found["error"] = [chain["model"]["error"] for chain in chains]
    return json.loads(json.dumps(found, default=str, sort_keys=True))


@pytest.fixture
def prefix(small_lab: Any) -> Iterator[str]:
    """The lab's prefix; the test leaves the lab as it was."""
    before = contents(small_lab.settings.schema_prefix)
    yield small_lab.settings.schema_prefix
    assert contents(small_lab.settings.schema_prefix) == before


def test_a_renamed_mouse_answers_the_same_and_its_old_name_is_nowhere(prefix: str) -> None:
    from pipeline.work.populate import populate

    before = answers("mouse01")
    assert set(before["held_out"]) == {False}
    said = rename_mouse("mouse01", "M 001", reason="mistyped at the rig")
    assert said == "mouse mouse01 is M 001 now: 1 session, with every result"
    try:
        assert answers("M 001") == before
        allowed = {"tracks", "timestamps", "session_folder", "video_file", "original_file"}
        for name, rows in tables(prefix).items():
            for row in rows:
                left = {column for column, value in row.items() if "mouse01" in json.dumps(value)}
                assert left <= allowed or name == "session.correction", (name, left)
        assert populate().computed == {}
    finally:
        rename_mouse("M 001", "mouse01")


def test_every_column_of_a_key_follows_by_itself_or_is_of_the_queue(small_lab: Any) -> None:
    """Columns that are called as those of a video's key, by the database itself."""
    import schemas
    from schemas.session import Video

    query = schemas.subject.Mouse.connection.query
    names = tuple(schemas.table_schema_names(small_lab.settings.schema_prefix))
    columns = query(
        "SELECT table_schema, table_name, column_name FROM information_schema.columns"
        " WHERE table_schema IN %s AND column_name IN %s",
        args=(names, tuple(Video.primary_key)),
    ).fetchall()
    following = query(
        "SELECT n.nspname, t.relname, a.attname FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid"
        " JOIN pg_namespace n ON n.oid = t.relnamespace"
        " JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = ANY(c.conkey)"
        " WHERE c.contype = 'f' AND c.confupdtype = 'c' AND n.nspname IN %s",
        args=(names,),
    ).fetchall()
    left = {tuple(one) for one in columns} - {tuple(one) for one in following}
    own = {("mouse", "mouse_id"), ("session", "session_date"), ("session", "session_number"), ("#camera", "camera")}
    assert {(table, column) for _, table, column in left if not table.startswith("~~")} == own
    jobs = {table for _, table, _ in left if table.startswith("~~")}
    with_video = [one for one in schemas.computed_tables() if set(Video.primary_key) <= set(one().primary_key)]
    assert {one().jobs.table_name for one in with_video} <= jobs


def test_a_moved_session_takes_its_labels_and_training_mice_along(prefix: str) -> None:
    """The labels of mouse02 are of the one session that was recorded under the wrong mouse."""
    from schemas.labels import LabeledFrames
    from schemas.model import Model, TrainingMiceCorrection

    before = answers("mouse02")
    corrections = len(TrainingMiceCorrection())
    known = (schemas_mouse() & {"mouse_id": "mouse02"}).fetch1()
    schemas_mouse().insert1({**known, "mouse_id": "mouse09"})
    said = move_session(key(f"mouse02/{DAY}"), parse_session_text("mouse09/2026-03-02_3"))
    assert "the training mice of model" in said
    try:
        assert answers("mouse09") == before
        assert not LabeledFrames.Source & {"mouse_id": "mouse02"}
        assert len(LabeledFrames.Source & {"mouse_id": "mouse09", "source_number": 3}) == 4
        assert set(Model.Mouse.to_arrays("mouse_id")) == {"mouse01", "mouse09"}
        assert len(TrainingMiceCorrection()) == corrections + 2
    finally:
        move_session(key("mouse09/2026-03-02_3"), parse_session_text(f"mouse02/{DAY}"))
        (schemas_mouse() & {"mouse_id": "mouse09"}).delete_quick()


def schemas_mouse() -> Any:
    from schemas.subject import Mouse

    return Mouse()


def test_two_sessions_are_exchanged(prefix: str) -> None:
    first, second = answers("mouse01"), answers("mouse03")
    for _ in range(2):
        move_session(key(f"mouse01/{DAY}"), parse_session_text(f"mouse03/{DAY}"), swap=True)
        first, second = second, first
        for mouse, expected in (("mouse01", first), ("mouse03", second)):
            found = answers(mouse)
            assert found["positions"] == expected["positions"]
            assert [one["video"]["content_hash"] for one in found["why"]] == [
                one["video"]["content_hash"] for one in expected["why"]
            ]


def test_a_merged_mouse_is_the_other_one_in_every_answer(prefix: str) -> None:
    from schemas.session import Correction, Session
    from schemas.subject import Mouse

    before = answers("mouse02")
    Mouse.insert1({"mouse_id": "M2", "sex": "unknown"})
    said = merge_mice("mouse02", "M2", reason="two names")
    assert "1 session" in said and "sex of M2 is male now" in said
    try:
        assert answers("M2") == {
            **before,
            **{
                name: [{**row, "sex": "male"} if "sex" in row else row for row in before[name]]
                for name in ("manifest", "distances", "qualities")
            },
        }
        assert not Mouse & {"mouse_id": "mouse02"}
        lines = (Correction & {"correction_reason": "two names"}).to_dicts(order_by="correction_line")
        assert [line["corrected_column"] for line in lines][:2] == ["session", "merged_mouse_id"]
        assert len(Session & {"mouse_id": "M2"}) == 1
    finally:
        rename_mouse("M2", "mouse02")


def test_what_collides_is_refused_with_what_and_nothing_changes(prefix: str) -> None:
    from schemas.session import Correction

    n_corrections = len(Correction())
    for act, said in (
        (lambda: merge_mice("mouse01", "mouse02"), "both have a session 2026-03-02_1"),
        (lambda: rename_mouse("mouse01", "mouse02"), "orofacial mice merge mouse01 mouse02"),
        (lambda: rename_mouse("mouse1", "M1"), "nearest is mouse01"),
        (lambda: rename_mouse("mouse01", "a/b"), "no slash"),
        (lambda: rename_mouse("mouse01", "x" * 65), "1 to 64"),
        (lambda: rename_mouse("mouse01", "MOUSE02"), "differs from the known mouse 'mouse02'"),
        (lambda: move(f"mouse01/{DAY}", f"Mouse02/{DAY}", new_mouse=True), "differs from the known mouse 'mouse02'"),
        (lambda: move(f"mouse01/{DAY}", f"mouse02/{DAY}"), "there is a session mouse02/2026-03-02_1 already"),
        (lambda: move(f"mouse01/{DAY}", f"mouse9/{DAY}"), "--new-mouse"),
        (lambda: move(f"mouse01/{DAY}", f"mouse01/{DAY}"), "has that name already"),
        (lambda: move(f"mouse01/{DAY}", "mouse01/2026-03-05_1"), "orofacial sessions set mouse01/2026-03-02_1 start="),
        (lambda: move(f"mouse01/{DAY}", "mouse01/2999-03-05_1"), "2999-03-05"),
        (lambda: move(f"mouse03/{DAY}", "mouse03/2026-03-02_40000"), "0 to 32767"),
        (lambda: move(f"mouse03/{DAY}", "mouse01/2025-03-02_1"), "305 days before its birth"),
        (lambda: move(f"mouse01/{DAY}", "mouse02/2026-03-02_7", swap=True), "there is no session"),
        (lambda: assign_camera(key(f"mouse01/{DAY}"), "side", "lower"), "say --swap"),
        (lambda: assign_camera(key(f"mouse01/{DAY}"), "side", "top"), "orofacial camera add top"),
        (lambda: assign_camera(key(f"mouse01/{DAY}"), "top", "side"), "has no video of camera top"),
    ):
        with pytest.raises(OrofacialError) as refused:
            act()
        assert said in str(refused.value)
    assert len(Correction()) == n_corrections


def move(before: str, after: str, **options: Any) -> str:
    return move_session(key(before), parse_session_text(after), **options)


def test_mice_of_which_different_things_are_known_are_not_merged(prefix: str) -> None:
    from schemas.session import Session
    from schemas.subject import Mouse

    Mouse.insert1({"mouse_id": "M2", "sex": "female"})
    with pytest.raises(CorrectionError, match="sex of mouse02 is male, of M2 it is female"):
        merge_mice("mouse02", "M2")
    Mouse.update1({"mouse_id": "M2", "sex": "unknown"})
    Session.insert1({**key(f"M2/{DAY}"), "session_folder": "x"})
    with pytest.raises(CorrectionError, match="orofacial sessions move mouse02/2026-03-02_1 mouse02/2026-03-02_2"):
        merge_mice("mouse02", "M2")
    (Session & {"mouse_id": "M2"}).delete_quick()
    (Mouse & {"mouse_id": "M2"}).delete_quick()


def test_a_mouse_in_two_sessions_at_a_time_is_refused(prefix: str) -> None:
    """Both began at 10:30."""
    with pytest.raises(SessionError, match="expected a mouse in one session at a time"):
        move(f"mouse01/{DAY}", "mouse02/2026-03-02_2")


def test_a_dry_run_says_the_same_and_changes_nothing(prefix: str) -> None:
    from schemas.session import Correction

    n_corrections = len(Correction())
    dry = rename_mouse("mouse01", "M001", dry_run=True)
    assert len(Correction()) == n_corrections
    assert rename_mouse("mouse01", "M001") == dry
    rename_mouse("M001", "mouse01")


def test_cameras_are_exchanged_with_all_that_hangs_on_their_videos(prefix: str) -> None:
    from pipeline import query
    from schemas.pose import PoseEstimation
    from schemas.session import Camera, Video

    session = key(f"mouse03/{DAY}")

    def videos() -> dict[str, str]:
        return dict(zip(*(Video & session).to_arrays("camera", "content_hash"), strict=True))

    before, n_poses = videos(), len(PoseEstimation & session)
    cameras = set(Camera.to_arrays("camera"))
    said = assign_camera(session, "side", "lower", swap=True)
    assert "computed by the next populate" in said
    assert videos() == {"side": before["lower"], "lower": before["side"]}
    assert len(PoseEstimation & session) == n_poses
    assert len(query.tracks(mouse="mouse03", model="small side", filter="raw")) == 1
    assert set(Camera.to_arrays("camera")) == cameras
    assign_camera(session, "side", "lower", swap=True)
    assert videos() == before


def test_the_queue_follows_and_its_crashes(small_lab: Any) -> None:
    import os
    import platform

    from pipeline.work.jobs import refresh_jobs
    from schemas.track import FilteredTrack
    from schemas.worker import Crash, crashed_job_hash

    mouse = {"mouse_id": "mouse03"}
    (FilteredTrack & mouse & {"filter_method": "median"}).delete(prompt=False)
    refresh_jobs()
    jobs = FilteredTrack().jobs
    failed, reserved = (jobs & mouse & {"filter_method": "median"}).keys(order_by="camera")
    jobs.update1({**failed, "status": "error", "error_message": "too dark"})
    jobs.update1({**reserved, "status": "reserved", "host": platform.node(), "pid": os.getpid(), "connection_id": 1})
    crash = {"table_name": "FilteredTrack", "crash_number": 1, "host": "x", "pid": 1}
    Crash.insert1({**crash, "job_hash": crashed_job_hash(reserved)})
    jobs.insert1(
        {**failed, "mouse_id": "M003", "status": "pending", "priority": 5}
    )  # of a mouse that once had the name
    rename_mouse("mouse03", "M003")
    try:
        assert not jobs & mouse
        assert {row["status"] for row in (jobs & {"mouse_id": "M003", "camera": failed["camera"]}).to_dicts()} == {
            "error"
        }
        row = (jobs & {**reserved, "mouse_id": "M003"}).fetch1()
        assert (row["status"], row["pid"], row["host"]) == ("pending", 0, "")
        assert Crash & {"job_hash": crashed_job_hash({**reserved, "mouse_id": "M003"})}
    finally:
        Crash.delete_quick()
        jobs.delete_quick()
        rename_mouse("M003", "mouse03")


def test_files_of_a_renamed_row_are_not_taken_for_those_of_a_dead_worker(small_lab: Any) -> None:
    """Another session may get the old name, and a worker may die while it computes it."""
    from schemas.pose import PoseEstimation
    from schemas.stored.codecs import remove_unreferenced_files
    from schemas.track import fetch_tracks

    (old,) = (PoseEstimation & key(f"mouse01/{DAY}") & {"camera": "side"}).keys()
    rename_mouse("mouse01", "M001")
    try:
        assert remove_unreferenced_files(PoseEstimation(), old) == 0
        assert fetch_tracks({**old, "mouse_id": "M001", "filter_method": "raw"}).n_frames
    finally:
        rename_mouse("M001", "mouse01")


def test_labels_and_models_that_name_the_old_mouse_mean_the_one_of_now(small_lab: Any, tmp_path: Any) -> None:
    import numpy as np

    from compute.labels import LabeledFrameSource, write_package
    from compute.simulated_mouse.anatomy import EDGES, NODES
    from ingest.labels import import_labels
    from ingest.mice_without_session import mice_without_session
    from schemas.labels import LabeledFrames
    from schemas.subject import Mouse

    rename_mouse("mouse03", "M003")
    try:
        images = np.random.default_rng(3).integers(0, 255, (2, 48, 64), np.uint8)
        positions = np.random.default_rng(4).uniform(5, 40, (2, len(NODES), 2))
        sources = [LabeledFrameSource(f"raw/mouse03/{DAY}/side.mp4", index) for index in range(2)]
        write_package(tmp_path / "more.pkg.slp", images, positions, NODES, EDGES, sources)
        imported = import_labels(tmp_path / "more.pkg.slp", camera="side")
        assert imported.mice == ("M003",)
        assert not Mouse & {"mouse_id": "mouse03"}
        assert mice_without_session(["mouse03"]) == {"mouse03": ["M003"]}
        (LabeledFrames & {"labels_id": imported.labels_id}).delete(prompt=False)
    finally:
        rename_mouse("M003", "mouse03")
