"""A video whose frames were doubled, or brought from 25 to 30 Hz, gives what its pictures give."""

import numpy as np
import pytest

from compute.filters import apply_filter, registered_filters
from compute.measures.bouts import find_bouts
from compute.tracks import POINT_COLUMNS, Tracks
from compute.tracks.repeated_frames import repeated_frame_mask


def walk(n_frames=3000, fps=30.0):
    rng = np.random.default_rng(0)
    truth = np.cumsum(rng.normal(0, 0.3, (n_frames, 2, 2)), axis=0) + 300
    position, score = truth + rng.normal(0, 1, truth.shape), rng.uniform(0.5, 1, (n_frames, 2))
    position[rng.random(score.shape) < 0.03] += 60
    missing = rng.random(score.shape) < [0.05, 0]
    position[missing], score[missing] = np.nan, 0
    return Tracks(position, score, np.arange(n_frames) / fps, ["jaw_tip", "nose"]), truth


def shown(tracks, times):
    """Each picture so many times, in as much time."""
    index = np.repeat(np.arange(tracks.n_frames), times)
    time = np.arange(index.size) * (tracks.frame_interval_s * tracks.n_frames / index.size)
    return Tracks(tracks.position[index], tracks.score[index], time, tracks.nodes), index


@pytest.mark.parametrize("name", list(registered_filters()))
@pytest.mark.parametrize("n_times", [2, 3])
def test_a_repeated_frame_gets_what_its_picture_gets(name, n_times):
    tracks, _ = walk()
    repeated, index = shown(tracks, n_times)
    expected, result = apply_filter(tracks, name, {}), apply_filter(repeated, name, {})
    for column in ("position", *POINT_COLUMNS):
        if getattr(expected, column) is not None:
            np.testing.assert_allclose(getattr(result, column), getattr(expected, column)[index], atol=1e-3)
    np.testing.assert_array_equal(result.time, repeated.time)


@pytest.mark.parametrize("times", [[2], [3], [2, 1, 1, 1, 1], [3, 2]])
def test_the_interval_covers_the_truth(times):
    tracks, truth = walk()
    repeated, index = shown(tracks, np.resize(times, tracks.n_frames))
    assert repeated_frame_mask(repeated).sum() == repeated.n_frames - tracks.n_frames
    result = apply_filter(repeated, "kalman", {})
    inside = np.abs(result.position - truth[index]) < 1.96 * result.sd
    assert 0.92 < inside[result.found].mean() < 0.98


def test_what_stands_still_or_is_not_found_repeats_nothing():
    tracks, _ = walk(300)
    assert not repeated_frame_mask(tracks).any()
    for n_frames in (0, 1, 300):
        still = Tracks(np.ones((n_frames, 1, 2)), np.ones((n_frames, 1)), np.arange(n_frames) / 30, ["jaw_tip"])
        assert not repeated_frame_mask(still).any()
    lost = Tracks(np.full((300, 1, 2), np.nan), np.zeros((300, 1)), np.arange(300) / 30, ["jaw_tip"])
    assert not repeated_frame_mask(lost).any()
    frozen = Tracks(
        tracks.position[np.maximum(np.arange(300) - 40, 0)], tracks.score * 0 + 1, tracks.time, tracks.nodes
    )
    assert not repeated_frame_mask(frozen).any()


@pytest.mark.parametrize("name", ["raw", "kalman"])
def test_bouts_of_a_doubled_video_are_those_of_its_pictures(name):
    time = np.arange(900) / 30
    rng = np.random.default_rng(0)
    y = 300 + 12 * np.sin(2 * np.pi * 5 * time) * (time % 5 > 3) + rng.normal(0, 0.3, 900)
    tracks = Tracks(np.c_[y * 0, y][:, None], rng.uniform(0.5, 1, (900, 1)), time, ["jaw_tip"])
    repeated, _ = shown(tracks, 2)
    limits = {"minimum_speed_px_per_s": 60.0}
    expected, found = (find_bouts(apply_filter(one, name, {}), "jaw_tip", **limits) for one in (tracks, repeated))
    assert len(expected) == 6 and [round(bout.start_s) for bout in expected] == [3, 8, 13, 18, 23, 28]
    for one, other in zip(expected, found, strict=True):
        assert other.start_s == pytest.approx(one.start_s, abs=0.02)
        assert other.path_px == pytest.approx(one.path_px, rel=1e-3)
        assert other.peak_speed_px_per_s == pytest.approx(one.peak_speed_px_per_s, rel=1e-3)
