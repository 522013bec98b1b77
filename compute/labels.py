"""Labeled frames: read from SLEAP, DeepLabCut and Lightning Pose files, keep as one self-contained package.

A package is SLEAP's own ``.pkg.slp`` with the images inside: SLEAP opens it. It also knows where each image came from.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import h5py  # type: ignore[import-untyped]
import numpy as np
import sleap_io as sio
from numpy.typing import ArrayLike, NDArray

from compute.errors import LabelsError, VideoError
from compute.video import read_luma

_SOURCES = "orofacial_sources"
"""Key of SLEAP's provenance under which a package lists the source of each of its images, by frame index."""


class Source(NamedTuple):
    """Where a labeled frame came from.

    Parameters
    ----------
    path : str
        The video, or the image, that was labeled.
    frame_index : int
        Index of the frame in the video, from 0; 0 for an image.
    """

    path: str
    frame_index: int


def read_labels(path: str | Path) -> sio.Labels:
    """Read the frames that a person labeled, and only those.

    Predictions, frames without any placed point and everything else in the file are left out. Missing points are NaN.

    Parameters
    ----------
    path : str or Path
        ``.slp`` or ``.pkg.slp`` of SLEAP, or the ``.csv`` of DeepLabCut and Lightning Pose (nodes keep its order).

    Returns
    -------
    sleap_io.Labels
        One skeleton, one instance a frame.

    Raises
    ------
    LabelsError
        If the file is missing, unreadable, without labels, has more than one skeleton, more than one instance in a
        frame, or a labeled image or video that does not exist.

    Examples
    --------
    >>> labels = read_labels("CollectedData.csv")  # doctest: +SKIP
    >>> skeleton_of(labels)  # doctest: +SKIP
    (('nose', 'tongue'), ())
    """
    path = Path(path)
    if not path.is_file():
        raise LabelsError(f"{path} does not exist or is not a file; expected a .slp, .pkg.slp or .csv file of labels")
    if path.suffix.lower() not in (".slp", ".csv"):
        raise LabelsError(f"{path} ends in {path.suffix!r}; expected a .slp, .pkg.slp or .csv file of labels")
    try:
        labels = _read_csv(path) if path.suffix.lower() == ".csv" else sio.load_slp(str(path))
    except LabelsError:
        raise
    except Exception as error:  # the readers raise whatever their parser meets in a broken file
        raise LabelsError(f"{path} cannot be read as labels ({error}); export or copy it again") from error
    return _only_user_labels(labels, path)


def skeleton_of(labels: sio.Labels) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Names of the nodes, and the edges as pairs of names, both in the skeleton's own order."""
    skeleton = labels.skeleton
    return tuple(skeleton.node_names), tuple((source, target) for source, target in skeleton.edge_names)


def positions_of(labels: sio.Labels) -> NDArray[np.float64]:
    """Placed points, shape (frame, node, 2), in pixels; NaN where the node was not placed."""
    return np.stack([frame.user_instances[0].numpy() for frame in labels]).astype(np.float64)


def sources_of(labels: sio.Labels) -> list[Source]:
    """Where each labeled frame came from, in the order of the frames."""
    return [_source(labels, frame) for frame in labels]


def images_of(labels: sio.Labels) -> list[NDArray[np.uint8]]:
    """Read the gray image of each labeled frame, in the order of the frames.

    Color is converted to gray. Videos are decoded from their start, so that no image is off by a frame.

    Returns
    -------
    list of array, shape (height, width), uint8

    Raises
    ------
    LabelsError
        If an image cannot be read, or is not 8 bit.
    """
    wanted: dict[int, list[int]] = {}
    for index, frame in enumerate(labels):
        wanted.setdefault(id(frame.video), []).append(index)
    images: list[NDArray[np.uint8] | None] = [None] * len(labels)
    for indices in wanted.values():
        frames = [labels[index] for index in indices]
        for index, image in zip(indices, _read_images(frames), strict=True):
            images[index] = image
    return [image for image in images if image is not None]


def split(labels: sio.Labels, fraction_held_out: float, seed: int) -> tuple[sio.Labels, sio.Labels]:
    """Split labels into frames to train on and frames held out, at random but always the same for one seed.

    A frame that was labeled twice lands on one side only.

    Parameters
    ----------
    labels : sleap_io.Labels
        As `read_labels` gives them.
    fraction_held_out : float
        Between 0 and 1. At least one frame lands on each side.
    seed : int
        Seed of the random choice.

    Returns
    -------
    train, held_out : sleap_io.Labels
        Both in the original order; they share the images of `labels`.

    Raises
    ------
    LabelsError
        If the fraction is not between 0 and 1, or there are fewer than two different frames.
    """
    sources = sources_of(labels)
    unique = list(dict.fromkeys(sources))
    if not 0 < fraction_held_out < 1:
        raise LabelsError(f"the fraction to hold out is {fraction_held_out}, expected a number between 0 and 1")
    if len(unique) < 2:
        raise LabelsError(f"{len(unique)} labeled frame cannot be split into training and held-out frames; label more")
    n_held_out = min(max(round(fraction_held_out * len(unique)), 1), len(unique) - 1)
    order = np.random.default_rng(seed).permutation(len(unique))
    held_out = {unique[index] for index in order[:n_held_out]}
    sides = [[i for i, source in enumerate(sources) if (source in held_out) == side] for side in (False, True)]
    return _subset(labels, sides[0]), _subset(labels, sides[1])


def save_package(labels: sio.Labels, path: str | Path) -> None:
    """Write labels with their images into one ``.pkg.slp`` file.

    The package is written under a temporary name, read back and compared, then renamed.

    Parameters
    ----------
    labels : sleap_io.Labels
        As `read_labels` gives them.
    path : str or Path
        File to write; ends in ``.pkg.slp``.

    Raises
    ------
    LabelsError
        If an image cannot be read, images differ in size, or the file cannot be written.
    """
    _write_package(Path(path), images_of(labels), positions_of(labels), labels.skeleton, sources_of(labels))


def write_package(
    path: str | Path,
    images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8],
    position: ArrayLike,
    nodes: Sequence[str],
    edges: Sequence[tuple[str, str]],
    sources: Sequence[tuple[str, int]],
) -> None:
    """Write a package of labels from arrays.

    Parameters
    ----------
    path : str or Path
        File to write; ends in ``.pkg.slp``.
    images : array, shape (frame, height, width), uint8
        Gray images.
    position : array, shape (frame, node, 2)
        x and y in pixels; the center of the upper left pixel is (0, 0). NaN where the node is not visible.
    nodes : sequence of str
        Names of the nodes.
    edges : sequence of (str, str)
        Pairs of nodes that are drawn connected.
    sources : sequence of (str, int)
        Where each image came from: path and frame index.

    Raises
    ------
    LabelsError
        If the arrays disagree, hold no frame or no point, or the file cannot be written.
    """
    values = np.asarray(position, np.float64)
    if values.shape != (len(images), len(nodes), 2) or len(sources) != len(images):
        raise LabelsError(
            f"{path}: positions have shape {values.shape} and there are {len(sources)} sources;"
            f" expected {(len(images), len(nodes), 2)} for {len(images)} images and {len(nodes)} nodes"
        )
    skeleton = sio.Skeleton(nodes=list(nodes), edges=list(edges), name="mouse")
    _write_package(Path(path), list(images), values, skeleton, [Source(str(p), int(i)) for p, i in sources])


def load_package(path: str | Path) -> sio.Labels:
    """Read a package, as `read_labels`, and check that it holds its images.

    Raises
    ------
    LabelsError
        As `read_labels`; also if images are not inside the file.
    """
    labels = read_labels(path)
    if not all(getattr(frame.video.backend, "has_embedded_images", False) for frame in labels):
        raise LabelsError(f"{path} does not hold its images; expected a .pkg.slp written by save_package")
    return labels


def _only_user_labels(labels: sio.Labels, path: Path) -> sio.Labels:
    """New labels with the one instance of each frame that a person placed; checks all that `read_labels` promises."""
    if len(labels.skeletons) > 1:
        names = ", ".join(str(skeleton.name) for skeleton in labels.skeletons)
        raise LabelsError(f"{path} holds {len(labels.skeletons)} skeletons ({names}), expected one")
    frames = []
    for frame in labels:
        placed = [one for one in frame.user_instances if np.isfinite(one.numpy()).any()]
        if len(placed) > 1:
            raise LabelsError(
                f"{path}: frame {frame.frame_idx} holds {len(placed)} labeled instances, expected one mouse"
            )
        if placed:
            frames.append(sio.LabeledFrame(video=frame.video, frame_idx=frame.frame_idx, instances=placed))
    if not frames:
        raise LabelsError(f"{path} holds no labeled frames; label some in SLEAP and save it")
    for frame in frames:
        if not frame.video.exists():
            raise LabelsError(
                f"{path}: {_source(labels, frame).path} is missing; put it back, or export a .pkg.slp with the images"
            )
    return sio.Labels(frames, skeletons=labels.skeletons, provenance=dict(labels.provenance))


def _read_csv(path: Path) -> sio.Labels:
    """Read the DeepLabCut and Lightning Pose layout.

    sleap-io's own reader sorts the nodes, and where an image is missing it shifts labels onto other images.
    """
    with open(path, newline="") as file:
        rows = [row for row in csv.reader(file) if any(row)]
    header = {row[0]: row for row in rows[:4]}
    if "bodyparts" not in header or "coords" not in header:
        raise LabelsError(f"{path} has no rows 'bodyparts' and 'coords'; expected DeepLabCut or Lightning Pose labels")
    first = next(i for i, cell in enumerate(header["coords"]) if cell in ("x", "y", "likelihood"))
    if len(set(header.get("individuals", [])[first:])) > 1:
        raise LabelsError(f"{path} holds several individuals, expected one mouse")
    nodes = list(dict.fromkeys(header["bodyparts"][first:]))
    column = {key: i for i, key in enumerate(zip(header["bodyparts"], header["coords"], strict=True)) if i >= first}
    skeleton = sio.Skeleton(nodes=list(nodes), name="mouse")
    data = rows[rows.index(header["coords"]) + 1 :]
    images = [_find_image(path, "/".join(cell for cell in row[:first] if cell)) for row in data]
    video = sio.Video(filename=[str(image) for image in images], open_backend=False)
    frames = []
    for index, row in enumerate(data):
        points = [[float(row[column[node, axis]] or "nan") for axis in ("x", "y")] for node in nodes]
        instance = sio.Instance.from_numpy(np.array(points), skeleton=skeleton)
        frames.append(sio.LabeledFrame(video=video, frame_idx=index, instances=[instance]))
    if frames:
        video.open()
    return sio.Labels(frames, skeletons=[skeleton])


def _find_image(path: Path, image: str) -> Path:
    """The image that a row names: relative to the file, to the project's folder, or beside the file."""
    relative = Path(image.replace("\\", "/"))
    candidates = [path.parent / relative, path.parent.parent.parent / relative, path.parent / relative.name]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise LabelsError(f"{path}: the labeled image {candidates[0]} is missing; put it back or remove its row")


def _source(labels: sio.Labels, frame: sio.LabeledFrame) -> Source:
    """Where one labeled frame came from."""
    index = int(frame.frame_idx)
    if _SOURCES in labels.provenance:
        path, frame_index = labels.provenance[_SOURCES][index]
        return Source(str(path), int(frame_index))
    filename = (frame.video.source_video or frame.video).filename
    return Source(str(filename[index]), 0) if isinstance(filename, list) else Source(str(filename), index)


def _subset(labels: sio.Labels, indices: list[int]) -> sio.Labels:
    """Labels with only these frames; unlike sleap-io's ``extract`` they keep their provenance."""
    frames = [labels[index] for index in indices]
    return sio.Labels(frames, skeletons=labels.skeletons, provenance=dict(labels.provenance))


def _read_images(frames: list[sio.LabeledFrame]) -> list[NDArray[np.uint8]]:
    """Gray images of labeled frames of one video."""
    video, indices = frames[0].video, [int(frame.frame_idx) for frame in frames]
    name = video.filename
    try:
        if type(video.backend).__name__ == "MediaVideo":
            wanted = set(indices)
            read = {i: gray for i, gray in enumerate(read_luma(name, stop=max(indices) + 1)) if i in wanted}
            return [read[index] for index in indices]
        images = [np.asarray(video[index]) for index in indices]
    except (VideoError, OSError, KeyError, IndexError, ValueError) as error:
        raise LabelsError(f"a labeled image of {name} cannot be read: {error}") from error
    return [_gray(image, str(name)) for image in images]


def _gray(image: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Gray image, shape (height, width), of one with a channel axis."""
    if image.dtype != np.uint8:
        raise LabelsError(f"the images of {name} are {image.dtype}, expected 8 bit (uint8)")
    if image.shape[-1] == 1:
        return np.ascontiguousarray(image[..., 0])
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(image[..., :3]), cv2.COLOR_RGB2GRAY), np.uint8)


def _write_package(
    path: Path,
    images: list[NDArray[np.uint8]],
    position: NDArray[np.float64],
    skeleton: sio.Skeleton,
    sources: list[Source],
) -> None:
    """Write to a temporary name, compare what can be read back, rename."""
    if not path.name.endswith(".pkg.slp"):
        raise LabelsError(f"{path} must end in .pkg.slp, so that SLEAP knows that the images are inside")
    if not images or not np.isfinite(position).any(axis=(1, 2)).all():
        raise LabelsError(f"{path}: a package needs labeled frames, each with one point or more")
    for image, source in zip(images, sources, strict=True):
        if image.shape != images[0].shape or image.dtype != np.uint8:
            raise LabelsError(
                f"{source.path}, frame {source.frame_index}: the image is {image.dtype} of shape {image.shape};"
                f" expected uint8 of {images[0].shape}, as in {sources[0].path}: one camera has one frame size"
            )
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            temporary = Path(folder) / path.name
            _embed(temporary, images, position, skeleton, sources)
            written = load_package(temporary)
            same = all(map(np.array_equal, images_of(written), images)) and sources_of(written) == sources
            if not same or not np.array_equal(positions_of(written), position, equal_nan=True):
                raise LabelsError(f"{path}: what was written cannot be read back; check the disk and write it again")
            _close(written)
            temporary.replace(path)
    except OSError as error:
        raise LabelsError(f"{path} cannot be written: {error}") from error


def _embed(
    path: Path,
    images: list[NDArray[np.uint8]],
    position: NDArray[np.float64],
    skeleton: sio.Skeleton,
    sources: list[Source],
) -> None:
    """Let sleap-io write the package from PNG files beside it."""
    names = [str(path.parent / f"{index:06d}.png") for index in range(len(images))]
    for name, image in zip(names, images, strict=True):
        # imencode and a file of our own: imwrite returns False on a full disk instead of raising.
        Path(name).write_bytes(cv2.imencode(".png", image)[1].tobytes())
    video = sio.Video.from_filename(names, grayscale=True)
    frames = [
        sio.LabeledFrame(
            video=video, frame_idx=index, instances=[sio.Instance.from_numpy(points.copy(), skeleton=skeleton)]
        )
        for index, points in enumerate(position)
    ]
    labels = sio.Labels(frames, skeletons=[skeleton], provenance={_SOURCES: [list(source) for source in sources]})
    labels.save(str(path), embed="user", verbose=False)
    with h5py.File(path, "a") as file:
        # It names the temporary PNG files, which nobody should look for.
        del file["video0/source_video"]


def _close(labels: sio.Labels) -> None:
    """Close the files that the labels' images are read from."""
    for video in labels.videos:
        video.close()
