"""Where an ensemble's members disagree is found, left out by filters, and counted by the quality."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from compute.estimators.ensemble import median_tracks
from compute.filters import apply_filter, registered_filters
from compute.measures.quality import track_quality
from compute.tracks import Tracks
from compute.tracks.disputed_points import disputed_points, lasting_spread, usual_limit_px

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


def test_usual_offsets_between_members_hide_nothing() -> None:
    """While three of five are wrong by 12 px, they are as far from the others as usual, on the other side."""
    offset_px = np.array([[-3, 0], [-3, 0], [-3, 0], [3, 0], [3, 0]])
    models = [replace(one, position=one.position + px) for px, one in zip(offset_px, members(), strict=True)]
    tracks, wrong = displaced(models, 12)
    assert np.abs(np.median(tracks.spread[wrong]) - np.median(tracks.spread[~wrong])) < 1  # type: ignore[index]
    disputed = disputed_points(tracks)
    assert disputed[wrong].mean() > 0.97
    assert disputed[~wrong].mean() < 0.01


@pytest.mark.parametrize("distance_px", [6, 40])
def test_a_tenth_of_a_short_video_does_not_become_usual(distance_px: float) -> None:
    models = [one.part(0, 500) for one in members((1.0, 1.0), 3)]
    shift = np.zeros((500, 2, 2))
    shift[100:150] = [0, distance_px]
    moved = [replace(one, position=one.position + shift) if i < 2 else one for i, one in enumerate(models)]
    disputed = disputed_points(median_tracks(moved))
    assert disputed[100:150].mean() > 0.97
    assert np.delete(disputed, slice(95, 155), axis=0).mean() < 0.01


@pytest.mark.parametrize("distribution", ["rayleigh", "lognormal"])
@pytest.mark.parametrize("fraction", [0, 0.05, 0.1])
def test_the_limit_is_that_of_the_usual_spreads_whatever_is_disputed(distribution: str, fraction: float) -> None:
    rng = np.random.default_rng(1)
    usual = rng.rayleigh(2, 50_000) if distribution == "rayleigh" else rng.lognormal(0.7, 0.6, 50_000)
    least, most = {"rayleigh": (0.0, 0.001), "lognormal": (0.008, 0.013)}[distribution]
    n_disputed = round(fraction * usual.size)
    limit_px = usual_limit_px(np.concatenate([usual, rng.uniform(20, 60, n_disputed)]))
    assert least < (usual > limit_px).mean() < most


def test_pairs_that_found_the_node_say_how_far_members_are_apart() -> None:
    first, second, third = (one.part(0, 400) for one in members((0.0, 0.0), 3))
    position = np.array(second.position)
    position[200:] += 10
    position[:100, 0] = np.nan
    second = replace(second, position=position, score=np.where(np.isnan(position[..., 0]), 0, 1))
    spread = lasting_spread([first, second])
    assert np.isnan(spread[:100, 0]).all()  # one member alone
    np.testing.assert_allclose(spread[[150, 250], 1], np.sqrt([50, 50]), rtol=1e-6)  # the median lies in between
    np.testing.assert_allclose(spread[[150, 250], 0], [np.sqrt(200), 0], atol=1e-4)
    of_three = lasting_spread([first, second, third])
    assert (of_three[:100, 0] == 0).all()  # the two others agree
    assert not lasting_spread([one.part(0, 1) for one in (first, third)]).any()
    assert lasting_spread([one.part(0, 0) for one in (first, third)]).shape == (0, 2)


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
