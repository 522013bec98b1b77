"""Noise that lasts from frame to frame is seen where a node rests."""

from __future__ import annotations

import numpy as np
import pytest
from filter_grid import simulate_cell

from compute.measures.lasting_noise import LASTING_FROM, noise_correlation
from compute.tracks import Tracks


@pytest.mark.parametrize("fps", [30.0, 100.0, 250.0])
@pytest.mark.parametrize("motion", ["rest", "drift", "jaw in bouts, 4-8 Hz"])
def test_lasting_noise_is_told_from_white(motion: str, fps: float) -> None:
    white, lasting = (
        noise_correlation(simulate_cell(motion, noise, fps, 4).tracks) for noise in ("1 px", "correlated over 30 ms")
    )
    assert (white < LASTING_FROM).all()
    assert (lasting > LASTING_FROM).all()


def test_points_on_a_grid_last_and_too_few_points_say_nothing() -> None:
    still = np.full((600, 1, 2), 8.0)
    assert noise_correlation(Tracks(still, np.ones((600, 1)), np.arange(600) / 100, ["a"])) == [1.0]
    few = still[:100] + np.random.default_rng(0).normal(0, 1, (100, 1, 2))
    assert np.isnan(noise_correlation(Tracks(few, np.ones((100, 1)), np.arange(100) / 100, ["a"]))).all()
