"""Files of tracks of the kinds that people report in trackers: each gives what is right, see ../shared/cases."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import orofacial
from compute.formats import ExportError, read
from compute.tracks import Tracks

CASES = Path(__file__).parents[3] / "shared" / "cases" / "tracks"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not CASES.is_dir(), reason=f"the cases are not here: {CASES}"),
]


def converted(name: str, folder: Path, *options: str) -> Tracks:
    """The tracks that `orofacial convert FILE out.csv --fps 100` gives, read back."""
    target = folder / "out.csv"
    words = [sys.executable, "-m", "pipeline.cli", "convert", str(CASES / name), str(target), "--fps", "100", *options]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    tracks = read(target).tracks
    np.testing.assert_array_equal(tracks.position, read(CASES / name, fps=100).tracks.position)
    return tracks


def deeplabcut_points(name: str, header: list[int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Frame numbers and points (row, node, 3) as pandas reads them."""
    table = pd.read_csv(CASES / name, header=header, index_col=0)
    return table.index.to_numpy(), table.to_numpy(np.float32).reshape(len(table), 3, 3)


@pytest.mark.parametrize(
    ("name", "n_frames", "header"),
    [
        ("rows_missing.csv", 12, [0, 1, 2]),
        ("index500.csv", 512, [0, 1, 2]),
        ("ma_one.csv", 12, [0, 1, 2, 3]),
        ("bom.csv", 12, [0, 1, 2]),
    ],
)
def test_deeplabcuts_frame_numbers_are_honoured(name: str, n_frames: int, header: list[int], tmp_path: Path) -> None:
    tracks = converted(name, tmp_path)
    frames, points = deeplabcut_points(name, header)
    assert tracks.nodes == ("nose", "jaw", "ear")
    assert tracks.n_frames == n_frames
    np.testing.assert_array_equal(tracks.position[frames], points[..., :2])
    np.testing.assert_array_equal(tracks.score[frames], points[..., 2])
    missing = np.setdiff1d(np.arange(n_frames), frames)
    assert np.isnan(tracks.position[missing]).all() and (tracks.score[missing] == 0).all()
    np.testing.assert_allclose(tracks.time, np.arange(n_frames) / 100)


@pytest.mark.parametrize("name", ["equal.nwb", "unequal.nwb"])
def test_each_series_of_nwb_has_its_own_times(name: str, tmp_path: Path) -> None:
    tracks = converted(name, tmp_path)
    np.testing.assert_allclose(tracks.time, np.arange(12) / 100, atol=1e-9)
    with h5py.File(CASES / name) as file:
        (pose,) = file["processing/SLEAP_VIDEO_000_side"].values()
        for index, node in enumerate(tracks.nodes):
            series = pose[node]
            points = series["data"][:]
            times = series["timestamps"][:] if "timestamps" in series else np.arange(len(points)) / 100
            frames = np.rint(times * 100).astype(int)
            np.testing.assert_array_equal(tracks.position[frames, index], points.astype(np.float32))
            missing = np.setdiff1d(np.arange(12), frames)
            assert np.isnan(tracks.position[missing, index]).all() and (tracks.score[missing, index] == 0).all()


def test_nwb_without_confidence_is_read_and_what_stands_for_it_is_said(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    words = [sys.executable, "-m", "pipeline.cli", "convert", str(CASES / "no_confidence.nwb"), str(target)]
    done = subprocess.run([*words, "--fps", "100"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "nose, jaw without scores (confidence): 1 stands for a point that is there" in done.stderr
    assert "--fps 100 was not used" in done.stderr and "50 a second" in done.stderr
    tracks = read(target).tracks
    np.testing.assert_allclose(tracks.time, np.arange(10) / 50)
    assert tracks.found.all() and (tracks.score == 1).all()
    assert "without scores" in json.loads((tmp_path / "out.csv.json").read_text())["attributes"]["assumptions"][0]


def test_a_slp_has_as_many_frames_as_its_video(tmp_path: Path) -> None:
    tracks = converted("trailing.slp", tmp_path)
    assert tracks.n_frames == 12
    assert np.flatnonzero(tracks.found.any(axis=1)).tolist() == list(range(9))


def test_a_frame_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"twice\.slp has frame 1 more than once"):
        orofacial.read(CASES / "twice.slp", fps=100)
    words = [sys.executable, "-m", "pipeline.cli", "convert", str(CASES / "twice.slp"), str(tmp_path / "out.csv")]
    assert subprocess.run([*words, "--fps", "100"], capture_output=True, check=False).returncode == 1
    assert not list(tmp_path.iterdir())


def test_one_animal_whose_track_broke_is_joined(tmp_path: Path) -> None:
    tracks = converted("broken.analysis.h5", tmp_path)
    with h5py.File(CASES / "broken.analysis.h5") as file:
        pieces = file["tracks"][:].transpose(0, 3, 2, 1)
    np.testing.assert_array_equal(
        tracks.position, np.where(np.isnan(pieces[0]), pieces[1], pieces[0]).astype(np.float32)
    )
    assert tracks.found.all()
    one = read(CASES / "broken.analysis.h5", fps=100, name="track_1").tracks
    assert np.flatnonzero(one.found.any(axis=1)).tolist() == list(range(6, 12))


def test_sleaps_own_csv_is_read(tmp_path: Path) -> None:
    tracks = converted("sleap_analysis.csv", tmp_path)
    table: Any = pd.read_csv(CASES / "sleap_analysis.csv")
    assert tracks.nodes == ("nose", "jaw")
    for index, node in enumerate(tracks.nodes):
        np.testing.assert_array_equal(tracks.position[:, index], table[[f"{node}.x", f"{node}.y"]].to_numpy(np.float32))
        np.testing.assert_array_equal(tracks.score[:, index], table[f"{node}.score"].to_numpy(np.float32))
