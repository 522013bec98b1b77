"""Wrong placements that last are told by a second view and by the rest of the pose, and left out by the smoother."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from compute.errors import FilterError
from compute.estimators.ensemble import median_tracks
from compute.filters import apply_filter
from compute.filters.kalman import kalman
from compute.tracks import Tracks
from compute.tracks.lasting_wrong import lasting_wrong_points
from compute.tracks.pose_shape import lasting_misfit
from compute.tracks.two_views import contradicted_points, lasting_contradiction

N_FRAMES = 4000
PAIRS = [("left_top", "left_bottom"), ("right_top", "right_bottom")]
NODES = tuple(node for pair in PAIRS for node in pair)
WRONG = slice(1000, 1050)


def two_views(scale: float = 1.0, tilt: float = 0.0, noise_px: float = 1.0, seed: int = 0) -> Tracks:
    """Two paws that stride at 3 and 4 Hz and rest in between, seen from the side and from below at another scale."""
    rng = np.random.default_rng(seed)
    time = np.arange(N_FRAMES) / 100
    strides = np.stack([np.sin(2 * np.pi * hz * time + hz) for hz in (3, 4)], axis=1) * (np.sin(time) > 0)[:, None]
    x, height, width = 30 * strides, 8 * strides**2, 5 * strides**3
    views = [np.stack([x + tilt * height, height], axis=-1), np.stack([scale * x, width], axis=-1)]
    position = np.stack(views, axis=2).reshape(N_FRAMES, 4, 2) + 200
    position = position + rng.normal(0, noise_px, position.shape) + [0, 7]
    return Tracks(position, np.ones((N_FRAMES, 4)), time, NODES)


def displaced(tracks: Tracks, shift_px: tuple[float, float], node: int = 0) -> Tracks:
    position = tracks.position.copy()
    position[WRONG, node] += shift_px
    return replace(tracks, position=position)


def found_by_views(tracks: Tracks, false_alarms: float = 0.01) -> np.ndarray:
    return contradicted_points(tracks, PAIRS, 0, false_alarms=false_alarms, minimum_px=0.1)


@pytest.mark.parametrize(("scale", "tilt"), [(1, 0), (1.1, 0), (0.95, 0.15)])
def test_a_view_that_contradicts_the_other_is_found_at_any_scale_and_tilt(scale: float, tilt: float) -> None:
    undisturbed = two_views(scale, tilt)
    assert found_by_views(undisturbed).mean() < 0.01
    found = found_by_views(displaced(undisturbed, (6, 0)))
    assert found[WRONG, :2].mean() > 0.95  # which of the two is wrong is not known
    assert found[WRONG, 2:].mean() < 0.1 and np.delete(found, slice(990, 1060), axis=0).mean() < 0.01


def test_paws_that_change_places_are_found() -> None:
    tracks = two_views()
    position = tracks.position.copy()
    position[:, 2:, 0] += 25
    tracks = replace(tracks, position=position)
    position = position.copy()
    position[WRONG, [0]], position[WRONG, [2]] = tracks.position[WRONG, [2]], tracks.position[WRONG, [0]]
    found = found_by_views(replace(tracks, position=position))
    assert found[WRONG].mean() > 0.9
    assert found_by_views(tracks).mean() < 0.01


def test_the_other_axis_is_not_seen_and_y_can_be_the_shared_one() -> None:
    tracks = displaced(two_views(), (0, 20))
    assert not found_by_views(tracks)[WRONG].any()
    turned = replace(tracks, position=tracks.position[..., ::-1])
    assert contradicted_points(displaced(turned, (0, 20)), PAIRS, 1, false_alarms=0.01, minimum_px=0.1)[WRONG, :2].all()


def test_a_paw_at_rest_says_nothing_of_scale_and_tilt() -> None:
    """Otherwise the noise of a coordinate would explain itself, and the first stride would be a contradiction."""
    tracks = two_views()
    position = tracks.position.copy()
    position[:3000] = 200 + np.random.default_rng(1).normal(0, 1, (3000, 4, 2))
    contradiction_px = lasting_contradiction(replace(tracks, position=position), PAIRS[0], 0)
    assert contradiction_px.max() < 3


def test_missing_points_are_not_found_and_take_nothing_along() -> None:
    tracks = two_views()
    position = tracks.position.copy()
    position[::3, 0] = np.nan
    gaps = displaced(Tracks(position, np.where(np.isnan(position[..., 0]), 0, 1), tracks.time, NODES), (10, 0))
    found = found_by_views(gaps)
    assert found[WRONG, :2][gaps.found[WRONG, 0]].all() and not found[~gaps.found].any()
    assert np.isnan(lasting_contradiction(gaps, PAIRS[0], 0)[::3]).all()


def head(n_frames: int = N_FRAMES, seed: int = 0) -> Tracks:
    """Five nodes of a head that shifts and nods, each with an error of its own."""
    rng = np.random.default_rng(seed)
    time = np.arange(n_frames) / 100
    shift = 15 * np.stack([np.sin(time), np.cos(0.7 * time)], axis=-1)[:, None]
    position = 200 + shift * np.linspace(0.8, 1.2, 5)[:, None] + rng.normal(0, 1, (n_frames, 5, 2))
    return Tracks(position, np.ones((n_frames, 5)), time, ["left", "right", "top", "bottom", "center"])


def test_a_node_that_does_not_fit_the_pose_is_found_and_the_others_are_not() -> None:
    undisturbed = head()
    assert lasting_wrong_points(undisturbed, pose_shape=True).mean() < 0.01
    found = lasting_wrong_points(displaced(undisturbed, (6, -8)), pose_shape=True)
    assert found[WRONG, 0].mean() > 0.95
    assert np.delete(found[WRONG], 0, axis=1).mean() < 0.05
    assert not lasting_wrong_points(displaced(undisturbed, (6, -8))).any()  # only if it is asked for


def test_the_shape_is_unknown_with_few_nodes_few_frames_or_a_missing_node() -> None:
    assert np.isnan(lasting_misfit(head().select(["left", "top"]))).all()
    for n_frames in (0, 1, 60):
        assert np.isnan(lasting_misfit(head().part(0, n_frames))).all()
    tracks = head()
    position = tracks.position.copy()
    position[500:600, 1] = np.nan
    misfit_px = lasting_misfit(Tracks(position, np.where(np.isnan(position[..., 0]), 0, 1), tracks.time, tracks.nodes))
    assert np.isnan(misfit_px[500:600]).all() and not np.isnan(np.delete(misfit_px, slice(500, 600), axis=0)).any()


def test_measures_share_the_false_alarms() -> None:
    """Three measures together find no more than the stated fraction of usual errors, and less than each for itself."""
    tracks = median_tracks([two_views(seed=seed) for seed in range(5)])
    of_one = replace(tracks, lasting_spread=None)
    alone = (
        lasting_wrong_points(of_one, same_x=PAIRS, minimum_px=0, false_alarms=0.1)
        | lasting_wrong_points(of_one, pose_shape=True, minimum_px=0, false_alarms=0.1)
        | lasting_wrong_points(tracks, minimum_px=0, false_alarms=0.1)
    )
    together = lasting_wrong_points(tracks, same_x=PAIRS, pose_shape=True, minimum_px=0, false_alarms=0.1)
    assert 0 < together.mean() < 0.1
    assert together.sum() < 0.7 * alone.sum() and not (together & ~alone).any()


@pytest.mark.parametrize("filter_name", ["kalman", "per_node"])
def test_the_smoother_leaves_them_out_on_request(filter_name: str) -> None:
    tracks = displaced(two_views(), (6, 0))
    parameters = {"same_x": PAIRS}
    if filter_name == "per_node":
        parameters = {"filters": {node: {"filter": "kalman", "parameters": {"same_x": PAIRS}} for node in NODES}}
    rejected = apply_filter(tracks, filter_name, parameters).rejected
    assert rejected is not None and rejected[WRONG, :2].mean() > 0.95
    without = kalman(tracks)
    assert without.rejected is not None and without.rejected[WRONG, :2].mean() < 0.2
    result = apply_filter(displaced(head(), (10, 0)), "kalman", {"pose_shape": True})
    assert result.rejected is not None and result.rejected[WRONG, 0].mean() > 0.95
    assert result.attributes["filter"]["parameters"]["pose_shape"] is True


def test_pairs_of_unknown_or_one_node_are_refused() -> None:
    with pytest.raises(FilterError, match=r"pair left_top, whisker: expected two of the nodes left_top, left_bottom"):
        kalman(two_views(), same_x=[("left_top", "whisker")])
    for pair in (["left_top"], ["left_top", "left_top"], [*NODES[:3]], "ab"):
        with pytest.raises(FilterError, match=r"same_y is .*expected a list of pairs, each a list of two different"):
            kalman(two_views(), same_y=[pair])
