"""A hole in time is a gap for every filter: the same as frames in which nothing was found."""

from __future__ import annotations

import numpy as np
import pytest

from compute.comparison.filter_effect import filter_effect_on_movement
from compute.filters import apply_filter, default_parameters, registered_filters
from compute.measures.quality import quality_jumps
from compute.tracks import POINT_COLUMNS, Tracks
from compute.tracks.frame_holes import spread_over_frame_holes

FPS = 100
NODES = ("jaw_tip", "nose")
GATED = [(name, {"gated": True}) for name in registered_filters() if "gated" in default_parameters(name)]
METHODS = [*((name, {}) for name in registered_filters()), *GATED]
METHODS += [("per_node", {"filters": {"nose": {"filter": "median", "parameters": {"window_s": 0.09}}}})]


def moving(time: np.ndarray, seed: int = 0) -> Tracks:
    """Two nodes that move and are noisy."""
    rng = np.random.default_rng(seed)
    movement = np.stack([np.sin(2 * np.pi * 5 * time), np.cos(2 * np.pi * 6 * time)], axis=-1)
    position = 100 + 5 * movement[:, None] + rng.normal(0, 0.5, (time.size, 2, 2))
    position[rng.random((time.size, 2)) < 0.03] += 40
    return Tracks(position, rng.uniform(0.7, 1, (time.size, 2)), time, NODES)


@pytest.mark.parametrize(("name", "parameters"), METHODS)
@pytest.mark.parametrize("missing", [[(100, 104), (200, 290)], [(50, 51)], [(1, 3), (397, 399)]])
def test_a_hole_is_the_same_as_frames_without_points(
    name: str, parameters: dict[str, object], missing: list[tuple[int, int]]
) -> None:
    whole = moving(np.arange(400) / FPS)
    is_there = np.ones(400, bool)
    for start, stop in missing:
        is_there[start:stop] = False
    position, score = whole.position.copy(), whole.score.copy()
    position[~is_there], score[~is_there] = np.nan, 0
    expected = apply_filter(Tracks(position, score, whole.time, NODES), name, parameters)
    kept = Tracks(whole.position[is_there], whole.score[is_there], whole.time[is_there], NODES)
    result = apply_filter(kept, name, parameters)
    np.testing.assert_array_equal(result.time, kept.time)
    for column in ("position", "score", *POINT_COLUMNS):
        if getattr(expected, column) is not None:
            np.testing.assert_allclose(
                getattr(result, column), getattr(expected, column)[is_there], atol=1e-4, err_msg=column
            )


@pytest.mark.parametrize(("name", "parameters"), METHODS)
@pytest.mark.parametrize("hole_s", [0.5, 3.0, 36_000.0])
def test_nothing_is_mixed_across_a_hole(name: str, parameters: dict[str, object], hole_s: float) -> None:
    """A mouse that sits elsewhere after a pause: no filter draws a node towards where it was."""
    time = np.arange(60) / FPS + np.where(np.arange(60) < 30, 0, hole_s)
    position = np.where(np.arange(60) < 30, 10.0, 250.0)[:, None, None] + np.zeros((60, 2, 2))
    result = apply_filter(Tracks(position, np.ones((60, 2)), time, NODES), name, parameters)
    np.testing.assert_allclose(result.position, position, atol=0.1)


def test_a_hole_that_may_be_filled_is_bridged_in_time() -> None:
    """Three frames are missing: the points at both ends are four intervals apart, as for points that were not found."""
    time = np.delete(np.arange(60), [30, 31, 32]) / FPS
    position = np.repeat(time[:, None, None] * 100, 2, axis=2)
    result = apply_filter(Tracks(position, np.ones((57, 1)), time, ["nose"]), "savitzky_golay", {"window_s": 0.09})
    np.testing.assert_allclose(result.position[..., 0], position[..., 0], atol=1e-3)


@pytest.mark.parametrize(
    "time",
    [np.arange(50) / FPS, np.arange(50) / FPS + np.random.default_rng(0).uniform(0, 4e-3, 50), np.arange(1.0), []],
)
def test_tracks_without_a_hole_are_left_alone(time: np.ndarray) -> None:
    tracks = Tracks(np.zeros((len(time), 1, 2)), np.ones((len(time), 1)), time, ["nose"])
    assert spread_over_frame_holes(tracks, longest_s=1)[0] is tracks


def test_a_long_hole_is_given_no_more_frames_than_asked_for() -> None:
    time = np.r_[np.arange(5) / FPS, 3600 + np.arange(5) / FPS]
    tracks = Tracks(np.zeros((10, 1, 2)), np.ones((10, 1)), time, ["nose"])
    whole, index = spread_over_frame_holes(tracks, longest_s=2)
    assert whole.n_frames == 10 + 2 * FPS - 1
    np.testing.assert_array_equal(whole.time[index], time)


def test_the_interval_is_that_of_the_fast_part() -> None:
    time = np.cumsum([0.033] * 20 + [0.1] * 40)
    tracks = Tracks(np.zeros((60, 1, 2)), np.ones((60, 1)), time, ["nose"])
    assert tracks.frame_interval_s == pytest.approx(0.033)


def test_a_move_across_a_hole_is_no_jump() -> None:
    x = np.r_[np.zeros(20), np.full(20, 90.0), np.zeros(20)]
    time = np.arange(60) / FPS + np.where(np.arange(60) < 20, 0, 5)
    tracks = Tracks(np.c_[x, x][:, None], np.ones((60, 1)), time, ["nose"])
    assert np.flatnonzero(quality_jumps(tracks)[:, 0]).tolist() == [40]


def test_frequencies_are_those_of_time() -> None:
    """A camera that drops every seventh frame: the movement is still at 5 Hz."""
    time = np.arange(2000) / FPS
    time = time[np.arange(2000) % 7 != 3]
    distance = 30 + 5 * np.sin(2 * np.pi * 5 * time) + np.random.default_rng(0).normal(0, 0.3, time.size)
    position = np.zeros((time.size, 2, 2))
    position[:, 1, 0] = distance
    tracks = Tracks(position, np.ones((time.size, 2)), time, NODES)
    kept = filter_effect_on_movement(tracks, tracks, *NODES)
    assert kept.band_low_hz is not None and kept.band_high_hz is not None
    assert kept.band_low_hz <= 5 <= kept.band_high_hz
    assert kept.band_high_hz < 7


VERSION_1 = {
    ("raw", "hole"): [0, 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5],
    ("gaussian", "hole"): [1.668, 1.991, 2.401, 2.933, 3.573, 4.204, 4.65, 4.822, 4.778, 4.644, 4.518, 4.441],
    ("median", "hole"): [1, 2, 1, 3, 4, 4, 5, 5, 5, 5, 5, 5],
    ("savitzky_golay", "hole"): [0.717, 1.263, 2.033, 2.918, 3.805, 4.325, 5.299, 5.13, 4.898, 4.597, 4.364, 4.333],
    ("one_euro", "8 Hz"): [0, 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5],
}
"""What commit 7ef26b9 gave, where every filter was of version 1: it did not see holes, and took 8 Hz for gaps."""


@pytest.mark.parametrize(("name", "what"), VERSION_1)
def test_a_filter_that_gives_other_tracks_than_version_1_says_so(name: str, what: str) -> None:
    """Else a lab has tracks of one row of `FilterMethod` that were made in two ways."""
    points = np.array([0, 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5], np.float32)
    time = {"hole": np.array([0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14]) / FPS, "8 Hz": np.arange(12) / 8}[what]
    tracks = Tracks(np.stack([points, points], axis=-1)[:, None], np.ones((12, 1)), time, ["jaw_tip"])
    is_same = np.allclose(apply_filter(tracks, name, {}).position[:, 0, 0], VERSION_1[name, what], atol=1e-3)
    assert is_same == (registered_filters()[name].version == 1)
