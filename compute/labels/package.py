"""Labeled frames as one self-contained package.

A package is SLEAP's own ``.pkg.slp`` with the images inside: SLEAP opens it. It also knows where each image came from.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import h5py  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from compute.errors import LabelsError
from compute.extras import import_sleap_io
from compute.labels.labeled_frames import (
    SOURCES_KEY,
    LabeledFrameSource,
    labeled_frame_sources,
    labeled_images,
    labeled_positions,
)
from compute.labels.light_package import light_package_hashes
from compute.labels.read import read_stored_labels

if TYPE_CHECKING:
    import sleap_io as sio


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
    _write_package(
        Path(path), labeled_images(labels), labeled_positions(labels), labels.skeleton, labeled_frame_sources(labels)
    )


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
    skeleton = import_sleap_io().Skeleton(nodes=list(nodes), edges=list(edges), name="mouse")
    _write_package(Path(path), list(images), values, skeleton, [LabeledFrameSource(str(p), int(i)) for p, i in sources])


def load_package(path: str | Path) -> sio.Labels:
    """Read a package, every frame as it stands there, and check that it holds its images.

    Raises
    ------
    LabelsError
        If the file is missing, unreadable, or without labels; also if images are not inside the file.
    """
    if light_package_hashes(path) is not None:
        raise LabelsError(f"{path} names its images only, which a database keeps: import it there")
    labels = read_stored_labels(path)
    if not all(getattr(frame.video.backend, "has_embedded_images", False) for frame in labels):
        raise LabelsError(f"{path} does not hold its images; expected a .pkg.slp written by save_package")
    return labels


def _write_package(
    path: Path,
    images: list[NDArray[np.uint8]],
    position: NDArray[np.float64],
    skeleton: sio.Skeleton,
    sources: list[LabeledFrameSource],
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
            same = (
                all(map(np.array_equal, labeled_images(written), images)) and labeled_frame_sources(written) == sources
            )
            if not same or not np.array_equal(labeled_positions(written), position, equal_nan=True):
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
    sources: list[LabeledFrameSource],
) -> None:
    """Let sleap-io write the package from PNG files beside it."""
    sio = import_sleap_io()
    names = [str(path.parent / f"{index:06d}.png") for index in range(len(images))]
    for name, image in zip(names, images, strict=True):
        Image.fromarray(image).save(name)
    video = sio.Video.from_filename(names, grayscale=True)
    frames = [
        sio.LabeledFrame(
            video=video, frame_idx=index, instances=[sio.Instance.from_numpy(points.copy(), skeleton=skeleton)]
        )
        for index, points in enumerate(position)
    ]
    labels = sio.Labels(frames, skeletons=[skeleton], provenance={SOURCES_KEY: [list(source) for source in sources]})
    labels.save(str(path), embed="user", verbose=False)
    with h5py.File(path, "a") as file:
        # It names the temporary PNG files, which nobody should look for.
        del file["video0/source_video"]


def _close(labels: sio.Labels) -> None:
    """Close the files that the labels' images are read from."""
    for video in labels.videos:
        video.close()
