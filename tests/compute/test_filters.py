"""Every filter: what holds for all of them, and the simple ones against known answers. Kalman has its own file."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compute.errors import FilterError
from compute.filters import FILTERS, apply_filter, default_parameters
from compute.filters.gaussian import gaussian
from compute.filters.median import median, running_median
from compute.filters.raw import raw
from compute.filters.result import within_gap_limit
from compute.tracks import Tracks

NAN = np.nan
FPS = 100


def tracks_of(x, score=None, time=None):
    """Tracks of one node that moves along x, found where x is not NaN."""
    x = np.asarray(x, float)
    position = np.stack([x, 2 * x], axis=-1)[:, None]
    score = np.where(np.isnan(x), 0, 1)[:, None] if score is None else np.asarray(score)[:, None]
    return Tracks(position, score, np.arange(x.size) / FPS if time is None else time, ["jaw_tip"], attributes={"a": 1})


@pytest.fixture(params=sorted(FILTERS))
def name(request):
    return request.param


@pytest.mark.parametrize("x", [[], [5.0], [NAN], [5.0, NAN], [NAN, 5.0, NAN], [NAN] * 9, [1.0, 2.0], [NAN, NAN, 3, 4]])
def test_short_and_empty_tracks_keep_their_frames_and_found_points(name, x):
    tracks = tracks_of(x)
    result = apply_filter(tracks, name, {})
    assert result.position.shape == tracks.position.shape
    assert result.nodes == tracks.nodes and np.array_equal(result.time, tracks.time)
    np.testing.assert_array_equal(result.found, tracks.found)


def test_tracks_without_nodes(name):
    empty = Tracks(np.empty((4, 0, 2)), np.empty((4, 0)), np.arange(4), [])
    assert apply_filter(empty, name, {}).position.shape == (4, 0, 2)


def test_constant_track_stays(name):
    result = apply_filter(tracks_of([7.0] * 60), name, {})
    np.testing.assert_allclose(result.position[:, 0, 0], 7, atol=1e-4)
    np.testing.assert_allclose(result.position[:, 0, 1], 14, atol=1e-4)


def test_result_says_what_made_it_and_input_is_unchanged(name):
    tracks = tracks_of(np.sin(np.arange(50)))
    before = tracks.position.copy()
    result = apply_filter(tracks, name, {})
    assert result.attributes["filter"]["name"] == name
    chosen = {"score_exponent": 2.0} if name == "kalman" else {}  # None: what the filter chose is noted
    assert result.attributes["filter"]["parameters"] == default_parameters(name) | chosen
    assert result.attributes["a"] == 1 and "filter" not in tracks.attributes
    json.dumps(result.attributes, allow_nan=False)
    np.testing.assert_array_equal(tracks.position, before)


def test_nothing_outside_the_points_is_made_up_and_long_gaps_stay(name):
    x = np.full(200, NAN)
    x[20:60] = 3.0
    x[120:180] = 3.0
    found = apply_filter(tracks_of(x), name, {}).found[:, 0]
    np.testing.assert_array_equal(found, ~np.isnan(x))


@pytest.mark.parametrize("name", [name for name in sorted(FILTERS) if "max_gap_s" in default_parameters(name)])
def test_short_gap_is_filled_and_says_so(name):
    x = np.linspace(0, 10, 101)
    x[50:52] = NAN
    result = apply_filter(tracks_of(x), name, {"max_gap_s": 0.03})
    assert result.found.all()
    np.testing.assert_array_equal(np.flatnonzero(result.filled[:, 0]), [50, 51])
    np.testing.assert_allclose(result.position[50:52, 0, 0], [5.0, 5.1], atol=0.11)
    shorter = apply_filter(tracks_of(x), name, {"max_gap_s": 0.02})
    np.testing.assert_array_equal(shorter.found[:, 0], ~np.isnan(x))
    assert not shorter.filled.any()


@settings(max_examples=30, deadline=None)
@given(x=st.lists(st.one_of(st.just(NAN), st.floats(0, 640, width=32)), max_size=40), data=st.data())
def test_positions_are_finite_and_inside_the_gap_rule(x, data):
    name = data.draw(st.sampled_from(sorted(FILTERS)))
    tracks = tracks_of(x)
    result = apply_filter(tracks, name, {})
    assert not np.isinf(result.position).any()
    allowed = within_gap_limit(tracks.found, tracks.time, default_parameters(name).get("max_gap_s"))
    assert not (result.found & ~allowed).any()
    if result.filled is not None:
        np.testing.assert_array_equal(result.filled, result.found & ~tracks.found)


def test_unknown_filter_and_parameter_say_what_exists():
    tracks = tracks_of([1.0, 2.0])
    with pytest.raises(FilterError, match="no filter 'kalmann'; there are raw, gaussian"):
        apply_filter(tracks, "kalmann", {})
    with pytest.raises(FilterError, match="no parameter 'sigma'; it has sigma_s, max_gap_s"):
        apply_filter(tracks, "gaussian", {"sigma": 1})
    with pytest.raises(FilterError, match="raw has no parameter 'sigma'; it has none"):
        apply_filter(tracks, "raw", {"sigma": 1})


@pytest.mark.parametrize("value", [0, -1, NAN, np.inf, "0.1", True])
def test_a_parameter_outside_its_range_is_named(value):
    with pytest.raises(FilterError, match=r"gaussian: sigma_s is .*, expected a number above 0"):
        gaussian(tracks_of([1.0, 2.0]), sigma_s=value)


def test_raw_keeps_every_array():
    tracks = tracks_of([1.0, NAN, 3.0], score=[NAN, 0, 1.7])
    result = raw(tracks)
    np.testing.assert_array_equal(result.position, tracks.position)
    np.testing.assert_array_equal(result.score, tracks.score)


def test_gaussian_damps_a_sine_by_the_kernels_transfer_function():
    frequency_hz, sigma_s = 6.0, 0.025
    time = np.arange(2000) / FPS
    sine = np.sin(2 * np.pi * frequency_hz * time)
    x = gaussian(tracks_of(100 + sine), sigma_s=sigma_s).position[200:-200, 0, 0] - 100
    gain = np.exp(-2 * (np.pi * frequency_hz * sigma_s) ** 2)
    np.testing.assert_allclose(x, gain * sine[200:-200], atol=1e-3)


def test_gaussian_with_a_missing_point_is_the_weighted_mean_of_the_others():
    x = np.array([4.0, 1, NAN, 8, 2, 6])
    result = gaussian(tracks_of(x), sigma_s=1.5 / FPS, max_gap_s=None).position[:, 0, 0]
    offsets = np.arange(6)[:, None] - np.arange(6)
    weights = np.where(np.isnan(x), 0, np.exp(-(offsets**2) / (2 * 1.5**2)))
    np.testing.assert_allclose(result, weights @ np.nan_to_num(x) / weights.sum(axis=1), rtol=1e-6)


def test_gaussian_does_not_fill_beyond_its_reach():
    x = np.full(41, NAN)
    x[[0, 40]] = 1.0
    found = gaussian(tracks_of(x), sigma_s=1.0 / FPS, max_gap_s=None).found[:, 0]
    np.testing.assert_array_equal(np.flatnonzero(found), [*range(5), *range(36, 41)])


@settings(max_examples=60, deadline=None)
@given(
    x=st.lists(st.one_of(st.just(NAN), st.floats(-50, 50, width=32)), min_size=1, max_size=60), half=st.integers(0, 8)
)
def test_running_median_is_numpys_of_every_window(x, half):
    x = np.array(x, np.float32)
    expected = []
    for i in range(x.size):
        window = x[max(0, i - half) : i + half + 1]
        window = window[~np.isnan(window)]
        expected.append(np.median(window) if window.size else NAN)
    np.testing.assert_allclose(running_median(x, half), expected, rtol=1e-6, atol=1e-6)


def test_median_removes_a_spike_of_two_frames_and_keeps_the_ramp():
    x = np.linspace(0, 10, 101)
    spiked = x.copy()
    spiked[40:42] += 40
    result = median(tracks_of(spiked), window_s=0.05).position[:, 0, 0]
    assert np.abs(result - x)[2:-2].max() <= 0.21
