"""The robust Kalman smoother: wrong placements, bouts, posterior, and the edges, on tracks whose truth is known."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from simulated_tracks import RIGID, simulate_tracks

from compute.errors import FilterError, TracksError
from compute.filters.gate import gate_out
from compute.filters.kalman import kalman
from compute.filters.score_noise import fit_score_exponent, score_weight
from compute.measures.distances import distance_px, distance_variance_px2
from compute.tracks import Tracks

N_FRAMES = 20_000


@pytest.fixture(scope="module")
def simulated():
    return simulate_tracks(1, N_FRAMES)


@pytest.fixture(scope="module")
def smoothed(simulated):
    return kalman(simulated.tracks)


def rmse(tracks, truth, where):
    return np.sqrt(np.mean((tracks.position - truth)[where] ** 2))


def test_it_is_as_good_as_if_it_were_told_the_wrong_placements(simulated, smoothed):
    told = kalman(gate_out(simulated.tracks, simulated.wrong), gate_probability=None)
    both = smoothed.found & told.found
    assert rmse(smoothed, simulated.truth, both) < 1.02 * rmse(told, simulated.truth, both)
    assert np.mean(smoothed.rejected[simulated.wrong]) > 0.98
    assert np.mean(smoothed.rejected[~simulated.wrong & simulated.tracks.found]) < 0.001


def test_the_interval_covers_the_truth_of_every_node(simulated, smoothed):
    inside = np.abs(smoothed.position - simulated.truth) < 1.96 * smoothed.sd
    for node in range(len(smoothed.nodes)):
        assert 0.92 < inside[smoothed.found[:, node], node].mean() < 0.98


def test_bouts_are_followed_and_rest_is_smoothed(simulated, smoothed):
    one_noise = kalman(simulated.tracks, noise_window_s=None)
    jaw = smoothed.node_index("jaw_tip")
    where = smoothed.found[:, jaw] & one_noise.found[:, jaw]
    error, before = (np.abs(one.position - simulated.truth)[where, jaw, 1] for one in (smoothed, one_noise))
    opening = np.abs(np.gradient(simulated.truth[where, jaw, 1])) > 0.5
    assert np.mean(error[~opening] ** 2) < 0.7 * np.mean(before[~opening] ** 2)
    # Windows begin before and end after a bout, which costs little.
    assert np.mean(error[opening] ** 2) < 1.15 * np.mean(before[opening] ** 2)
    assert np.mean(error**2) < 0.8 * np.mean(before**2)
    noises = smoothed.attributes["filter"]["fitted"]["jaw_tip"]["process_noise_px2_per_s3"]
    assert noises["p90"][1] > 50 * noises["p10"][1]


def test_bursts_of_wrong_placements_are_found_by_their_score():
    bursts = simulate_tracks(2, N_FRAMES, wrong_length=5)
    assert np.mean(kalman(bursts.tracks).rejected[bursts.wrong]) > 0.9


def test_a_confident_misplacement_that_lasts_is_found_by_its_rigid_group():
    lasting = simulate_tracks(0, N_FRAMES, wrong_length=50, wrong_score=0.8, only_rigid=True)
    alone, together = kalman(lasting.tracks), kalman(lasting.tracks, rigid_groups=[RIGID])
    assert np.mean(together.rejected[lasting.wrong]) > 0.8 > np.mean(alone.rejected[lasting.wrong])


def test_a_persons_point_is_never_rejected(simulated):
    score = simulated.tracks.score.copy()
    score[simulated.wrong] = np.nan
    result = kalman(replace(simulated.tracks, score=score))
    assert not result.rejected[simulated.wrong].any() and not result.filled[simulated.wrong].any()


def test_the_variance_of_a_rigid_distance_is_that_of_the_truth():
    simulated = simulate_tracks(3, 100_000)
    smoothed = kalman(simulated.tracks)
    truth = replace(simulated.tracks, position=simulated.truth, score=np.ones_like(simulated.tracks.score))
    pair = ("center_snout_tip", "right_snout_tip")
    true = distance_px(truth, *pair).var()
    assert distance_variance_px2(simulated.tracks, smoothed, *pair) == pytest.approx(true, rel=0.03)
    assert np.nanvar(distance_px(smoothed, *pair)) > 1.05 * true
    assert np.nanvar(distance_px(simulated.tracks, *pair)) > 3 * true
    assert distance_variance_px2(simulated.tracks, simulated.tracks, *pair) is None


def test_a_distance_that_never_changes_has_no_variance():
    rng = np.random.default_rng(0)
    head = np.cumsum(rng.normal(0, 0.2, (50_000, 1, 2)), axis=0)
    position = head + np.array([[0, 0], [20, 0]]) + rng.normal(0, 1, (50_000, 2, 2))
    tracks = Tracks(position, np.ones((50_000, 2)), np.arange(50_000) / 100, ["left", "right"])
    assert abs(distance_variance_px2(tracks, kalman(tracks), "left", "right")) < 0.03


def test_the_score_exponent_that_made_the_noise_is_found():
    rng = np.random.default_rng(0)
    score = rng.uniform(0.3, 1, 4000)
    for exponent in (1.0, 3.0):
        residual = np.linalg.norm(rng.normal(0, 1, (4000, 2)), axis=1) / score ** (exponent / 2)
        assert fit_score_exponent(score, residual) == pytest.approx(exponent, abs=0.15)
    assert fit_score_exponent(score[:20], residual[:20]) is None
    assert score_weight([1.3, np.nan])[1] > score_weight([1.3, np.nan])[0] == 1


def test_an_unlikely_point_that_is_near_is_no_wrong_placement_and_hardly_counts():
    rng = np.random.default_rng(0)
    truth = np.stack([np.sin(np.arange(4000) / 40), np.cos(np.arange(4000) / 40)], axis=-1)[:, None] * 5
    shift = np.zeros(truth.shape)
    tail = np.arange(50, 4000, 37)
    shift[tail] = 1.2
    quiet = truth + rng.normal(0, 0.05, truth.shape)
    tracks = Tracks(quiet + shift, np.ones((4000, 1)), np.arange(4000) / 100, ["jaw_tip"])
    result, strict = kalman(tracks), kalman(tracks, gate_minimum_px=0.01)
    assert not result.rejected.any() and not result.filled.any()
    assert strict.rejected[tail].all()
    assert np.abs(result.position - truth)[tail].max() < 0.3


# Edges


def still(n_frames, n_nodes=1, at=5.0, score=0.9):
    position = np.full((n_frames, n_nodes, 2), at)
    return Tracks(position, np.full((n_frames, n_nodes), score), np.arange(n_frames) / 100, list("abc"[:n_nodes]))


def test_all_missing_stays_missing():
    tracks = still(200)
    empty = Tracks(np.full_like(tracks.position, np.nan), np.zeros_like(tracks.score), tracks.time, tracks.nodes)
    result = kalman(empty)
    assert np.isnan(result.position).all() and np.isnan(result.sd).all()
    assert not result.rejected.any() and not result.filled.any()
    assert result.attributes["filter"]["fitted"] == {"a": None}
    json.dumps(result.attributes, allow_nan=False)


def test_a_missing_node_leaves_the_others_as_they_are(simulated, smoothed):
    position, score = simulated.tracks.position.copy(), simulated.tracks.score.copy()
    position[:, 2], score[:, 2] = np.nan, 0
    result = kalman(replace(simulated.tracks, position=position, score=score))
    assert np.isnan(result.position[:, 2]).all()
    # The odds that a score means a wrong placement are learned from all nodes, so a few points change sides.
    np.testing.assert_allclose(result.position[:, 0], smoothed.position[:, 0], atol=0.5)


@pytest.mark.parametrize("n_frames", [0, 1, 2, 3, 5, 9])
def test_very_short_tracks(n_frames):
    result = kalman(still(n_frames))
    np.testing.assert_allclose(result.position, 5, atol=1e-3)
    assert result.n_frames == n_frames and np.isfinite(result.sd).all()


def test_a_constant_track_stays_constant():
    result = kalman(still(5000, n_nodes=3))
    np.testing.assert_allclose(result.position, 5, atol=1e-5)
    assert not result.rejected.any() and (result.sd > 0).all()


def test_a_gap_at_either_end_is_not_filled():
    tracks = still(300)
    position, score = tracks.position.copy(), tracks.score.copy()
    for gap in (slice(0, 5), slice(295, 300)):
        position[gap], score[gap] = np.nan, 0
    result = kalman(Tracks(position, score, tracks.time, tracks.nodes))
    assert np.isnan(result.position[:5]).all() and np.isnan(result.position[295:]).all()
    np.testing.assert_allclose(result.position[5:295], 5, atol=1e-3)


def test_single_and_double_precision_give_the_same(simulated, smoothed):
    doubled = Tracks(
        simulated.tracks.position.astype(np.float64),
        simulated.tracks.score.astype(np.float64),
        simulated.tracks.time,
        simulated.tracks.nodes,
    )
    np.testing.assert_array_equal(kalman(doubled).position, smoothed.position)


def test_irregular_times_give_what_regular_times_with_missing_frames_give(simulated, smoothed):
    keep = np.random.default_rng(0).random(N_FRAMES) < 0.8
    tracks = simulated.tracks
    sparse = kalman(Tracks(tracks.position[keep], tracks.score[keep], tracks.time[keep], tracks.nodes))
    position, score = tracks.position.copy(), tracks.score.copy()
    position[~keep], score[~keep] = np.nan, 0
    missing = kalman(Tracks(position, score, tracks.time, tracks.nodes))
    both = sparse.found & missing.found[keep]
    errors = [rmse(sparse, simulated.truth[keep], both)]
    errors.append(np.sqrt(np.mean((missing.position - simulated.truth)[keep][both] ** 2)))
    assert errors[0] == pytest.approx(errors[1], rel=0.05)


def test_an_infinite_coordinate_is_refused_by_name():
    with pytest.raises(TracksError, match="infinite"):
        still(10, at=np.inf)


def test_a_rigid_group_of_unknown_or_too_few_nodes_is_refused():
    with pytest.raises(FilterError, match="rigid group a, b, whisker: expected three or more"):
        kalman(still(10, n_nodes=3), rigid_groups=[["a", "b", "whisker"]])
    for group in (["a", "b"], ["a", "a", "b"]):
        expected = r"rigid_groups is .*expected a list of rigid groups, each a list of three"
        with pytest.raises(FilterError, match=expected):
            kalman(still(10, n_nodes=3), rigid_groups=[group])


@pytest.mark.slow
def test_ten_million_frames_take_memory_in_proportion():
    """As a process of its own, so that its peak is its own: 10 million frames are 120 MB in and 320 MB out."""
    script = """
import resource
import numpy as np
from compute.filters.kalman import kalman
from compute.tracks import Tracks
n = 10_000_000
x = np.zeros((n, 1, 2), np.float32)
x[:, 0, 0] = np.sin(np.arange(n, dtype=np.float32) / 50) * 3
x += np.random.default_rng(0).standard_normal(x.shape, dtype=np.float32)
tracks = Tracks(x, np.ones((n, 1), np.float32), np.arange(n) / 100, ["jaw_tip"])
kalman(Tracks(x[:1000], tracks.score[:1000], tracks.time[:1000], ["jaw_tip"]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
result = kalman(tracks)
assert result.found.all()
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1800  # MB above the input
