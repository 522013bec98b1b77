"""Labels files become rows: skeleton, labeled frames, where each came from."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from compute.errors import LabelsError
from compute.labels import Source, images_of, positions_of, read_labels, save_package, skeleton_of, sources_of
from ingest.layout import SESSION_PATTERN, ImpossibleDateError, parse_name
from schemas.labels import LabeledFrames, Skeleton
from schemas.session import Camera
from schemas.stored.publishing import published_or_removed
from schemas.subject import Mouse

if TYPE_CHECKING:
    import sleap_io


@dataclass(frozen=True)
class ImportedLabels:
    """What became of a labels file."""

    labels_id: str
    is_new: bool
    n_labeled_frames: int
    nodes: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    mice: tuple[str, ...]
    n_frames_without_mouse: int


def import_labels(
    path: Path, *, camera: str, mouse: str | None = None, pattern: str = SESSION_PATTERN
) -> ImportedLabels:
    """Import a labels file; the same labels again change nothing.

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
    nodes, edges = skeleton_of(labels)
    labels_id = hash_labels(labels)
    sources = sources_of(labels)
    mice = [mouse or _mouse_of(source, pattern) for source in sources]
    is_new = not LabeledFrames & {"labels_id": labels_id}
    if is_new:
        _insert(labels, labels_id, path, camera, nodes, edges, sources, mice)
    return ImportedLabels(
        labels_id,
        is_new,
        len(sources),
        nodes,
        edges,
        tuple(sorted({name for name in mice if name is not None})),
        mice.count(None),
    )


def _insert(
    labels: sleap_io.Labels,
    labels_id: str,
    path: Path,
    camera: str,
    nodes: tuple[str, ...],
    edges: tuple[tuple[str, str], ...],
    sources: list[Source],
    mice: list[str | None],
) -> None:
    row = {
        "labels_id": labels_id,
        "labels_name": path.name,
        "camera": camera,
        "skeleton_id": skeleton_id(nodes, edges),
        "n_labeled_frames": len(sources),
    }
    source_rows = [
        {
            "labels_id": labels_id,
            "labeled_frame_index": index,
            "original_file": source.path,
            "frame_index": source.frame_index,
            "mouse_id": mouse,
        }
        for index, (source, mouse) in enumerate(zip(sources, mice, strict=True))
    ]
    with tempfile.TemporaryDirectory(prefix="orofacial-") as folder:
        package = Path(folder) / "labels.pkg.slp"
        save_package(labels, package)
        with LabeledFrames.connection.transaction, published_or_removed():
            Mouse.insert([{"mouse_id": mouse} for mouse in set(mice) if mouse is not None], skip_duplicates=True)
            insert_skeleton(nodes, edges)
            LabeledFrames.insert1({**row, "package": package})
            LabeledFrames.Source.insert(source_rows)


def insert_skeleton(nodes: tuple[str, ...], edges: tuple[tuple[str, str], ...]) -> str:
    """Insert a skeleton if it is new, and return its id."""
    key = {"skeleton_id": skeleton_id(nodes, edges)}
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


def skeleton_id(nodes: tuple[str, ...], edges: tuple[tuple[str, str], ...]) -> str:
    """Hash of the names of nodes and edges, in their order.

    Examples
    --------
    >>> skeleton_id(("nose", "jaw_tip"), (("nose", "jaw_tip"),))
    'cc8fdf983f453d9e'
    """
    return hashlib.sha256(repr((nodes, edges)).encode()).hexdigest()[:16]


def hash_labels(labels: sleap_io.Labels) -> str:
    """Hash of a set of labels: skeleton, images and points, whatever file format they came in."""
    digest = hashlib.sha256(repr(skeleton_of(labels)).encode())
    for image, position in zip(images_of(labels), positions_of(labels), strict=True):
        digest.update(repr(image.shape).encode())
        digest.update(image.tobytes())
        digest.update(position.astype(np.float64).tobytes())
    return digest.hexdigest()[:16]


def _mouse_of(source: Source, pattern: str) -> str | None:
    """The mouse that the folder of a frame's video names, if it does."""
    try:
        name = parse_name(Path(source.path).parent.as_posix(), pattern)
    except ImpossibleDateError:  # then it is no session of this database
        return None
    return None if name is None else name.mouse_id
