"""A package without its images, and with them again: the same file, dataset by dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from compute.errors import LabelsError
from compute.labels import (
    labeled_image_hash,
    light_package_hashes,
    load_package,
    put_images_in,
    take_images_out,
    write_package,
)

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 80, 120), np.uint8)
HASHES = [labeled_image_hash(IMAGES[index]) for index in (0, 1, 2, 1)]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Four frames of two nodes; two of them show the same image."""
    position = np.random.default_rng(1).uniform(5, 60, (4, 2, 2))
    position[2, 0] = np.nan
    path = tmp_path / "whole.pkg.slp"
    write_package(
        path, IMAGES[[0, 1, 2, 1]], position, ["jaw", "ear"], [("jaw", "ear")], [("a.mp4", i) for i in range(4)]
    )
    return path


def contents(path: Path) -> dict[str, Any]:
    """Attributes of every group and dataset of a file, and the datasets' values."""
    found: dict[str, Any] = {}

    def look(name: str, item: Any) -> None:
        values = item[()] if isinstance(item, h5py.Dataset) else None
        found[name] = (sorted((key, str(value)) for key, value in item.attrs.items()), repr(values), str(values))
        if values is not None:
            found[name] += (values.dtype, values.shape, values.tobytes() if values.dtype != object else None)

    with h5py.File(path) as file:
        look("/", file)
        file.visititems(look)
    return found


def test_a_package_is_what_it_was_when_its_images_are_put_in_again(package: Path, tmp_path: Path) -> None:
    images = take_images_out(package, HASHES, tmp_path / "light.slp")
    assert images.keys() == set(HASHES) and len(images) == 3
    assert all(content.startswith(b"\x89PNG") and content.endswith(b"\xaeB`\x82") for content in images.values())
    assert light_package_hashes(tmp_path / "light.slp") == HASHES
    put_images_in(tmp_path / "light.slp", {**images, "another": b"image"}, tmp_path / "again.pkg.slp")
    assert contents(tmp_path / "again.pkg.slp") == contents(package)
    load_package(tmp_path / "again.pkg.slp")
    sizes = [path.stat().st_size for path in (tmp_path / "light.slp", package)]
    assert sizes[0] < sizes[1] - 4 * IMAGES[0].size, sizes  # random images: PNG cannot make them smaller


def test_other_files_name_no_images(package: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.slp").write_bytes(package.read_bytes()[:1000])
    (tmp_path / "labels.csv").write_text("scorer")
    for path in (package, tmp_path / "broken.slp", tmp_path / "labels.csv", tmp_path / "missing.slp"):
        assert light_package_hashes(path) is None


def test_as_many_hashes_as_images_are_needed(package: Path, tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match="holds 4 images, expected 3"):
        take_images_out(package, HASHES[:3], tmp_path / "light.slp")
