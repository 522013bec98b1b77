"""Poses of DeepLabCut and Lightning Pose are taken as they stand in the files, and what does not fit is refused."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from compute import formats
from compute.errors import ModelError
from compute.estimators.deeplabcut import ESTIMATOR, DeepLabCutEstimator
from compute.formats import PortableTrack
from compute.tracks import Tracks
from compute.video import write_video

NETWORK = "DLC_resnet50_snoutJan5shuffle1_50000"
NODES = ("snout", "jaw_tip")
N_FRAMES = 12
TIME = np.arange(N_FRAMES) / 100


def make_sample(folder: Path) -> Path:
    """A file that `deeplabcut` recognises as its own, see test_contract.py."""
    return beside_video(folder, f"side{NETWORK}.csv")


def values_of(n_rows: int = N_FRAMES, n_nodes: int = 2, seed: int = 0) -> NDArray[np.float64]:
    """Positions and likelihoods, shape (row, node, 3), with more digits than single precision has."""
    return np.random.default_rng(seed).uniform(0, 1, (n_rows, n_nodes, 3)) * [600, 400, 1]


def write_table(
    path: Path,
    values: NDArray[Any] | None = None,
    *,
    frames: Sequence[int] | None = None,
    nodes: Sequence[str] = NODES,
    scorer: str = NETWORK,
    individuals: Sequence[str] = (),
) -> Path:
    """Write a table as DeepLabCut does, with pandas; the ending says whether as CSV or HDF5."""
    values = values_of(n_nodes=len(nodes) * max(len(individuals), 1)) if values is None else values
    levels: dict[str, Sequence[str]] = {"scorer": [scorer]}
    levels |= {"individuals": list(individuals)} if individuals else {}
    levels |= {"bodyparts": list(nodes), "coords": ["x", "y", "likelihood"]}
    columns = pd.MultiIndex.from_product(list(levels.values()), names=list(levels))
    index = range(len(values)) if frames is None else list(frames)
    table = pd.DataFrame(values.reshape(len(values), -1), columns=columns, index=index)
    if path.suffix == ".csv":
        table.to_csv(path)
    else:
        table.to_hdf(path, key="df_with_missing", format="table", mode="w")
    return path


def beside_video(folder: Path, name: str, values: NDArray[Any] | None = None, **options: Any) -> Path:
    """A table in a folder with a video named side.mp4."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "side.mp4").exists():
        write_video(folder / "side.mp4", np.zeros((N_FRAMES, 32, 32), np.uint8), 100)
    return write_table(folder / name, values, **options)


def imported(source: Path, **options: Any) -> DeepLabCutEstimator:
    folder = source.parent / " ".join(["bundle of", source.name, *map(str, options.values())])
    info = ESTIMATOR.import_bundle(source, folder, **options)
    assert ESTIMATOR.read_bundle(folder) == info
    return ESTIMATOR.load(folder)


@pytest.mark.parametrize("ending", [".csv", ".h5"])
def test_tracks_are_the_numbers_of_the_file(tmp_path: Path, ending: str) -> None:
    source = beside_video(tmp_path, f"side{NETWORK}{ending}")
    tracks = imported(source).estimate(tmp_path / "side.mp4", time=TIME)
    np.testing.assert_array_equal(tracks.position, values_of()[..., :2].astype(np.float32))
    np.testing.assert_array_equal(tracks.score, values_of()[..., 2].astype(np.float32))
    np.testing.assert_array_equal(tracks.time, TIME)
    assert tracks.nodes == NODES
    assert dict(tracks.attributes) == {
        "estimator": "deeplabcut",
        "network": NETWORK,
        "input_file": str(source),
        "input_file_hash": hashlib.sha256(source.read_bytes()).hexdigest(),
        "n_frames_without_row": 0,
        "minimum_score": 0.0,
    }


def test_without_times_the_video_says_how_many_frames_there_are(tmp_path: Path) -> None:
    estimator = imported(beside_video(tmp_path, f"side{NETWORK}.csv"))
    progress: list[tuple[int, int]] = []
    tracks = estimator.estimate(tmp_path / "side.mp4", progress=lambda done, total: progress.append((done, total)))
    np.testing.assert_allclose(tracks.time, TIME)
    assert (estimator.device, progress) == ("file", [(N_FRAMES, N_FRAMES)])


@pytest.mark.parametrize("ending", [".csv", ".h5"])
def test_frame_numbers_say_where_a_row_belongs(tmp_path: Path, ending: str) -> None:
    frames = [7, 3, 11, 0]
    source = beside_video(tmp_path, f"side{ending}", values_of(4), frames=frames, scorer="heatmap_tracker")
    tracks = imported(source).estimate(tmp_path / "side.mp4", time=TIME)
    np.testing.assert_array_equal(tracks.position[frames], values_of(4)[..., :2].astype(np.float32))
    others = np.setdiff1d(np.arange(N_FRAMES), frames)
    assert np.isnan(tracks.position[others]).all() and (tracks.score[others] == 0).all()
    assert tracks.attributes["n_frames_without_row"] == 8


def test_nodes_are_matched_by_name(tmp_path: Path) -> None:
    estimator = imported(beside_video(tmp_path, f"side{NETWORK}.csv"))
    other = beside_video(tmp_path / "other", f"side{NETWORK}.csv", values_of()[:, ::-1], nodes=NODES[::-1])
    tracks = estimator.estimate(other.with_name("side.mp4"), time=TIME)
    assert tracks.nodes == NODES
    np.testing.assert_array_equal(tracks.position, values_of()[..., :2].astype(np.float32))


def test_points_without_numbers_and_below_the_minimum_score_are_not_found(tmp_path: Path) -> None:
    values = values_of()
    values[3, 1] = np.nan
    source = beside_video(tmp_path, f"side{NETWORK}.csv", values)
    everything = imported(source).estimate(tmp_path / "side.mp4", time=TIME)
    assert np.argwhere(~everything.found).tolist() == [[3, 1]] and everything.score[3, 1] == 0
    some = imported(source, minimum_score=0.6).estimate(tmp_path / "side.mp4", time=TIME)
    np.testing.assert_array_equal(some.found, values[..., 2] >= 0.6)
    np.testing.assert_array_equal(some.score, np.where(some.found, everything.score, 0))


def test_filtered_poses_are_another_model_and_hdf5_goes_before_csv(tmp_path: Path) -> None:
    plain = beside_video(tmp_path, f"side{NETWORK}.csv")
    estimator = imported(plain)
    filtered = imported(beside_video(tmp_path, f"side{NETWORK}_filtered.csv", values_of(seed=1)))
    assert hashes_of(tmp_path) == 2
    assert ESTIMATOR.input_file(tmp_path / "side.mp4", estimator.bundle) == plain
    assert ESTIMATOR.input_file(tmp_path / "side.mp4", filtered.bundle) == tmp_path / f"side{NETWORK}_filtered.csv"
    assert ESTIMATOR.input_file(tmp_path / "lower.mp4", estimator.bundle) is None
    hdf5 = beside_video(tmp_path, f"side{NETWORK}.h5")
    assert ESTIMATOR.input_file(tmp_path / "side.mp4", estimator.bundle) == hdf5
    imported(hdf5)
    assert hashes_of(tmp_path) == 2  # the same network, whichever of its files was named


def hashes_of(folder: Path) -> int:
    """Number of different bundles below a folder."""
    return len({path.read_bytes() for path in folder.rglob("deeplabcut.json")})


def test_a_model_is_its_network_its_nodes_and_the_name_that_it_was_given(tmp_path: Path) -> None:
    imported(beside_video(tmp_path / "a", f"side{NETWORK}.csv"))
    imported(beside_video(tmp_path / "b", f"side{NETWORK}.csv", values_of(3)))
    assert hashes_of(tmp_path) == 1
    for name, source in (
        ("c", beside_video(tmp_path / "c", f"side{NETWORK}.csv")),
        ("", beside_video(tmp_path / "d", "sideDLC_other.csv", scorer="DLC_other")),
        ("", beside_video(tmp_path / "e", f"side{NETWORK}.csv", nodes=("snout", "ear"))),
    ):
        imported(source, **({"name": name} if name else {}))
    assert hashes_of(tmp_path) == 4
    said = json.loads((tmp_path / "a" / f"bundle of side{NETWORK}.csv" / "deeplabcut.json").read_text())
    assert said["network"] == said["ending"] == NETWORK


def test_what_is_not_known_is_none(tmp_path: Path) -> None:
    info = imported(beside_video(tmp_path, f"side{NETWORK}.csv")).bundle
    unknown = (info.width_px, info.height_px, info.n_channels, info.n_training_frames)
    assert unknown == (None, None, None, None)
    assert info.training_frames is None and info.training_mice is None
    assert (info.nodes, info.edges, info.minimum_score) == (NODES, (), 0.0)


def test_one_animal_with_four_lines_of_header_is_read_and_two_are_refused(tmp_path: Path) -> None:
    for ending in (".csv", ".h5"):
        one = beside_video(tmp_path / "one", f"side{NETWORK}{ending}", individuals=["mouse1"])
        tracks = imported(one).estimate(tmp_path / "one" / "side.mp4", time=TIME)
        np.testing.assert_array_equal(tracks.position, values_of()[..., :2].astype(np.float32))
        two = beside_video(tmp_path / "two", f"side{NETWORK}{ending}", individuals=["mouse1", "mouse2"])
        with pytest.raises(ModelError, match=r"several animals \(mouse1, mouse2\); expected one"):
            imported(two)


def test_a_byte_order_mark_is_no_part_of_the_header(tmp_path: Path) -> None:
    source = beside_video(tmp_path, "side.csv", scorer="heatmap_tracker")
    source.write_bytes(b"\xef\xbb\xbf" + source.read_bytes())
    assert ESTIMATOR.recognises(source)
    np.testing.assert_array_equal(
        imported(source).estimate(tmp_path / "side.mp4", time=TIME).score, values_of()[..., 2].astype(np.float32)
    )


def altered(source: Path, change: str) -> Path:
    """A file with something in it that is wrong."""
    lines = source.read_text().splitlines()
    cells = list(csv.reader(lines))
    if change == "cut off":
        lines[-1] = ",".join(cells[-1][:4])
    elif change == "half a point":
        lines[5] = ",".join([*cells[5][:2], "", *cells[5][3:]])
    elif change == "infinite":
        lines[5] = ",".join([*cells[5][:1], "inf", *cells[5][2:]])
    elif change == "text":
        lines[5] = ",".join([*cells[5][:1], "left", *cells[5][2:]])
    elif change == "image":
        lines[5] = ",".join(["labeled-data/a/img5.png", *cells[5][1:]])
    elif change == "fraction":
        lines[5] = ",".join(["2.5", *cells[5][1:]])
    elif change == "twice":
        lines[6] = ",".join(["2", *cells[6][1:]])
    elif change == "beyond":
        lines[-1] = ",".join([str(N_FRAMES), *cells[-1][1:]])
    elif change == "labels":
        lines = [",".join(cell for i, cell in enumerate(row) if i % 3 or not i) for row in cells]
    elif change == "two networks":
        lines[0] = ",".join([*cells[0][:4], "other", "other", "other"])
    elif change == "other network":
        lines[0] = lines[0].replace(NETWORK, "DLC_other")
    elif change == "other nodes":
        lines[1] = lines[1].replace("jaw_tip", "ear")
    elif change == "one column twice":
        lines[2] = lines[2].replace("x,y,likelihood", "x,x,likelihood", 1)
    elif change == "no rows":
        lines = lines[:3]
    elif change == "empty":
        lines = []
    source.write_text("\n".join(lines) + "\n")
    return source


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("cut off", r"line 15 has 4 cells, expected 7: it may have been cut off"),
        ("half a point", r"frame 2 has only one of x and y for snout"),
        ("infinite", r"frame 2 has an infinite number for snout"),
        ("text", r"cannot be read as a table of DeepLabCut or Lightning Pose \(line 6: 'left' is no number"),
        ("image", r"cannot be read as a table"),
        ("fraction", r"line 6: '2.5' is no number of a frame"),
        ("twice", r"has frame 2 more than once"),
        ("beyond", r"has frame 12, expected frame 0 to frame 11; it is of another video"),
        ("labels", r"holds no likelihoods, .*'orofacial labels import'"),
        ("two networks", r"several networks \(DLC_resnet50_snoutJan5shuffle1_50000, other\)"),
        ("other network", r"network DLC_other, expected DLC_resnet50_snoutJan5shuffle1_50000; import it as a model"),
        ("other nodes", r"has the nodes snout, ear; the model has snout, jaw_tip"),
        ("one column twice", r"two columns for x of snout; expected one"),
        ("no rows", r"holds no frame"),
        ("empty", r"cannot be read as a table"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, change: str, said: str) -> None:
    source = beside_video(tmp_path, f"side{NETWORK}.csv")
    estimator = imported(source)
    with pytest.raises(ModelError, match=said) as refused:
        estimator.estimate(tmp_path / "side.mp4", time=TIME, input_file=altered(source, change))
    assert str(source) in str(refused.value)


def test_a_damaged_hdf5_file_is_refused(tmp_path: Path) -> None:
    source = beside_video(tmp_path, f"side{NETWORK}.h5")
    estimator = imported(source)
    content = source.read_bytes()
    for damaged in (content[: len(content) // 2], content[:100], b""):
        source.write_bytes(damaged)
        with pytest.raises(ModelError, match="cannot be read as a table") as refused:
            estimator.estimate(tmp_path / "side.mp4", time=TIME)
        assert "\n" not in str(refused.value) and str(refused.value).count(str(source)) == 1
        assert not ESTIMATOR.recognises(source)


def test_a_file_that_is_not_there_and_one_beside_no_video_are_refused(tmp_path: Path) -> None:
    source = beside_video(tmp_path, f"side{NETWORK}.csv")
    estimator = imported(source)
    source.unlink()
    with pytest.raises(ModelError, match=rf"has no poses beside it: expected side{NETWORK}\.h5 or \.csv"):
        estimator.estimate(tmp_path / "side.mp4", time=TIME)
    (tmp_path / "alone").mkdir()
    with pytest.raises(ModelError, match="lies beside no video whose name it begins with"):
        imported(write_table(tmp_path / "alone" / f"side{NETWORK}.csv"))
    with pytest.raises(ModelError, match="its error on labeled images cannot be measured here"):
        estimator.evaluate(tmp_path / "labels.pkg.slp")


@pytest.mark.parametrize("ending", [".csv", ".h5"])
def test_a_point_without_a_likelihood_counts_least_and_it_is_said(tmp_path: Path, ending: str) -> None:
    values = values_of()
    values[4, 0, 2] = np.nan
    tracks = imported(beside_video(tmp_path, f"side{NETWORK}{ending}", values)).estimate(
        tmp_path / "side.mp4", time=TIME
    )
    assert tracks.score[4, 0] == 0 and tracks.found[4, 0] and not np.isnan(tracks.score).any()
    assert "1 point of a network without a score" in tracks.attributes["assumptions"][0]
    values[..., 2] *= 100
    with pytest.raises(ModelError, match=r"the score of .* is 9[0-9.]+, expected 0 to 1"):
        imported(beside_video(tmp_path / "percent", f"side{NETWORK}{ending}", values))


@pytest.mark.parametrize(("format_name", "ending"), [("dlc-csv", ".csv"), ("dlc-h5", ".h5")])
def test_what_this_project_exports_comes_back(tmp_path: Path, format_name: str, ending: str) -> None:
    values = values_of()
    position, score = values[..., :2], values[..., 2].copy()
    position[4, 0], score[4, 0] = np.nan, 0
    score[5, 1] = np.nan  # placed by a person
    tracks = Tracks(position, score, TIME, NODES)
    beside_video(tmp_path, f"side{NETWORK}.csv")
    path = tmp_path / f"side_exported{ending}"
    formats.write(format_name, path, PortableTrack(tracks))
    back = imported(path).estimate(tmp_path / "side.mp4", time=TIME)
    np.testing.assert_array_equal(back.position, tracks.position)
    np.testing.assert_array_equal(back.score, tracks.score)
    assert replace(back, attributes={}).nodes == NODES and back.attributes["network"] == "orofacial"
