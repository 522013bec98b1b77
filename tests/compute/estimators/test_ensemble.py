"""An ensemble is the median of its members, says how far they are apart, and is the same in whatever order."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compute.errors import ModelError
from compute.estimators import BundleInfo, registered_estimator
from compute.estimators import ensemble as module
from compute.estimators.ensemble import DESCRIPTION, ESTIMATOR, median_tracks
from compute.tracks import Tracks

NODES = ("snout", "jaw_tip")
NAN = np.nan


def make_sample(folder: Path) -> Path:
    """A file that `ensemble` recognises as its own, see test_contract.py."""
    ESTIMATOR.combine(members("a" * 16, "b" * 16), folder / "bundle")
    return folder / "bundle" / DESCRIPTION


def members(*ids: str, nodes: tuple[str, ...] = NODES) -> dict[str, BundleInfo]:
    return {model_id: BundleInfo(nodes=nodes, edges=(), minimum_score=0.2) for model_id in ids}


def one_node(*x_px: float, score: float = 0.9) -> list[Tracks]:
    """Tracks of one frame and node by several models, on the x axis; NaN: not found."""
    return [Tracks([[[x, 0 * x]]], [[0 if np.isnan(x) else score]], [0.0], ["snout"]) for x in x_px]


def walks(n_models: int, n_frames: int = 300, noise_px: float = 1.0) -> list[Tracks]:
    """Tracks of several models: each with an error of its own around one path."""
    rng = np.random.default_rng(0)
    path = np.cumsum(rng.normal(0, 1, (n_frames, len(NODES), 2)), axis=0) + 100
    score = rng.uniform(0.5, 1, (n_models, n_frames, len(NODES)))
    time = np.arange(n_frames) / 100
    return [Tracks(path + rng.normal(0, noise_px, path.shape), score[index], time, NODES) for index in range(n_models)]


@pytest.mark.parametrize(
    ("x_px", "median", "spread"),
    [
        ((10, 14), 12, 4),
        ((10, 11, 50), 11, 39),  # two of three pairs disagree
        ((10, 10.5, 11, 11.5, 90), 11, 1.25),  # one of five does not matter
        ((10, 10, 40, 40, 40), 40, 30),  # three of five do: nobody knows where it is
        ((10, NAN, 12), 11, 2),
        ((10, NAN), 10, NAN),  # half of them found it; one alone says nothing of a spread
        ((10, NAN, NAN), NAN, NAN),  # fewer than half
        ((10, 14, NAN, NAN, NAN), NAN, 4),
        ((NAN, NAN), NAN, NAN),
    ],
)
def test_median_and_spread(x_px: tuple[float, ...], median: float, spread: float) -> None:
    tracks = median_tracks(one_node(*x_px))
    np.testing.assert_array_equal(tracks.position[0, 0, 0], np.float32(median))
    np.testing.assert_allclose(tracks.spread[0, 0], np.float32(spread), rtol=1e-6)  # type: ignore[index]
    assert tracks.score[0, 0] == (0 if np.isnan(median) else np.float32(0.9))


def test_it_is_what_numpy_says_in_parts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    models = walks(4)
    lost = np.random.default_rng(1).random((4, 300, 2)) < 0.2
    models = [
        replace(one, position=np.where(out[..., None], np.nan, one.position), score=np.where(out, 0, one.score))
        for one, out in zip(models, lost, strict=True)
    ]
    tracks = median_tracks(models)
    stacked = np.stack([one.position for one in models])
    several = (~lost).sum(axis=0) >= 2
    np.testing.assert_allclose(tracks.position[several], np.nanmedian(stacked, axis=0)[several], rtol=1e-6)
    assert np.isnan(tracks.position[~several]).all() and (tracks.score[~several] == 0).all()
    monkeypatch.setattr(module, "_FRAMES_AT_ONCE", 7)
    done: list[tuple[int, int]] = []
    parts = median_tracks(models, progress=lambda n, total: done.append((n, total)))
    for name in ("position", "score", "spread"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(tracks, name))
    assert done[0] == (7, 300) and done[-1] == (300, 300)


def test_the_median_is_nearer_to_the_truth_than_a_member() -> None:
    models = walks(5)
    truth = np.mean([one.position for one in walks(400)], axis=0)
    errors = [np.linalg.norm(one.position - truth, axis=-1).mean() for one in (median_tracks(models), models[0])]
    assert errors[0] < 0.65 * errors[1]


def test_a_bundle_is_the_same_whatever_the_order_and_nodes_are_matched_by_name(tmp_path: Path) -> None:
    ids = ("b" * 16, "a" * 16)
    infos = {ids[0]: members(ids[0])[ids[0]], ids[1]: members(ids[1], nodes=NODES[::-1])[ids[1]]}
    one = ESTIMATOR.combine(infos, tmp_path / "one")
    other = ESTIMATOR.combine(dict(reversed(infos.items())), tmp_path / "other")
    assert one == other == ESTIMATOR.read_bundle(tmp_path / "one") and one.members == tuple(sorted(ids))
    assert (tmp_path / "one" / DESCRIPTION).read_bytes() == (tmp_path / "other" / DESCRIPTION).read_bytes()
    first, second = walks(2)
    estimator = ESTIMATOR.load(tmp_path / "one")
    tracks = estimator.estimate("side.mp4", members=[first.select(NODES[::-1]), second])
    assert tracks.nodes == estimator.nodes == NODES[::-1]
    np.testing.assert_array_equal(tracks.position, median_tracks([first, second]).select(NODES[::-1]).position)
    assert dict(tracks.attributes) == {"estimator": "ensemble", "members": sorted(ids), "minimum_score": 0.0}


def test_an_ensemble_comes_from_elsewhere_with_a_minimum_score(tmp_path: Path) -> None:
    tmp_path.joinpath("elsewhere").mkdir()
    info = ESTIMATOR.import_bundle(make_sample(tmp_path / "elsewhere"), tmp_path / "bundle", minimum_score=0.5)
    assert (info.minimum_score, info.members) == (0.5, ("a" * 16, "b" * 16))
    models = [*one_node(10, score=0.3), *one_node(12, score=0.4)]
    estimator = module.EnsembleEstimator(replace(info, nodes=("snout",)))
    lost = estimator.estimate("side.mp4", members=models)
    assert not lost.found.any() and lost.score[0, 0] == 0
    assert estimator.estimate("side.mp4", members=models, minimum_score=0.3).found.all()


def test_models_that_cannot_be_one_are_refused(tmp_path: Path) -> None:
    two = members("a" * 16, "b" * 16)
    for infos, said in (
        (members("a" * 16), "an ensemble of 1 model .* expected 2 or more"),
        (
            {**two, "c" * 16: members("c" * 16, nodes=("snout", "ear"))["c" * 16]},
            f"{'c' * 16} has the nodes snout, ear",
        ),
        ({**two, "c" * 16: replace(two["a" * 16], members=("x", "y"))}, f"{'c' * 16} is an ensemble itself"),
        (
            {
                "a": replace(two["a" * 16], width_px=640, height_px=480),
                "b": replace(two["a" * 16], width_px=320, height_px=240),
            },
            "frames of 320 x 240, 640 x 480 px",
        ),
    ):
        with pytest.raises(ModelError, match=said):
            ESTIMATOR.combine(infos, tmp_path / "bundle")
        assert not (tmp_path / "bundle").exists()
    sized = {"a": replace(two["a" * 16], width_px=640, height_px=480), "b": two["b" * 16]}
    assert ESTIMATOR.combine(sized, tmp_path / "bundle").width_px == 640
    with pytest.raises(ModelError, match="exists already"):
        ESTIMATOR.combine(two, tmp_path / "bundle")
    with pytest.raises(ModelError, match="estimator deeplabcut is not made from other models"):
        registered_estimator("deeplabcut").combine(two, tmp_path / "new")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read"),
        ('{"members": ["a", "b"]}', "cannot be read"),
        (json.dumps({"members": ["a", "a"], "nodes": [], "edges": [], "minimum_score": 0}), "expected 2 or more, each"),
    ],
)
def test_a_spoilt_description_is_named(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / DESCRIPTION).write_text(content)
    with pytest.raises(ModelError, match=f"{DESCRIPTION}.* {said}"):
        ESTIMATOR.load(tmp_path)


def test_tracks_that_are_not_its_members_are_refused(tmp_path: Path) -> None:
    ESTIMATOR.combine(members("a" * 16, "b" * 16), tmp_path / "bundle")
    estimator, (first, second) = ESTIMATOR.load(tmp_path / "bundle"), walks(2)
    with pytest.raises(ModelError, match=r"side\.mp4: tracks of 1 models were given, the ensemble has 2 members"):
        estimator.estimate("side.mp4", members=[first])
    for wrong in (second.part(0, 10), second.select(["snout"])):
        with pytest.raises(ModelError, match=f"model {'b' * 16} has tracks of .* expected 300 frames"):
            estimator.estimate("side.mp4", members=[first, wrong])
    with pytest.raises(ModelError, match=r"labels\.pkg\.slp: an ensemble is made from its members' tracks"):
        estimator.evaluate("labels.pkg.slp")
