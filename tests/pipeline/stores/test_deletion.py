"""Deleting shows what goes, takes rows and files, and never touches what people recorded or labelled."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datajoint as dj
import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

SESSION = {"mouse_id": "mouse02", "session_date": "2026-03-02", "session_number": 1}


def contents(*folders: Path) -> dict[Path, str]:
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def n_files_without_row() -> int:
    from pipeline.stores.collection import collect

    found = collect(dry_run=True)
    return len(found.garbage) + len(found.young)


def test_a_plan_counts_rows_and_files_and_deletes_nothing(small_lab: Any) -> None:
    from pipeline.stores.deletion import plan_session_deletion
    from schemas.session import Session

    plan = plan_session_deletion(SESSION)
    assert plan.n_rows == {
        "Session": 1,
        "Video": 2,
        "PoseEstimation": 2,
        "TrackQuality": 2,
        "TrackQuality.Node": 14,
        "FilteredTrack": 16,
        "DistanceMetrics": 16,
        "FilterComparison": 16,
        "LabeledVideo": 2,
        "LabeledVideo.Frame": 4,
    }
    assert len(plan.files) == 2 + 14  # raw is stored once
    assert plan.n_bytes == sum((small_lab.settings.tracks_store / file.path).stat().st_size for file in plan.files)
    assert len(Session()) == 3


def test_the_command_asks_before_it_deletes(small_lab: Any, orofacial: Run) -> None:
    from schemas.session import Session

    shown = orofacial("delete", "session", "mouse02/2026-03-02_1", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    for said in ("PoseEstimation", "TrackQuality.Node", "16 files of the stores", "stay as they are"):
        assert said in shown.stdout
    refused = orofacial("delete", "session", "mouse02/2026-03-02_1", said="n\n")
    assert refused.returncode == 1
    assert "nothing was deleted" in refused.stderr
    assert orofacial("delete", "session", "mouse02/2026-03-02_1", "--json").returncode == 2
    assert orofacial("delete", "session", "mouse09/2026-03-02_1", "--yes").returncode == 1
    assert len(Session()) == 3


def test_labels_of_people_stop_a_deletion(small_lab: Any, tmp_path: Path) -> None:
    """A table that does not exist yet: corrections of a session's frames."""
    from pipeline.stores.deletion import DeletionError, plan_session_deletion
    from schemas.session import Session  # noqa: F401  (named in the definition)

    schema = dj.Schema(f"{small_lab.settings.schema_prefix}review", connection=dj.conn())

    @schema
    class Correction(dj.Manual):
        definition = """
        -> Session
        ---
        package : <bundle@labels>
        """

    (tmp_path / "corrected.slp").write_bytes(b"points")
    Correction.insert1({**SESSION, "package": tmp_path / "corrected.slp"})
    try:
        with pytest.raises(DeletionError, match="never deleted"):
            plan_session_deletion(SESSION)
    finally:
        schema.drop(prompt=False)
        dj.conn().dependencies.clear()


def test_files_stay_if_rows_stay(small_lab: Any) -> None:
    """DataJoint 2.3.5 deletes no row of which a key has a percent sign, and does not say so."""
    from pipeline.corrections.keys import change_key, correct
    from pipeline.stores.deletion import DeletionError, plan_session_deletion, run_deletion
    from schemas.session import Session
    from schemas.subject import Mouse

    old, new = {"mouse_id": "mouse02"}, {"mouse_id": "mouse%02"}
    before = contents(small_lab.settings.tracks_store.parent)
    correct(lambda: change_key(Mouse, old, new), dry_run=False)
    try:
        with pytest.raises(DeletionError, match="mouse%02/2026-03-02_1 was not deleted: its rows are still there"):
            run_deletion(plan_session_deletion({**SESSION, **new}))
        assert Session & {**SESSION, **new}
        assert contents(small_lab.settings.tracks_store.parent) == before
    finally:
        correct(lambda: change_key(Mouse, new, old), dry_run=False)


def test_a_session_goes_with_all_that_was_made_from_it(small_lab: Any, orofacial: Run) -> None:
    from pipeline import query
    from schemas.session import Session
    from schemas.subject import Mouse

    store = small_lab.settings.tracks_store.parent
    kept = contents(small_lab.raw_folder, small_lab.settings.labels_store, small_lab.settings.models_store)
    before = contents(store)
    done = orofacial("delete", "session", "mouse02/2026-03-02_1", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["rows"]["FilteredTrack"], said["n_files"]) == (16, 16)
    assert not Session & SESSION
    assert Mouse & {"mouse_id": "mouse02"}
    assert contents(small_lab.raw_folder, small_lab.settings.labels_store, small_lab.settings.models_store) == kept
    gone = before.keys() - contents(store).keys()
    assert len(gone) == 16
    assert all("mouse02" in str(path) for path in gone)
    for _, tracks in query.tracks(filter="kalman"):
        assert tracks.n_frames
    assert n_files_without_row() == 0


def test_it_can_be_ingested_and_computed_again(small_lab: Any) -> None:
    from ingest.sessions import ingest_sessions
    from pipeline.work.populate import populate
    from schemas.session import Session

    outcomes = {outcome.status for outcome in ingest_sessions(small_lab.raw_folder, stable_after_s=0)}
    assert outcomes == {"ingested", "known"}
    assert Session & SESSION
    populate()  # poses fail, since this lab's models are no networks
    (Session & SESSION).delete(prompt=False)


def test_a_model_goes_with_its_results_and_its_request(small_lab: Any, orofacial: Run) -> None:
    from pipeline.work.populate import populate
    from schemas.evaluation import ModelEvaluation
    from schemas.labels import LabeledFrames
    from schemas.model import DeployedModel, Model, Training, TrainingTask
    from schemas.pose import PoseEstimation

    model_id = small_lab.model_ids["side"]
    done = orofacial("delete", "model", model_id, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert {name: rows[name] for name in ("Model", "Training", "TrainingTask", "PoseEstimation")} == {
        "Model": 1,
        "Training": 1,
        "TrainingTask": 1,
        "PoseEstimation": 2,
    }
    for table in (Model, DeployedModel, PoseEstimation):
        assert not table & {"model_id": model_id}
    assert (len(Training()), len(TrainingTask()), len(ModelEvaluation())) == (1, 1, 1)
    assert len(LabeledFrames()) == 2
    assert n_files_without_row() == 0
    assert "Training" not in populate().computed
    assert "no model" in orofacial("delete", "model", model_id, "--yes").stderr.replace("there is ", "")
