"""Step 9: labels of before keep their package with the images inside; those that come after store each image once."""

from __future__ import annotations

from typing import Any

CHECK = """
import tempfile
from pathlib import Path

import numpy as np
from compute.labels import (
    labeled_frame_sources, labeled_image_hash, labeled_images, labeled_positions, labeled_skeleton, load_package,
    write_package,
)

schemas.activate(prefix, connection)
from ingest.labels import import_labels
from schemas.label_images import fetch_labels_package
from schemas.labels import LabeledFrames, LabelImage

before = LabeledFrames.proj("camera").to_dicts()
assert before and not len(LabelImage())
folder = Path(tempfile.mkdtemp())
known = set()
for row in before:
    key = {"labels_id": row["labels_id"]}
    with fetch_labels_package(row["labels_id"]) as package:
        labels = load_package(package)
        images, position = labeled_images(labels), labeled_positions(labels)
        skeleton, sources = labeled_skeleton(labels), labeled_frame_sources(labels)
    hashes = (LabeledFrames.Source & key).to_arrays("image_hash", order_by="labeled_frame_index").tolist()
    assert [labeled_image_hash(image) for image in images] == hashes and not LabeledFrames.Image & key
    known |= set(hashes)
    for n_moved in (1, 2):
        position[n_moved, np.isfinite(position[n_moved, :, 0]).argmax()] *= 0.5
        changed = folder / f"{row['labels_id']}_{n_moved}.pkg.slp"
        write_package(changed, images, position, *skeleton, sources)
        imported = import_labels(changed, camera=row["camera"])
        assert imported.is_new
        with fetch_labels_package(imported.labels_id) as package:
            labels = load_package(package)
            assert np.array_equal(labeled_positions(labels), position, equal_nan=True)
            assert np.array_equal(labeled_images(labels), images)
assert set(LabelImage.to_arrays("image_hash")) == known
"""


def test_labels_of_before_are_read_and_images_of_new_ones_are_stored_once(old_lab: Any) -> None:
    old_lab.orofacial("upgrade")
    old_lab.program(CHECK)
