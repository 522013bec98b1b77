"""Labels files become rows: skeleton, labeled frames, where each came from."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from compute.errors import LabelsError
from compute.labels import (
    check_labeled_images,
    labeled_frame_sources,
    labeled_images,
    labeled_in_order,
    labeled_nodes_never_placed,
    labeled_positions,
    labeled_skeleton,
    labels_scorers,
    read_labels,
    save_package,
    take_images_out,
)
from ingest.contradicting_labels import ContradictingLabels, contradicting_labels
from ingest.known_rows import compare_known_row
from ingest.label_skeletons import find_label_skeleton, insert_label_skeleton
from ingest.labeled_sources import add_to_labeled_sources, labeled_source_rows
from ingest.layout import Layout
from ingest.mice_without_session import mice_without_session
from schemas.label_images import insert_label_images, label_images_locked, package_with_images
from schemas.labels import LabeledFrames, Skeleton
from schemas.session import Camera, Video
from schemas.stored.publishing import published_or_removed
from schemas.subject import Mouse
from schemas.training_mice import learn_training_mice

if TYPE_CHECKING:
    import sleap_io


@dataclass(frozen=True)
class ImportedLabels:
    """The answer of an import: what the database holds of these labels now.

    Only `scorers`, `left_out` and what follows them are said of the file and of what was asked for.
    """

    labels_id: str
    labels_name: str
    camera: str
    is_new: bool
    n_labeled_frames: int
    image_size_px: tuple[int, int]
    """Width and height of the images."""
    nodes: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]
    mice: tuple[str, ...]
    n_frames_without_mouse: int
    n_frames_without_session: int
    """Frames whose path names no session and camera: they are not compared with tracks of videos."""
    added: dict[str, int] = field(default_factory=dict)
    """Of labels that were known: number of frames whose ``mouse`` and ``session`` became known now."""
    models: tuple[str, ...] = ()
    """Models whose training mice became better known."""
    scorers: dict[str, int] = field(default_factory=dict)
    """Number of images of each person whom the file names."""
    left_out: dict[str, int] = field(default_factory=dict)
    """The same of people whose points were not asked for."""
    nodes_never_placed: tuple[str, ...] = ()
    """Nodes of the skeleton that nobody placed in any frame: a model that is trained with them cannot find them."""
    contradicting: tuple[ContradictingLabels, ...] = ()
    """Other labels of the same images, with points elsewhere."""
    mice_without_session: dict[str, list[str]] = field(default_factory=dict)
    """The mouse that a person named, if no session of it is here, with the known names that are near."""
    other_video_sizes_px: tuple[tuple[int, int], ...] = ()
    """Sizes of the camera's videos, if there are some and none is of the images' size."""


def import_labels(
    path: Path, *, camera: str, mouse: str | None = None, scorer: str | None = None, layout: Layout | None = None
) -> ImportedLabels:
    """Import a labels file. Importing the same labels again adds what was not known of them, and changes nothing else.

    Parameters
    ----------
    path : Path
        ``.slp``, ``.pkg.slp``, or the CSV of DeepLabCut or Lightning Pose.
    camera : str
        The camera that filmed the frames.
    mouse : str, optional
        The mouse in all frames. The path of a frame's video says it too, where it fits `layout`; then both must
        agree.
    scorer : str, optional
        Only the points of this person, of the people that a CSV file names.
    layout : Layout, optional
        How the lab's recordings lie; without it, the default.

    Raises
    ------
    LabelsError
        If the file cannot be used, the camera is unknown, or what is asked for contradicts what is known of the same
        labels. Nothing is imported then.
    """
    cameras = set(Camera.to_arrays("camera"))
    if camera not in cameras:
        raise LabelsError(
            f"{path}: unknown camera {camera!r}; known are {', '.join(sorted(cameras))}."
            f" Name one of them, or add it with: orofacial camera add {camera}"
        )
    with package_with_images(path) as file:  # the package of deleted labels names its images only
        labels = read_labels(file, scorer=scorer)
        asked = {"camera": camera, "cameras": cameras, "mouse": mouse, "layout": layout or Layout()}
        return _take_in(labels, path, asked)


def _take_in(labels: sleap_io.Labels, path: Path, asked: dict[str, Any]) -> ImportedLabels:
    """Insert labels, or add what was not known of them; `asked` is what the import was asked for."""
    camera, mouse = asked["camera"], asked["mouse"]
    labels = labeled_in_order(labels, *find_label_skeleton(*labeled_skeleton(labels)))
    images = labeled_images(labels)
    check_labeled_images(labels, images, path)
    labels_id = hash_labels(labels, images)
    rows = labeled_source_rows(labeled_frame_sources(labels), images, path=path, **asked)
    scorers, left_out = labels_scorers(labels)
    known = (LabeledFrames & {"labels_id": labels_id}).proj("camera").to_dicts()
    added: dict[str, int] = {}
    models: list[str] = []
    if known:
        advice = f"Nothing was changed. 'orofacial labels describe {labels_id}' shows what is known of it"
        compare_known_row(known[0], {"camera": camera}).refuse(f"{path}: labels {labels_id}", LabelsError, advice)
        with LabeledFrames.connection.transaction:
            _insert_mice(rows)
            added, models = add_to_labeled_sources(labels_id, rows, path)
    else:
        height_px, width_px = images[0].shape
        row = {"labels_id": labels_id, "labels_name": path.name, "camera": camera}
        models = _insert(labels, {**row, "image_width_px": width_px, "image_height_px": height_px}, rows)
    described = describe_labels_row(labels_id)
    video_sizes_px = _video_sizes_px(camera)
    return ImportedLabels(
        **described,
        is_new=not known,
        added=added,
        models=tuple(models),
        scorers=scorers,
        left_out=left_out,
        nodes_never_placed=labeled_nodes_never_placed(labels),
        contradicting=contradicting_labels(labels_id, labels.skeleton.node_names, labeled_positions(labels)),
        mice_without_session=mice_without_session([] if mouse is None else [mouse]),
        other_video_sizes_px=() if described["image_size_px"] in video_sizes_px else video_sizes_px,
    )


def describe_labels_row(labels_id: str) -> dict[str, Any]:
    """What the database holds of a set of labels: fields of `ImportedLabels`."""
    key = {"labels_id": labels_id}
    names = ("labels_name", "camera", "skeleton_id", "n_labeled_frames", "image_width_px", "image_height_px")
    row = (LabeledFrames & key).proj(*names).fetch1()
    image_size_px = (row.pop("image_width_px"), row.pop("image_height_px"))
    skeleton = Skeleton & {"skeleton_id": row.pop("skeleton_id")}
    edges = (Skeleton.Edge & skeleton).to_dicts(order_by="edge_index")
    mice, dates = (LabeledFrames.Source & key).to_arrays("mouse_id", "source_date")
    return {
        **row,
        "image_size_px": image_size_px,
        "nodes": tuple(map(str, skeleton.nodes())),
        "edges": tuple((str(edge["source_node"]), str(edge["target_node"])) for edge in edges),
        "mice": tuple(sorted({str(name) for name in mice if name is not None})),
        "n_frames_without_mouse": sum(name is None for name in mice),
        "n_frames_without_session": sum(date is None for date in dates),
    }


def other_video_sizes_text(imported: ImportedLabels) -> str:
    """Labels whose images have another size than every video of their camera, for people; empty if they do not."""
    if not imported.other_video_sizes_px:
        return ""
    sizes = ", ".join(f"{width} x {height}" for width, height in imported.other_video_sizes_px)
    width, height = imported.image_size_px
    return (
        f"the images are {width} x {height} px, and no video of camera {imported.camera} has this size (videos:"
        f" {sizes} px). A model that is trained with these labels cannot run on those videos; label frames as they are"
        " in the videos, or name the camera that filmed the images"
    )


def _video_sizes_px(camera: str) -> tuple[tuple[int, int], ...]:
    """Width and height of the videos of a camera, each size once."""
    sizes = (dj.U("width_px", "height_px") & (Video & {"camera": camera})).to_dicts(order_by="width_px, height_px")
    return tuple((size["width_px"], size["height_px"]) for size in sizes)


def _insert(labels: sleap_io.Labels, row: dict[str, Any], sources: list[dict[str, Any]]) -> list[str]:
    """Insert new labels; return the models whose training mice they tell."""
    numbers = [{"labels_id": row["labels_id"], "labeled_frame_index": index} for index in range(len(sources))]
    with tempfile.TemporaryDirectory(prefix="orofacial-") as folder:
        package, light = Path(folder) / "labels.pkg.slp", Path(folder) / "labels.slp"
        save_package(labels, package)
        images = take_images_out(package, [source["image_hash"] for source in sources], light)
        with label_images_locked(), LabeledFrames.connection.transaction, published_or_removed():
            _insert_mice(sources)
            skeleton_id = insert_label_skeleton(*labeled_skeleton(labels))
            row = {**row, "skeleton_id": skeleton_id, "n_labeled_frames": len(sources)}
            LabeledFrames.insert1({**row, "package": light})
            insert_label_images(row["labels_id"], images)
            LabeledFrames.Source.insert([{**number, **source} for number, source in zip(numbers, sources, strict=True)])
            return learn_training_mice()


def _insert_mice(sources: list[dict[str, Any]]) -> None:
    mice = {source["mouse_id"] for source in sources} - {None}
    Mouse.insert([{"mouse_id": mouse} for mouse in sorted(mice)], skip_duplicates=True)


def hash_labels(labels: sleap_io.Labels, images: Sequence[NDArray[np.uint8]]) -> str:
    """Hash of a set of labels: skeleton, images and points, whatever file format they came in."""
    digest = hashlib.sha256(repr(labeled_skeleton(labels)).encode())
    for image, position in zip(images, labeled_positions(labels), strict=True):
        digest.update(repr(image.shape).encode())
        digest.update(image.tobytes())
        digest.update(position.astype(np.float64).tobytes())
    return digest.hexdigest()[:16]
