"""Distances and quality with planted truth."""

import warnings

import numpy as np
import pytest

from compute.errors import TracksError
from compute.measures.distances import distance_mm, distance_px, summarize_distances
from compute.measures.quality import quality_jumps, track_quality
from compute.tracks import Tracks

NAN = np.nan


def still_tracks(n_frames=1000, noise_px=0.3, seed=0):
    """Two nodes 5 px apart (3-4-5) with a little noise, all found with score 0.8."""
    rng = np.random.default_rng(seed)
    position = np.array([[10.0, 20], [13, 24]]) + rng.normal(0, noise_px, (n_frames, 2, 2))
    return position, np.full((n_frames, 2), 0.8), np.arange(n_frames) / 100


def test_distance_is_the_hypotenuse_and_nan_where_a_node_is_missing():
    position, score, time = still_tracks(4, noise_px=0)
    position[2, 1] = NAN
    tracks = Tracks(position, score, time, ["left", "right"])
    np.testing.assert_allclose(distance_px(tracks, "left", "right"), [5, 5, NAN, 5])
    np.testing.assert_allclose(distance_px(tracks, "right", "left"), [5, 5, NAN, 5])
    np.testing.assert_allclose(distance_mm(tracks, "left", "right", px_per_mm=20), [0.25, 0.25, NAN, 0.25])
    with pytest.raises(TracksError, match="no node 'jaw'; there are left, right"):
        distance_px(tracks, "left", "jaw")


def test_summary_is_numpys_with_ddof_1_and_scales_to_mm():
    distance = np.array([4.0, NAN, 6.0, 9.0, NAN])
    summary = summarize_distances(distance, px_per_mm=10.0)
    assert summary.mean_px == pytest.approx(np.mean([4, 6, 9]))
    assert summary.variance_px2 == pytest.approx(np.var([4, 6, 9], ddof=1))
    assert summary.mean_mm == pytest.approx(summary.mean_px / 10)
    assert summary.variance_mm2 == pytest.approx(summary.variance_px2 / 100)
    assert summary.fraction_missing == pytest.approx(0.4)
    assert summarize_distances(distance).mean_mm is None


@pytest.mark.parametrize(("distance", "missing"), [([], None), ([NAN, NAN], 1.0), ([3.0, NAN], 0.5)])
def test_summary_of_too_little_is_none_without_warning(distance, missing):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        summary = summarize_distances(np.array(distance), px_per_mm=2.0)
    assert summary.variance_px2 is None and summary.variance_mm2 is None
    assert summary.fraction_missing == missing


@pytest.mark.parametrize("scale", [0, -1, NAN])
def test_a_scale_that_is_none_is_refused(scale):
    with pytest.raises(TracksError, match="px_per_mm is"):
        summarize_distances(np.ones(3), px_per_mm=scale)


def test_quality_counts_what_was_planted():
    position, score, time = still_tracks()
    position[100, 0] += 40  # there and back: two jumps
    position[300:310, 0] += [30, 0]  # there, and ten frames later back
    position[500:600, 1], score[500:600, 1] = NAN, 0
    position[700, 1] = [641, 10]
    score[:500, 0] = np.linspace(0, 1, 500)
    score[500:, 0] = NAN
    left, right = track_quality(Tracks(position, score, time, ["left", "right"]), width_px=640, height_px=480)
    assert (left.node, left.fraction_found, left.n_jumps, left.fraction_outside) == ("left", 1.0, 4, 0.0)
    quantiles = [left.score_p05, left.score_p25, left.score_p50, left.score_p75, left.score_p95]
    np.testing.assert_allclose(quantiles, [0.05, 0.25, 0.5, 0.75, 0.95], rtol=1e-6)
    assert (right.fraction_found, right.n_jumps, right.fraction_outside) == (0.9, 2, 0.001)
    assert right.score_p05 == pytest.approx(0.8)


def test_noise_alone_makes_no_jump_and_the_first_frame_is_none():
    position, score, time = still_tracks(20_000, noise_px=2.0)
    assert not quality_jumps(Tracks(position, score, time, ["left", "right"])).any()


@pytest.mark.parametrize("n_frames", [0, 1, 5])
def test_quality_of_nothing_is_none_without_warning(n_frames):
    tracks = Tracks(np.full((n_frames, 1, 2), NAN), np.zeros((n_frames, 1)), np.arange(n_frames), ["jaw_tip"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (quality,) = track_quality(tracks, width_px=10, height_px=10)
    assert quality.fraction_found == (0.0 if n_frames else None)
    assert quality.n_jumps == 0 and quality.score_p50 is None


def test_a_picture_without_size_is_refused():
    tracks = Tracks(np.zeros((1, 1, 2)), np.zeros((1, 1)), [0], ["jaw_tip"])
    with pytest.raises(TracksError, match="0 x 480 px"):
        track_quality(tracks, width_px=0, height_px=480)
