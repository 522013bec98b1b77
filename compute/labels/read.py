"""Read the frames that a person labeled, from files of SLEAP, DeepLabCut and Lightning Pose."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import sleap_io as sio

from compute.errors import LabelsError
from compute.labels.labeled_frames import labeled_frame_source


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
    except Exception as error:  # parsing a broken file can raise anything
        raise LabelsError(f"{path} cannot be read as labels ({error}); export or copy it again") from error
    return _only_user_labels(labels, path)


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
                f"{path}: {labeled_frame_source(labels, frame).path} is missing; put it back, or export a .pkg.slp with"
                " the images"
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
