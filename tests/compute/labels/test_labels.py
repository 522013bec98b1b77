"""Labels: what a person placed comes back exactly, from every format, with its image and its source."""

import cv2
import numpy as np
import pytest
import sleap_io as sio
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from compute.errors import LabelsError
from compute.labels import (
    SAME_IMAGE_GRAY_LEVELS,
    LabeledFrameSource,
    labeled_frame_sources,
    labeled_image_hash,
    labeled_images,
    labeled_positions,
    labeled_skeleton,
    load_package,
    match_with_video,
    read_labels,
    save_package,
    split_labeled_frames,
    split_labeled_indices,
    write_package,
)
from compute.video import read_video_luma, write_video

NODES = ("snout", "jaw_tip", "ear")  # not in alphabetical order, on purpose
EDGES = (("snout", "jaw_tip"), ("jaw_tip", "ear"))


def make_arrays(n_frames=5, height=40, width=60, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n_frames, height, width), np.uint8)
    position = rng.uniform(0, 40, (n_frames, len(NODES), 2)).round(2)
    position[1, 2] = np.nan
    return images, position, [(f"mouse{i % 2}/side.mp4", 10 * i) for i in range(n_frames)]


@pytest.fixture
def package(tmp_path):
    images, position, sources = make_arrays()
    write_package(tmp_path / "side.pkg.slp", images, position, NODES, EDGES, sources)
    return tmp_path / "side.pkg.slp"


def write_csv(folder, images, position, nodes=NODES, index_columns=1):
    names = [f"labeled-data/img{i:02d}.png" for i in range(len(images))]
    (folder / "labeled-data").mkdir(parents=True, exist_ok=True)
    for name, image in zip(names, images, strict=True):
        cv2.imwrite(str(folder / name), image)
    blanks = [""] * (index_columns - 1)
    header = [
        ["scorer", *blanks, *["anna"] * 2 * len(nodes)],
        ["bodyparts", *blanks, *[node for node in nodes for _ in "xy"]],
        ["coords", *blanks, *["x", "y"] * len(nodes)],
    ]
    rows = [
        [*(name.split("/") if index_columns > 1 else [name]), *["" if np.isnan(v) else str(v) for v in points.ravel()]]
        for name, points in zip(names, position, strict=True)
    ]
    path = folder / "CollectedData.csv"
    path.write_text("\n".join(",".join(row) for row in header + rows) + "\n")
    return path


def test_package_gives_back_exactly_what_was_written(package):
    images, position, sources = make_arrays()
    labels = load_package(package)
    assert labeled_skeleton(labels) == (NODES, EDGES)
    np.testing.assert_array_equal(labeled_positions(labels), position)
    np.testing.assert_array_equal(labeled_images(labels), images)
    assert labeled_frame_sources(labels) == [LabeledFrameSource(*source) for source in sources]
    assert [path.name for path in package.parent.iterdir()] == ["side.pkg.slp"]


def test_sleap_reads_a_package_by_itself(package):
    labels = sio.load_slp(str(package))
    assert len(labels.user_labeled_frames) == 5
    np.testing.assert_array_equal(labels[3].image[..., 0], make_arrays()[0][3])


@pytest.mark.parametrize("index_columns", [1, 2])
def test_csv_keeps_its_order_of_nodes_and_its_images(tmp_path, index_columns):
    images, position, _ = make_arrays()
    path = write_csv(tmp_path, images, position, index_columns=index_columns)
    labels = read_labels(path)
    assert labeled_skeleton(labels) == (NODES, ())
    np.testing.assert_allclose(labeled_positions(labels), position)
    np.testing.assert_array_equal(labeled_images(labels), images)
    assert labeled_frame_sources(labels)[2] == (str(tmp_path / "labeled-data" / "img02.png"), 0)


def test_csv_agrees_with_sleap_ios_own_reader(tmp_path):
    images, position, _ = make_arrays()
    path = write_csv(tmp_path, images, position)
    theirs = {name: i for i, name in enumerate(sio.load_file(str(path)).skeleton.node_names)}
    other = np.stack([frame.instances[0].numpy() for frame in sio.load_file(str(path))])
    np.testing.assert_allclose(labeled_positions(read_labels(path)), other[:, [theirs[node] for node in NODES]])


def test_a_frame_without_any_point_is_left_out(tmp_path):
    images, position, _ = make_arrays()
    position[3] = np.nan
    labels = read_labels(write_csv(tmp_path, images, position))
    np.testing.assert_array_equal(labeled_images(labels), images[[0, 1, 2, 4]])
    assert [source.path[-9:] for source in labeled_frame_sources(labels)] == [
        "img00.png",
        "img01.png",
        "img02.png",
        "img04.png",
    ]


def test_a_missing_image_is_named(tmp_path):
    path = write_csv(tmp_path, *make_arrays()[:2])
    (tmp_path / "labeled-data" / "img02.png").unlink()
    with pytest.raises(LabelsError, match=r"img02\.png is missing"):
        read_labels(path)


def test_an_image_that_asks_to_be_turned_is_refused(tmp_path):
    """It is not known which picture the person saw: OpenCV turns it, PIL and sleap-io do not."""
    images, position, _ = make_arrays()
    path = write_csv(tmp_path, images, position)
    for name, orientation in (("img01.png", 6), ("img02.png", 3), ("img03.png", 1)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = Image.open(tmp_path / "labeled-data" / name)
        image.load()
        image.save(tmp_path / "labeled-data" / name, format="JPEG", exif=exif)
    assert cv2.imread(str(tmp_path / "labeled-data" / "img01.png")).shape[:2] == images[1].T.shape
    with pytest.raises(LabelsError, match=r"img01\.png asks to be shown turned \(EXIF orientation 6, as do 1 more\)"):
        labeled_images(read_labels(path))
    for name in ("img01.png", "img02.png"):
        cv2.imwrite(str(tmp_path / "labeled-data" / name), images[1])
    assert len(labeled_images(read_labels(path))) == 5


@pytest.mark.parametrize("n_channels", [3, 4], ids=["RGB", "RGB and alpha"])
def test_color_images_become_gray(tmp_path, n_channels):
    _, position, _ = make_arrays()
    color = np.random.default_rng(1).integers(0, 256, (5, 40, 60, n_channels), np.uint8)
    labels = read_labels(write_csv(tmp_path, color, position))
    expected = [cv2.cvtColor(image[..., :3], cv2.COLOR_BGR2GRAY) for image in color]
    np.testing.assert_array_equal(labeled_images(labels), expected)


def make_slp(folder, frame_indices=(3, 17, 8), predicted=(4,)):
    """A SLEAP file over a video: every frame of the video tells its own index."""
    frames = np.tile(np.linspace(0, 200, 64).astype(np.uint8), (30, 48, 1))
    for index in range(30):
        frames[index, :, 2 * index : 2 * index + 2] = 255
    write_video(folder / "side.mp4", frames, 30)
    video = sio.load_video(str(folder / "side.mp4"))
    skeleton = sio.Skeleton(nodes=list(NODES), edges=list(EDGES))
    points = np.array([[1.5, 2], [3, 4], [np.nan, np.nan]])
    labeled = [
        sio.LabeledFrame(video=video, frame_idx=i, instances=[sio.Instance.from_numpy(points + i, skeleton=skeleton)])
        for i in frame_indices
    ]
    for index in predicted:
        instance = sio.PredictedInstance.from_numpy(points, skeleton=skeleton, point_scores=np.ones(3), score=1.0)
        labeled.append(sio.LabeledFrame(video=video, frame_idx=index, instances=[instance]))
    path = folder / "labels.slp"
    sio.Labels(labeled).save(str(path), verbose=False)
    return path


def test_only_frames_that_a_person_labeled_count(tmp_path):
    labels = read_labels(make_slp(tmp_path))
    assert [source.frame_index for source in labeled_frame_sources(labels)] == [3, 17, 8]
    assert {source.path for source in labeled_frame_sources(labels)} == {str(tmp_path / "side.mp4")}
    np.testing.assert_array_equal(labeled_positions(labels)[:, 0], [[4.5, 5], [18.5, 19], [9.5, 10]])


def test_images_of_a_video_are_exactly_the_labeled_frames(tmp_path):
    path = make_slp(tmp_path)
    frames = list(read_video_luma(tmp_path / "side.mp4"))
    np.testing.assert_array_equal(labeled_images(read_labels(path)), [frames[i] for i in (3, 17, 8)])


def test_a_package_of_a_video_does_not_need_the_video(tmp_path):
    labels = read_labels(make_slp(tmp_path))
    images = labeled_images(labels)
    save_package(labels, tmp_path / "side.pkg.slp")
    (tmp_path / "side.mp4").unlink()
    package = load_package(tmp_path / "side.pkg.slp")
    np.testing.assert_array_equal(labeled_images(package), images)
    assert labeled_frame_sources(package) == labeled_frame_sources(labels)
    save_package(package, tmp_path / "copy.pkg.slp")
    assert labeled_frame_sources(load_package(tmp_path / "copy.pkg.slp")) == labeled_frame_sources(labels)


def test_labels_of_a_missing_video_name_it(tmp_path):
    path = make_slp(tmp_path)
    (tmp_path / "side.mp4").unlink()
    with pytest.raises(LabelsError, match=r"side\.mp4 is missing"):
        read_labels(path)


def test_load_package_wants_the_images_inside(tmp_path):
    with pytest.raises(LabelsError, match="does not hold its images"):
        load_package(make_slp(tmp_path))


def test_labels_without_labels_are_refused(tmp_path):
    with pytest.raises(LabelsError, match="no labeled frames"):
        read_labels(make_slp(tmp_path, frame_indices=(), predicted=(1, 2)))
    with pytest.raises(LabelsError, match="no labeled frames"):
        read_labels(write_csv(tmp_path / "csv", [], np.empty((0, 3, 2))))


def test_two_skeletons_are_refused(tmp_path):
    labels = sio.load_slp(str(make_slp(tmp_path)))
    other = sio.Skeleton(nodes=["a"], name="other")
    labels.append(
        sio.LabeledFrame(video=labels.video, frame_idx=1, instances=[sio.Instance.from_numpy(np.ones((1, 2)), other)])
    )
    labels.save(str(tmp_path / "two.slp"), verbose=False)
    with pytest.raises(LabelsError, match="2 skeletons"):
        read_labels(tmp_path / "two.slp")


def test_two_mice_in_a_frame_are_refused(tmp_path):
    labels = sio.load_slp(str(make_slp(tmp_path)))
    labels[0].instances.append(sio.Instance.from_numpy(np.ones((3, 2)), labels.skeleton))
    labels.save(str(tmp_path / "two.slp"), verbose=False)
    with pytest.raises(LabelsError, match="expected one mouse"):
        read_labels(tmp_path / "two.slp")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("labels.slp", None, "does not exist"),
        ("labels.slp", b"", "cannot be read"),
        ("labels.slp", b"not HDF5", "cannot be read"),
        ("labels.csv", b"time,x,y\n1,2,3\n", "bodyparts"),
        ("labels.csv", bytes(range(256)), "cannot be read|bodyparts"),
        ("labels.json", b"{}", "expected a .slp"),
    ],
)
def test_what_is_no_labels_file_is_refused(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(LabelsError, match=message):
        read_labels(tmp_path / name)


def test_a_package_that_was_cut_off_is_refused(package):
    package.write_bytes(package.read_bytes()[:3000])
    with pytest.raises(LabelsError, match="cannot be read"):
        load_package(package)


def test_images_of_two_sizes_are_refused_and_leave_no_file(tmp_path):
    images, position, sources = make_arrays(2)
    with pytest.raises(LabelsError, match=r"mouse1/side\.mp4, frame 10"):
        write_package(tmp_path / "a.pkg.slp", [images[0], images[1][:30]], position, NODES, EDGES, sources)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["positions", "sources", "no frames", "no points", "name"])
def test_arrays_that_disagree_are_refused(tmp_path, what):
    images, position, sources = make_arrays()
    name = "a.slp" if what == "name" else "a.pkg.slp"
    if what == "positions":
        position = position[:, :2]
    if what == "sources":
        sources = sources[:3]
    if what == "no frames":
        images, position, sources = images[:0], position[:0], []
    if what == "no points":
        position[0] = np.nan
    with pytest.raises(LabelsError, match="a\\."):
        write_package(tmp_path / name, images, position, NODES, EDGES, sources)
    assert list(tmp_path.iterdir()) == []


@given(
    frame_indices=st.lists(st.integers(0, 6), min_size=2, max_size=20).filter(lambda values: len(set(values)) > 1),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 5),
)
def test_split_never_leaks_a_frame_and_loses_none(frame_indices, fraction, seed):
    skeleton = sio.Skeleton(nodes=["a"])
    video = sio.Video(filename="side.mp4", open_backend=False)
    instances = [sio.Instance.from_numpy(np.ones((1, 2)), skeleton) for _ in frame_indices]
    labels = sio.Labels(
        [
            sio.LabeledFrame(video=video, frame_idx=i, instances=[instance])
            for i, instance in zip(frame_indices, instances, strict=True)
        ]
    )
    train, held_out = split_labeled_frames(labels, fraction, seed)
    again = split_labeled_frames(labels, fraction, seed)
    assert len(train) and len(held_out)
    assert not set(labeled_frame_sources(train)) & set(labeled_frame_sources(held_out))
    assert sorted(labeled_frame_sources(train) + labeled_frame_sources(held_out)) == sorted(
        labeled_frame_sources(labels)
    )
    assert [labeled_frame_sources(side) for side in again] == [
        labeled_frame_sources(train),
        labeled_frame_sources(held_out),
    ]


def test_split_of_a_package_keeps_images_sources_and_fraction(tmp_path):
    images, position, sources = make_arrays(20)
    write_package(tmp_path / "a.pkg.slp", images, position, NODES, EDGES, sources)
    train, held_out = split_labeled_frames(load_package(tmp_path / "a.pkg.slp"), 0.2, seed=1)
    save_package(held_out, tmp_path / "held.pkg.slp")
    held = load_package(tmp_path / "held.pkg.slp")
    chosen = [sources.index(tuple(source)) for source in labeled_frame_sources(held)]
    assert (len(train), len(held)) == (16, 4)
    np.testing.assert_array_equal(labeled_images(held), images[chosen])
    np.testing.assert_array_equal(labeled_positions(held), position[chosen])
    assert {
        tuple(s)
        for s in labeled_frame_sources(split_labeled_frames(load_package(tmp_path / "a.pkg.slp"), 0.2, seed=2)[1])
    } != {tuple(s) for s in labeled_frame_sources(held)}


@pytest.mark.parametrize(
    ("n_frames", "fraction", "message"), [(1, 0.5, "cannot be split"), (5, 1.5, "between 0 and 1")]
)
def test_split_says_why_it_cannot(tmp_path, n_frames, fraction, message):
    images, position, sources = make_arrays()
    write_package(tmp_path / "a.pkg.slp", images[:n_frames], position[:n_frames], NODES, EDGES, sources[:n_frames])
    with pytest.raises(LabelsError, match=message):
        split_labeled_frames(load_package(tmp_path / "a.pkg.slp"), fraction, seed=0)


def test_an_image_is_the_same_frame_in_every_file_that_holds_it(tmp_path):
    images, position, sources = make_arrays()
    write_package(tmp_path / "a.pkg.slp", images, position, NODES, EDGES, sources)
    order = [3, 0, 4]
    write_package(
        tmp_path / "b.pkg.slp", images[order], position[order], NODES, EDGES, [("other", i) for i in range(3)]
    )
    first, second = (
        [labeled_image_hash(image) for image in labeled_images(load_package(tmp_path / f"{name}.pkg.slp"))]
        for name in "ab"
    )
    assert second == [first[index] for index in order]
    assert len(set(first)) == 5 and all(len(one) == 32 for one in first)
    changed = images[0].copy()
    changed[5, 7] ^= 1
    assert labeled_image_hash(changed) not in first
    assert labeled_image_hash(images[0].T) != labeled_image_hash(images[0])


@given(
    groups=st.lists(st.sampled_from(["mouse01", "mouse02", "mouse03", "mouse04"]), min_size=2, max_size=30).filter(
        lambda groups: len(set(groups)) > 1
    ),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 5),
)
def test_a_group_is_never_split_and_none_is_lost(groups, fraction, seed):
    train, held_out = split_labeled_indices(groups, fraction, seed)
    assert sorted(train + held_out) == list(range(len(groups)))
    sides = [{groups[index] for index in side} for side in (train, held_out)]
    assert all(sides) and not sides[0] & sides[1]
    expected = min(max(round(fraction * len(set(groups))), 1), len(set(groups)) - 1)
    assert len(sides[1]) == expected
    assert split_labeled_indices(groups, fraction, seed) == (train, held_out)


def test_one_mouse_cannot_be_split():
    with pytest.raises(LabelsError, match="1 frame or mouse cannot be split"):
        split_labeled_indices(["mouse01"] * 5, 0.5, seed=0)


def moving_frames(n_frames, seed):
    """Gray frames of textured noise that a codec can keep, and that move."""
    texture = cv2.GaussianBlur(np.random.default_rng(seed).uniform(0, 255, (80, 400)).astype(np.float32), (0, 0), 3)
    texture = cv2.normalize(texture, None, 20, 235, cv2.NORM_MINMAX)
    return [np.ascontiguousarray(texture[:48, 4 * i : 4 * i + 64].astype(np.uint8)) for i in range(n_frames)]


def test_an_image_is_a_frame_of_its_own_video_only(tmp_path):
    write_video(tmp_path / "own.mp4", moving_frames(20, seed=0), 50)
    decoded = list(read_video_luma(tmp_path / "own.mp4"))
    write_video(tmp_path / "again.mp4", decoded, 50, crf=23)
    write_video(tmp_path / "other.mp4", moving_frames(20, seed=1), 50)
    indices = [12, 3, 3, 19]
    images = [decoded[index] for index in indices]
    np.testing.assert_array_equal(match_with_video(images, indices, tmp_path / "own.mp4"), 0)
    again = match_with_video(images, indices, tmp_path / "again.mp4")
    assert ((again > 0) & (again < SAME_IMAGE_GRAY_LEVELS)).all()
    for video, wrong in (("other", indices), ("own", [11, 4, 2, 18])):
        assert (match_with_video(images, wrong, tmp_path / f"{video}.mp4") > 2 * SAME_IMAGE_GRAY_LEVELS).all()
    outside = match_with_video([*images, images[0][:40]], [*indices[:3], 20, 12], tmp_path / "own.mp4")
    np.testing.assert_array_equal(outside, [0, 0, 0, np.nan, np.nan])


def test_images_of_a_turned_video_are_those_that_the_labeler_saw(tmp_path):
    """SLEAP shows a video as its display matrix says; so do labels, packages and the search for their frames."""
    path = tmp_path / "side.mp4"
    write_video(path, list(moving_frames(6, seed=1)), 30, crf=0)
    upright = list(read_video_luma(path))
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 44  # the matrix of the first track
    for element, value in enumerate((0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)):  # a quarter turn clockwise
        content[place + 4 * element : place + 4 * element + 4] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(content)
    skeleton = sio.Skeleton(nodes=list(NODES))
    frame = sio.LabeledFrame(
        video=sio.Video.from_filename(str(path)),
        frame_idx=4,
        instances=[sio.Instance.from_numpy(np.full((len(NODES), 2), 7.0), skeleton=skeleton)],
    )
    sio.Labels([frame], skeletons=[skeleton]).save(str(tmp_path / "labels.slp"))
    labels = read_labels(tmp_path / "labels.slp")
    (image,) = labeled_images(labels)
    np.testing.assert_array_equal(image, np.rot90(upright[4], -1))
    shown = frame.video[4][..., 0]
    assert np.abs(image.astype(int) - shown).max() <= 1
    save_package(labels, tmp_path / "turned.pkg.slp")
    np.testing.assert_array_equal(labeled_images(load_package(tmp_path / "turned.pkg.slp"))[0], image)
    assert match_with_video([image], [4], path).tolist() == [0.0]
