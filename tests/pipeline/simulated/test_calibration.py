"""Calibrated tracks: from labeled frames in the database to queries, commands and files."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from compute.calibration.label_offsets import calibrate_nodes
from compute.calibration.other_mice import other_mice_half_width_px
from compute.filters import apply_filter

OTHER_MICE = ("mouse05", "mouse06", "mouse07", "mouse08")
KEY = {"session_date": "2026-03-02", "session_number": 1, "camera": "side"}


@pytest.fixture(scope="module")
def calibrated(simulated_database: Any) -> Any:
    """Tracks of all filters, calibrated as far as there are labels."""
    from pipeline.work.populate import populate
    from schemas.calibration import TrackCalibration
    from schemas.track import FilteredTrack

    assert not populate(tables=(FilteredTrack, TrackCalibration)).failed
    return simulated_database


@pytest.fixture
def run(calibrated: Any, run_command: Callable[..., Any]) -> Callable[..., Any]:
    """Run the command on the test's own tables."""
    settings = calibrated.settings
    variables = {"OROFACIAL_SCHEMA_PREFIX": settings.schema_prefix, "COLUMNS": "120"}
    return partial(run_command, "--data-folder", settings.data_folder, **variables)


@pytest.fixture
def other_mice(calibrated: Any) -> Any:
    """Four more mice that the model was not trained on, with two labeled frames each; their errors by mouse."""
    from schemas.evaluation import ModelEvaluation
    from schemas.labels import LabeledFrames
    from schemas.subject import Mouse

    first = LabeledFrames.fetch1()
    key = {"labels_id": "0" * 15 + "a"}
    LabeledFrames.insert1({**first, **key, "labels_name": "others", "package": Path(__file__), "n_labeled_frames": 8})
    Mouse.insert([{"mouse_id": mouse} for mouse in OTHER_MICE], skip_duplicates=True)
    evaluated = {**key, "model_id": calibrated.model_id}
    counts = {"known_unseen": True, "n_evaluated_frames": 8, "n_seen_frames": 0}
    ModelEvaluation.insert1({**evaluated, **counts}, allow_direct_insert=True)
    rng = np.random.default_rng(0)
    errors: dict[str, list[Any]] = {mouse: [] for mouse in OTHER_MICE}
    for index in range(8):
        mouse = OTHER_MICE[index % 4]
        error_px = rng.uniform(1, 5, 7)
        errors[mouse].append(error_px)
        LabeledFrames.Source.insert1(
            {
                **key,
                "labeled_frame_index": index,
                "original_file": "elsewhere.mp4",
                "frame_index": index,
                "mouse_id": mouse,
                "image_hash": f"{100 + index:032x}",
            }
        )
        frame = {**evaluated, "labeled_frame_index": index, "placed_px": np.ones((7, 2)), "error_px": error_px}
        ModelEvaluation.Frame.insert1(frame, allow_direct_insert=True)
    yield errors
    for table in (ModelEvaluation, LabeledFrames):
        (table & key).delete(prompt=False)


def test_the_table_holds_what_the_function_finds(calibrated: Any) -> None:
    from schemas.calibration import TrackCalibration

    frames = list(calibrated.held_out_frames)
    assert set(TrackCalibration.to_arrays("mouse_id")) == set(calibrated.in_training)
    for method in ("raw", "median"):
        for row in (TrackCalibration & {"filter_method": method}).to_dicts():
            simulated = calibrated.simulated[row["mouse_id"]]
            tracks = apply_filter(simulated.tracks, method, {})
            expected = {one.node: one for one in calibrate_nodes(tracks, frames, simulated.truth[frames], tracks.nodes)}
            key = {name: row[name] for name in TrackCalibration.primary_key}
            nodes = {one["node"]: one for one in (TrackCalibration.Node & key).to_dicts()}
            assert row["n_labeled_frames"] == 2 and row["calibration_provenance"]["code_version"]
            assert nodes.keys() == expected.keys()
            for node, one in expected.items():
                assert nodes[node]["offset_x_px"] == pytest.approx(one.offset_x_px, abs=1e-4)
                assert nodes[node]["half_width_px"] == pytest.approx(one.half_width_px, rel=1e-3)
                assert nodes[node]["half_width_20_frames_px"] == pytest.approx(one.expected_half_width_px(20), rel=1e-3)


def test_a_model_of_which_it_is_not_known_what_it_has_seen_calibrates_nothing(calibrated: Any) -> None:
    from schemas.calibration import TrackCalibration
    from schemas.evaluation import ModelEvaluation

    (evaluation,) = ModelEvaluation.keys()
    assert TrackCalibration().key_source & evaluation
    ModelEvaluation.update1({**evaluation, "known_unseen": False})
    try:
        assert not TrackCalibration().key_source & evaluation
    finally:
        ModelEvaluation.update1({**evaluation, "known_unseen": True})


def test_queries_take_the_offsets_off_and_give_the_interval(calibrated: Any) -> None:
    from pipeline import query
    from pipeline.query import QueryError
    from schemas.calibration import TrackCalibration

    mouse = calibrated.in_training[0]
    question = {"mouse": mouse, "filter": "kalman"}
    ((_, before),) = query.tracks(**question)
    ((_, after),) = query.tracks(**question, calibrated=True)
    assert before.interval_half_width is None
    rows = (TrackCalibration.Node & {"mouse_id": mouse, "filter_method": "kalman"}).to_dicts()
    offset = {row["node"]: (row["offset_x_px"], row["offset_y_px"]) for row in rows}
    for index, node in enumerate(before.nodes):
        np.testing.assert_allclose(after.position[:, index], before.position[:, index] - offset[node], atol=1e-4)
    np.testing.assert_array_equal(np.isnan(after.interval_half_width), ~after.found)
    np.testing.assert_array_equal(after.sd, before.sd)
    assert after.attributes["calibration"]["labels_id"] == "fedcba9876543210"
    selection = query.tracks(**question, node="jaw_tip", time_span_s=(1, 2), calibrated=True)
    ((_, part),) = selection
    column = before.node_index("jaw_tip")
    np.testing.assert_array_equal(part.interval_half_width[:, 0], after.interval_half_width[100:200, column])
    frame = selection.to_pandas()
    np.testing.assert_array_equal(frame["interval_half_width_px"], part.interval_half_width[:, 0])
    np.testing.assert_array_equal(frame["x_px"], part.position[:, 0, 0])
    with pytest.raises(QueryError, match="calibrated tracks are in no file"):
        selection.manifest()


@pytest.mark.parametrize("nodes", [None, ["jaw_tip", "center_snout_tip"]])
def test_sql_says_the_same_as_the_tracks(calibrated: Any, other_mice: Any, nodes: list[str] | None) -> None:
    """Of all mice: with labels of their own and without, and with filters that know how exact they are and others."""
    from pipeline import query

    question = {"filter": ["kalman", "median"], "node": nodes, "time_span_s": (1, 2), "calibrated": True}
    selection = query.tracks(**question)
    table = query.ask_sql("select * from tracks order by mouse_id, filter_method, frame_index", **question).to_pandas()
    assert len(table) == 100 * len(selection) and table["frame_index"].min() == 100
    widths = []
    for row, tracks in selection:
        lines = table[(table["mouse_id"] == row["mouse_id"]) & (table["filter_method"] == row["filter_method"])]
        for index, node in enumerate(tracks.nodes):
            found = {end: lines[f"{node}_{end}"].to_numpy(np.float32) for end in ("x", "y", "score", "halfwidth")}
            np.testing.assert_array_equal(np.stack([found["x"], found["y"]], axis=-1), tracks.position[:, index])
            np.testing.assert_array_equal(found["score"], tracks.score[:, index])
            np.testing.assert_array_equal(found["halfwidth"], tracks.interval_half_width[:, index])
            widths.append(found["halfwidth"])
    assert np.isfinite(np.concatenate(widths)).mean() > 0.9
    ((n_frames,),) = selection.to_duckdb().query("tracks", "select count(*) from tracks").fetchall()
    assert n_frames == len(table)
    statement = "select count(*) from distances join tracks using (mouse_id, filter_method)"
    assert query.sql(statement, **question).fetchall()[0][0] >= 0


def test_without_labels_of_the_session_the_interval_is_not_known(calibrated: Any) -> None:
    from pipeline import query

    ((_, before),) = query.tracks(mouse="mouse03")
    ((_, after),) = query.tracks(mouse="mouse03", calibrated=True)
    np.testing.assert_array_equal(after.position, before.position)
    assert np.isnan(after.interval_half_width).all()


def test_without_labels_of_the_session_the_interval_is_that_of_other_mice(calibrated: Any, other_mice: Any) -> None:
    from pipeline import query

    ((_, before),) = query.tracks(mouse="mouse03")
    selection = query.tracks(mouse="mouse03", calibrated=True)
    ((_, after),) = selection
    np.testing.assert_array_equal(after.position, before.position)
    for index in range(7):
        expected = other_mice_half_width_px([[error[index] for error in errors] for errors in other_mice.values()])
        np.testing.assert_allclose(after.interval_half_width[after.found[:, index], index], expected, rtol=1e-5)
    about = selection.references[0].about()
    assert about["other_mice"] == list(OTHER_MICE) and about["labels_id"] is None
    ((_, own),) = query.tracks(mouse=calibrated.in_training[0], calibrated=True)
    assert own.attributes["calibration"]["other_mice"] == []  # its own frames say more


@pytest.mark.slow
def test_commands_list_and_write_calibrated_tracks(calibrated: Any, run: Callable[..., Any], tmp_path: Path) -> None:
    from compute.formats import read
    from pipeline import query

    mouse = calibrated.in_training[0]
    chosen = ("--mouse", mouse, "--filter", "median", "--calibrated")
    listed = run("tracks", *chosen)
    assert "half-width" in listed.stdout and "with 20" in listed.stdout, listed.stdout + listed.stderr
    (said,) = json.loads(run("tracks", *chosen, "--json").stdout)["tracks"]
    assert said["calibration"]["n_labeled_frames"] == 2
    ((_, expected),) = query.tracks(mouse=mouse, filter="median", calibrated=True)
    assert run("tracks", *chosen, "-o", tmp_path / "tracks.parquet").returncode == 0
    table = pq.read_table(tmp_path / "tracks.parquet")
    np.testing.assert_array_equal(
        table["interval_half_width_px"].to_numpy().reshape(expected.score.shape), expected.interval_half_width
    )
    for format_name in ("csv", "parquet", "nwb", "slp"):
        done = run("export", format_name, "-o", tmp_path / format_name, *chosen)
        assert done.returncode == 0, done.stderr
        (path,) = (
            one
            for one in (tmp_path / format_name).iterdir()
            if one.name.startswith(("mouse", "sub-")) and one.suffix != ".json"
        )
        track = read(path)
        np.testing.assert_allclose(track.tracks.position, expected.position, atol=1e-4)
        np.testing.assert_array_equal(track.tracks.interval_half_width, expected.interval_half_width)
        assert track.provenance["calibration"]["labels_id"] == "fedcba9876543210"
    (asked,) = json.loads(run("sql", "select avg(jaw_tip_halfwidth) as px from tracks", *chosen, "--json").stdout)[
        "rows"
    ]
    column = expected.node_index("jaw_tip")
    assert asked["px"] == pytest.approx(np.nanmean(expected.interval_half_width[:, column]), rel=1e-5)
    again = run("export", "csv", "-o", tmp_path / "csv", "--mouse", mouse, "--filter", "median")
    assert again.returncode == 1 and "is there already" in again.stderr
