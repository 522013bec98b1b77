"""Rigid groups: a head that rolls bars no good point, and what is wrong is found however the head lies."""

from dataclasses import replace

import numpy as np
import pytest
from simulated_tracks import RIGID, roll_head, simulate_tracks

from compute.filters.kalman import kalman
from compute.filters.kalman.points import BARRED, KalmanPoints
from compute.filters.kalman.rigid_groups import bar_far_points_of_group
from compute.tracks import Tracks

CROSS = np.array([[-40, 0], [40, 0], [0, -25], [0, 30], [8, 0]], float)
LINE = np.array([[-40, 0], [0, 5], [40, 0]], float)


def head(shape, roll_deg=0.0, n_frames=600, seed=0):
    """Points of a head with this shape and roll, noise 0.5 px, which wanders."""
    rng = np.random.default_rng(seed)
    roll = np.deg2rad(np.broadcast_to(roll_deg, n_frames))
    turn = np.stack([np.cos(roll), -np.sin(roll), np.sin(roll), np.cos(roll)], axis=-1).reshape(-1, 2, 2)
    position = np.einsum("fij,nj->fni", turn, shape) + 200 + np.cumsum(rng.normal(0, 0.3, (n_frames, 1, 2)), axis=0)
    return position + rng.normal(0, 0.5, position.shape)


def barred(position, score=None):
    n_frames, n_nodes = position.shape[:2]
    score = np.where(np.isnan(position[..., 0]), 0, 0.9) if score is None else score
    tracks = Tracks(position, score, np.arange(n_frames) / 100, [f"n{node}" for node in range(n_nodes)])
    points = KalmanPoints.of(tracks, max_gap_s=0.1, score_exponent=2, gate_minimum_px=2)
    bar_far_points_of_group(points, np.arange(n_nodes))
    return points.state == BARRED


ROLLS = {
    "none": 0.0,
    "20 degrees in a tenth": np.where(np.arange(600) % 100 < 10, 20.0, 0.0),
    "90 degrees in a tenth": np.where(np.arange(600) % 100 < 10, 90.0, 0.0),
    "all frames": 70.0,
    "all the way round": np.arange(600) * 7.0,
}


@pytest.mark.parametrize("roll", ROLLS.values(), ids=ROLLS)
@pytest.mark.parametrize("shape", [CROSS, CROSS[:4], LINE], ids=["five", "four", "three on a line"])
def test_a_head_that_rolls_bars_no_good_point_and_hides_no_wrong_one(roll, shape):
    position = head(shape, roll)
    assert not barred(position).any()
    wrong = np.zeros(position.shape[:2], bool)
    for node in range(len(shape)):
        wrong[node * 100 + 5 : node * 100 + 60, node] = True
    position[wrong] += [35, 50]
    # Of three points in any direction, a wrong one may lie at the right distance from one of the others.
    assert np.mean(barred(position) != wrong) <= (0.01 if len(shape) == 3 else 0)


def test_two_wrong_ones_of_five_are_found_and_of_four_nobody_knows():
    position = head(CROSS)
    wrong = np.zeros(position.shape[:2], bool)
    wrong[50:100, [0, 3]] = wrong[200:220, [1, 2]] = True
    position[wrong] += np.where(np.arange(2 * 70) % 2, 60, -45)[:, None]
    np.testing.assert_array_equal(barred(position), wrong)
    assert not barred(np.delete(position, 4, axis=1))[50:100].any()


def test_fewer_than_three_found_points_say_nothing_and_a_node_never_found_is_left_out():
    position = head(CROSS)
    position[100:150, 0] += 60
    position[100:150, 2:] = np.nan
    position[200:250, 1] += 60
    position[:, 4] = np.nan
    is_barred = barred(position)
    assert is_barred[200:250, 1].all() and is_barred.sum() == 50
    position[:, 2:] = np.nan
    assert not barred(position).any()
    assert not barred(np.full_like(position, np.nan)).any()


def test_nodes_that_change_sides_are_wrong():
    """Three nodes nearly on a line: the swap would be a roll by 180 degrees, which no head does."""
    swapped = head(LINE)
    swapped[100:150] = swapped[100:150, ::-1]
    assert not barred(swapped)[:100].any()
    cross = head(CROSS)
    cross[100:150, [0, 1]] = cross[100:150, [1, 0]]
    is_barred = barred(cross)
    assert is_barred[100:150, :2].all() and is_barred.sum() == 100


def test_a_mirrored_head_and_one_that_comes_nearer_bar_nothing():
    position = head(CROSS)
    for changed in ([-1, 1], [1.3, 1.3]):
        other = position.copy()
        middle = position[300:330].mean(axis=1, keepdims=True)
        other[300:330] = (position[300:330] - middle) * changed + middle
        assert not barred(other)[:300].any() and barred(other).mean() < 0.01


def test_a_slow_drift_of_the_shape_bars_nothing():
    position = head(CROSS)
    position[:, 2, 0] += np.linspace(-8, 8, 600)
    assert not barred(position).any()


def test_a_persons_point_is_not_barred():
    position = head(CROSS)
    position[100:150, 0] += 60
    score = np.full(position.shape[:2], 0.9)
    score[100:150, 0] = np.nan
    assert not barred(position, score).any()


def test_the_smoother_loses_no_good_point_while_the_head_rolls():
    lasting = simulate_tracks(
        101, 20_000, noise_px=0.25, wrong_px=10, wrong_length=50, wrong_score=0.8, only_rigid=True
    )
    large = replace(lasting, tracks=replace(lasting.tracks, position=4 * lasting.tracks.position))
    rolled, roll_rad = roll_head(replace(large, truth=4 * large.truth), 20)
    alone, together = (kalman(rolled.tracks, rigid_groups=groups).rejected for groups in (None, [RIGID]))
    good = ~rolled.wrong & rolled.tracks.found & (roll_rad != 0)[:, None]
    assert np.mean((together & ~alone)[good]) < 0.002
    assert np.mean(together[rolled.wrong]) > 0.9
