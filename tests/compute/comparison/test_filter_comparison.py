"""Movement kept and the real distance's variance, against filters and tracks of known truth."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from simulated_tracks import simulate_tracks

from compute.comparison.filter_effect import filter_effect_on_distance, filter_effect_on_movement
from compute.errors import TracksError
from compute.filters.gaussian import gaussian
from compute.filters.kalman import kalman
from compute.measures.distances import distance_px
from compute.measures.label_errors import label_error_px
from compute.measures.movement import NOTHING_MOVES, movement_band_hz, movement_kept
from compute.tracks import Tracks

FPS = 100.0
TIME = np.arange(6000) / FPS


def licking(frequency_hz=6.0, amplitude_px=5.0, noise_px=0.5, seed=0):
    """A rhythm in bouts of two seconds, on a slow drift, with noise."""
    bouts = (TIME % 4 < 2).astype(float)
    drift = 3 * np.sin(2 * np.pi * 0.2 * TIME)
    noise = np.random.default_rng(seed).normal(0, noise_px, TIME.size)
    return 50 + drift + amplitude_px * bouts * np.sin(2 * np.pi * frequency_hz * TIME) + noise


def test_the_band_is_where_the_rhythm_is():
    for frequency_hz in (4.0, 6.0, 10.0):
        low, high = movement_band_hz(licking(frequency_hz), fps=FPS)
        assert frequency_hz - 1.5 <= low < frequency_hz < high <= frequency_hz + 1.5
    noise = np.random.default_rng(0).normal(0, 1, 6000)
    assert movement_band_hz(noise, fps=FPS) is None
    assert movement_band_hz(np.full(6000, np.nan), fps=FPS) is None
    assert movement_band_hz(licking()[:100], fps=FPS) is None


def test_a_gaussians_gain_is_found():
    sigma_frames, frequency_hz = 2.0, 6.0
    reference = licking(frequency_hz)
    kept = movement_kept(reference, gaussian_filter1d(reference, sigma_frames), fps=FPS)
    gain = np.exp(-2 * (np.pi * frequency_hz * sigma_frames / FPS) ** 2)
    assert kept.power_kept == pytest.approx(gain**2, abs=0.03)
    assert kept.bout_amplitude_kept == pytest.approx(gain, abs=0.02)
    assert kept.lag_s == pytest.approx(0, abs=1e-4)
    assert kept.noise_kept < 0.1
    assert kept.n_bouts in (14, 15)


@pytest.mark.parametrize("lag_s", [-0.013, 0.004, 0.025])
def test_a_lag_is_found_between_frames(lag_s):
    reference = licking(noise_px=0.2)
    late = np.interp(TIME - lag_s, TIME, reference)
    assert movement_kept(reference, late, fps=FPS).lag_s == pytest.approx(lag_s, abs=0.001)


def test_nothing_is_lost_or_gained_where_both_are_the_same_also_with_gaps():
    reference = licking()
    gaps = np.random.default_rng(1).random(TIME.size) < 0.2
    kept = movement_kept(np.where(gaps, np.nan, reference), reference, fps=FPS)
    assert (kept.power_kept, kept.noise_kept, kept.bout_amplitude_kept) == pytest.approx((1, 1, 1))
    assert kept.lag_s == pytest.approx(0, abs=1e-9)
    mostly = np.where(np.arange(TIME.size) % 4 > 0, np.nan, reference)
    assert movement_kept(mostly, reference, fps=FPS) == NOTHING_MOVES
    assert movement_kept(reference * 0 + 3, reference * 0 + 3, fps=FPS) == NOTHING_MOVES


def test_a_band_that_cannot_be_is_refused():
    with pytest.raises(TracksError, match="below 50 Hz"):
        movement_kept(licking(), licking(), fps=FPS, band_hz=(4, 60))
    assert movement_kept(licking(), licking(), fps=FPS, band_hz=(3, 9)).band_low_hz == 3


@pytest.fixture(scope="module")
def simulated():
    one = simulate_tracks(1)
    return one, kalman(one.tracks)


def test_the_real_variance_of_a_rigid_distance_that_perspective_changes(simulated):
    """The truth varies by 0.22 px², a tenth of the noise's variance."""
    one, smoothed = simulated
    pair = ("left_snout_tip", "right_snout_tip")
    truth = distance_px(replace(one.tracks, position=one.truth), *pair)
    real = filter_effect_on_distance(one.tracks, smoothed, *pair)
    assert real.variance_px2 == pytest.approx(truth.var(), abs=0.03)
    assert real.mean_px == pytest.approx(truth.mean(), abs=0.02)
    # What one would report without: noise on top, and for a Gaussian too much on one pair, too little on another.
    assert np.nanvar(distance_px(one.tracks, *pair)) > 100 * truth.var()
    assert np.nanvar(distance_px(gaussian(one.tracks, gated=True), *pair)) > 2 * truth.var()


def test_the_real_variance_of_a_moving_distance(simulated):
    one, smoothed = simulated
    pair = ("bottom_snout_tip", "jaw_tip")
    truth = distance_px(replace(one.tracks, position=one.truth), *pair)
    real = filter_effect_on_distance(one.tracks, smoothed, *pair)
    assert real.variance_px2 == pytest.approx(truth.var(), rel=0.03)
    assert np.nanvar(distance_px(gaussian(one.tracks, gated=True), *pair)) < 0.9 * truth.var()


def test_a_distance_that_is_constant_has_no_variance():
    rng = np.random.default_rng(0)
    position = np.stack([50 + 5 * np.sin(6 * TIME), 60 + 3 * np.sin(2 * TIME)], -1)[:, None] + [[0, 0], [10, 0]]
    raw = Tracks(position + rng.normal(0, 1, position.shape), np.full((6000, 2), 0.8), TIME, ("a", "b"))
    real = filter_effect_on_distance(raw, kalman(raw), "a", "b")
    assert real.variance_px2 < 0.02  # of 2 px² of noise
    assert real.mean_px == pytest.approx(10, abs=0.05)


def test_filters_without_a_posterior_and_pairs_never_seen_have_no_correction(simulated):
    one, smoothed = simulated
    assert filter_effect_on_distance(one.tracks, gaussian(one.tracks), "left_snout_tip", "right_snout_tip") is None
    lost = replace(one.tracks, position=np.full_like(one.tracks.position, np.nan))
    assert filter_effect_on_distance(lost, smoothed, "left_snout_tip", "right_snout_tip") is None


def test_persons_points_and_all_exponents(simulated):
    one, _ = simulated
    few = Tracks(one.tracks.position[:900], one.tracks.score[:900], one.tracks.time[:900], one.tracks.nodes)
    score = few.score.copy()
    score[::50] = np.nan
    few = replace(few, score=score)
    pair = ("bottom_snout_tip", "jaw_tip")
    truth = distance_px(replace(few, position=one.truth[:900]), *pair)
    for exponent in (0.0, 1.0, 4.0):
        real = filter_effect_on_distance(few, kalman(few, score_exponent=exponent), *pair)
        assert real.variance_px2 == pytest.approx(truth.var(), rel=0.15)
        assert real.mean_px == pytest.approx(truth.mean(), abs=0.2)


def test_movement_of_a_pair_beside_the_truth():
    one = simulate_tracks(2, 10_000)
    pair = ("bottom_snout_tip", "jaw_tip")
    truth = filter_effect_on_movement(one.tracks, replace(one.tracks, position=one.truth), *pair)
    smoothed = filter_effect_on_movement(one.tracks, kalman(one.tracks), *pair)
    assert 3.5 <= truth.band_low_hz < 6 < truth.band_high_hz <= 9
    # Two nodes with 2 % wrong placements each: those that stay in the reference count as movement that is lost.
    assert truth.power_kept == pytest.approx(1, abs=0.08) and truth.noise_kept < 0.02
    assert truth.power_kept > smoothed.power_kept > 0.85


def test_label_errors_tell_missed_from_not_placed():
    tracks = Tracks([[[1, 2], [5, 5]], [[np.nan] * 2, [5, 8]]], [[1, 1], [0, 1]], [0, 0.01], ("a", "b"))
    placed = [[[4, 6], [np.nan, np.nan], [0, 0]], [[4, 6], [5, 5], [0, 0]]]
    np.testing.assert_array_equal(
        label_error_px(tracks, [0, 1], placed, ["a", "b", "c"]), [[5, np.nan, np.nan], [np.inf, 3, np.nan]]
    )
    with pytest.raises(TracksError, match="none of the video's 2"):
        label_error_px(tracks, [2], placed[:1], ["a", "b", "c"])
