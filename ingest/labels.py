"""Labels files become rows: skeleton, labeled frames, where each came from."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compute.errors import LabelsError
from compute.labels import (
    LabeledFrameSource,
    labeled_frame_sources,
    labeled_image_hash,
    labeled_images,
    labeled_positions,
    labeled_skeleton,
    read_labels,
    save_package,
)
from ingest.session_folders import SESSION_PATTERN, ImpossibleDateError, SessionFolderName, parse_session_folder
from schemas.labels import LabeledFrames, Skeleton
from schemas.session import Camera
from schemas.stored.publishing import published_or_removed
from schemas.subject import Mouse

if TYPE_CHECKING:
    import sleap_io


@dataclass(frozen=True)
class ImportedLabels:
    """The result of importing a labels file."""

    labels_id: str
    is_new: bool
    n_labeled_frames: int
    nodes: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    mice: tuple[str, ...]
    n_frames_without_mouse: int
    n_frames_without_session: int
    """Frames whose path names no session and camera: they are not compared with tracks of videos."""


def import_labels(
    path: Path, *, camera: str, mouse: str | None = None, pattern: str = SESSION_PATTERN
) -> ImportedLabels:
    """Import a labels file. Importing the same labels again changes nothing.

    Parameters
    ----------
    path : Path
        ``.slp``, ``.pkg.slp``, or the CSV of DeepLabCut or Lightning Pose.
    camera : str
        The camera that filmed the frames.
    mouse : str, optional
        The mouse in all frames. Without it, the folder of each frame's video says it, where it fits `pattern`.
    pattern : str
        How session folders are named.

    Raises
    ------
    LabelsError
        If the file cannot be used, or the camera is unknown. Nothing is imported then.
    """
    cameras = set(Camera.to_arrays("camera"))
    if camera not in cameras:
        raise LabelsError(
            f"{path}: unknown camera {camera!r}; known are {', '.join(sorted(cameras))}."
            f" Name one of them, or add it with: orofacial camera add {camera}"
        )
    labels = read_labels(path)
    nodes, edges = labeled_skeleton(labels)
    images = labeled_images(labels)
    labels_id = hash_labels(labels, images)
    sources = [
        _source_row(source, image, camera, mouse, pattern)
        for source, image in zip(labeled_frame_sources(labels), images, strict=True)
    ]
    mice = [row["mouse_id"] for row in sources]
    is_new = not LabeledFrames & {"labels_id": labels_id}
    if is_new:
        height_px, width_px = images[0].shape
        row = {
            "labels_id": labels_id,
            "labels_name": path.name,
            "camera": camera,
            "skeleton_id": label_skeleton_id(nodes, edges),
            "n_labeled_frames": len(sources),
            "image_width_px": width_px,
            "image_height_px": height_px,
        }
        _insert(labels, row, sources)
    return ImportedLabels(
        labels_id,
        is_new,
        len(sources),
        nodes,
        edges,
        tuple(sorted({name for name in mice if name is not None})),
        mice.count(None),
        sum(row["source_date"] is None for row in sources),
    )


def _insert(labels: sleap_io.Labels, row: dict[str, Any], sources: list[dict[str, Any]]) -> None:
    mice = {source["mouse_id"] for source in sources} - {None}
    numbers = [{"labels_id": row["labels_id"], "labeled_frame_index": index} for index in range(len(sources))]
    with tempfile.TemporaryDirectory(prefix="orofacial-") as folder:
        package = Path(folder) / "labels.pkg.slp"
        save_package(labels, package)
        with LabeledFrames.connection.transaction, published_or_removed():
            Mouse.insert([{"mouse_id": mouse} for mouse in mice], skip_duplicates=True)
            insert_label_skeleton(*labeled_skeleton(labels))
            LabeledFrames.insert1({**row, "package": package})
            LabeledFrames.Source.insert([{**number, **source} for number, source in zip(numbers, sources, strict=True)])


def _source_row(
    source: LabeledFrameSource, image: NDArray[np.uint8], camera: str, mouse: str | None, pattern: str
) -> dict[str, Any]:
    """What is known of a labeled frame: its identity, its mouse, and the session whose video it was taken from.

    The path names the session if it fits the pattern, its file has the camera's name, and no other mouse was told.
    """
    name = _session_of(source, pattern)
    mouse_id = mouse or (None if name is None else name.mouse_id)
    is_named = name is not None and name.mouse_id == mouse_id and _file_stem(source.path) == camera
    return {
        "original_file": source.path,
        "frame_index": source.frame_index,
        "mouse_id": mouse_id,
        "image_hash": labeled_image_hash(image),
        "source_date": name.session_date if name is not None and is_named else None,
        "source_number": name.session_number if name is not None and is_named else None,
    }


def insert_label_skeleton(nodes: tuple[str, ...], edges: tuple[tuple[str, str], ...]) -> str:
    """Insert a skeleton if it is new, and return its id."""
    key = {"skeleton_id": label_skeleton_id(nodes, edges)}
    if not Skeleton & key:
        Skeleton.insert1(key)
        Skeleton.Node.insert([{**key, "node": node, "node_index": index} for index, node in enumerate(nodes)])
        Skeleton.Edge.insert(
            [
                {**key, "edge_index": index, "source_node": source, "target_node": target}
                for index, (source, target) in enumerate(edges)
            ]
        )
    return key["skeleton_id"]


def label_skeleton_id(nodes: tuple[str, ...], edges: tuple[tuple[str, str], ...]) -> str:
    """Hash of the names of nodes and edges, in their order.

    Examples
    --------
    >>> label_skeleton_id(("nose", "jaw_tip"), (("nose", "jaw_tip"),))
    'cc8fdf983f453d9e'
    """
    return hashlib.sha256(repr((nodes, edges)).encode()).hexdigest()[:16]


def hash_labels(labels: sleap_io.Labels, images: Sequence[NDArray[np.uint8]]) -> str:
    """Hash of a set of labels: skeleton, images and points, whatever file format they came in."""
    digest = hashlib.sha256(repr(labeled_skeleton(labels)).encode())
    for image, position in zip(images, labeled_positions(labels), strict=True):
        digest.update(repr(image.shape).encode())
        digest.update(image.tobytes())
        digest.update(position.astype(np.float64).tobytes())
    return digest.hexdigest()[:16]


def _session_of(source: LabeledFrameSource, pattern: str) -> SessionFolderName | None:
    """The session that the folder of a frame's video names, if it does."""
    try:
        return parse_session_folder(PurePosixPath(_with_slashes(source.path)).parent.as_posix(), pattern)
    except ImpossibleDateError:  # then it is no session of this database
        return None


def _file_stem(path: str) -> str:
    return PurePosixPath(_with_slashes(path)).stem


def _with_slashes(path: str) -> str:
    """A path as it may have been written on a Windows machine."""
    return path.replace("\\", "/")
