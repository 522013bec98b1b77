"""Which labeled frames a model of SLEAP was trained on, by the labels that SLEAP keeps beside the weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compute.errors import LabelsError
from compute.estimators.bundle_info import BundleTrainingFrame
from compute.extras import import_sleap_io

if TYPE_CHECKING:
    import sleap_io as sio


def read_training_frames(model_folder: Path) -> tuple[BundleTrainingFrame, ...] | None:
    """Every labeled frame that a model has seen: those it was fitted to, and those that chose its best epoch.

    SLEAP writes both beside the weights (``labels_gt.train.0.slp``, ``labels_gt.val.0.slp``; up to 1.4 without a
    number), without images. An image's hash is known where the file that the labels name is still there.

    Parameters
    ----------
    model_folder : Path
        The folder that SLEAP trained into.

    Returns
    -------
    tuple of TrainingFrame, or None
        None, not known: one of the two files is missing or cannot be read.
    """
    fitted, chose = (sorted(model_folder.glob(f"labels_gt.{side}*.slp")) for side in ("train", "val"))
    if not fitted or not chose:
        return None
    frames: list[BundleTrainingFrame] = []
    for path in (*fitted, *chose):
        read = _read(path)
        if read is None:
            return None
        frames += read
    return tuple(frames)


def _read(path: Path) -> list[BundleTrainingFrame] | None:
    from compute.labels import labeled_frame_sources

    try:
        labels = import_sleap_io().load_slp(str(path), open_videos=False)
    except (OSError, KeyError, ValueError) as error:  # h5py's errors for a file that is none, or damaged
        del error
        return None
    hashes = _image_hashes(labels)
    return [
        BundleTrainingFrame(source.path, source.frame_index, image_hash)
        for source, image_hash in zip(labeled_frame_sources(labels), hashes, strict=True)
    ]


def _image_hashes(labels: sio.Labels) -> list[str | None]:
    """The hash of each frame's image; None for all of them if one cannot be read."""
    from compute.labels import labeled_image_hash, labeled_images

    try:
        for video in labels.videos:
            video.open()
        return [labeled_image_hash(image) for image in labeled_images(labels)]
    except (LabelsError, OSError, ValueError, KeyError):
        return [None] * len(labels)
    finally:
        for video in labels.videos:
            video.close()
