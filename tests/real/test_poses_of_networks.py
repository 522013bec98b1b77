"""Poses that networks of other people wrote are read number by number; tables that people report trouble with, too."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from compute.errors import ModelError
from compute.estimators.deeplabcut import ESTIMATOR
from compute.tracks import Tracks
from compute.video import write_video

SHARED = Path(__file__).parents[3] / "shared"
ENSEMBLES, CASES = SHARED / "data" / "ensembles", SHARED / "cases" / "tracks"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not ENSEMBLES.is_dir(), reason=f"the networks' predictions are not here: {ENSEMBLES}"),
]

N_FRAMES = {"mirror-mouse": 2000, "mirror-mouse-separate": 501, "ibl-pupil": 2000, "fly": 500}


def estimated(source: Path, folder: Path, n_frames: int) -> Tracks:
    """Tracks of a file that lies beside a video of so many frames."""
    beside = folder / f"side.{source.name}"
    shutil.copyfile(source, beside)
    write_video(folder / "side.mp4", (np.zeros((16, 16), np.uint8) for _ in range(n_frames)), 100)
    assert ESTIMATOR.recognises(beside)
    ESTIMATOR.import_bundle(beside, folder / "bundle")
    return ESTIMATOR.load(folder / "bundle").estimate(folder / "side.mp4")


@pytest.mark.parametrize("recording", N_FRAMES)
def test_every_number_of_a_networks_file_comes_back(recording: str, tmp_path: Path) -> None:
    source = sorted((ENSEMBLES / recording).glob("*.csv"))[0]
    tracks = estimated(source, tmp_path, N_FRAMES[recording])
    table = pd.read_csv(source, header=[0, 1, 2], index_col=0)
    assert len(table) == tracks.n_frames == N_FRAMES[recording]
    assert tracks.attributes["network"] in ("heatmap_tracker", "heatmap_mhcrnn_tracker")
    scorer = table.columns.get_level_values(0)[0]
    for index, node in enumerate(tracks.nodes):
        for coord, found in (("x", tracks.position[:, index, 0]), ("y", tracks.position[:, index, 1])):
            np.testing.assert_array_equal(found, table[scorer, node, coord].to_numpy(np.float32))
        np.testing.assert_array_equal(tracks.score[:, index], table[scorer, node, "likelihood"].to_numpy(np.float32))


def test_networks_of_one_name_are_told_apart_by_the_names_of_their_files(tmp_path: Path) -> None:
    write_video(tmp_path / "side.mp4", np.zeros((3, 16, 16), np.uint8), 100)
    for source in sorted((ENSEMBLES / "ibl-pupil").glob("*.csv")):
        seed = source.stem.rpartition(".")[2]
        shutil.copyfile(source, tmp_path / f"side.{seed}.csv")
        ESTIMATOR.import_bundle(tmp_path / f"side.{seed}.csv", tmp_path / f"bundle {seed}")
    assert len({path.read_text() for path in tmp_path.rglob("deeplabcut.json")}) == 5


def test_points_of_a_person_are_no_poses() -> None:
    labels = SHARED / "data" / "mirror-mouse" / "labels" / "side" / "CollectedData.csv"
    assert not ESTIMATOR.recognises(labels)


@pytest.mark.parametrize(
    ("name", "frames"),
    [
        ("rows_missing.csv", [0, 1, 2, *range(6, 12)]),
        ("index500.csv", range(500, 512)),
        ("ma_one.csv", range(12)),
        ("bom.csv", range(12)),
    ],
)
def test_frame_numbers_one_animal_and_a_byte_order_mark(name: str, frames: list[int], tmp_path: Path) -> None:
    tracks = estimated(CASES / name, tmp_path, 600)
    assert tracks.nodes == ("nose", "jaw", "ear")
    assert np.flatnonzero(tracks.found.all(axis=1)).tolist() == list(frames)
    np.testing.assert_array_equal(tracks.position[frames[0], 0], np.float32([60.957, 31.583]))
    assert tracks.attributes["n_frames_without_row"] == 600 - len(frames)


def test_sleaps_own_csv_is_none_of_these(tmp_path: Path) -> None:
    path = shutil.copyfile(CASES / "sleap_analysis.csv", tmp_path / "side.csv")
    assert not ESTIMATOR.recognises(Path(path))
    with pytest.raises(ModelError, match="cannot be read as a table of DeepLabCut or Lightning Pose"):
        ESTIMATOR.import_bundle(Path(path), tmp_path / "bundle")
