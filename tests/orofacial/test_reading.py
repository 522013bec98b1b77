"""`orofacial.read` finds out by itself what a file holds, and gives it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sleap_io as sio

import orofacial
from compute.errors import LabelsError, OrofacialError
from compute.formats import FORMATS, ExportError, PortableTrack, write
from compute.labels import LabeledFrameSource, labeled_positions, labeled_skeleton, write_package
from compute.tracks import Tracks
from compute.tracks.parquet import to_parquet

NODES = ("jaw_tip", "left snout")
EDGES = (("jaw_tip", "left snout"),)


def some_tracks() -> Tracks:
    rng = np.random.default_rng(0)
    position, score = rng.uniform(0, 40, (6, 2, 2)), rng.uniform(0.1, 1, (6, 2))
    position[2, 1], score[2, 1] = np.nan, 0
    return Tracks(position, score, np.arange(6) / 100, NODES)


def assert_same(found: object, expected: Tracks) -> None:
    assert isinstance(found, orofacial.Tracks)
    assert found.nodes == expected.nodes
    np.testing.assert_array_equal(found.position, expected.position)
    np.testing.assert_array_equal(found.score, expected.score)
    np.testing.assert_array_equal(found.time, expected.time)


@pytest.mark.parametrize("format_name", FORMATS)
def test_tracks_of_every_format(tmp_path: Path, format_name: str) -> None:
    path = tmp_path / f"mouse01{FORMATS[format_name].ending}"
    video = PortableTrack(some_tracks(), EDGES, "/raw/side.mp4", (64, 48))
    write(format_name, path, video)
    assert_same(orofacial.read(path), some_tracks())
    assert_same(orofacial.read(str(path)), some_tracks())


def test_a_file_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "tracks_abc.parquet").write_bytes(to_parquet(some_tracks()))
    assert_same(orofacial.read(tmp_path / "tracks_abc.parquet"), some_tracks())


def test_tracks_of_another_program_need_a_frame_rate(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    rows = ["scorer,net,net,net", "bodyparts,nose,nose,nose", "coords,x,y,likelihood", "0,1.5,2.5,0.9", "1,3,4,0.8"]
    path.write_text("\n".join(rows) + "\n")
    with pytest.raises(ExportError, match="holds no times of its frames; give the frame rate: fps="):
        orofacial.read(path)
    tracks = orofacial.read(path, fps=50)
    assert isinstance(tracks, Tracks)
    np.testing.assert_array_equal(tracks.time, [0, 0.02])
    np.testing.assert_array_equal(tracks.position[:, 0], np.array([[1.5, 2.5], [3, 4]], np.float32))


def assert_labels(found: object) -> sio.Labels:
    assert isinstance(found, sio.Labels)
    return found


def make_package(path: Path) -> np.ndarray:
    images = np.zeros((3, 48, 64), np.uint8)
    positions = np.random.default_rng(1).uniform(5, 40, (3, 2, 2))
    write_package(path, images, positions, NODES, EDGES, [LabeledFrameSource("side.mp4", index) for index in range(3)])
    return positions


def test_a_package_of_labels(tmp_path: Path) -> None:
    positions = make_package(tmp_path / "side.pkg.slp")
    labels = assert_labels(orofacial.read(tmp_path / "side.pkg.slp"))
    np.testing.assert_allclose(labeled_positions(labels), positions)
    assert labeled_skeleton(labels) == (NODES, EDGES)


def project(folder: Path, *, predicted: bool) -> Path:
    """A SLEAP project with a labeled frame, and if asked a predicted one."""
    image = folder / "frame.png"
    import cv2

    cv2.imwrite(str(image), np.zeros((48, 64), np.uint8))
    skeleton = sio.Skeleton(nodes=list(NODES))
    video = sio.Video(filename=[str(image), str(image)])
    points = np.array([[10.0, 20.0], [30.0, 40.0]])
    frames = [sio.LabeledFrame(video=video, frame_idx=0, instances=[sio.Instance.from_numpy(points, skeleton)])]
    if predicted:
        instance = sio.PredictedInstance.from_numpy(points + 1, skeleton, point_scores=np.array([0.5, 0.6]), score=1.1)
        frames.append(sio.LabeledFrame(video=video, frame_idx=1, instances=[instance]))
    sio.Labels(frames, videos=[video], skeletons=[skeleton]).save(str(folder / "project.slp"), verbose=False)
    return folder / "project.slp"


def test_a_project_without_predictions_is_labels_one_with_them_tracks(tmp_path: Path) -> None:
    labels = assert_labels(orofacial.read(project(tmp_path, predicted=False)))
    np.testing.assert_array_equal(labeled_positions(labels), [[[10, 20], [30, 40]]])
    tracks = orofacial.read(project(tmp_path, predicted=True), fps=100)
    assert isinstance(tracks, Tracks)
    np.testing.assert_array_equal(tracks.position[1], [[11, 21], [31, 41]])
    assert np.isnan(tracks.score[0]).all()  # placed by a person


def test_labels_of_deeplabcut(tmp_path: Path) -> None:
    import cv2

    folder = tmp_path / "labeled-data" / "side"
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "img001.png"), np.zeros((48, 64), np.uint8))
    path = folder / "CollectedData_lab.csv"
    rows = ["scorer,,,lab,lab", "bodyparts,,,nose,nose", "coords,,,x,y", "labeled-data,side,img001.png,7.5,8.5"]
    path.write_text("\n".join(rows) + "\n")
    labels = assert_labels(orofacial.read(path))
    np.testing.assert_array_equal(labeled_positions(labels), [[[7.5, 8.5]]])
    (folder / "img001.png").unlink()
    with pytest.raises(LabelsError, match=r"the labeled image .*img001.png is missing"):
        orofacial.read(path)


@pytest.mark.parametrize("name", ["side.mp4", "gone.slp", "folder", "broken.slp", "broken.h5", "other.h5"])
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    import h5py

    if name == "folder":
        (tmp_path / name).mkdir()
    elif name == "other.h5":
        with h5py.File(tmp_path / name, "w") as file:
            file["weights"] = 1
    elif name != "gone.slp":
        (tmp_path / name).write_bytes(b"nothing that anybody knows")
    with pytest.raises(OrofacialError) as error:
        orofacial.read(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)
    if not name.startswith("broken"):
        for known in (*(one.ending for one in FORMATS.values()), ".pkg.slp", "Lightning Pose"):
            assert known in str(error.value)
