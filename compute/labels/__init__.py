"""Labeled frames: read from SLEAP, DeepLabCut and Lightning Pose files, kept as one self-contained package."""

from compute.labels.labeled_frames import (
    Source,
    image_hash,
    images_of,
    positions_of,
    skeleton_of,
    sources_of,
    split,
    split_indices,
    subset,
)
from compute.labels.matching import SAME_IMAGE_GRAY_LEVELS, differences_from_video
from compute.labels.package import load_package, save_package, write_package
from compute.labels.read import read_labels

__all__ = [
    "SAME_IMAGE_GRAY_LEVELS",
    "Source",
    "differences_from_video",
    "image_hash",
    "images_of",
    "load_package",
    "positions_of",
    "read_labels",
    "save_package",
    "skeleton_of",
    "sources_of",
    "split",
    "split_indices",
    "subset",
    "write_package",
]
