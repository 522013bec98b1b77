"""Where labeled frames came from, as rows: what a file says, beside what the database holds of the same frames."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.errors import LabelsError
from compute.labels import LabeledFrameSource, labeled_image_hash
from compute.text import count_text
from ingest.correction_history import NameHistory
from ingest.known_rows import KnownRowComparison, compare_known_row
from ingest.layout import Layout, Reading, UnreadablePathError
from ingest.named_by_paths import NamedByPath, named_by_path
from schemas.calibration import TrackCalibration
from schemas.evaluation import LabeledVideo
from schemas.labels import LabeledFrames, mice_of_images
from schemas.metric import LabelError
from schemas.training_mice import learn_training_mice

Row = dict[str, Any]

_PLACE = ("original_file", "frame_index", "source_date", "source_number")
"""Columns that say of which session a frame is."""


def labeled_source_rows(
    sources: Sequence[LabeledFrameSource],
    images: Sequence[NDArray[np.uint8]],
    *,
    path: Path,
    camera: str,
    cameras: Collection[str],
    mouse: str | None,
    layout: Layout,
) -> list[Row]:
    """What is known of each labeled frame: its identity, its mouse, and the session whose video it was taken from.

    The frame's path names the mouse if it fits the layout, and the session if it is of a video of the camera, too.

    Parameters
    ----------
    sources : sequence of LabeledFrameSource
        Where each frame came from.
    images : sequence of array, shape (height, width), uint8
        The image of each frame.
    path : Path
        The file of the labels, for messages.
    camera : str
        The camera that filmed the frames.
    cameras : collection of str
        All cameras of the lab.
    mouse : str, optional
        The mouse in all frames.
    layout : Layout
        How the lab's recordings lie.

    Returns
    -------
    list of dict
        Rows of `LabeledFrames.Source` without their key.

    Raises
    ------
    LabelsError
        If a frame's file has the name of another camera, or its folder, or other labels of the same image, name another
        mouse.
    """
    for source in sources:
        _check_camera(source, path, camera, cameras)
    names = NameHistory.fetch()
    named = {file: named_by_source(file, layout, names) for file in {source.path for source in sources}}
    told = None if mouse is None else names.mouse_now(mouse)
    rows = [
        _source_row(source, image, path, camera, told, named[source.path])
        for source, image in zip(sources, images, strict=True)
    ]
    known = mice_of_images({row["image_hash"] for row in rows})
    for row in rows:
        others = known.get(row["image_hash"], set()) - {row["mouse_id"]}
        if row["mouse_id"] is not None and others:
            raise LabelsError(
                f"{path}: frame {row['frame_index']} of {row['original_file']} would be of mouse {row['mouse_id']}, but"
                f" the same image is known as of {', '.join(sorted(others))}; nothing was imported. Name that mouse, or"
                " leave --mouse out"
            )
    return rows


def add_to_labeled_sources(labels_id: str, asked: Sequence[Row], path: Path) -> tuple[dict[str, int], list[str]]:
    """Add to the frames of known labels what was not known of them, and let what hangs on it follow.

    Parameters
    ----------
    labels_id : str
        A row of `LabeledFrames`.
    asked : sequence of dict
        Rows as of `labeled_source_rows`, in the order of the labels.
    path : Path
        The file of the labels, for messages.

    Returns
    -------
    dict of str to int, list of str
        Number of frames whose ``mouse`` and ``session`` is known now and was not before; models whose training mice are
        better known now.

    Raises
    ------
    LabelsError
        If something else is known of a frame. Nothing is changed then.
    """
    key = {"labels_id": labels_id}
    there = (LabeledFrames.Source & key).to_dicts(order_by="labeled_frame_index")
    compared = [_compare(known, row) for known, row in zip(there, asked, strict=True)]
    contradicted = [one.contradictions for one in compared if one.contradictions]
    what = f"{path}: {count_text(len(contradicted), 'frame')} of labels {labels_id}"
    first = KnownRowComparison({}, contradicted[0] if contradicted else {})
    advice = f"Nothing was changed. Ask for what is known; 'orofacial labels describe {labels_id}' shows it"
    first.refuse(what, LabelsError, advice)
    for known, one in zip(there, compared, strict=True):
        if one.added:
            LabeledFrames.Source.update1({**key, "labeled_frame_index": known["labeled_frame_index"], **one.added})
    placed = [{**known, **one.added} for known, one in zip(there, compared, strict=True) if "source_date" in one.added]
    _forget_matches(labels_id, placed)
    counts = {"mouse": sum("mouse_id" in one.added for one in compared), "session": len(placed)}
    return counts, learn_training_mice() if counts["mouse"] else []


def _compare(known: Row, asked: Row) -> KnownRowComparison:
    """What a file says of a frame, beside what is known: the session of a frame is known whole, or not at all."""
    if known["source_date"] is None and asked["source_date"] is not None:
        compared = compare_known_row(known, {"mouse_id": asked["mouse_id"]})
        return KnownRowComparison({**compared.added, **{n: asked[n] for n in _PLACE}}, compared.contradictions)
    names = ("mouse_id",) if asked["source_date"] is None else ("mouse_id", *_PLACE[1:])
    return compare_known_row(known, {name: asked[name] for name in names})


def _forget_matches(labels_id: str, placed: Sequence[Row]) -> None:
    """Forget which frames are a video's, and the errors there, of videos that have more of these frames now."""
    sessions = [
        {"mouse_id": row["mouse_id"], "session_date": row["source_date"], "session_number": row["source_number"]}
        for row in placed
    ]
    if sessions:
        for table in (LabelError, TrackCalibration, LabeledVideo):
            (table & {"labels_id": labels_id} & sessions).delete(prompt=False)


def _source_row(
    source: LabeledFrameSource,
    image: NDArray[np.uint8],
    path: Path,
    camera: str,
    mouse: str | None,
    named: NamedByPath | None,
) -> Row:
    if named is not None and mouse is not None and named.mouse_id != mouse:
        raise LabelsError(
            f"{path}: the folder of {source.path} says mouse {named.mouse_id}, --mouse says {mouse}; the folder counts."
            " Leave --mouse out, or correct the folder's name"
        )
    session = named.session if named is not None and named.camera == camera else None
    return {
        "original_file": source.path,
        "frame_index": source.frame_index,
        "mouse_id": mouse if named is None else named.mouse_id,
        "image_hash": labeled_image_hash(image),
        "source_date": None if session is None else session.session_date,
        "source_number": None if session is None else session.session_number,
    }


def _check_camera(source: LabeledFrameSource, path: Path, camera: str, cameras: Collection[str]) -> None:
    """Refuse a frame whose video or image has the name of another camera of the lab."""
    named = _stem(source)
    if named != camera and named in cameras:
        raise LabelsError(
            f"{path}: the name of {source.path} says camera {named}, --camera says {camera}; nothing was imported. Give"
            f" --camera {named}; labels of several cameras need a file for each"
        )


def _stem(source: LabeledFrameSource) -> str:
    return PurePosixPath(_with_slashes(source.path)).stem


def read_source_path(path: str, layout: Layout) -> Reading | None:
    """What the path of a labeled video or image names, if it fits the layout; it may be of a Windows machine.

    DeepLabCut keeps the images of a video in a folder that is called as the video is.
    """
    path = _with_slashes(path)
    try:
        return layout.read(path) or layout.read_stem(path.rpartition("/")[0])
    except UnreadablePathError:  # then it is no session of this database
        return None


def named_by_source(path: str, layout: Layout, names: NameHistory) -> NamedByPath | None:
    """What the path of a labeled video or image names by the names of now, if it fits the layout."""
    reading = read_source_path(path, layout)
    return None if reading is None else named_by_path(reading, layout, names)


def _with_slashes(path: str) -> str:
    """A path as it may have been written on a Windows machine."""
    return path.replace("\\", "/")
