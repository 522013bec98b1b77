"""Offsets and intervals from labeled frames, against errors that were planted."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from compute.calibration.calibrated import NodeInterval, calibrated_tracks
from compute.calibration.label_offsets import NodeCalibration, calibrate_nodes
from compute.calibration.other_mice import other_mice_half_width_px
from compute.errors import TracksError
from compute.tracks import Tracks

NODES = tuple(f"node{index}" for index in range(7))


def session(
    seed: int, n_frames: int = 200, offset_sd_px: float = 2.0
) -> tuple[Tracks, NDArray[np.float64], NDArray[np.float64]]:
    """Tracks with a lasting offset of each node and noise of its own, the truth, and the offsets."""
    rng = np.random.default_rng(seed)
    truth = np.cumsum(rng.normal(0, 1, (n_frames, len(NODES), 2)), axis=0) + 100
    offset = rng.normal(0, offset_sd_px, (len(NODES), 2))
    sd_px = 0.4 * np.exp(rng.normal(0, 0.5, (len(NODES), 1)))
    position = truth + offset + sd_px * rng.normal(0, 1, truth.shape)
    return Tracks(position, np.ones(truth.shape[:2]), np.arange(n_frames) / 100, NODES), truth, offset


def labeled(n: int, n_frames: int = 200) -> list[int]:
    return np.linspace(0, n_frames - 1, n).round().astype(int).tolist()


def calibrated(tracks: Tracks, nodes: list[NodeCalibration]) -> Tracks:
    return calibrated_tracks(tracks, {one.node: NodeInterval.of_session(one) for one in nodes}, {})


def test_the_offset_is_taken_off_and_the_interval_holds_95_percent() -> None:
    inside, errors, widths = [], [], []
    for seed in range(150):
        tracks, truth, _ = session(seed)
        frames = labeled(10)
        result = calibrated(tracks, calibrate_nodes(tracks, frames, truth[frames], NODES))
        others = np.setdiff1d(np.arange(tracks.n_frames), frames)
        error = (result.position - truth)[others]
        assert result.interval_half_width is not None
        inside.append(np.abs(error) <= result.interval_half_width[others][..., None])
        errors.append([np.square(error).mean(), np.square((tracks.position - truth)[others]).mean()])
        widths.append(result.interval_half_width.mean())
    assert np.mean(inside) == pytest.approx(0.95, abs=0.007)
    of_nodes = np.mean(inside, axis=(0, 1, 3))
    assert of_nodes.min() > 0.93
    after, before = np.sqrt(np.mean(errors, axis=0))
    assert after < 0.35 * before


def test_an_offset_is_never_larger_than_what_was_measured_and_not_taken_off_where_there_is_none() -> None:
    taken, measured = [], []
    for seed in range(40):
        tracks, truth, _ = session(seed, offset_sd_px=0)
        frames = labeled(5)
        found = calibrate_nodes(tracks, frames, truth[frames], NODES)
        mean = (tracks.position - truth)[frames].mean(axis=0)
        offset = np.array([[one.offset_x_px, one.offset_y_px] for one in found])
        assert (np.abs(offset) <= np.abs(mean) + 1e-6).all() and (offset * mean >= 0).all()
        taken.append(np.square(offset).mean())
        measured.append(np.square(mean).mean())
    assert np.mean(taken) < 0.25 * np.mean(measured)


def test_points_that_nobody_placed_or_nothing_found_are_left_out() -> None:
    tracks, truth, _ = session(1)
    position = tracks.position.copy()
    position[labeled(10)[0], 1] = np.nan
    placed = truth[labeled(10)]
    placed[:, 0] = np.nan
    placed[3:, 2] = np.nan
    tracks = replace(tracks, position=position)
    found = {one.node: one for one in calibrate_nodes(tracks, labeled(10), placed, NODES)}
    assert found.keys() == set(NODES[1:])
    assert [found[node].n_labeled_points for node in NODES[1:4]] == [9, 3, 10]
    result = calibrated(tracks, list(found.values()))
    assert result.interval_half_width is not None
    np.testing.assert_array_equal(result.position[:, 0], tracks.position[:, 0])
    assert np.isnan(result.interval_half_width[:, 0]).all()
    np.testing.assert_array_equal(np.isnan(result.interval_half_width[:, 1:]), ~tracks.found[:, 1:])


def test_one_frame_says_nothing() -> None:
    tracks, truth, _ = session(2)
    found = calibrate_nodes(tracks, [50], truth[[50]], NODES)
    assert all(math.isnan(one.half_width_px) and one.offset_x_px == 0 for one in found)
    result = calibrated(tracks, found)
    np.testing.assert_array_equal(result.position, tracks.position)
    assert result.interval_half_width is not None and np.isnan(result.interval_half_width).all()


def test_labels_of_another_video_are_refused() -> None:
    tracks, truth, _ = session(3)
    with pytest.raises(TracksError, match="labelled frame 200 is none of the video's 200"):
        calibrate_nodes(tracks, [199, 200], truth[[0, 1]], NODES)


def test_more_frames_are_expected_to_give_what_they_give() -> None:
    expected, given = [], []
    for seed in range(60):
        tracks, truth, _ = session(seed)
        few, many = (calibrate_nodes(tracks, labeled(n), truth[labeled(n)], NODES) for n in (10, 40))
        assert [one.expected_half_width_px(10) for one in few] == [one.half_width_px for one in few]
        assert all(one.expected_half_width_px(40) < one.expected_half_width_px(20) < one.half_width_px for one in few)
        expected += [one.expected_half_width_px(40) for one in few]
        given += [one.half_width_px for one in many]
    assert np.mean(expected) == pytest.approx(np.mean(given), rel=0.05)


def test_where_the_filter_knows_less_the_interval_is_wider_and_never_narrower() -> None:
    tracks, truth, _ = session(4)
    sd = np.full(tracks.position.shape, 0.3)
    sd[100:110] = 3
    sd[120:130] = 0.1
    tracks = replace(tracks, sd=sd)
    frames = [frame for frame in labeled(10) if not 100 <= frame < 130]
    found = calibrate_nodes(tracks, frames, truth[frames], NODES)
    widths = calibrated(tracks, found).interval_half_width
    assert widths is not None
    usual = [one.half_width_px for one in found]
    np.testing.assert_allclose(widths[50], usual, rtol=1e-5)
    np.testing.assert_allclose(widths[125], usual, rtol=1e-5)
    assert (widths[105] > 2.5 * 1.96).all()


def test_the_filters_own_columns_stay() -> None:
    tracks, truth, _ = session(5)
    tracks = replace(tracks, sd=np.full(tracks.position.shape, 0.3), attributes={"minimum_score": 0.2})
    nodes = calibrate_nodes(tracks, labeled(10), truth[labeled(10)], NODES)
    result = calibrated_tracks(tracks, {one.node: NodeInterval.of_session(one) for one in nodes}, {"labels_id": "a"})
    np.testing.assert_array_equal(result.sd, tracks.sd)
    np.testing.assert_array_equal(result.score, tracks.score)
    assert result.attributes == {"minimum_score": 0.2, "calibration": {"labels_id": "a"}}


# Other mice ---------------------------------------------------------------------------------------------------------


def mouse_errors(rng: np.random.Generator, n_frames: int) -> NDArray[np.float64]:
    """Errors of x and y on one mouse: an offset of its own, and noise."""
    return rng.normal(0, 2, 2) + rng.normal(0, 0.5, (n_frames, 2))


def distances(errors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(errors, axis=1))


@pytest.mark.parametrize("n_mice", [4, 9])
def test_a_new_mouse_is_within_the_interval_of_other_mice(n_mice: int) -> None:
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(300):
        width_px = other_mice_half_width_px([distances(mouse_errors(rng, 10)) for _ in range(n_mice)])
        inside.append((np.abs(mouse_errors(rng, 200)) <= width_px).mean())
    assert 0.93 < np.mean(inside) < 0.98


def test_a_mouse_with_many_frames_counts_as_one() -> None:
    rng = np.random.default_rng(1)
    mice = [distances(mouse_errors(rng, 10)) for _ in range(6)]
    assert other_mice_half_width_px([np.tile(mice[0], 50), *mice[1:]]) == other_mice_half_width_px(mice)


def test_too_few_mice_say_nothing() -> None:
    assert math.isnan(other_mice_half_width_px([]))
    assert math.isnan(other_mice_half_width_px([[1.0], [2.0], [3.0], [math.inf, math.nan]]))
    assert other_mice_half_width_px([[1.0], [2.0], [3.0], [4.0, math.inf]]) > 3
