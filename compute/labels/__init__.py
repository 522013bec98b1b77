"""Labeled frames: read from SLEAP, DeepLabCut and Lightning Pose files, kept as one self-contained package."""

from compute.labels.labeled_frames import (
    LabeledFrameSource,
    labeled_frame_sources,
    labeled_image_hash,
    labeled_images,
    labeled_positions,
    labeled_skeleton,
    labeled_subset,
    split_labeled_frames,
    split_labeled_indices,
)
from compute.labels.matching import SAME_IMAGE_GRAY_LEVELS, match_with_video
from compute.labels.package import load_package, save_package, write_package
from compute.labels.read import read_labels

__all__ = [
    "SAME_IMAGE_GRAY_LEVELS",
    "LabeledFrameSource",
    "labeled_frame_sources",
    "labeled_image_hash",
    "labeled_images",
    "labeled_positions",
    "labeled_skeleton",
    "labeled_subset",
    "load_package",
    "match_with_video",
    "read_labels",
    "save_package",
    "split_labeled_frames",
    "split_labeled_indices",
    "write_package",
]
