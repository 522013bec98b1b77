"""Read the frames that a person labeled, from files of SLEAP, DeepLabCut and Lightning Pose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from compute.errors import LabelsError
from compute.extras import import_sleap_io
from compute.labels.deeplabcut_labels import read_deeplabcut_labels
from compute.labels.labeled_frames import LabeledFrameSource, labeled_frame_source
from compute.labels.placed_points import PlacedPoints, merge_placed_points

if TYPE_CHECKING:
    import sleap_io as sio

_SCORERS_KEY = "orofacial_scorers"
"""Key of SLEAP's provenance under which labels that were read from a CSV file say who labeled how many images."""

_LEFT_OUT_KEY = "orofacial_scorers_left_out"
"""The same of people whose points were not asked for."""


def read_labels(path: str | Path, *, scorer: str | None = None) -> sio.Labels:
    """Read the frames that a person labeled, and only those.

    Predictions, frames without any placed point and everything else in the file are left out. Missing points are NaN.
    What several people placed in different frames, or at different nodes, is put together.

    Parameters
    ----------
    path : str or Path
        ``.slp`` or ``.pkg.slp`` of SLEAP, or the ``.csv`` of DeepLabCut and Lightning Pose (nodes keep its order).
    scorer : str, optional
        Only the points of this person, of the people that a CSV file names.

    Returns
    -------
    sleap_io.Labels
        One skeleton, one instance a frame.

    Raises
    ------
    LabelsError
        If the file is missing, unreadable, without labels, has more than one skeleton in use, more than one instance in
        a frame, a point with only one of x and y, a frame that was labeled twice in different ways, or a labeled image
        or video that does not exist.

    Examples
    --------
    >>> labels = read_labels("CollectedData.csv")  # doctest: +SKIP
    >>> labeled_skeleton(labels)  # doctest: +SKIP
    (('nose', 'tongue'), ())
    """
    path = Path(path)
    labels = _load(path, scorer)
    return _merged(labels, _user_labels(labels, path), path)


def read_stored_labels(path: str | Path) -> sio.Labels:
    """Read labels that `compute.labels.save_package` wrote: every frame as it stands there, at its place.

    Raises
    ------
    LabelsError
        If the file is missing, unreadable, or without labels.
    """
    path = Path(path)
    labels = _load(path, None)
    skeleton, frames = _user_labels(labels, path)
    return _with_points(labels, skeleton, [(frame, points.position) for frame, points in frames])


def labels_scorers(labels: sio.Labels) -> tuple[dict[str, int], dict[str, int]]:
    """Who labeled how many images, and the same of people whose points were left out; empty where nobody is named."""
    return dict(labels.provenance.get(_SCORERS_KEY, {})), dict(labels.provenance.get(_LEFT_OUT_KEY, {}))


def _load(path: Path, scorer: str | None) -> sio.Labels:
    """All that a file holds."""
    if not path.is_file():
        raise LabelsError(f"{path} does not exist or is not a file; expected a .slp, .pkg.slp or .csv file of labels")
    suffix = path.suffix.lower()
    if suffix not in (".slp", ".csv"):
        raise LabelsError(f"{path} ends in {path.suffix!r}; expected a .slp, .pkg.slp or .csv file of labels")
    if scorer is not None and suffix != ".csv":
        raise LabelsError(f"{path} does not say who labeled it, so --scorer cannot choose; leave it out")
    sio = import_sleap_io()
    try:
        return _read_csv(path, scorer) if suffix == ".csv" else sio.load_slp(str(path))
    except LabelsError:
        raise
    except Exception as error:  # parsing a broken file can raise anything
        raise LabelsError(f"{path} cannot be read as labels ({error}); export or copy it again") from error


def _user_labels(labels: sio.Labels, path: Path) -> tuple[sio.Skeleton, list[tuple[sio.LabeledFrame, PlacedPoints]]]:
    """The skeleton in use, and the frames with what a person placed in them, in its order."""
    labeled = [(frame, one) for frame in labels if (one := _placed_instance(frame, path)) is not None]
    if not labeled:
        raise LabelsError(f"{path} holds no labeled frames; label some in SLEAP and save it")
    skeleton = _skeleton_in_use([one.skeleton for _, one in labeled], path)
    placed = [
        PlacedPoints(f"labeled frame {number}", _in_order(one, skeleton.node_names))
        for number, (_, one) in enumerate(labeled, start=1)
    ]
    return skeleton, [(frame, points) for (frame, _), points in zip(labeled, placed, strict=True)]


def _merged(
    labels: sio.Labels, labeled: tuple[sio.Skeleton, list[tuple[sio.LabeledFrame, PlacedPoints]]], path: Path
) -> sio.Labels:
    """Check the points and videos; put together what is labeled twice."""
    skeleton, frames = labeled
    nodes = skeleton.node_names
    by_source: dict[LabeledFrameSource, list[tuple[sio.LabeledFrame, PlacedPoints]]] = {}
    for frame, points in frames:
        source = labeled_frame_source(labels, frame)
        points.check(f"{path}: frame {source.frame_index} of {source.path}", nodes)
        by_source.setdefault(source, []).append((frame, points))
        if not frame.video.exists():
            raise LabelsError(f"{path}: {source.path} is missing; put it back, or export a .pkg.slp with the images")
    merged = []
    for source, found in by_source.items():
        where = f"{path}: frame {source.frame_index} of {source.path} is labeled twice"
        position = merge_placed_points([points for _, points in found], nodes, where, "delete the wrong one")
        merged.append((found[0][0], position))
    return _with_points(labels, skeleton, merged)


def _with_points(
    labels: sio.Labels, skeleton: sio.Skeleton, frames: Sequence[tuple[sio.LabeledFrame, NDArray[np.float64]]]
) -> sio.Labels:
    """New labels with one instance in each of these frames."""
    sio = import_sleap_io()
    return sio.Labels(
        [
            sio.LabeledFrame(
                video=frame.video,
                frame_idx=frame.frame_idx,
                instances=[sio.Instance.from_numpy(position, skeleton=skeleton)],
            )
            for frame, position in frames
        ],
        skeletons=[skeleton],
        provenance=dict(labels.provenance),
    )


def _placed_instance(frame: sio.LabeledFrame, path: Path) -> sio.Instance | None:
    """The one instance of a frame in which a person placed a point, if there is one."""
    placed = [one for one in frame.user_instances if not np.isnan(one.numpy()).all()]
    if len(placed) > 1:
        raise LabelsError(f"{path}: frame {frame.frame_idx} holds {len(placed)} labeled instances, expected one mouse")
    return placed[0] if placed else None


def _skeleton_in_use(skeletons: Sequence[sio.Skeleton], path: Path) -> sio.Skeleton:
    """The skeleton of the labeled instances; the same nodes in another order are the same skeleton."""
    by_nodes = {frozenset(one.node_names): one for one in reversed(skeletons)}
    if len(by_nodes) > 1:
        named = "; ".join(f"{one.name}: {', '.join(one.node_names)}" for one in by_nodes.values())
        raise LabelsError(f"{path} was labeled with {len(by_nodes)} skeletons ({named}), expected one")
    return skeletons[0]


def _in_order(instance: sio.Instance, nodes: Sequence[str]) -> NDArray[np.float64]:
    """Points of an instance in the order of these nodes, shape (node, 2)."""
    own = instance.skeleton.node_names
    position = np.asarray(instance.numpy(), np.float64)
    return position[[own.index(node) for node in nodes]]


def _read_csv(path: Path, scorer: str | None) -> sio.Labels:
    """The labels of a CSV file as SLEAP's: the labeled images are the frames of one video."""
    sio = import_sleap_io()
    found = read_deeplabcut_labels(path, scorer)
    skeleton = sio.Skeleton(nodes=list(found.nodes), name="mouse")
    video = sio.Video(filename=[str(image) for image in found.images], open_backend=False)
    frames = [
        sio.LabeledFrame(video=video, frame_idx=index, instances=[sio.Instance.from_numpy(points, skeleton=skeleton)])
        for index, points in enumerate(found.position)
    ]
    if frames:
        video.open()
    provenance = {_SCORERS_KEY: found.n_images_of, _LEFT_OUT_KEY: found.left_out}
    return sio.Labels(frames, skeletons=[skeleton], provenance=provenance)
