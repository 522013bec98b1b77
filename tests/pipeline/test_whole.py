"""From recordings on disk to distances in the database, with a real (tiny) SLEAP model per camera."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from compute.filters import apply_filter
from compute.measures.distances import distance_px
from compute.simulated_mouse.anatomy import CAMERAS, NODES
from pipeline.settings import Settings

# Trained in seconds: it finds little, and that is enough here.
TINY = {"filters": 8, "max_stride": 8, "output_stride": 4, "scale": 0.5, "epochs": 2, "patience_epochs": 0}
N_FRAMES = 40


@pytest.fixture(scope="module")
def lab(database: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """Three simulated mice, two of them labelled; models trained and deployed; sessions ingested; nothing computed."""
    from ingest.deployment import deploy
    from ingest.labels import import_labels
    from ingest.pairs import add_node_pair
    from ingest.sessions import ingest_sessions
    from ingest.training_tasks import add_training_task
    from pipeline.demo.simulated_lab import simulate_lab
    from pipeline.work.training import train_task

    lab = simulate_lab(
        tmp_path_factory.mktemp("lab") / "lab",
        n_training_mice=2,
        n_held_out_mice=1,
        n_frames=N_FRAMES,
        n_labeled_frames=6,
    )
    for camera in CAMERAS:
        labels = import_labels(lab.labels_path(camera), camera=camera)
        deploy(train_task(add_training_task(labels.labels_id, camera=camera, config=TINY, seed=1)))
    add_node_pair("left_snout_tip", "right_snout_tip", kind="rigid")
    assert {outcome.status for outcome in ingest_sessions(lab.raw_folder, stable_after_s=0)} == {"ingested"}
    return lab


@pytest.fixture(scope="module")
def computed(lab: object) -> object:
    from pipeline.work.populate import populate

    summary = populate()
    assert not summary.failed
    assert summary.computed == {
        "PoseEstimation": 6,
        "TrackQuality": 6,
        "FilteredTrack": 6 * 8,
        "DistanceMetrics": 6 * 8,
        "FilterComparison": 6 * 8,
        "LabeledVideo": 4,
        **dict.fromkeys(("LabelError", "TrackCalibration"), summary.computed["LabelError"]),  # the split's affair
    }
    assert 2 * 8 <= summary.computed["LabelError"] <= 4 * 8
    return lab


def test_training_says_which_mice_and_how_good(computed: object) -> None:
    from pipeline.query.models import describe_models, node_errors
    from schemas.evaluation import ModelEvaluation
    from schemas.model import Model

    for model in describe_models():
        assert model["mice"] == ["mouse01", "mouse02"]
        assert model["deployed"]
        assert {row["node"] for row in node_errors(model["model_id"])} == set(NODES)
    assert set(ModelEvaluation.to_arrays("n_evaluated_frames")) == {2}  # a fifth of twelve
    assert set(Model.to_arrays("n_training_frames")) <= {8, 9, 10}


def test_tracks_have_exactly_the_frames_of_the_video(computed: object) -> None:
    from pipeline import query

    selection = query.tracks(filter="raw")
    assert len(selection) == 6
    for _, tracks in selection:
        assert tracks.n_frames == N_FRAMES
        assert tracks.nodes == NODES
        np.testing.assert_allclose(tracks.time, np.arange(N_FRAMES) / 100)


def test_stored_results_are_what_the_functions_give(computed: object) -> None:
    from pipeline import query
    from schemas.metric import DistanceMetrics
    from schemas.track import FilteredTrack, FilterMethod

    raw = {(row["mouse_id"], row["camera"]): tracks for row, tracks in query.tracks(filter="raw")}
    assert all(value is None for value in (FilteredTrack & {"filter_method": "raw"}).to_arrays("tracks"))
    for method in ("gaussian", "median", "kalman"):
        parameters = (FilterMethod & {"filter_method": method}).fetch1("filter_parameters")
        for row, tracks in query.tracks(filter=method):
            expected = apply_filter(raw[row["mouse_id"], row["camera"]], method, parameters)
            np.testing.assert_array_equal(tracks.position, expected.position)
            distance = distance_px(expected, "left_snout_tip", "right_snout_tip")
            stored = (DistanceMetrics & {name: row[name] for name in FilteredTrack.primary_key}).fetch1()
            if np.isfinite(distance).any():
                assert stored["mean_px"] == pytest.approx(np.nanmean(distance))
            else:
                assert stored["mean_px"] is None
            assert stored["fraction_missing"] == pytest.approx(np.isnan(distance).mean())


def test_held_out_is_who_was_not_trained_on(computed: object) -> None:
    from pipeline import query

    def mice(**question: object) -> set[str]:
        return {row["mouse_id"] for row in query.tracks(**question).rows}  # type: ignore[arg-type]

    assert mice(held_out=True) == {"mouse03"}
    assert mice(held_out=False) == {"mouse01", "mouse02"}
    assert mice(mouse="mouse02", camera="side") == {"mouse02"}
    with pytest.raises(query.QueryError, match="jaw_tip"):
        query.tracks(node="tongue")
    with pytest.raises(query.QueryError, match="gaussian_gated, interpolate, kalman, median"):
        query.tracks(filter="kalmann")


def test_populate_again_changes_nothing_and_status_says_so(computed: object) -> None:
    from pipeline.work.populate import populate
    from pipeline.work.status import status

    assert populate().computed == {}
    state = status()
    assert state.n_videos == 6
    assert not state.failures
    assert {str(count) for count in state.sessions["mouse03/2026-03-02_1"].values()} == {"2/2", "16/16"}


def test_undeploying_a_model_deletes_nothing(computed: object) -> None:
    from ingest.deployment import deploy, undeploy
    from pipeline.work.populate import populate
    from schemas.model import DeployedModel
    from schemas.pose import PoseEstimation

    model_id = str((DeployedModel & {"camera": "side"}).fetch1("model_id"))
    undeploy(model_id)
    assert populate().computed == {}
    assert len(PoseEstimation()) == 6
    deploy(model_id)
    assert populate().computed == {}


def test_a_failed_job_is_set_aside_with_its_reason_and_retried_when_asked(computed: object) -> None:
    from pipeline.work.jobs import retry_failed_jobs
    from pipeline.work.populate import populate
    from pipeline.work.status import status
    from schemas.pose import PoseEstimation
    from schemas.session import Video

    key = {"mouse_id": "mouse02", "camera": "lower"}
    path = Path((Video & key).fetch1("video_file"))
    (PoseEstimation & key).delete(prompt=False)
    moved = path.rename(path.with_suffix(".away"))
    summary = populate()
    assert [failure["table"] for failure in summary.failed] == ["PoseEstimation"]
    assert str(path) in status().failures[0].message
    assert populate().computed == {}  # a failure waits for a person
    moved.rename(path)
    assert retry_failed_jobs() == 1
    assert populate().computed["PoseEstimation"] == 1
    assert not status().failures


def test_a_changed_model_is_not_used(computed: object) -> None:
    from compute.errors import ModelError
    from schemas import model

    model_id = str((model.DeployedModel & {"camera": "side"}).fetch1("model_id"))
    bundle = Path((model.Model & {"model_id": model_id}).fetch1("bundle").full_path)
    config = bundle / "training_config.yaml"
    content = config.read_bytes()
    model._loaded.clear()
    try:
        config.write_bytes(content + b"\n")
        with pytest.raises(ModelError, match="altered or damaged"):
            model.load_model(model_id)
    finally:
        config.write_bytes(content)


def test_a_video_of_another_size_fails_and_says_so(computed: object, tmp_path: Path) -> None:
    from compute.video import read_video_luma, write_video
    from ingest.sessions import ingest_sessions
    from pipeline.work.populate import populate
    from schemas.session import Session

    source = computed.session_folder("mouse01") / "side.mp4"  # type: ignore[attr-defined]
    folder = tmp_path / "raw" / "mouse01" / "2026-03-05_1"
    folder.mkdir(parents=True)
    write_video(folder / "side.mp4", (frame[:128, :160] for frame in read_video_luma(source)), 100)
    assert [outcome.status for outcome in ingest_sessions(tmp_path / "raw", stable_after_s=0)] == ["ingested"]
    (failure,) = populate().failed
    assert "160 x 128" in failure["message"]
    assert "192 x 160" in failure["message"]
    (Session & {"session_date": "2026-03-05"}).delete(prompt=False)


def _worker(settings: Settings, code: str) -> subprocess.Popen[str]:
    """A process of its own that is connected to the same tables."""
    start = (
        "import schemas; from pathlib import Path; from pipeline.settings import Settings;"
        "from pipeline.database.connection import open_connection;"
        f"s = Settings(data_folder=Path({str(settings.data_folder)!r}), schema_prefix={settings.schema_prefix!r});"
        "schemas.activate(s.schema_prefix, open_connection(s));"
        "from pipeline.work.populate import populate\n"
    )
    root = Path(__file__).parent.parent.parent
    return subprocess.Popen(
        [sys.executable, "-c", start + code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=settings.data_folder,
        env={**os.environ, "PYTHONPATH": str(root)},
    )


SLOW_ESTIMATE = """
import schemas.pose, time
class Slow:
    device = "none"
    def estimate(self, *args, **kwargs):
        print("estimating", flush=True)
        time.sleep(60)
schemas.pose.load_model = lambda model_id: Slow()
populate()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_stopped_populate_goes_on_where_it_was(computed: object, database: Settings, number: signal.Signals) -> None:
    from pipeline.work.populate import populate
    from schemas.pose import PoseEstimation

    (PoseEstimation & {"mouse_id": "mouse01", "camera": "side"}).delete(prompt=False)
    process = _worker(database, SLOW_ESTIMATE)
    assert process.stdout is not None
    assert process.stdout.readline() == "estimating\n"
    assert len(PoseEstimation.jobs.reserved) == 1
    process.send_signal(number)
    process.communicate(timeout=60)
    for _ in range(50):  # the server takes a moment to see that a killed process is gone
        if populate().computed.get("PoseEstimation"):
            break
        time.sleep(0.1)
    assert len(PoseEstimation()) == 6
    assert not PoseEstimation.jobs
    assert populate().computed == {}


@pytest.mark.slow
def test_a_full_disk_leaves_no_half_result(computed: object, database: Settings) -> None:
    from pipeline.work.populate import populate
    from schemas.pose import PoseEstimation

    (PoseEstimation & {"mouse_id": "mouse01", "camera": "side"}).delete(prompt=False)
    shutil.rmtree(database.tracks_store / "unused", ignore_errors=True)
    before = set(database.tracks_store.rglob("*"))
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
    show = "try: populate()\nexcept Exception as error: print(error)"
    process = _worker(database, limit + show)
    out, error = process.communicate(timeout=120)
    assert "the store could not be written" in out, error
    assert set(database.tracks_store.rglob("*")) == before
    assert not PoseEstimation & {"mouse_id": "mouse01", "camera": "side"}
    populate()  # the disk was to blame, not the job: it waits in the queue
    assert len(PoseEstimation()) == 6


LOST_SERVER = """
import schemas.pose, os, signal
load = schemas.pose.load_model
class Killing:
    device = "none"
    def __init__(self, model_id):
        self.estimator = load(model_id)
    def estimate(self, *args, **kwargs):
        tracks = self.estimator.estimate(*args, **kwargs)
        pid = int(next(Path(%r).rglob("postmaster.pid")).read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        import time; time.sleep(1)
        return tracks
schemas.pose.load_model = Killing
print(populate().computed)
"""


PREPARE = """
from ingest.deployment import deploy
from ingest.models import import_model
from ingest.sessions import ingest_sessions
deploy(import_model(Path({bundle!r}), camera="side", mice=["mouse01"]))
assert [outcome.status for outcome in ingest_sessions(Path({session!r}), stable_after_s=0)] == ["ingested"]
"""


@pytest.mark.slow
def test_a_lost_database_loses_nothing(computed: object, database: Settings, tmp_path: Path) -> None:
    """The server dies while a job computes. This has a data folder of its own: it ends the server for everybody."""
    # A path so long that the server's socket gets a short one elsewhere, another one at each start.
    copy = Settings(data_folder=tmp_path / ("long-" * 20) / "data", schema_prefix=database.schema_prefix)
    copy.data_folder.mkdir(parents=True)
    session_folder = computed.session_folder("mouse01")  # type: ignore[attr-defined]
    prepare = _worker(copy, PREPARE.format(bundle=str(_bundle_of("side")), session=str(session_folder)))
    _, error = prepare.communicate(timeout=120)
    assert prepare.returncode == 0, error
    process = _worker(copy, LOST_SERVER % str(copy.data_folder))
    out, error = process.communicate(timeout=120)
    assert "the connection to the database was lost" in error
    assert "'PoseEstimation': 1" in out, out + error  # started again, and the finished tracks were inserted


def _bundle_of(camera: str) -> Path:
    from schemas.model import DeployedModel, Model

    return Path((Model & (DeployedModel & {"camera": camera})).fetch1("bundle").full_path)


def test_the_report_shows_both_groups_and_is_whole_or_absent(computed: object, tmp_path: Path) -> None:
    from pipeline.figures.report import ReportError, write_report
    from pipeline.query.distances_by_filter import distance_comparison

    write_report(tmp_path / "report.html", summary_file=tmp_path / "summary.json")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for text in (
        "mouse01, a mouse in training",
        "mouse03, a mouse held out from training",
        "left_snout_tip - right_snout_tip",
    ):
        assert text in page
    assert page.count("<img ") >= 2 * 2 * 2  # cameras, groups, pictures of each
    written = json.loads((tmp_path / "summary.json").read_text())
    assert len(written) == len(distance_comparison()) == 2 * 8 * 2  # cameras, filters, groups
    assert {(row["group"], row["n_mice"]) for row in written} == {("in training", 2), ("held out", 1)}
    with pytest.raises(ReportError, match="name another file"):
        write_report(tmp_path / "no" / "report.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "summary.json"]
