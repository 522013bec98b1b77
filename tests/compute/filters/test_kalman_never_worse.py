"""The Kalman smoother is no worse than no filter in fast movement, and says which points it leaves as they are.

`benchmarks/filter_grid.py` measures all motions, noises and rates; here are those that version 1 made worse.
"""

import numpy as np
import pytest
from filter_grid import measure, simulate_cell

from compute.filters.kalman import kalman
from compute.filters.kalman.noise_floor import noise_limits_px2
from compute.tracks import Tracks


@pytest.mark.parametrize(
    ("motion", "noise", "fps", "version_1"),
    [
        ("chewing 12 Hz, harmonics", "0.3 px", 30, 14.2),
        ("chewing 12 Hz, harmonics", "0.3 px", 100, 3.8),
        ("whisking in bouts, 20 Hz", "0.3 px", 250, 1.7),
        ("licks in bouts, 6 Hz", "0.3 px", 100, 7.0),
        ("steps", "0.3 px", 100, 3.4),
        ("strides", "1 px", 30, 2.3),
    ],
)
def test_fast_movement_is_not_made_worse(motion, noise, fps, version_1):
    row = measure(simulate_cell(motion, noise, float(fps), 3), with_simple=False)
    assert row["over_raw"] < 1.05 < version_1
    assert row["wrong_found"] > 0.95 and row["false_rejections"] < 0.005


def test_the_points_next_to_a_step_are_no_wrong_placements():
    rng = np.random.default_rng(0)
    place = np.repeat(rng.uniform(100, 140, (40, 2)), 50, axis=0)[:, None]
    tracks = Tracks(place + rng.normal(0, 0.3, place.shape), np.full((2000, 1), 0.9), np.arange(2000) / 100, ["eye"])
    result = kalman(tracks)
    assert result.rejected.mean() < 0.002
    errors = [np.sqrt(np.mean((one.position - place) ** 2)) for one in (result, tracks)]
    assert errors[0] < 1.15 * errors[1]  # version 1: 3.6


def test_a_coordinate_that_smoothing_does_not_help_keeps_its_points_and_the_track_says_so():
    """12 Hz at 30 Hz, no two frames alike: nothing tells the movement from noise. The other node rests."""
    rng = np.random.default_rng(0)
    phase = np.cumsum(2 * np.pi * rng.normal(12, 1, 3000) / 30)
    chewing = 8 * np.stack([np.sin(phase), np.sin(phase + 1)], axis=-1)
    position = np.stack([chewing, np.zeros_like(chewing)], axis=1) + rng.normal(0, 0.3, (3000, 2, 2))
    result = kalman(Tracks(position, np.full((3000, 2), 0.9), np.arange(3000) / 30, ["jaw_tip", "nose"]))
    made_by = result.attributes["filter"]
    assert [made_by["fitted"][node]["smoothed"] for node in ("jaw_tip", "nose")] == [[False, False], [True, True]]
    assert made_by["note"] == "jaw_tip: points are not smoothed, since smoothing cannot be shown to help"
    kept = ~result.rejected[:, 0]
    assert kept.mean() > 0.99
    np.testing.assert_allclose(result.position[kept, 0], position[kept, 0], atol=1e-4)


def test_the_most_noise_is_not_far_above_the_true_one_whatever_moves():
    rng = np.random.default_rng(0)
    time = np.arange(6000) / 100
    moving = 10 * np.sin(2 * np.pi * 12 * time) + 5 * np.sin(2 * np.pi * 24 * time + 1)
    position = np.stack([moving, 0 * time], axis=-1) + rng.normal(0, 0.5, (6000, 2))
    least, most = noise_limits_px2(position, np.ones((6000, 1)))
    assert (np.sqrt(most) > 0.45).all() and (np.sqrt(most) < 0.75).all()  # the movement itself is of 8 px
    assert (least < 0.01).all()


def test_rounding_to_a_grid_is_noise_of_a_twelfth_of_the_steps_square():
    rng = np.random.default_rng(0)
    rounded = np.round((np.cumsum(rng.normal(0, 0.2, (6000, 2)), axis=0)) / 2) * 2
    least, most = noise_limits_px2(rounded, np.ones((6000, 1)))
    np.testing.assert_allclose(least, 4 / 12, rtol=1e-6)
    assert (most >= least).all()
