"""The images of labels, each stored once: they are stored at the import, and put into the package that is fetched."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import datajoint as dj
from datajoint.objectref import ObjectRef

from compute.errors import DatabaseError
from compute.text import count_text
from schemas.labels import DeletedLabelImage, DeletedLabels, LabeledFrames, LabelImage
from schemas.making.locks import holding_lock
from schemas.stored.fetching import fetch_local_copy

_N_READERS = 16
"""Images that are read at once: a store elsewhere takes long to answer, and answers many at once."""


@contextmanager
def fetch_labels_package(labels_id: str) -> Iterator[Path]:
    """The package of a set of labels with its images, on this machine. Only read it: it may be the store's own file.

    Parameters
    ----------
    labels_id : str
        A row of `LabeledFrames`.

    Raises
    ------
    DatabaseError
        If the store does not have the package or one of its images.
    """
    with (
        fetch_local_copy((LabeledFrames & {"labels_id": labels_id}).fetch1("package")) as stored,
        package_with_images(stored) as package,
    ):
        yield package


@contextmanager
def package_with_images(path: Path) -> Iterator[Path]:
    """A package as the store keeps it, with its images put in; any other file as it is.

    Raises
    ------
    DatabaseError
        If the store does not have an image that the package names.
    """
    from compute.labels import light_package_hashes, put_images_in

    hashes = light_package_hashes(path)
    if hashes is None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="orofacial-") as folder:
        package = Path(folder) / path.name
        put_images_in(path, _read_label_images(set(hashes), path), package)
        yield package


def label_images_locked() -> AbstractContextManager[bool]:
    """Hold this around a transaction that adds or forgets images: nobody forgets those that another begins to name."""
    return holding_lock(LabelImage.connection, f"{LabelImage().full_table_name} rows")


def insert_label_images(labels_id: str, images: Mapping[str, bytes]) -> None:
    """Name the images of a set of labels, and store those that are new.

    Call it inside of `label_images_locked`, in the transaction that inserts the labels.

    Parameters
    ----------
    labels_id : str
        A row of `LabeledFrames`.
    images : mapping of str to bytes
        PNG files by the hash of their image.
    """
    known = set(LabelImage.to_arrays("image_hash"))
    new = images.keys() - known
    LabelImage.insert([{"image_hash": one, "image": (".png", images[one])} for one in sorted(new)])
    LabeledFrames.Image.insert([{"labels_id": labels_id, "image_hash": one} for one in sorted(images)])


def remember_deleted_labels(labels_id: str, labels_name: str, package_path: str) -> None:
    """Keep where the package of labels is that are about to be deleted, which images it names, and when that was."""
    key = {"package_path": package_path}
    row = {**key, "deleted_labels_id": labels_id, "deleted_labels_name": labels_name}
    DeletedLabels.insert1(row, skip_duplicates=True)
    hashes = (LabeledFrames.Image & {"labels_id": labels_id}).to_arrays("image_hash")
    DeletedLabelImage.insert([{**key, "image_hash": one} for one in hashes], skip_duplicates=True)


def forget_unused_label_images(collected_packages: Collection[str], *, dry_run: bool) -> list[tuple[str, str]]:
    """Delete the rows of images that no labels name any more; return store and path of their files.

    Parameters
    ----------
    collected_packages : collection of str
        Packages of deleted labels whose images need not be kept. Those that other deleted labels name stay.
    dry_run : bool
        Only say which.
    """
    connection = LabelImage.connection
    with label_images_locked(), connection.transaction:
        named = set(LabeledFrames.Image.to_arrays("image_hash"))
        for package_path, image_hash in zip(*DeletedLabelImage.to_arrays("package_path", "image_hash"), strict=True):
            if package_path not in collected_packages:
                named.add(image_hash)
        unused = [row for row in LabelImage.to_dicts() if row["image_hash"] not in named]
        if not dry_run:
            (DeletedLabelImage & [{"package_path": path} for path in collected_packages]).delete_quick()
            _rows_of([row["image_hash"] for row in unused]).delete_quick()  # a foreign key refuses those that are named
    return [(row["image"].store, row["image"].path) for row in unused]


def _read_label_images(hashes: set[str], package: Path) -> dict[str, bytes]:
    """PNG files of these images, by their hash."""
    rows = _rows_of(hashes).to_dicts()
    missing = sorted(hashes - {row["image_hash"] for row in rows})
    if missing:
        raise DatabaseError(
            f"{package} names {count_text(len(missing), 'image')} that this database does not have, such as"
            f" {missing[0]}; import the file that was labelled, or restore database and store from a backup"
        )
    with ThreadPoolExecutor(_N_READERS) as readers:
        contents = readers.map(_read_label_image, [row["image"] for row in rows])
        return {row["image_hash"]: content for row, content in zip(rows, contents, strict=True)}


def _read_label_image(reference: ObjectRef) -> bytes:
    try:
        content: bytes = reference.read()
    except (dj.errors.MissingExternalFile, OSError) as error:
        raise DatabaseError(
            f"the labeled image {reference.path} cannot be read from the store {reference.store} ({error}); restore it"
            " from a backup"
        ) from error
    if len(content) != reference.size:
        raise DatabaseError(
            f"the labeled image {reference.path} in the store {reference.store} has {len(content)} bytes, expected"
            f" {reference.size}; restore it from a backup"
        )
    return content


def _rows_of(hashes: Collection[str]) -> dj.expression.QueryExpression:
    """Rows of these images; other text than a hash finds none."""
    quoted = ", ".join(f"'{one}'" for one in hashes if one.isalnum())
    return LabelImage & (f"image_hash in ({quoted})" if quoted else [])
