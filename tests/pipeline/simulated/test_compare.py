"""The comparison of filters on tracks whose truth is known, from the tables to the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compute.errors import LabelsError
from compute.filters import apply_filter, registered_filters
from compute.filters.kalman import kalman
from compute.measures.distances import distance_px
from compute.measures.label_errors import label_error_px

METHODS = sum(len(one.methods) for one in registered_filters().values())
"""Of every lab, for each of its videos."""


@pytest.fixture(scope="module")
def compared(simulated_database: Any) -> Any:
    """Everything is computed."""
    from pipeline.work.populate import populate

    summary = populate()
    assert not summary.failed
    assert summary.computed == {
        "TrackQuality": 4,
        "FilteredTrack": 4 * METHODS,
        "DistanceMetrics": 2 * 4 * METHODS,
        "FilterComparison": 2 * 4 * METHODS,
        "LabelError": 2 * METHODS,
        "TrackCalibration": 2 * METHODS,
    }
    return simulated_database


@pytest.fixture
def run(compared: Any, run_command: Callable[..., Any]) -> Callable[..., Any]:
    """Run the command on the test's own tables."""
    settings = compared.settings
    variables = {"OROFACIAL_SCHEMA_PREFIX": settings.schema_prefix, "COLUMNS": "80"}
    return partial(run_command, "--data-folder", settings.data_folder, **variables)


def test_filters_use_the_score_exponent_of_the_models_labeled_frames(compared: Any) -> None:
    from pipeline import query

    for method in ("kalman", "gaussian_gated"):
        for row, tracks in query.tracks(filter=method):
            raw = compared.simulated[row["mouse_id"]].tracks
            expected = kalman(raw, score_exponent=compared.score_exponent)
            np.testing.assert_array_equal(tracks.rejected, expected.rejected)
            if method == "kalman":
                np.testing.assert_array_equal(tracks.position, expected.position)


def test_labeled_frames_are_those_held_out_in_this_video(compared: Any) -> None:
    from schemas.metric import LabelError

    rows = (LabelError & {"filter_method": "median"}).to_dicts()
    assert {row["mouse_id"] for row in rows} == set(compared.in_training)
    for row in rows:
        simulated = compared.simulated[row["mouse_id"]]
        tracks = apply_filter(simulated.tracks, "median", {})
        frames = compared.held_out_frames
        expected = label_error_px(tracks, frames, simulated.truth[list(frames)], tracks.nodes)
        np.testing.assert_allclose(row["error_px"], expected, atol=1e-5)
        assert (row["n_frames"], row["n_points"] + row["n_missed"]) == (2, 14)


def test_the_comparison_is_as_the_truth_says(compared: Any) -> None:
    from pipeline.query.filter_comparison import compare_filters

    (comparison,) = compare_filters()
    assert comparison.n_mice == {"in training": 2, "held out": 2, "not known": 0}
    assert (comparison.model_name, comparison.is_deployed) == ("simulated", True)
    by_name = {one.filter_method: one for one in comparison.filters}
    raw, kalman_, gaussian = by_name["raw"], by_name["kalman"], by_name["gaussian_gated"]
    assert raw.rigid_variance.value == 1
    assert kalman_.rigid_variance.value < 0.02  # spikes of 40 px are out
    # At 6 Hz a Gaussian of 20 ms keeps 75 % of the amplitude; the smoother keeps what moves.
    assert gaussian.bout_amplitude_kept.value == pytest.approx(0.75, abs=0.08)
    assert kalman_.power_kept.value > 0.85 > gaussian.power_kept.value
    assert by_name["one_euro"].lag_s.value > 0.004 > abs(kalman_.lag_s.value)
    # The labeled frames that the model has not seen are of mice in its training: no error of held-out mice is known.
    assert kalman_.labels.keys() == raw.labels.keys() == {"in training"}
    of_kalman, of_raw = kalman_.labels["in training"], raw.labels["in training"]
    assert of_kalman.n_points == 28 and of_kalman.mean_px.n_mice == 2
    assert of_kalman.p50_px < of_raw.p50_px
    assert of_kalman.mean_px.low is None  # two mice give no interval
    # Paired by mouse: each mouse's error over its own without a filter.
    assert (of_raw.over_raw.value, of_raw.over_raw.n_mice) == (pytest.approx(1), 2)
    assert of_kalman.over_raw.value == pytest.approx(of_kalman.mean_px.value / of_raw.mean_px.value)
    # Held-out mice were given 1.5 times the noise: 2.25 times the variance, as far as it is noise.
    ratio = by_name["interpolate"].held_out_over_training
    assert 1 < ratio.value < 2.5 and (ratio.low, ratio.high, ratio.n_mice) == (None, None, 2)
    rigid = {(one.filter_method, one.group): one for one in comparison.pairs if one.kind == "rigid"}
    assert rigid["kalman", "held out"].length_px == pytest.approx(26)
    assert rigid["gaussian", "held out"].corrected_variance_px2 is None
    assert rigid["kalman", "in training"].corrected_variance_px2 == pytest.approx(0.2, abs=0.1)


def test_changing_a_pair_has_its_comparison_computed_again(compared: Any) -> None:
    from ingest.pairs import add_node_pair
    from pipeline.query.filter_comparison import compare_filters
    from pipeline.work.populate import populate
    from schemas.metric import FilterComparison, NodePair, PairDefinition

    pair = {"node_a": compared.moving[0], "node_b": compared.moving[1]}
    add_node_pair(*compared.moving, kind="moving")
    assert populate().computed == {}
    add_node_pair(*compared.moving, kind="moving", band_hz=(3.0, 9.0))
    assert populate().computed == {"FilterComparison": 4 * METHODS}
    assert set((FilterComparison & pair & PairDefinition.current()).to_arrays("band_low_hz")) == {3.0}
    assert len(FilterComparison & pair) == 2 * 4 * METHODS
    assert {one.band_hz for one in compare_filters()[0].pairs if one.kind == "moving"} == {(3.0, 9.0)}
    # Changed back, what was computed for it counts again, and by whichever way it is changed.
    NodePair.update1({**(NodePair & pair).fetch1("KEY"), "band_low_hz": None, "band_high_hz": None})
    assert populate().computed == {}
    assert {one.band_hz for one in compare_filters()[0].pairs if one.kind == "moving"} != {(3.0, 9.0)}
    with pytest.raises(LabelsError, match=r"the band is 9.0 to 3.0 Hz, expected a rising one above 0"):
        NodePair.update1({**(NodePair & pair).fetch1("KEY"), "band_low_hz": 9.0, "band_high_hz": 3.0})


def test_filters_are_compared_on_the_points_and_frames_that_all_have(compared: Any) -> None:
    """A filter that drops points where it is unsure gets no better error, and what it lacks is shown."""
    from ingest.filters import add_filter_method
    from pipeline.query.filter_comparison import compare_filters
    from pipeline.work.populate import populate
    from schemas.metric import FilterComparison, LabelError
    from schemas.track import FilteredTrack, FilterMethod, fetch_tracks

    before = {one.filter_method: one for one in compare_filters()[0].filters}
    dropping = {"lowest_score_fraction": 0.4, "max_gap_s": 0.0001}
    assert add_filter_method("dropping", "interpolate", dropping)
    assert add_filter_method("nearly_nothing", "interpolate", {**dropping, "lowest_score_fraction": 0.9})
    assert not populate().failed
    after = {one.filter_method: one for one in compare_filters()[0].filters}
    one = after["dropping"]
    # Labeled frames are of mice in training only: a group without any is not in there.
    assert {tuple(found.labels) for found in after.values()} == {("in training",)}
    labels = {name: found.labels["in training"] for name, found in after.items()}
    assert labels["dropping"].n_missed > 5 and one.fraction_missing > 0.4
    # The same points for all of them: the dropping filter passes its points as they are, so it is as good as raw.
    assert {found.n_common for found in labels.values()} == {labels["dropping"].n_points}
    assert labels["dropping"].p50_px == labels["raw"].p50_px and labels["dropping"].mean_px == labels["raw"].mean_px
    assert one.rigid_variance.value == 1
    # One that lacks more than half of the points takes none from the others, and shows no error.
    nothing = labels["nearly_nothing"]
    assert nothing.p50_px is None and nothing.mean_px.value is None
    assert nothing.fraction_missing > 0.8
    for row in (FilterComparison * FilteredTrack & {"filter_method": "median"}).proj("common_variance_px2").to_dicts():
        raw, filtered = (
            distance_px(fetch_tracks({**row, "filter_method": method}), row["node_a"], row["node_b"])
            for method in ("raw", "median")
        )
        known = ~np.isnan(raw) & ~np.isnan(filtered)
        assert row["common_variance_px2"] == pytest.approx(filtered[known].var(ddof=1))
    for method in ("dropping", "nearly_nothing"):
        (FilteredTrack & {"filter_method": method}).delete(prompt=False)
        (FilterMethod & {"filter_method": method}).delete_quick()
    assert not LabelError & {"filter_method": "dropping"}
    assert {one.filter_method: one for one in compare_filters()[0].filters} == before


def test_the_terminal_says_what_json_says_and_draws(run: Callable[..., Any], tmp_path: Path) -> None:
    said = run("compare", "--pairs", "-o", tmp_path / "compare.png")
    assert said.returncode == 0, said.stderr
    assert max(len(line) for line in said.stdout.splitlines() if not line.startswith(("drawn", "next"))) <= 80
    for text in (
        "camera side, model simulated",
        "kalman",
        "savitzky_golay",
        "held out (2)",
        "bottom_snout_tip - jaw_tip, moving, ",
        "mice: 2 in training, 2 held out",
        "[few mice]",
    ):
        assert text in said.stdout
    words = " ".join(said.stdout.split())  # titles are broken into lines
    assert "error of 2 mice in training: distance from points that people placed, 28 of 28 points" in words
    assert "error of mice held out from training: no labeled frame is of their ingested videos" in words
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")
    written = json.loads(run("compare", "--json").stdout)["models"][0]
    kalman_ = next(one for one in written["filters"] if one["filter_method"] == "kalman")
    line = next(line for line in said.stdout.splitlines() if line.strip().startswith("kalman"))
    assert f"{kalman_['power_kept']['value']:.2f}" in line


def test_what_cannot_be_compared_or_drawn_says_so(compared: Any, tmp_path: Path) -> None:
    from compute.formats import ExportError
    from pipeline.figures.saving import save_figure
    from pipeline.figures.trade_off import plot_trade_off
    from pipeline.query import QueryError
    from pipeline.query.chosen_filters import choose_filters
    from pipeline.query.filter_comparison import ComparisonError, compare_filters
    from schemas.session import Camera

    for ask in (compare_filters, choose_filters):
        with pytest.raises(QueryError, match=r"no camera 'top' in the database; .*lower, side"):
            ask(camera="top")
    Camera.insert1({"camera": "top"})
    with pytest.raises(ComparisonError, match=r"no filters .* for camera top; .* says why where nothing can be"):
        compare_filters(camera="top")
    for name, message in (("compare.doc", "expected .png, .svg or .pdf"), ("no/compare.png", "cannot be written")):
        with pytest.raises(ExportError, match=message):
            save_figure(plot_trade_off(compare_filters()), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_choice_becomes_a_filter_method_once(compared: Any, run: Callable[..., Any]) -> None:
    from pipeline import query
    from pipeline.query.chosen_filters import choose_filters
    from pipeline.work.populate import populate
    from schemas.track import FilterMethod

    first = run("compare", "--choose")
    assert first.returncode == 0, first.stderr
    assert "hidden" in first.stdout and "written" in first.stdout
    method, is_new, choices = choose_filters()
    assert not is_new and len(choices) == 7 and f"{method} written" in first.stdout
    row = (FilterMethod & {"filter_method": method}).fetch1()
    assert row["filter_name"] == "per_node"
    assert set(row["filter_parameters"]["filters"]) == {choice.node for choice in choices}
    assert populate().computed["FilteredTrack"] == 4
    for one in query.tracks(filter=method):
        truth = compared.truth(one[0]["mouse_id"])
        raw_error, error = (np.nanmean((t.position - truth) ** 2) for t in (_raw(compared, one[0]), one[1]))
        assert error < raw_error / 10


def _raw(compared: Any, row: dict[str, Any]) -> Any:
    return compared.simulated[row["mouse_id"]].tracks
