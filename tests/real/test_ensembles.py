"""Every file of real networks' ensembles is read as the poses of a model; together they are what their README says."""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from compute.estimators.deeplabcut import ESTIMATOR as DEEPLABCUT
from compute.estimators.ensemble import ESTIMATOR as ENSEMBLE
from compute.estimators.ensemble import median_tracks
from compute.tracks import Tracks
from compute.tracks.disputed_points import disputed_points

ENSEMBLES = Path(__file__).parents[3] / "shared" / "data" / "ensembles"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not ENSEMBLES.is_dir(), reason=f"the networks' predictions are not here: {ENSEMBLES}"),
]

PAWS = ("paw1LH", "paw2LF", "paw3RF", "paw4RH")


@dataclass(frozen=True)
class Recording:
    """What the README says of a folder; how many frames there are it says of mirror-mouse wrongly: 1,000."""

    n_cameras: int
    n_seeds: int
    n_frames: int
    fps: float
    nodes: tuple[str, ...]


RECORDINGS = {
    "mirror-mouse": Recording(1, 5, 2000, 250, tuple(f"{paw}_{view}" for view in ("top", "bot") for paw in PAWS)),
    "mirror-mouse-separate": Recording(2, 5, 501, 250, PAWS),
    "ibl-pupil": Recording(1, 5, 2000, 60, tuple(f"pupil_{side}_r" for side in ("top", "right", "bottom", "left"))),
    "fly": Recording(3, 3, 500, 300, tuple(f"{side}{leg}{end}" for side in "LR" for leg in "123" for end in "AB")),
}


def cameras(name: str, folder: Path) -> Iterator[tuple[Tracks, list[Tracks]]]:
    """For each camera the tracks of its ensemble, and those of its members, each read as a model's poses of a video."""
    files = defaultdict(list)
    for path in sorted((ENSEMBLES / name).glob("*.csv")):
        files[re.sub(r"rng=\d", "", path.name)].append(path)
    recording = RECORDINGS[name]
    time = np.arange(recording.n_frames) / recording.fps
    assert len(files) == recording.n_cameras
    for camera, paths in files.items():
        assert len(paths) == recording.n_seeds
        beside = folder / camera / "side.mp4"  # only its name is looked at
        beside.parent.mkdir()
        beside.touch()
        infos, tracks = {}, []
        for index, path in enumerate(paths):
            bundle = folder / camera / f"bundle {index}"
            source = Path(shutil.copyfile(path, beside.with_name(f"side.{index}.csv")))
            assert DEEPLABCUT.recognises(source)
            infos[f"{index}"] = DEEPLABCUT.import_bundle(source, bundle, name=f"seed {index}")
            tracks.append(DEEPLABCUT.load(bundle).estimate(beside, time=time))
        ENSEMBLE.combine(infos, folder / camera / "ensemble")
        yield ENSEMBLE.load(folder / camera / "ensemble").estimate(beside, members=tracks), tracks


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_file_is_a_model_and_all_of_a_camera_are_an_ensemble(name: str, tmp_path: Path) -> None:
    for ensemble, members in cameras(name, tmp_path):
        for one in (ensemble, *members):
            assert one.nodes == RECORDINGS[name].nodes and one.n_frames == RECORDINGS[name].n_frames
            assert one.found.all() and ((one.score >= 0) & (one.score <= 1)).all()
            assert one.fps == pytest.approx(RECORDINGS[name].fps)
        stacked = np.stack([one.position for one in members])
        assert len({one.tobytes() for one in stacked}) == len(members)
        np.testing.assert_allclose(ensemble.position, np.median(stacked, axis=0), rtol=1e-6)
        from_median_px = np.median(np.linalg.norm(stacked - ensemble.position, axis=-1))
        assert ensemble.spread is not None and 0 < from_median_px < np.median(ensemble.spread) < 5
        assert ensemble.attributes["members"] == [f"{index}" for index in range(len(members))]


def test_a_paw_has_the_same_x_in_both_views_of_the_mirror(tmp_path: Path) -> None:
    ((ensemble, _),) = cameras("mirror-mouse", tmp_path)
    top, bottom = np.split(ensemble.position[..., 0], 2, axis=1)
    assert np.median(np.abs(top - bottom)) < 5 < np.median(np.abs(top - np.roll(bottom, 1, axis=1)))


def displaced(members: list[Tracks], distance_px: float, seed: int) -> tuple[Tracks, np.ndarray]:
    """Their ensemble where more than half of them place each node wrong for half a second, a tenth of it at most."""
    rng = np.random.default_rng(seed)
    n_frames, n_nodes = members[0].score.shape
    length = min(round(0.5 / members[0].frame_interval_s), n_frames // 10)
    wrong = np.zeros((n_frames, n_nodes), bool)
    for node, start in enumerate(rng.integers(n_frames - length, size=n_nodes)):
        wrong[start : start + length, node] = True
    angle = rng.uniform(0, 2 * np.pi, n_nodes)
    shift = wrong[..., None] * distance_px * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    n_wrong = len(members) // 2 + 1
    moved = [replace(one, position=one.position + shift) for one in members[:n_wrong]]
    return median_tracks([*moved, *members[n_wrong:]]), wrong


@pytest.mark.parametrize(
    ("name", "distance_px", "recall"),
    [("mirror-mouse", 6, 0.94), ("ibl-pupil", 6, 0.9), ("mirror-mouse", 20, 0.99), ("fly", 20, 0.9)],
)
def test_lasting_wrong_placements_of_most_members_are_found(
    name: str, distance_px: float, recall: float, tmp_path: Path
) -> None:
    for ensemble, members in cameras(name, tmp_path):
        assert disputed_points(ensemble).mean() < 0.01
        found, there = 0, 0
        for seed in range(3):
            tracks, wrong = displaced(members, distance_px, seed)
            found += (disputed_points(tracks) & wrong).sum()
            there += wrong.sum()
        assert found / there > recall
