"""The movement that a filter keeps, against a known gain: whatever noise and wrong placements the track holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from comparisons import movement_summary
from scipy.signal import lfilter

from compute.measures.movement import movement_kept
from compute.measures.movement_gain import movement_gain
from compute.measures.spikes import spike_mask

FPS = 100.0
TIME = np.arange(6000) / FPS
GAIN = 0.65


def movement() -> Any:
    """Licking at 6 Hz in bouts of two seconds."""
    return 5 * (TIME % 4 < 2) * np.sin(2 * np.pi * 6 * TIME)


def noise(rng: np.random.Generator, kind: str) -> Any:
    white = rng.normal(0, 0.5, TIME.size)
    if kind == "lasting":
        keep = np.exp(-1 / (0.03 * FPS))
        return lfilter([np.sqrt(1 - keep**2)], [1, -keep], white)
    if kind == "wrong placements":
        return white + np.where(rng.random(TIME.size) < 0.03, rng.normal(0, 40, TIME.size), 0)
    return white


@pytest.mark.parametrize("kind", ["white", "lasting", "wrong placements"])
def test_the_power_kept_is_the_square_of_the_gain(kind: str) -> None:
    """A filter that takes out all noise and wrong placements, and a third of the movement."""
    raw = 50 + movement() + noise(np.random.default_rng(0), kind)
    smooth = np.random.default_rng(1).normal(0, 0.05, TIME.size)
    kept = movement_kept(raw, 50 + GAIN * movement() + smooth, fps=FPS)
    assert kept.power_kept == pytest.approx(GAIN**2, abs=0.03)


def test_a_lag_is_no_loss_and_the_error_says_how_well_the_gain_is_known() -> None:
    rng = np.random.default_rng(0)
    raw = movement() + noise(rng, "white")
    found = movement_gain(raw, np.roll(GAIN * movement(), 3), fps=FPS, band_hz=(4, 8))
    assert found is not None
    gain, error = found
    assert 0 < error < 0.02 and gain == pytest.approx(GAIN, abs=3 * error)
    assert movement_gain(noise(rng, "white")[:100], np.zeros(100), fps=FPS, band_hz=(4, 8)) is None


def test_movement_that_a_gate_takes_out_is_not_kept() -> None:
    """The peaks of all licks are bridged, as by a gate that calls them wrong: the reference has them."""
    true = movement()
    raw = 50 + true + np.random.default_rng(0).normal(0, 0.5, TIME.size)
    cut = np.interp(TIME, TIME[np.abs(true) < 2], raw[np.abs(true) < 2])
    share = np.dot(cut - cut.mean(), true) / np.dot(true, true)
    assert share < 0.4
    assert movement_kept(raw, cut, fps=FPS).power_kept == pytest.approx(share**2, abs=0.05)


def test_what_is_not_known_well_is_none() -> None:
    rng = np.random.default_rng(0)
    raw = 0.05 * movement() + rng.normal(0, 1, TIME.size)
    kept = movement_kept(raw, 0.5 * raw + rng.normal(0, 1, TIME.size), fps=FPS, band_hz=(4, 8))
    assert kept.power_kept is None and kept.noise_kept is not None


def test_a_lag_is_no_loss() -> None:
    raw = movement() + np.random.default_rng(0).normal(0, 0.3, TIME.size)
    kept = movement_kept(raw, np.interp(TIME - 0.02, TIME, movement()), fps=FPS)
    assert kept.lag_s == pytest.approx(0.02, abs=0.001)
    assert kept.power_kept == pytest.approx(1, abs=0.05)


def test_spikes_are_single_frames_and_fast_movement_is_none() -> None:
    rng = np.random.default_rng(0)
    series = np.repeat(rng.uniform(0, 40, 60), 100) + rng.normal(0, 0.5, 6000)  # steps
    wrong = rng.random(6000) < 0.02
    found = spike_mask(np.where(wrong, series + 30, series))
    assert found[wrong].mean() > 0.9 and found[~wrong].mean() < 0.01
    slow_camera = 25 * (np.arange(1800) % 5 == 0)  # licks that are one frame each
    assert not spike_mask(slow_camera + rng.normal(0, 1, 1800)).any()
    gaps = np.array([np.nan, 1.0, np.nan])
    assert not spike_mask(np.stack([gaps, gaps], axis=-1)).any()


def test_what_is_reported_is_the_truth_on_simulated_movements() -> None:
    """A part of what `benchmarks/comparisons.py` measures."""
    motions = ("jaw in bouts, 4-8 Hz", "licks in bouts, 6 Hz", "steps")
    found = movement_summary(5, motions=motions, noises=("1 px", "correlated over 30 ms"), rates=(100.0,))
    assert found["movement_kept_error"] < 0.03
    assert found["movement_kept_known"] > 0.8
