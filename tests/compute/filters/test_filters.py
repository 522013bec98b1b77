"""Every filter: what holds for all of them, and the simple ones against known answers. Kalman has its own file."""

import json

import numpy as np
import pytest
import scipy.signal
from hypothesis import example, given
from hypothesis import strategies as st

from compute.errors import FilterError
from compute.filters import apply_filter, default_parameters, registered_filters
from compute.filters.gaps import within_gap_limit
from compute.filters.gate import gate_out, gated
from compute.filters.gaussian import gaussian
from compute.filters.interpolate import interpolate
from compute.filters.kalman import kalman
from compute.filters.median import median, running_median
from compute.filters.one_euro import one_euro
from compute.filters.per_node import per_node
from compute.filters.raw import raw
from compute.filters.savitzky_golay import savitzky_golay
from compute.tracks import Tracks

NAN = np.nan
FPS = 100
GATED = [name for name in registered_filters() if "gated" in default_parameters(name)]


def tracks_of(x, score=None, time=None):
    """Tracks of one node that moves along x, found where x is not NaN."""
    x = np.asarray(x, float)
    position = np.stack([x, 2 * x], axis=-1)[:, None]
    score = np.where(np.isnan(x), 0, 1)[:, None] if score is None else np.asarray(score)[:, None]
    return Tracks(position, score, np.arange(x.size) / FPS if time is None else time, ["jaw_tip"], attributes={"a": 1})


@pytest.fixture(params=list(registered_filters()))
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


@pytest.mark.parametrize(
    "name", [name for name in list(registered_filters()) if "max_gap_s" in default_parameters(name)]
)
def test_short_gap_is_filled_and_says_so(name):
    x = np.linspace(0, 10, 101)
    x[50:52] = NAN
    result = apply_filter(tracks_of(x), name, {"max_gap_s": 0.03})
    assert result.found.all()
    np.testing.assert_array_equal(np.flatnonzero(result.filled[:, 0]), [50, 51])
    is_causal = registered_filters()[name].lag == "causal"  # the ramp comes late, with and without a gap
    expected = apply_filter(tracks_of(np.linspace(0, 10, 101)), name, {}).position[50:52, 0, 0]
    np.testing.assert_allclose(result.position[50:52, 0, 0], expected if is_causal else [5.0, 5.1], atol=0.11)
    shorter = apply_filter(tracks_of(x), name, {"max_gap_s": 0.02})
    np.testing.assert_array_equal(shorter.found[:, 0], ~np.isnan(x))
    assert not shorter.filled.any()


@st.composite
def filters_with_parameters(draw):
    """A filter's name and parameters: the defaults, gated where it can be, or another filter for the one node."""
    name = draw(st.sampled_from(list(registered_filters())))
    parameters = {"gated": draw(st.booleans())} if name in GATED else {}
    if name == "per_node" and draw(st.booleans()):
        other = draw(st.sampled_from(GATED))
        parameters = {"filters": {"jaw_tip": {"filter": other, "parameters": {"gated": draw(st.booleans())}}}}
    return name, parameters


@given(x=st.lists(st.one_of(st.just(NAN), st.floats(0, 640, width=32)), max_size=40), chosen=filters_with_parameters())
@example([0.0, 0.0, NAN, 12.0], ("kalman", {}))
@example([0.0, 0.0, NAN, 12.0], ("per_node", {}))
@example([0.0, 0.0, 12.0, NAN, 0.0, 0.0], ("gaussian", {"gated": True}))
def test_filled_is_where_there_is_a_position_and_no_used_point(x, chosen):
    name, parameters = chosen
    tracks = tracks_of(x)
    result = apply_filter(tracks, name, parameters)
    assert not np.isinf(result.position).any()
    rejected = np.zeros_like(tracks.found) if result.rejected is None else result.rejected
    used = tracks.found & ~rejected
    assert not (rejected & ~tracks.found).any()
    assert not (used & ~result.found).any()
    allowed = within_gap_limit(used, tracks.time, default_parameters(name).get("max_gap_s", 0.1))
    assert not (result.found & ~allowed).any()
    np.testing.assert_array_equal(np.zeros_like(used) if result.filled is None else result.filled, result.found & ~used)


def test_a_rejected_point_with_a_position_is_filled_in_every_filter_that_rejects():
    tracks, _, spikes = noisy_with_spikes(n_frames=400)
    inside = np.flatnonzero(spikes)[1:-1]
    entry = {"filter": "median", "parameters": {"gated": True}}
    chosen = [(name, {"gated": True}) for name in GATED]
    for name, parameters in (*chosen, ("kalman", {}), ("per_node", {"filters": {"jaw_tip": entry}})):
        result = apply_filter(tracks, name, parameters)
        assert result.rejected[inside].all() and result.filled[inside].all(), name


def test_unknown_filter_and_parameter_say_what_exists():
    tracks = tracks_of([1.0, 2.0])
    with pytest.raises(FilterError, match=f"no filter 'kalmann'; there are {', '.join(registered_filters())}$"):
        apply_filter(tracks, "kalmann", {})
    with pytest.raises(FilterError, match="no parameter 'sigma'; it has sigma_s, max_gap_s, gated"):
        apply_filter(tracks, "gaussian", {"sigma": 1})
    with pytest.raises(FilterError, match="raw has no parameter 'sigma'; it has none"):
        apply_filter(tracks, "raw", {"sigma": 1})


@pytest.mark.parametrize("value", [0, -1, NAN, np.inf, "0.1", True])
def test_a_parameter_outside_its_range_is_named(value):
    with pytest.raises(FilterError, match=r"gaussian: sigma_s is .*, expected a number of seconds from 0.0001 to 10"):
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


def test_savitzky_golay_is_scipys_where_nothing_is_missing():
    x = np.random.default_rng(0).normal(100, 5, 300).astype(np.float32)
    result = savitzky_golay(tracks_of(x), window_s=0.11, polynomial_order=2).position[:, 0, 0]
    np.testing.assert_allclose(result, scipy.signal.savgol_filter(x.astype(float), 11, 2), rtol=1e-6)


def test_savitzky_golay_keeps_a_cubic_across_gaps_and_treats_stretches_by_themselves():
    time = np.arange(100) / FPS
    line = 50 + 30 * time
    line[20:22] = NAN  # filled by the line itself
    line[40:70] = NAN  # too long
    result = savitzky_golay(tracks_of(line))
    expected = np.where((np.arange(100) >= 40) & (np.arange(100) < 70), NAN, 50 + 30 * time)
    np.testing.assert_allclose(result.position[:, 0, 0], expected, rtol=1e-6)
    cubic = 50 + 40 * time - 90 * time**2 + 70 * time**3
    np.testing.assert_allclose(savitzky_golay(tracks_of(cubic)).position[:, 0, 0], cubic, rtol=1e-6)
    short = savitzky_golay(tracks_of([NAN] * 20 + [1.0, 5, 2, 7] + [NAN] * 20), max_gap_s=0.01)
    np.testing.assert_allclose(short.position[20:24, 0, 0], scipy.signal.savgol_filter([1.0, 5, 2, 7], 3, 2), rtol=1e-6)


@pytest.mark.parametrize("order", [-1, 1.5, True, None])
def test_a_polynomial_order_that_is_none_is_named(order):
    with pytest.raises(FilterError, match=r"polynomial_order is .*, expected a whole number"):
        savitzky_golay(tracks_of([1.0, 2.0]), polynomial_order=order)


def test_interpolate_leaves_out_low_scores_keeps_persons_points_and_is_numpys_line():
    x = np.array([1.0, 2, 30, 4, 5, 60, 7])
    result = interpolate(tracks_of(x, score=[1, 0.9, 0.5, 0.7, NAN, 0.1, 1]), lowest_score_fraction=0.4)
    np.testing.assert_allclose(result.position[:, 0, 0], [1, 2, 3, 4, 5, 6, 7])
    np.testing.assert_array_equal(np.flatnonzero(result.rejected[:, 0]), [2, 5])
    np.testing.assert_array_equal(result.filled, result.rejected)
    kept = interpolate(tracks_of(x, score=[1, 0.9, 0.5, 0.7, NAN, 0.1, 1]), lowest_score_fraction=None)
    np.testing.assert_allclose(kept.position[:, 0, 0], x)


def test_interpolate_uses_the_real_times():
    result = interpolate(tracks_of([0.0, NAN, 10.0], time=[0, 0.01, 0.05]))
    np.testing.assert_allclose(result.position[:, 0, 0], [0, 2, 10], rtol=1e-6)


def one_euro_by_hand(x, time, minimum_cutoff, beta, speed_cutoff):
    """Algorithm 1 of Casiez et al. 2012, one value after the other."""

    def alpha(cutoff, dt):
        return 1 / (1 + 1 / (2 * np.pi * cutoff) / dt)

    filtered, speed = [x[0]], 0.0
    for i in range(1, len(x)):
        dt = time[i] - time[i - 1]
        new_speed = (x[i] - filtered[-1]) / dt
        speed = alpha(speed_cutoff, dt) * new_speed + (1 - alpha(speed_cutoff, dt)) * speed
        weight = alpha(minimum_cutoff + beta * abs(speed), dt)
        filtered.append(weight * x[i] + (1 - weight) * filtered[-1])
    return np.array(filtered)


def test_one_euro_is_casiez_algorithm_also_at_irregular_times():
    rng = np.random.default_rng(0)
    time = np.cumsum(rng.uniform(0.005, 0.02, 200))
    x = 100 + np.cumsum(rng.normal(0, 2, 200))
    result = one_euro(tracks_of(x, time=time), minimum_cutoff_hz=1.5, beta_per_px=0.02, speed_cutoff_hz=3.0)
    expected = one_euro_by_hand(x.astype(np.float32), time, 1.5, 0.02, 3.0)
    np.testing.assert_allclose(result.position[:, 0, 0], expected, rtol=1e-6)


def test_one_euro_starts_afresh_after_a_long_gap_and_skips_a_short_one():
    x = np.r_[np.full(20, 10.0), np.full(30, NAN), np.full(20, 90.0)]
    np.testing.assert_allclose(one_euro(tracks_of(x)).position[:, 0, 0], x)
    time = np.arange(10) / FPS
    x = np.array([1.0, 4, 2, 8, NAN, 3, 9, 1, 4, 2])
    known = ~np.isnan(x)
    result = one_euro(tracks_of(x)).position[:, 0, 0]
    np.testing.assert_allclose(result[known], one_euro_by_hand(x[known], time[known], 4.0, 0.1, 10.0), rtol=1e-6)
    assert result[4] == pytest.approx((result[3] + result[5]) / 2)


def noisy_with_spikes(seed=0, n_frames=2000):
    """A slow wave with noise of 1 px and 2 % spikes of 40 px; the wave, and where the spikes are."""
    rng = np.random.default_rng(seed)
    wave = 100 + 10 * np.sin(2 * np.pi * 1.5 * np.arange(n_frames) / FPS)
    spikes = rng.random(n_frames) < 0.02
    noise = rng.normal(0, 1, (n_frames, 2)) + np.where(spikes, 40.0, 0)[:, None]
    position = (np.stack([wave, 2 * wave], axis=-1) + noise)[:, None]
    return Tracks(position, np.full((n_frames, 1), 0.9), np.arange(n_frames) / FPS, ["jaw_tip"]), wave, spikes


@pytest.mark.parametrize("gated_name", GATED)
def test_a_gated_filter_is_the_filter_on_gated_tracks_and_says_what_was_left_out(gated_name):
    tracks, wave, spikes = noisy_with_spikes()
    result = apply_filter(tracks, gated_name, {"gated": True})
    np.testing.assert_array_equal(result.position, apply_filter(gated(tracks), gated_name, {}).position)
    np.testing.assert_array_equal(result.rejected, kalman(tracks).rejected)
    assert result.rejected[spikes].mean() > 0.99 and result.rejected[~spikes].mean() < 0.01
    np.testing.assert_array_equal(result.filled, result.found & result.rejected)
    plain = apply_filter(tracks, gated_name, {})

    def rmse(one):
        return np.sqrt(np.nanmean((one.position[:, 0, 0] - wave) ** 2))

    assert rmse(result) < rmse(plain) * 1.001
    with pytest.raises(FilterError, match="gated is 1, expected true or false"):
        apply_filter(tracks, gated_name, {"gated": 1})


def test_the_models_score_exponent_reaches_the_smoother_and_the_gate():
    tracks, _, _ = noisy_with_spikes()
    score = np.random.default_rng(1).uniform(0.2, 1, tracks.score.shape)
    tracks = Tracks(tracks.position, score, tracks.time, tracks.nodes, attributes={"score_exponent": 4.0})
    np.testing.assert_array_equal(
        apply_filter(tracks, "kalman", {}).position, kalman(tracks, score_exponent=4.0).position
    )
    own = apply_filter(tracks, "kalman", {"score_exponent": 1.0})
    np.testing.assert_array_equal(own.position, kalman(tracks, score_exponent=1.0).position)
    np.testing.assert_array_equal(gated(tracks).rejected, kalman(tracks, score_exponent=4.0).rejected)


def two_nodes():
    one, _, _ = noisy_with_spikes(0)
    other, _, _ = noisy_with_spikes(1)
    position = np.concatenate([one.position, other.position], axis=1)
    return Tracks(position, np.full(position.shape[:2], 0.9), one.time, ["jaw_tip", "snout"])


def test_per_node_gives_each_node_its_own_filter():
    tracks = two_nodes()
    filters = {
        "jaw_tip": {"filter": "median", "parameters": {"window_s": 0.03}},
        "tongue": {"filter": "gaussian", "parameters": {}},
    }
    result = per_node(tracks, filters=filters)
    jaw = median(tracks, window_s=0.03)
    snout = kalman(tracks.select(["snout"]))
    np.testing.assert_array_equal(result.position[:, 0], jaw.position[:, 0])
    np.testing.assert_array_equal(result.position[:, 1], snout.position[:, 0])
    np.testing.assert_array_equal(result.sd[:, 1], snout.sd[:, 0])
    assert np.isnan(result.sd[:, 0]).all() and not result.rejected[:, 0].any()
    assert set(result.attributes["filter"]["fitted"]) == {"snout"}
    assert result.attributes["filter"]["parameters"] == {"filters": filters}


def test_nodes_that_share_a_filter_are_filtered_together():
    tracks = two_nodes()
    entry = {"filter": "kalman", "parameters": {"minimum_bandwidth_hz": 5.0}}
    result = per_node(tracks, filters={"jaw_tip": entry, "snout": dict(entry)})
    np.testing.assert_array_equal(result.position, kalman(tracks, minimum_bandwidth_hz=5.0).position)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("kalman", "expected its filter and parameters"),
        ({"filter": "kalman", "parameters": [1]}, "expected its filter and parameters"),
        ({"filter": "kalman"}, "expected its filter and parameters"),
        ({"filter": "per_node", "parameters": {}}, "names per_node itself"),
        ({"filter": "kalmann", "parameters": {}}, "no filter 'kalmann'"),
        ({"filter": "median", "parameters": {"sigma_s": 1}}, "no parameter 'sigma_s'"),
        ({"filter": "median", "parameters": {"window_s": -1}}, "node jaw_tip: median: window_s is -1, expected"),
    ],
)
def test_an_entry_of_per_node_that_cannot_be_is_named(entry, said):
    with pytest.raises(FilterError, match=said):
        per_node(two_nodes(), filters={"jaw_tip": entry})


def test_without_marks_what_it_leaves_out():
    tracks = tracks_of([1.0, 2.0, 3.0])
    result = gate_out(tracks, np.array([[False], [True], [False]]))
    np.testing.assert_array_equal(result.found[:, 0], [True, False, True])
    assert result.score[1, 0] == 0 and result.rejected[1, 0]
