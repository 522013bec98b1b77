"""Labeled frames: read from SLEAP, DeepLabCut and Lightning Pose files, kept as one self-contained package."""

from compute.labels.image_checks import check_labeled_images
from compute.labels.labeled_frames import (
    LabeledFrameSource,
    labeled_frame_sources,
    labeled_image_hash,
    labeled_images,
    labeled_in_order,
    labeled_nodes_never_placed,
    labeled_positions,
    labeled_skeleton,
    labeled_subset,
    split_labeled_frames,
    split_labeled_indices,
)
from compute.labels.light_package import light_package_hashes, put_images_in, take_images_out
from compute.labels.matching import SAME_IMAGE_GRAY_LEVELS, match_with_video
from compute.labels.package import load_package, save_package, write_package
from compute.labels.read import labels_scorers, read_labels

__all__ = [
    "SAME_IMAGE_GRAY_LEVELS",
    "LabeledFrameSource",
    "check_labeled_images",
    "labeled_frame_sources",
    "labeled_image_hash",
    "labeled_images",
    "labeled_in_order",
    "labeled_nodes_never_placed",
    "labeled_positions",
    "labeled_skeleton",
    "labeled_subset",
    "labels_scorers",
    "light_package_hashes",
    "load_package",
    "match_with_video",
    "put_images_in",
    "read_labels",
    "save_package",
    "split_labeled_frames",
    "split_labeled_indices",
    "take_images_out",
    "write_package",
]
