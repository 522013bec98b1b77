"""Where an ensemble's members disagree is found, left out by filters, and counted by the quality."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from compute.estimators.ensemble import median_tracks
from compute.filters import apply_filter, registered_filters
from compute.measures.quality import track_quality
from compute.tracks import Tracks
from compute.tracks.disputed_points import disputed_points

N_FRAMES = 4000
NODES = ("snout", "jaw_tip")


def members(noise_px: tuple[float, float] = (1.0, 0.2), n: int = 5) -> list[Tracks]:
    """Networks that err by themselves, around a node that moves by 4 Hz and one at rest."""
    rng = np.random.default_rng(3)
    time = np.arange(N_FRAMES) / 100
    path = np.zeros((N_FRAMES, 2, 2)) + 200
    path[:, 0, 1] += 10 * np.sin(2 * np.pi * 4 * time)
    noise = np.array(noise_px)[:, None]
    return [Tracks(path + noise * rng.normal(0, 1, path.shape), np.ones((N_FRAMES, 2)), time, NODES) for _ in range(n)]


def displaced(models: list[Tracks], distance_px: float) -> tuple[Tracks, np.ndarray]:
    """The ensemble where three of five place the first node wrong for half a second, six times."""
    wrong = np.zeros((N_FRAMES, 2), bool)
    for start in range(100, N_FRAMES, 700):
        wrong[start : start + 50, 0] = True
    shift = np.where(wrong[..., None], [distance_px, 0], 0)
    moved = [replace(one, position=one.position + shift) if i < 3 else one for i, one in enumerate(models)]
    return median_tracks(moved), wrong


@pytest.mark.parametrize("distance_px", [6, 10, 40])
def test_lasting_wrong_placements_of_most_members_are_found(distance_px: float) -> None:
    tracks, wrong = displaced(members(), distance_px)
    disputed = disputed_points(tracks)
    assert disputed[wrong].mean() > 0.97
    assert disputed[~wrong].mean() < 0.01


def test_one_wrong_member_disputes_nothing() -> None:
    models = members()
    models[0] = replace(models[0], position=models[0].position + 50)
    assert disputed_points(median_tracks(models)).mean() < 0.01


@pytest.mark.parametrize("false_alarms", [0.01, 0.001])
@pytest.mark.parametrize("n", [2, 3, 5])
def test_false_alarms_are_as_rare_as_stated(false_alarms: float, n: int) -> None:
    found = disputed_points(median_tracks(members((3.0, 3.0), n)), false_alarms=false_alarms, minimum_px=0)
    assert found.mean() < 2 * false_alarms


def test_a_spread_of_few_pixels_is_never_large() -> None:
    models = members((0.05, 0.05))
    tracks, wrong = displaced(models, 2.0)
    assert not disputed_points(tracks).any()
    assert disputed_points(tracks, minimum_px=0.5)[wrong].all()


def test_tracks_of_one_model_and_missing_points_are_not_disputed() -> None:
    assert not disputed_points(members()[0]).any()
    tracks, wrong = displaced(members(), 20)
    lost = replace(tracks, position=np.where(wrong[..., None], np.nan, tracks.position), score=np.where(wrong, 0, 1))
    assert not disputed_points(lost)[wrong].any()


@pytest.mark.parametrize("name", [name for name in registered_filters() if name != "raw"])
def test_filters_leave_disputed_points_out_and_keep_the_spread(name: str) -> None:
    tracks, wrong = displaced(members(), 6)
    takes_gate = name not in ("kalman", "per_node")
    result = apply_filter(tracks, name, {"gated": True} if takes_gate else {})
    assert result.rejected is not None
    assert result.rejected[wrong].mean() > 0.97
    np.testing.assert_array_equal(result.spread, tracks.spread)  # type: ignore[arg-type]
    with_three_wrong = np.linalg.norm(tracks.position - 200, axis=-1)[wrong]
    left = np.linalg.norm(result.position[wrong] - tracks.position[wrong], axis=-1)
    assert with_three_wrong.size and not (left < 1).mean() > 0.1  # no position, or one that does not follow them


def test_without_a_gate_nothing_is_left_out() -> None:
    tracks, wrong = displaced(members(), 6)
    result = apply_filter(tracks, "kalman", {"gate_probability": None})
    assert not result.rejected[wrong].any()  # type: ignore[index]


def test_quality_counts_them_and_knows_nothing_of_a_single_model() -> None:
    tracks, wrong = displaced(members(), 20)
    snout, jaw_tip = track_quality(tracks, width_px=400, height_px=400)
    assert snout.n_disputed is not None and wrong.sum() <= snout.n_disputed < wrong.sum() + 0.01 * N_FRAMES
    assert jaw_tip.n_disputed == 0
    assert track_quality(members()[0], width_px=400, height_px=400)[0].n_disputed is None
