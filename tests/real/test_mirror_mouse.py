"""A real recording, from labels to distances: one mouse on a wheel, filmed from the side and from below."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.settings import Settings

DATA = Path(__file__).parents[3] / "shared" / "data" / "mirror-mouse"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason=f"the recording is not here: {DATA}"),
]

# Small and quick: about two minutes on one thread.
TRAINING_CONFIG = {
    "filters": 8,
    "max_stride": 32,
    "output_stride": 4,
    "scale": 0.5,
    "sigma": 1.5,
    "learning_rate": 3e-3,
    "epochs": 90,
    "patience_epochs": 0,
}
MAXIMAL_ERROR_P50_PX = {"side": 10.0, "lower": 8.0}
METHODS = ("raw", "gaussian", "median", "kalman")


@pytest.mark.parametrize("camera", ["side", "lower"])
def test_recording_becomes_tracks_and_distances(camera: str, tmp_path: Path) -> None:
    """One test a camera, with a database of its own, so that two processes can share the work."""
    import schemas
    from pipeline.database.connection import close_connection, open_connection

    settings = Settings(data_folder=tmp_path / "data")
    schemas.activate(settings.schema_prefix, open_connection(settings))
    try:
        _check_camera(camera, tmp_path)
    finally:
        close_connection()


def _check_camera(camera: str, tmp_path: Path) -> None:
    from ingest.deployment import deploy
    from ingest.labels import import_labels
    from ingest.pairs import add_node_pair
    from ingest.sessions import ingest_sessions
    from ingest.training_tasks import add_training_task
    from pipeline import query
    from pipeline.work.populate import populate
    from pipeline.work.training import train_task
    from schemas.evaluation import ModelEvaluation
    from schemas.metric import DistanceMetrics
    from schemas.session import Video

    labels = import_labels(DATA / "labels" / camera / "CollectedData.csv", camera=camera, mouse="mirror00")
    assert labels.n_labeled_frames == 90
    deploy(train_task(add_training_task(labels.labels_id, camera=camera, config=TRAINING_CONFIG)))
    error_p50_px = ModelEvaluation.fetch1("error_p50_px")
    print(
        f"{camera}: error p50 {error_p50_px:.2f} px on {ModelEvaluation.fetch1('n_evaluated_frames')} held-out frames"
    )
    assert error_p50_px < MAXIMAL_ERROR_P50_PX[camera]

    assert [outcome.status for outcome in ingest_sessions(DATA / "recordings", stable_after_s=0)] == ["ingested"]
    assert dict(zip(*Video.to_arrays("camera", "n_frames"), strict=True)) == {"side": 994, "lower": 994}
    add_node_pair("tailBase", "tailMid", kind="rigid")
    assert not populate().failed
    for method in METHODS:
        ((_, tracks),) = query.tracks(filter=method, camera=camera)
        assert tracks.n_frames == 994
        found = tracks.found[:, tracks.node_index("nose")].mean()
        print(f"{camera}: {method}: nose in {found:.1%} of frames")
        assert found > 0.95
    assert set(DistanceMetrics.to_arrays("filter_method")) >= set(METHODS)
    _draw_overlay(camera, tmp_path)


def _draw_overlay(camera: str, tmp_path: Path) -> None:
    """A picture of the nodes on a frame, kept where the test's files are."""
    from matplotlib.figure import Figure

    from compute.video import read_video_frame
    from pipeline import query

    ((_, tracks),) = query.tracks(filter="kalman", camera=camera)
    frame_index = 300
    figure = Figure(figsize=(8, 4), dpi=100)
    axis = figure.subplots()
    axis.imshow(read_video_frame(DATA / f"recordings/mirror01/2020-01-01_1/{camera}.mp4", frame_index), cmap="gray")
    position = tracks.position[frame_index]
    axis.scatter(*position.T, c=np.arange(len(tracks.nodes)), cmap="tab10", s=30)
    for node, (x_px, y_px) in zip(tracks.nodes, position, strict=True):
        if np.isfinite(x_px):
            axis.annotate(node, (x_px, y_px), color="white", fontsize=7, xytext=(4, 4), textcoords="offset points")
    axis.set_axis_off()
    path = tmp_path / f"{camera}.png"
    figure.savefig(path)
    print(f"{camera}: overlay in {path}")
