"""Contents of labeled frames: skeleton, positions, images, and the source of each image."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Hashable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from compute.errors import LabelsError, VideoError
from compute.extras import import_sleap_io
from compute.text import count_text
from compute.video import read_video_luma

if TYPE_CHECKING:
    import sleap_io as sio

SOURCES_KEY = "orofacial_sources"
"""Key of SLEAP's provenance under which a package lists the source of each of its images, by frame index."""

_ORIENTATION_TAG, _AS_STORED = 0x0112, (0, 1)
"""EXIF's number for how a picture is to be turned, and its values of one that is not."""

_GRAY_WEIGHTS = np.array([9798, 19235, 3735], np.uint32)
"""Weights of red, green and blue in a gray level (ITU-R BT.601), in 2**-15: OpenCV's own integers."""


class LabeledFrameSource(NamedTuple):
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


def labeled_skeleton(labels: sio.Labels) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Names of the nodes, and the edges as pairs of names, both in the skeleton's own order."""
    skeleton = labels.skeleton
    return tuple(skeleton.node_names), tuple((source, target) for source, target in skeleton.edge_names)


def labeled_positions(labels: sio.Labels) -> NDArray[np.float64]:
    """Placed points, shape (frame, node, 2), in pixels; NaN where the node was not placed."""
    return np.stack([frame.user_instances[0].numpy() for frame in labels]).astype(np.float64)


def labeled_nodes_never_placed(labels: sio.Labels) -> tuple[str, ...]:
    """Nodes of the skeleton that were placed in no frame."""
    position = labeled_positions(labels)
    nodes = enumerate(labels.skeleton.node_names)
    return tuple(node for index, node in nodes if np.isnan(position[:, index]).all())


def labeled_frame_sources(labels: sio.Labels) -> list[LabeledFrameSource]:
    """Where each labeled frame came from, in the order of the frames."""
    return [labeled_frame_source(labels, frame) for frame in labels]


def labeled_images(labels: sio.Labels) -> list[NDArray[np.uint8]]:
    """Read the gray image of each labeled frame, in the order of the frames.

    Color is converted to gray. Videos are decoded from their start, so that no image is off by a frame.

    Returns
    -------
    list of array, shape (height, width), uint8

    Raises
    ------
    LabelsError
        If images cannot be read, naming each of them, or one is not 8 bit, or asks to be shown turned (EXIF).
    """
    wanted: dict[int, list[int]] = {}
    for index, frame in enumerate(labels):
        wanted.setdefault(id(frame.video), []).append(index)
    images: list[NDArray[np.uint8] | None] = [None] * len(labels)
    broken: list[str] = []
    for indices in wanted.values():
        frames = [labels[index] for index in indices]
        for index, image in zip(indices, _read_images(frames, broken), strict=True):
            images[index] = image
    if broken:
        raise LabelsError(
            f"{count_text(len(broken), 'labeled image')} cannot be read: {'; '.join(broken)}. Copy them again, or take"
            " their labels out"
        )
    return [image for image in images if image is not None]


def labeled_image_hash(image: NDArray[np.uint8]) -> str:
    """Identity of a labeled frame: the hash of its gray image, as 32 hexadecimal digits.

    The same image in two sets of labels is the same frame, whatever file or index it came from. An image that was
    encoded again is another one.

    Parameters
    ----------
    image : array, shape (height, width), uint8
        Gray levels.

    Examples
    --------
    >>> labeled_image_hash(np.zeros((2, 3), np.uint8)) == labeled_image_hash(np.zeros((3, 2), np.uint8))
    False
    """
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()[:32]


def split_labeled_frames(
    labels: sio.Labels, fraction_held_out: float, seed: int, groups: Sequence[Hashable] | None = None
) -> tuple[sio.Labels, sio.Labels]:
    """Split labels into frames to train on and frames held out, at random but always the same for one seed.

    A frame that was labeled twice lands on one side.

    Parameters
    ----------
    labels : sleap_io.Labels
        As `read_labels` gives them.
    fraction_held_out : float
        Between 0 and 1. At least one group lands on each side.
    seed : int
        Seed of the random choice.
    groups : sequence, optional
        One value a frame, such as its mouse: frames of one group land on one side. Without it, where the frame came
        from (`labeled_frame_sources`).

    Returns
    -------
    train, held_out : sleap_io.Labels
        Both in the original order; they share the images of `labels`.

    Raises
    ------
    LabelsError
        If the fraction is not between 0 and 1, or there are fewer than two groups.
    """
    train, held_out = split_labeled_indices(
        labeled_frame_sources(labels) if groups is None else groups, fraction_held_out, seed
    )
    return labeled_subset(labels, train), labeled_subset(labels, held_out)


def split_labeled_indices(
    groups: Sequence[Hashable], fraction_held_out: float, seed: int
) -> tuple[list[int], list[int]]:
    """Indices of the frames to train on and of those held out, see `split_labeled_frames`.

    Parameters
    ----------
    groups : sequence
        One value a frame: its image's hash, or its mouse. Frames of one group land on one side.
    fraction_held_out : float
        Fraction of the groups, between 0 and 1.
    seed : int
        Seed of the random choice.

    Raises
    ------
    LabelsError
        As `split_labeled_frames`.

    Examples
    --------
    >>> split_labeled_indices(["mouse01", "mouse02", "mouse01"], 0.5, seed=0)
    ([1], [0, 2])
    """
    unique = list(dict.fromkeys(groups))
    if not 0 < fraction_held_out < 1:
        raise LabelsError(f"the fraction to hold out is {fraction_held_out}, expected a number between 0 and 1")
    if len(unique) < 2:
        raise LabelsError(
            f"{len(unique)} frame or mouse cannot be split into some to train on and some to hold out; label more"
        )
    n_held_out = min(max(round(fraction_held_out * len(unique)), 1), len(unique) - 1)
    order = np.random.default_rng(seed).permutation(len(unique))
    held_out = {unique[index] for index in order[:n_held_out]}
    train, kept = ([i for i, group in enumerate(groups) if (group in held_out) == side] for side in (False, True))
    return train, kept


def labeled_subset(labels: sio.Labels, indices: list[int]) -> sio.Labels:
    """Labels with only these frames, in this order; unlike sleap-io's ``extract`` they keep their provenance."""
    frames = [labels[index] for index in indices]
    return import_sleap_io().Labels(frames, skeletons=labels.skeletons, provenance=dict(labels.provenance))


def labeled_in_order(labels: sio.Labels, nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> sio.Labels:
    """The same labels with the nodes and edges of their skeleton in this order.

    Parameters
    ----------
    labels : sleap_io.Labels
        As `read_labels` gives them.
    nodes : sequence of str
        Names of the nodes.
    edges : sequence of (str, str)
        Pairs of nodes.
    """
    own, own_edges = labeled_skeleton(labels)
    if (own, own_edges) == (tuple(nodes), tuple(edges)):
        return labels
    sio = import_sleap_io()
    symmetries = [tuple(names) for names in labels.skeleton.symmetry_names]
    skeleton = sio.Skeleton(nodes=list(nodes), edges=list(edges), symmetries=symmetries, name=labels.skeleton.name)
    order = [own.index(node) for node in nodes]
    frames = [
        sio.LabeledFrame(
            video=frame.video,
            frame_idx=frame.frame_idx,
            instances=[sio.Instance.from_numpy(position[order], skeleton=skeleton)],
        )
        for frame, position in zip(labels, labeled_positions(labels), strict=True)
    ]
    return sio.Labels(frames, skeletons=[skeleton], provenance=dict(labels.provenance))


def labeled_frame_source(labels: sio.Labels, frame: sio.LabeledFrame) -> LabeledFrameSource:
    """Where one labeled frame came from: the end of the chain of files that its image went through.

    A package that SLEAP merged of packages names those, and they the videos. Of a package of this project in that
    chain, the list of sources counts.
    """
    index = int(frame.frame_idx)
    origin = frame.video.original_video or frame.video
    listed = _listed_sources(labels, frame.video, origin)
    if index < len(listed):
        path, frame_index = listed[index]
        return LabeledFrameSource(str(path), int(frame_index))
    filename = origin.filename
    return (
        LabeledFrameSource(str(filename[index]), 0)
        if isinstance(filename, list)
        else LabeledFrameSource(str(filename), index)
    )


def _listed_sources(labels: sio.Labels, video: sio.Video, origin: sio.Video) -> Sequence[Sequence[Any]]:
    """The sources that a package of this project lists of its images; empty where the chain ends in no such package."""
    listed: Sequence[Sequence[Any]] = labels.provenance.get(SOURCES_KEY, ())
    if origin is video:
        return listed
    name = str(origin.filename)
    if not name.endswith(".slp"):
        return ()
    if Path(name).is_file():
        return _sources_in_file(name)
    # SLEAP keeps the list of the first of the packages that it merges, of no other.
    merged = labels.provenance.get("merge_history") or [{"target_filename": name}]
    first = str(merged[0].get("target_filename")).replace("\\", "/")
    return listed if PurePosixPath(first).name == PurePosixPath(name.replace("\\", "/")).name else ()


@functools.lru_cache(maxsize=64)
def _sources_in_file(path: str) -> Sequence[Sequence[Any]]:
    """The list of sources of a package of this project; empty for another file."""
    try:
        labels: sio.Labels = import_sleap_io().load_slp(path, open_videos=False)
    except (OSError, KeyError, ValueError):  # no file of SLEAP, or damaged
        return ()
    listed: Sequence[Sequence[Any]] = labels.provenance.get(SOURCES_KEY, ())
    return listed


def _read_images(frames: list[sio.LabeledFrame], broken: list[str]) -> list[NDArray[np.uint8] | None]:
    """Gray images of labeled frames of one video; None for one that cannot be read, which is added to `broken`."""
    video, indices = frames[0].video, [int(frame.frame_idx) for frame in frames]
    name = video.filename
    failures = (VideoError, OSError, KeyError, IndexError, ValueError)
    try:
        if type(video.backend).__name__ == "MediaVideo":
            return list(_read_video_images(video, indices))
        if hasattr(video.backend, "plugin"):
            # Labels are known by the hash of their images, which must not depend on whether OpenCV is installed.
            video.backend.plugin = "imageio"
    except failures as error:
        raise LabelsError(f"a labeled image of {name} cannot be read: {error}") from error
    if isinstance(name, list):
        _refuse_turned([name[index] for index in indices])
    images: list[NDArray[np.uint8] | None] = []
    for index in indices:
        try:
            images.append(_gray(np.asarray(video[index]), str(name)))
        except failures as error:
            images.append(None)
            broken.append(f"{name[index] if isinstance(name, list) else f'frame {index} of {name}'} ({error})")
    return images


def _refuse_turned(paths: Sequence[str]) -> None:
    """Refuse images that ask to be shown turned: it is not known which of the two pictures a person labeled.

    OpenCV turns them unless it is told not to (SLEAP up to 1.4 let it), sleap-io and PIL do not.
    """
    turned = {path: tag for path in paths if (tag := _orientation(path)) not in _AS_STORED}
    n_more = len(turned) - 1
    for path, tag in turned.items():
        raise LabelsError(
            f"{path} asks to be shown turned (EXIF orientation {tag}{f', as do {n_more} more' if n_more else ''}); some"
            " programs do that and others do not, so that it is not known which picture was labeled. Expected pixels"
            " that stand as they were labeled. Write the image again without that note: turned, if it was labeled"
            " turned (mogrify -auto-orient FILE), else as it is stored (exiftool -Orientation= FILE)"
        )


def _orientation(path: str) -> int:
    """How an image asks to be turned, as EXIF counts; 1, not at all, also for a file that cannot be read."""
    try:
        with Image.open(path) as image:
            return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except (OSError, ValueError, TypeError, SyntaxError):
        return 1


def _read_video_images(video: sio.Video, indices: list[int]) -> list[NDArray[np.uint8]]:
    """Frames of a video file, which must be the video that was labeled, as far as the labels say."""
    wanted, read, n_frames = set(indices), {}, 0
    for index, gray in enumerate(read_video_luma(video.filename)):
        n_frames = index + 1
        if index in wanted:
            read[index] = gray
        if index == max(indices):
            break
    for index in indices:
        if index not in read:
            raise LabelsError(
                f"frame {index} of {video.filename} is labeled, but that video has {n_frames} frames; it is not the"
                " video that was labeled, or was cut since. Put the right one back"
            )
    labeled_shape, shape = video.backend_metadata.get("shape"), read[indices[0]].shape
    if labeled_shape is not None and tuple(labeled_shape[1:3]) != shape:
        raise LabelsError(
            f"{video.filename} is {shape[1]} x {shape[0]} px, but was {labeled_shape[2]} x {labeled_shape[1]} px when"
            " it was labeled: the points do not fit its frames. Put the video back that was labeled"
        )
    return [read[index] for index in indices]


def _gray(image: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Gray image, shape (height, width), of one with a channel axis."""
    if image.dtype != np.uint8:
        raise LabelsError(f"the images of {name} are {image.dtype}, expected 8 bit (uint8)")
    if image.shape[-1] == 1:
        return np.ascontiguousarray(image[..., 0])
    return ((image[..., :3] @ _GRAY_WEIGHTS + (1 << 14)) >> 15).astype(np.uint8)
