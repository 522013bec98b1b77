"""A package of labels without its images, which are kept elsewhere by their hashes: the same image only once."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py  # type: ignore[import-untyped]
import numpy as np

from compute.errors import LabelsError

_IMAGES = "video0/video"
"""SLEAP's dataset of the images: one PNG file a row, filled up with zeros."""

_HASHES = "image_hashes"
"""Dataset of a light package: the hash of each labeled frame's image."""


def take_images_out(package: str | Path, image_hashes: Sequence[str], light: str | Path) -> dict[str, bytes]:
    """Write a package without its images.

    Parameters
    ----------
    package : str or Path
        As `compute.labels.save_package` writes it.
    image_hashes : sequence of str
        `compute.labels.labeled_image_hash` of the image of each labeled frame, in the order of the package.
    light : str or Path
        File to write: everything else, and the hashes.

    Returns
    -------
    dict of str to bytes
        The images as PNG files, by their hash.

    Raises
    ------
    LabelsError
        If the package has another number of images.
    """
    with h5py.File(package) as whole, h5py.File(light, "w") as file:
        images = whole[_IMAGES]
        if len(images) != len(image_hashes):
            raise LabelsError(
                f"{package} holds {len(images)} images, expected {len(image_hashes)}: one a labeled frame"
            )
        group, name = _IMAGES.split("/")
        for one in whole.keys() - {group}:
            whole.copy(one, file)
        file.create_group(group).attrs.update(whole[group].attrs)
        for one in whole[group].keys() - {name}:
            whole.copy(f"{group}/{one}", file[group])
        file.create_dataset(_IMAGES, shape=(0,), dtype=images.dtype).attrs.update(images.attrs)
        file.create_dataset(_HASHES, data=list(image_hashes), dtype=h5py.string_dtype())
        # A PNG file ends with the byte 0x82: the zeros after it are filling.
        contents = (np.asarray(row).tobytes().rstrip(b"\0") for row in images)
        return dict(zip(image_hashes, contents, strict=True))


def light_package_hashes(path: str | Path) -> list[str] | None:
    """Hash of the image of each labeled frame of a light package; None for any other file."""
    if not h5py.is_hdf5(path):
        return None
    try:
        with h5py.File(path) as file:
            return list(map(str, file[_HASHES].asstr()[:])) if _HASHES in file else None
    except OSError:  # damaged: whoever reads the labels says it
        return None


def put_images_in(light: str | Path, images: Mapping[str, bytes], package: str | Path) -> None:
    """Write the package that `take_images_out` took the images out of.

    Parameters
    ----------
    light : str or Path
        A light package.
    images : mapping of str to bytes
        PNG files by the hash of their image: those that the light package names, or more.
    package : str or Path
        File to write.
    """
    contents = [images[image_hash] for image_hash in light_package_hashes(light) or ()]
    rows = np.zeros((len(contents), max(map(len, contents), default=0)), np.int8)
    for row, content in zip(rows, contents, strict=True):
        row[: len(content)] = np.frombuffer(content, np.int8)
    shutil.copyfile(light, package)
    with h5py.File(package, "r+") as file:
        attributes = dict(file[_IMAGES].attrs)
        del file[_IMAGES], file[_HASHES]
        file.create_dataset(_IMAGES, data=rows).attrs.update(attributes)
