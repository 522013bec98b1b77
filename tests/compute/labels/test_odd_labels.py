"""Labels that are unusual: put together, or refused by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import sleap_io as sio

from compute.errors import LabelsError
from compute.labels import (
    check_labeled_images,
    labeled_frame_sources,
    labeled_images,
    labeled_in_order,
    labeled_positions,
    labeled_skeleton,
    labels_scorers,
    load_package,
    read_labels,
    save_package,
    write_package,
)
from compute.video import write_video

HEADER = "scorer,{0}\nbodyparts,{1}\ncoords,{2}\n"


def write_csv(path: Path, people: tuple[str, ...], rows: list[str], nodes: tuple[str, ...] = ("nose", "jaw")) -> Path:
    """A CSV of DeepLabCut, with an image of its own for each row's path that is not there yet."""
    columns = [(who, node, axis) for who in people for node in nodes for axis in "xy"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER.format(*(",".join(level) for level in zip(*columns, strict=True))) + "\n".join(rows) + "\n")
    for index, row in enumerate(rows):
        image = path.parent / row.split(",")[0]
        image.parent.mkdir(parents=True, exist_ok=True)
        if not image.exists():
            cv2.imwrite(str(image), np.random.default_rng(index).integers(0, 256, (40, 60), np.uint8))
    return path


def test_nodes_of_one_image_by_two_people_are_put_together(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", ("ann", "bob"), ["i/0.png,1,2,,,,,3,4", "i/1.png,5,6,7,8,5,6,,"])
    labels = read_labels(path)
    np.testing.assert_array_equal(labeled_positions(labels), [[[1, 2], [3, 4]], [[5, 6], [7, 8]]])
    assert labels_scorers(labels) == ({"ann": 2, "bob": 2}, {})


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["i/0.png,1,2,3,"], r"line 4, i/0\.png: jaw has x but no y"),
        (["i/0.png,1,2,3,inf"], r"jaw lies at \(3, inf\)"),
        (["i/0.png,1,2,3,four"], "line 4: y of jaw is 'four'"),
        (["i/0.png,1,2,3"], "line 4: 4 cells, expected 5"),
        (["i/0.png,1,2,3,4", "i/0.png,1,2,3,5"], r"i/0\.png: jaw was placed at \(3, 4\) by ann .* \(3, 5\)"),
    ],
)
def test_a_row_that_cannot_be_right_is_refused_by_its_line(tmp_path: Path, rows: list[str], said: str) -> None:
    with pytest.raises(LabelsError, match=said):
        read_labels(write_csv(tmp_path / "a.csv", ("ann",), rows))


def test_poses_of_a_network_are_no_labels(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("scorer,n,n,n\nbodyparts,a,a,a\ncoords,x,y,likelihood\n0,1,2,0.9\n")
    with pytest.raises(LabelsError, match="model import"):
        read_labels(tmp_path / "a.csv")


def test_equal_names_in_two_folders_are_two_images(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "labeled-data" / "a" / "labels.csv", ("ann",), ["0.png,1,2,3,4"])
    assert labeled_frame_sources(read_labels(path))[0].path == str(path.parent / "0.png")
    path.write_text(path.read_text().replace("0.png", "labeled-data/a/0.png"))
    assert labeled_frame_sources(read_labels(path))[0].path.endswith("labeled-data/a/0.png")
    path.write_text(path.read_text().replace("labeled-data/a", "labeled-data/b"))
    with pytest.raises(LabelsError, match=r"labeled-data/b/0\.png is missing"):
        read_labels(path)


def make_labels(folder: Path, frames: dict[int, list[float]], name: str = "side.mp4", **skeleton: object) -> sio.Labels:
    """Labels of two nodes over a video of its own; x of both nodes is one of the numbers."""
    texture = np.random.default_rng(len(name)).integers(0, 256, (20, 48, 64), np.uint8)
    write_video(folder / name, texture, 30, crf=1)
    video = sio.load_video(str(folder / name))
    one = sio.Skeleton(nodes=["nose", "jaw"], **skeleton)
    return sio.Labels(
        [
            sio.LabeledFrame(video=video, frame_idx=index, instances=[sio.Instance.from_numpy(np.array(points), one)])
            for index, points in frames.items()
        ]
    )


POINTS = [[10.0, 20.0], [30.0, 40.0]]


def test_half_a_point_and_a_point_outside_are_refused_by_frame_and_node(tmp_path: Path) -> None:
    labels = make_labels(tmp_path, {3: POINTS, 7: [[10.0, np.nan], [30.0, 40.0]]})
    labels.save(str(tmp_path / "half.slp"), verbose=False)
    with pytest.raises(LabelsError, match=r"frame 7 of .*side\.mp4: nose has x but no y"):
        read_labels(tmp_path / "half.slp")
    make_labels(tmp_path, {5: [[10.0, 20.0], [90.0, 40.0]]}).save(str(tmp_path / "out.slp"), verbose=False)
    read = read_labels(tmp_path / "out.slp")
    with pytest.raises(LabelsError, match=r"frame 5 of .*: jaw lies at \(90, 40\), outside the image of 64 x 48 px"):
        check_labeled_images(read, labeled_images(read), tmp_path / "out.slp")


@pytest.mark.parametrize("corner", [0.0, -1.0])
def test_a_point_that_a_program_wrote_for_none_is_refused(tmp_path: Path, corner: float) -> None:
    path = tmp_path / "labels.slp"
    make_labels(tmp_path, {3: POINTS, 7: [[corner, corner], [30.0, 40.0]]}).save(str(path), verbose=False)
    read = read_labels(path)
    with pytest.raises(
        LabelsError, match=rf"frame 7 of .*: nose lies at exactly \({corner:g}, {corner:g}\), as some prog"
    ):
        check_labeled_images(read, labeled_images(read), path)
    make_labels(tmp_path, {3: POINTS, 7: [[corner, 0.2], [30.0, 40.0]]}).save(str(path), verbose=False)
    read = read_labels(path)
    check_labeled_images(read, labeled_images(read), path)


def test_all_images_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    names = [f"labeled-data/{video}/img{index}.png" for video in "ab" for index in range(3)]
    rows = [f"{name},10,20,30,40" for name in names]
    path = write_csv(tmp_path / "labels.csv", ("anna",), rows)
    labels = read_labels(path)
    for broken in (names[1], names[2], names[4]):
        (tmp_path / broken).write_bytes(b"no image")
    with pytest.raises(LabelsError, match=r"3 labeled images cannot be read: .*Copy them again") as refused:
        labeled_images(labels)
    assert [name in str(refused.value) for name in names] == [False, True, True, False, True, False]


def test_another_video_than_was_labeled_is_refused(tmp_path: Path) -> None:
    make_labels(tmp_path, {3: POINTS, 15: POINTS}).save(str(tmp_path / "a.slp"), verbose=False)
    frames = np.zeros((10, 48, 64), np.uint8)
    write_video(tmp_path / "side.mp4", frames, 30)
    with pytest.raises(LabelsError, match=r"frame 15 of .*side\.mp4 is labeled, but that video has 10 frames"):
        labeled_images(read_labels(tmp_path / "a.slp"))
    write_video(tmp_path / "side.mp4", np.zeros((20, 24, 32), np.uint8), 30)
    with pytest.raises(LabelsError, match="is 32 x 24 px, but was 64 x 48 px when it was labeled"):
        labeled_images(read_labels(tmp_path / "a.slp"))


def test_one_image_labeled_in_two_ways_is_refused(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 60), np.uint8)
    position = np.full((2, 2, 2), 9.0)
    for apart, is_refused in ((1.0, False), (9.0, True)):
        position[1, 1, 0] = 9 + apart
        path = tmp_path / f"{apart}.pkg.slp"
        write_package(path, np.stack([image, image]), position, ["nose", "jaw"], [], [("a.mp4", 1), ("a.mp4", 2)])
        labels = read_labels(path)
        if is_refused:
            with pytest.raises(LabelsError, match=r"frame 1 of a\.mp4 and frame 2 of a\.mp4 are the same image: jaw"):
                check_labeled_images(labels, labeled_images(labels), path)
        else:
            check_labeled_images(labels, labeled_images(labels), path)


def test_all_frames_of_one_image_are_named(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 60), np.uint8)
    position = np.full((3, 2, 2), 9.0)
    position[2] = 30
    path = tmp_path / "a.pkg.slp"
    write_package(
        path, np.stack([image] * 3), position, ["nose", "jaw"], [], [("a.mp4", 1), ("a.mp4", 2), ("b.mp4", 3)]
    )
    labels = read_labels(path)
    said = (
        r"frame 1 of a\.mp4 and frame 2 of a\.mp4 and frame 3 of b\.mp4 are the same image: nose was placed at \(9, 9\)"
    )
    with pytest.raises(LabelsError, match=said):
        check_labeled_images(labels, labeled_images(labels), path)


def test_fractions_of_the_size_of_an_image_are_refused(tmp_path: Path) -> None:
    for name, rows, said in (
        ("all", ["i/0.png,0.5,0.9,,", "i/1.png,0.1,0.2,0.3,0.4"], "all points"),
        ("most", ["i/0.png,0.5,0.9,0,0", "i/1.png,0.1,0.2,0.3,1.4"], "67 % of the points"),
        ("one", ["i/0.png,0.5,0.9,,", "i/1.png,0.1,20,30,1.4"], None),
    ):
        path = write_csv(tmp_path / f"{name}.csv", ("ann",), rows)
        labels = read_labels(path)
        if said is None:
            check_labeled_images(labels, labeled_images(labels), path)
        else:
            with pytest.raises(LabelsError, match=rf"{said} lie from 0 to 1 \(x is 0\.1 to 0\.5.*px; expected pixels"):
                check_labeled_images(labels, labeled_images(labels), path)


def test_what_else_a_file_of_sleap_holds_is_left_out(tmp_path: Path) -> None:
    labels = make_labels(tmp_path, {3: POINTS}, symmetries=[("nose", "jaw")], edges=[("nose", "jaw")])
    skeleton, video = labels.skeleton, labels.video
    predicted = sio.PredictedInstance.from_numpy(np.array(POINTS) + 1, skeleton, point_scores=np.ones(2), score=1.0)
    labels[0].instances.append(predicted)
    labels.append(sio.LabeledFrame(video=video, frame_idx=9, instances=[predicted]))
    labels.suggestions = [sio.SuggestionFrame(video=video, frame_idx=11)]
    labels.skeletons = [sio.Skeleton(nodes=["old"], name="old"), skeleton]
    labels.save(str(tmp_path / "a.slp"), verbose=False)
    read = read_labels(tmp_path / "a.slp")
    assert [source.frame_index for source in labeled_frame_sources(read)] == [3]
    np.testing.assert_array_equal(labeled_positions(read), [POINTS])
    save_package(labeled_in_order(read, ("jaw", "nose"), (("nose", "jaw"),)), tmp_path / "a.pkg.slp")
    kept = load_package(tmp_path / "a.pkg.slp")
    assert labeled_skeleton(kept) == (("jaw", "nose"), (("nose", "jaw"),))
    np.testing.assert_array_equal(labeled_positions(kept), [POINTS[::-1]])


def test_merged_packages_are_followed_to_their_ends(tmp_path: Path) -> None:
    """Packages of SLEAP and of this project, merged by SLEAP twice, while the packages are there and afterwards."""
    expected = set()
    for index, mouse in enumerate(("mouse01", "mouse02", "mouse03")):
        folder = tmp_path / mouse / "2026-03-02_1"
        folder.mkdir(parents=True)
        labels = make_labels(folder, {4 + index: POINTS}, name="side.mp4")
        labels.save(str(tmp_path / f"{mouse}.slp"), verbose=False)
        if index == 1:
            save_package(read_labels(tmp_path / f"{mouse}.slp"), tmp_path / f"{mouse}.pkg.slp")
        else:
            labels.save(str(tmp_path / f"{mouse}.pkg.slp"), embed="user", verbose=False)
        expected.add((str(folder / "side.mp4"), 4 + index))
    merged = sio.load_slp(str(tmp_path / "mouse02.pkg.slp"))
    for mouse in ("mouse01", "mouse03"):
        merged.merge(sio.load_slp(str(tmp_path / f"{mouse}.pkg.slp")))
        merged.save(str(tmp_path / "merged.pkg.slp"), embed="user", verbose=False)
        shutil.copy(tmp_path / "merged.pkg.slp", tmp_path / f"with_{mouse}.pkg.slp")
        merged = sio.load_slp(str(tmp_path / f"with_{mouse}.pkg.slp"))
    found = labeled_frame_sources(read_labels(tmp_path / "with_mouse03.pkg.slp"))
    assert {tuple(one) for one in found} == expected
