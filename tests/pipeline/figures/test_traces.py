"""Pictures: what is marked as wrong, which frames are shown, and that nothing is drawn that was not found."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from compute.filters import apply_filter
from compute.tracks import Tracks
from pipeline.figures import traces as plots
from pipeline.figures.colors import method_colors


def wave(n_frames: int = 600) -> Tracks:
    """Two nodes; the first has three spikes of 30 px and a gap."""
    time = np.arange(n_frames) / 100
    position = np.stack([np.stack([50 + 5 * np.sin(6 * time), 40 + 0 * time], -1), np.full((n_frames, 2), 20.0)], 1)
    position[[400, 410, 420], 0] += 30
    position[100:105, 0] = np.nan
    return Tracks(position=position, score=1 - np.isnan(position[..., 0]), time=time, nodes=("jaw_tip", "snout"))


def test_spikes_are_marked_and_shown() -> None:
    raw = wave()
    wrong, rule = plots.wrong_trace_points({"raw": raw, "median": apply_filter(raw, "median", {})})
    assert np.flatnonzero(wrong[:, 0]).tolist() == [400, 410, 420]
    assert not wrong[:, 1].any()
    assert rule == "> 5 px off median"
    span = plots.interesting_trace_span(wrong[:, 0], 300)
    assert span.stop - span.start == 300
    assert span.start <= 400 and span.stop > 420
    assert plots.interesting_trace_span(wrong[:100, 0], 300) == slice(0, 100)


def test_a_rejected_point_is_marked_only_where_it_lies_far_from_the_paths() -> None:
    raw = wave()
    median = apply_filter(raw, "median", {})
    rejected = np.zeros((600, 2), bool)
    rejected[[7, 400, 599], 0] = True  # a good point, a spike, and the last frame, where a path knows one side only
    gated = replace(median, rejected=rejected)
    wrong, rule = plots.wrong_trace_points({"raw": raw, "median": median, "kalman": gated})
    assert np.argwhere(wrong).tolist() == [[400, 0]]
    assert rule == "rejected by kalman, > 5 px off kalman and median"


def test_no_point_is_marked_where_only_raw_points_are_there() -> None:
    assert not plots.wrong_trace_points({"raw": wave()})[0].any()


@pytest.mark.parametrize("n_methods", [1, 9, 40])
def test_every_filter_method_has_a_colour_of_its_own(n_methods: int) -> None:
    methods = ["raw", "kalman", *(f"chosen_{number:08x}" for number in range(n_methods))]
    colors = method_colors(methods)
    assert list(colors) == methods and len(set(colors.values())) == len(methods)
    assert colors["kalman"] == "#0072B2"
    assert colors == method_colors(reversed(methods))  # whatever the order is


def test_a_picture_of_many_long_names_shows_all_of_them() -> None:
    methods = ["raw", *(f"gaussian_with_sigma_{number}_frames_and_a_gate" for number in range(7))]
    rows = [
        {"pair": pair, "filter_method": method, "group": group, "variance_px2": 0.5}
        for pair in ("left_snout_tip - right_snout_tip", "center_snout_tip - most_ventral_point_of_the_jaw")
        for method in methods
        for group in ("in training", "held out", "not known")
    ]
    figure = plots.plot_distance_variance(rows)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(set(labels)) == len(methods)
    figure.canvas.draw()
    heights = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert not any(one.overlaps(other) for one, other in itertools.pairwise(heights))


def test_a_picture_shows_every_found_position_and_no_other() -> None:
    raw = wave()
    figure = plots.plot_position_traces(
        np.zeros((80, 100), np.uint8), raw, [("jaw_tip", "snout"), ("jaw_tip", "unknown")]
    )
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    x, y = lines["jaw tip"].get_data()
    assert np.isfinite(x).sum() == 595
    np.testing.assert_array_equal(np.isfinite(x), raw.found[:, 0])
    np.testing.assert_array_equal(y[:100], 40)


def test_distances_have_gaps_where_a_node_is_missing() -> None:
    raw = wave()
    truth = np.full(600, 36.0)
    figure = plots.plot_distance_traces({"raw": raw}, "jaw_tip", "snout", truth=truth)
    drawn = {line.get_label(): line.get_ydata() for line in figure.axes[0].lines}
    assert np.isnan(drawn["raw"][100:105]).all()
    apart_px = np.linalg.norm(raw.position[500, 0] - raw.position[500, 1])
    np.testing.assert_allclose(drawn["raw"][500], apart_px, rtol=1e-6)
    np.testing.assert_array_equal(drawn["truth"], truth)


def test_traces_of_a_node_that_was_never_found_are_empty() -> None:
    raw = wave()
    lost = replace(raw, position=np.full_like(raw.position, np.nan), score=np.zeros_like(raw.score))
    figure = plots.plot_traces({"raw": lost, "median": apply_filter(lost, "median", {})}, "jaw_tip")
    assert all(not np.isfinite(line.get_ydata()).any() for ax in figure.axes for line in ax.lines)
