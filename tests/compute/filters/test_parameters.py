"""Whatever a parameter's value: it is refused by name and range, or the result is finite and of the right shape."""

import json
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from compute.errors import FilterError
from compute.filters import apply_filter, check_parameters, default_parameters, registered_filters
from compute.tracks import Tracks

NUMBERS = [0.0, -0.0, 5e-324, 1e-300, 1e-9, 1e-4, 0.01, 0.5, 1 - 1e-16, 1.0, 1.5, 2.0, 9.99, 60.0, 1e3, 1e6, 1e9, 1e12]
ODD = [*NUMBERS, 1e155, 1.7e308, -1e-9, -1.0, -1e308, math.nan, math.inf, -math.inf, 0, 1, 2, 5, 9, 10, -1, 10**18]
ODD += [
    10**400,
    True,
    False,
    None,
    "",
    "0.1",
    "wide",
    b"1",
    [],
    [0.1],
    [["a"]],
    [["a", "b", "b"]],
    {},
    {"a": 1},
    (1, 2),
]
ODD += [
    [["jaw_tip", "b", "c"]],
    [["jaw_tip", "b"]],
    [["jaw_tip", "whisker"]],
    {"jaw_tip": None},
    {"jaw_tip": []},
    {"jaw_tip": {"filter": "median"}},
    1j,
    object,
]
ODD += [
    {"jaw_tip": {"filter": name, "parameters": given}}
    for name in ("median", "nothing", None)
    for given in ({}, None, [])
]
ODD += [
    {"jaw_tip": {"filter": "kalman", "parameters": {"gate_probability": 2}}},
    {1: {"filter": "raw", "parameters": {}}},
]


def walk(n_frames, fps, seed=0, lost=0.1):
    """A node that wanders, with noise, outliers and missing points, and two more for a group."""
    rng = np.random.default_rng(seed)
    position = np.cumsum(rng.normal(0, 0.3, (n_frames, 3, 2)), axis=0) + 300 + rng.normal(0, 1, (n_frames, 3, 2))
    position[rng.random((n_frames, 3)) < 0.02] += 60
    score = rng.uniform(0.2, 1.1, (n_frames, 3))
    missing = rng.random((n_frames, 3)) < lost
    position[missing], score[missing] = np.nan, 0
    return Tracks(position, score, np.arange(n_frames) / fps, ["jaw_tip", "b", "c"])


TRACKS = [walk(n_frames, fps) for n_frames, fps in ((0, 100), (1, 100), (2, 30), (5, 500), (150, 100), (60, 8))]


@st.composite
def odd_parameters(draw):
    """A filter, and values for one or two of its parameters."""
    name = draw(st.sampled_from([name for name in registered_filters() if default_parameters(name)]))
    chosen = draw(st.lists(st.sampled_from(list(default_parameters(name))), min_size=1, max_size=2, unique=True))
    return name, {parameter: draw(st.sampled_from(ODD)) for parameter in chosen}


@settings(max_examples=600)
@given(odd_parameters(), st.sampled_from(TRACKS))
@example(("gaussian", {"sigma_s": 1e-300}), TRACKS[4])
@example(("median", {"window_s": 1e9}), TRACKS[4])
@example(("kalman", {"measurement_sd_px": 1.7e308}), TRACKS[4])
@example(("kalman", {"process_noise_px2_per_s3": 1e12, "measurement_sd_px": 1e-3}), TRACKS[4])
@example(("savitzky_golay", {"window_s": 10.0, "polynomial_order": 9}), TRACKS[4])
def test_a_value_is_refused_or_gives_a_finite_result(chosen, tracks):
    name, parameters = chosen
    try:
        check_parameters(name, parameters)
    except FilterError:
        with pytest.raises(FilterError, match=r"expected|no filter") as refused:
            apply_filter(tracks, name, parameters)
        said = str(refused.value)
        assert name in said and (name == "per_node" or any(parameter in said for parameter in parameters))
        return
    result = apply_filter(tracks, name, parameters)
    assert result.position.shape == tracks.position.shape and result.nodes == tracks.nodes
    assert not np.isinf(result.position).any()
    used = tracks.found if result.rejected is None else tracks.found & ~result.rejected
    assert not (used & ~result.found).any()
    assert np.nanmax(np.abs(result.position), initial=0) < 2000
    if result.sd is not None:
        known = ~np.isnan(result.sd)
        assert (result.sd[known] > 0).all() and np.isfinite(result.sd[known]).all()
    json.dumps(result.attributes["filter"]["parameters"], allow_nan=False)


@pytest.mark.parametrize("name", list(registered_filters()))
@pytest.mark.parametrize("parameters", [None, [], "sigma_s", 5, [("sigma_s", 1)]])
def test_parameters_that_are_no_names_with_values_are_refused(name, parameters):
    with pytest.raises(FilterError, match=f"filter {name}: its parameters are .*, expected names with their values"):
        check_parameters(name, parameters)


@pytest.mark.parametrize(
    "changed",
    [{"maximum_bandwidth_hz": 2}, {"minimum_bandwidth_hz": 9, "maximum_bandwidth_hz": 3}],
)
def test_the_ends_of_a_band_rise(changed):
    with pytest.raises(
        FilterError, match=r"kalman: minimum_bandwidth_hz is .* and maximum_bandwidth_hz is .*, expected"
    ):
        check_parameters("kalman", changed)
    with pytest.raises(FilterError, match="node jaw_tip: kalman: minimum_bandwidth_hz is"):
        check_parameters("per_node", {"filters": {"jaw_tip": {"filter": "kalman", "parameters": changed}}})
    check_parameters("kalman", {"minimum_bandwidth_hz": 25.0})
    check_parameters("kalman", {"minimum_bandwidth_hz": 25.0, "maximum_bandwidth_hz": None})


@pytest.mark.parametrize("name", [name for name in registered_filters() if default_parameters(name)])
def test_times_in_another_unit_are_refused(name):
    tracks = walk(100, 100)
    in_ms = Tracks(tracks.position, tracks.score, tracks.time * 1000, tracks.nodes)
    with pytest.raises(FilterError, match=r"the frames are 10 s apart \(0.1 Hz\), expected at most 1 s.*milliseconds"):
        apply_filter(in_ms, name, {})


@pytest.mark.parametrize("fps", [5, 8, 9.9, 10, 12])
def test_neighbouring_frames_of_a_slow_camera_are_no_gap(fps):
    """Shorter than a frame, ``max_gap_s`` would let the filter start afresh at each frame: no smoothing, and no sd."""
    rng = np.random.default_rng(0)
    truth = np.cumsum(rng.normal(0, 0.05, (2000, 1, 2)), axis=0) + 300
    time = (np.arange(2000) + rng.uniform(-0.1, 0.1, 2000)) / fps
    tracks = Tracks(truth + rng.normal(0, 1, truth.shape), np.ones((2000, 1)), time, ["jaw_tip"])
    parameters = {"minimum_bandwidth_hz": 0.3}
    result, connected = (apply_filter(tracks, "kalman", {**parameters, **gap}) for gap in ({}, {"max_gap_s": 1.0}))
    error = np.sqrt(np.mean((result.position - truth) ** 2))
    assert error < 0.75 < np.sqrt(np.mean((tracks.position - truth) ** 2))
    assert 0.5 < np.median(result.sd) / error < 2
    np.testing.assert_allclose(result.position, connected.position, atol=0.05)
    low_passed = apply_filter(tracks, "one_euro", {"minimum_cutoff_hz": 0.5, "beta_per_px": 1e-6})
    assert np.diff(low_passed.position, axis=0).std() < 0.6 * np.diff(tracks.position, axis=0).std()


@pytest.mark.parametrize(
    ("name", "parameters", "fps", "note"),
    [
        ("median", {}, 30, "window_s 0.05 holds one frame at 30 Hz: points are not smoothed"),
        ("savitzky_golay", {}, 30, "window_s 0.09 holds 3 frames at 30 Hz: points are not smoothed"),
        ("gaussian", {}, 8, "sigma_s 0.02 is short at 8 Hz: points are not smoothed"),
        ("median", {}, 100, None),
        ("gaussian", {}, 30, None),
        ("savitzky_golay", {"window_s": 0.2}, 30, None),
    ],
)
def test_a_filter_that_smooths_nothing_says_so(name, parameters, fps, note):
    tracks = walk(100, fps, lost=0)
    result = apply_filter(tracks, name, parameters)
    assert result.attributes["filter"].get("note") == note
    same = np.allclose(result.position, tracks.position, atol=0.5)
    assert same == (note is not None)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.01, 0.05, 0.3, 0.9]), st.floats(0.1, 5), st.floats(0.01, 3))
def test_interpolate_means_the_same_for_every_models_scores(seed, fraction, power, scale):
    """Scores that put the points into the same order leave out the same points, of each node so many."""
    tracks = walk(200, 100, seed)
    other = Tracks(tracks.position, scale * tracks.score**power, tracks.time, tracks.nodes)
    results = [apply_filter(one, "interpolate", {"lowest_score_fraction": fraction}) for one in (tracks, other)]
    np.testing.assert_array_equal(results[0].rejected, results[1].rejected)
    n_out, n_found = results[0].rejected.sum(axis=0), tracks.found.sum(axis=0)
    assert (n_out <= fraction * n_found).all() and (n_out >= fraction * n_found - 2).all()


def test_interpolate_hides_nothing_where_all_scores_are_equal_or_a_persons():
    tracks = walk(100, 100)
    for score in (np.where(tracks.found, 0.1, 0), np.where(tracks.found, np.nan, 0)):
        result = apply_filter(Tracks(tracks.position, score, tracks.time, tracks.nodes), "interpolate", {})
        assert not result.rejected.any()
