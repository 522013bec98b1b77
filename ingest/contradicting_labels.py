"""Images that other labels place other points in: two sets of labels that contradict each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compute.errors import DatabaseError, LabelsError
from compute.labels import labeled_positions, labeled_skeleton, load_package
from compute.labels.image_checks import SAME_POINT_PX
from compute.text import count_text
from schemas.label_images import fetch_labels_package
from schemas.labels import LabeledFrames


@dataclass(frozen=True)
class ContradictingLabels:
    """Other labels of the same images, with points elsewhere."""

    labels_id: str
    labels_name: str
    n_frames: int
    """Images in which a node lies elsewhere."""
    example: str

    def __str__(self) -> str:
        return (
            f"{count_text(self.n_frames, 'image')} of these labels have other points in labels {self.labels_id}"
            f" ({self.labels_name}), such as {self.example}. Delete what is wrong: orofacial labels delete"
        )


def contradicting_labels(
    labels_id: str, nodes: Sequence[str], position: NDArray[np.float64]
) -> tuple[ContradictingLabels, ...]:
    """Find the other labels in which a node of the same image lies more than `SAME_POINT_PX` away.

    Parameters
    ----------
    labels_id : str
        A row of `LabeledFrames`.
    nodes : sequence of str
        Its nodes.
    position : array, shape (frame, node, 2)
        Its points in px, in the order of its frames; NaN where a node was not placed.
    """
    places: dict[str, list[tuple[int, str]]] = {}
    names = ("labels_id", "labeled_frame_index", "image_hash")
    for other, index, image_hash in zip(*LabeledFrames.Source.to_arrays(*names), strict=True):
        places.setdefault(str(other), []).append((int(index), str(image_hash)))
    here = {image_hash: index for index, image_hash in places.pop(labels_id)}
    found = []
    for other, frames in sorted(places.items()):
        pairs = [(here[image_hash], index) for index, image_hash in frames if image_hash in here]
        if pairs:
            found.append(_compare(other, pairs, nodes, position))
    return tuple(one for one in found if one is not None)


def _compare(
    other: str, pairs: Sequence[tuple[int, int]], nodes: Sequence[str], position: NDArray[np.float64]
) -> ContradictingLabels | None:
    """Compare the points of pairs of frames, by their indices here and in the other labels."""
    name = (LabeledFrames & {"labels_id": other}).fetch1("labels_name")
    try:
        with fetch_labels_package(other) as path:
            labels = load_package(path)
            others, there = labeled_skeleton(labels)[0], labeled_positions(labels)
    except (DatabaseError, LabelsError):  # what is damaged is said where it is used; these labels are none the worse
        return None
    shared = [node for node in nodes if node in others]
    columns = [list(names).index(node) for names in (nodes, others) for node in shared]
    rows, other_rows = np.array(pairs).T
    mine, theirs = position[rows][:, columns[: len(shared)]], there[other_rows][:, columns[len(shared) :]]
    is_elsewhere = np.nan_to_num(np.abs(mine - theirs)).max(axis=-1, initial=0) > SAME_POINT_PX
    if not is_elsewhere.any():
        return None
    frame, node = np.argwhere(is_elsewhere)[0]
    here_text, there_text = (f"({one[frame, node, 0]:.4g}, {one[frame, node, 1]:.4g})" for one in (mine, theirs))
    source = LabeledFrames.Source & {"labels_id": other, "labeled_frame_index": pairs[frame][1]}
    file, frame_index = source.fetch1("original_file", "frame_index")
    example = f"{shared[node]} at {here_text}, there at {there_text} (frame {frame_index} of {file})"
    return ContradictingLabels(other, name, int(is_elsewhere.any(axis=1).sum()), example)
