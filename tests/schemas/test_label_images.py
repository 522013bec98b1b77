"""Every labeled image is stored once, as long as labels name it, and comes back as it was."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2
import pytest
from numpy.typing import NDArray

from compute.errors import DatabaseError, LabelsError
from compute.labels import (
    LabeledFrameSource,
    labeled_frame_sources,
    labeled_image_hash,
    labeled_images,
    labeled_positions,
    labeled_skeleton,
    load_package,
    write_package,
)
from pipeline.settings import Settings

pytestmark = pytest.mark.usefixtures("emptied")

NODES = ("snout", "jaw_tip", "ear")
EDGES = (("snout", "jaw_tip"),)
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 200, 300), np.uint8)
HASHES = [labeled_image_hash(image) for image in IMAGES]
SOURCES = [("/raw/mouse01/2026-03-02_1/side.mp4", index) for index in range(len(IMAGES))]


def labelled(n_moved: int = 0) -> NDArray[np.float64]:
    """Points of a set of which so many were moved; one is not placed."""
    position = np.random.default_rng(1).uniform(5, 190, (len(IMAGES), 3, 2))
    position[1, 2] = np.nan
    position[range(n_moved), 0] += 1.25
    return position


def write(path: Path, frames: slice = slice(None), n_moved: int = 0) -> Path:
    write_package(path, IMAGES[frames], labelled(n_moved)[frames], NODES, EDGES, SOURCES[frames])
    return path


def stored(settings: Settings) -> dict[Path, int]:
    """Size of each file of this module's tables in the labels store, which other modules use too."""
    own = settings.labels_store.glob(f"**/{settings.schema_prefix}*/**/*")
    return {path: path.stat().st_size for path in own if path.is_file()}


def image_files(settings: Settings) -> list[str]:
    """Hash of the image of each PNG file of the labels store."""
    return sorted(path.parent.name.removeprefix("image_hash=") for path in stored(settings) if path.suffix == ".png")


@pytest.fixture(autouse=True)
def _empty_store(database: Settings) -> Any:
    yield
    for path in stored(database):
        path.unlink()


def test_labels_that_changed_a_little_store_no_image_again(tmp_path: Path, database: Settings) -> None:
    from ingest.labels import import_labels
    from schemas.label_images import fetch_labels_package
    from schemas.labels import LabeledFrames, LabelImage

    imported = []
    for n_moved in range(7):
        path = write(tmp_path / f"{n_moved}.pkg.slp", n_moved=n_moved)
        imported.append(import_labels(path, camera="side").labels_id)
    assert len(set(imported)) == len(LabeledFrames()) == 7
    assert image_files(database) == sorted(LabelImage.to_arrays("image_hash")) == sorted(HASHES)
    n_bytes = sum(stored(database).values())
    assert n_bytes < 1.5 * IMAGES.size and n_bytes < 0.25 * 7 * path.stat().st_size
    for n_moved, labels_id in enumerate(imported):
        with fetch_labels_package(labels_id) as package:
            labels = load_package(package)
            np.testing.assert_array_equal(labeled_positions(labels), labelled(n_moved))
            np.testing.assert_array_equal(labeled_images(labels), IMAGES)
            assert labeled_skeleton(labels) == (NODES, EDGES)
            assert labeled_frame_sources(labels) == [LabeledFrameSource(*source) for source in SOURCES]


def test_new_images_of_a_set_that_grew_are_stored_beside_the_known_ones(tmp_path: Path, database: Settings) -> None:
    from ingest.labels import import_labels

    import_labels(write(tmp_path / "a.pkg.slp", slice(0, 8)), camera="side")
    before = stored(database)
    import_labels(write(tmp_path / "b.pkg.slp", slice(4, 12)), camera="side")
    assert image_files(database) == sorted(HASHES)
    assert before.items() <= stored(database).items()


def test_images_go_with_the_last_labels_that_name_them(tmp_path: Path, database: Settings) -> None:
    from ingest.labels import import_labels
    from pipeline.stores.collection import collect
    from pipeline.stores.deletion import plan_labels_deletion, run_deletion
    from schemas.label_images import fetch_labels_package
    from schemas.labels import DeletedLabelImage, LabelImage

    first = import_labels(write(tmp_path / "a.pkg.slp", slice(0, 8)), camera="side").labels_id
    second = import_labels(write(tmp_path / "b.pkg.slp", slice(4, 12)), camera="side").labels_id
    with pytest.raises(psycopg2.IntegrityError, match="label_image"):
        (LabelImage & {"image_hash": HASHES[0]}).delete_quick()
    run_deletion(plan_labels_deletion(first))
    assert not collect(even_most=True).removed  # deleted labels can be imported again for 30 days
    planned = collect(dry_run=True, labels_grace_s=0).garbage
    assert image_files(database) == sorted(HASHES) and len(LabelImage()) == 12
    removed = collect(even_most=True, labels_grace_s=0).removed
    assert [file.path for file in planned] == [file.path for file in removed] and len(removed) == 1 + 4
    assert image_files(database) == sorted(LabelImage.to_arrays("image_hash")) == sorted(HASHES[4:])
    assert len(DeletedLabelImage()) == 0
    with fetch_labels_package(second) as whole:
        np.testing.assert_array_equal(labeled_images(load_package(whole)), IMAGES[4:])


@pytest.mark.slow
def test_images_of_deleted_labels_stay_as_long_as_any_of_these_packages(tmp_path: Path, database: Settings) -> None:
    from ingest.labels import import_labels
    from pipeline.stores.collection import collect
    from pipeline.stores.deletion import plan_labels_deletion, run_deletion
    from schemas.labels import DeletedLabels

    ids = [
        import_labels(write(tmp_path / "a.pkg.slp", slice(0, 8)), camera="side").labels_id,
        import_labels(write(tmp_path / "b.pkg.slp", slice(4, 12)), camera="side").labels_id,
    ]
    for labels_id in ids:
        run_deletion(plan_labels_deletion(labels_id))
    row = (DeletedLabels & {"deleted_labels_id": ids[0]}).fetch1()
    DeletedLabels.update1({**row, "labels_deleted_at": "2026-01-01 00:00:00"})
    collect(even_most=True)
    assert image_files(database) == sorted(HASHES[4:])
    package = database.labels_store / (DeletedLabels & {"deleted_labels_id": ids[1]}).fetch1("package_path")
    assert import_labels(package, camera="side").labels_id == ids[1]


KILLED = """
import os, signal, sys
import schemas
from pathlib import Path
from pipeline.database.connection import open_connection
from pipeline.settings import load_settings

settings = load_settings()
schemas.activate(settings.schema_prefix, open_connection(settings))
import ingest.labels

ingest.labels.learn_training_mice = lambda: os.kill(os.getpid(), signal.SIGKILL)  # the last before the commit
ingest.labels.import_labels(Path(sys.argv[1]), camera="side")
"""


@pytest.mark.slow
def test_an_import_that_is_killed_leaves_no_row_and_its_images_are_collected(
    tmp_path: Path, database: Settings, run_command: Any
) -> None:
    from ingest.labels import import_labels
    from pipeline.stores.collection import collect
    from schemas.labels import LabeledFrames, LabelImage

    import_labels(write(tmp_path / "a.pkg.slp", slice(0, 10)), camera="side")
    path = write(tmp_path / "b.pkg.slp")
    variables = {
        "OROFACIAL_DATA_FOLDER": str(database.data_folder),
        "OROFACIAL_SCHEMA_PREFIX": database.schema_prefix,
    }
    assert run_command(path, program=KILLED, **variables).returncode == -signal.SIGKILL
    assert image_files(database) == sorted(HASHES)
    assert (len(LabeledFrames()), len(LabelImage())) == (1, 10)
    time.sleep(1.1)
    assert len(collect(grace_s=1).young) == 2  # 30 days: somebody may bring the rows back from a backup
    assert len(collect(grace_s=1, labels_grace_s=0).removed) == 2
    assert image_files(database) == sorted(HASHES[:10])
    import_labels(path, camera="side")
    assert image_files(database) == sorted(HASHES)


@pytest.mark.slow
def test_a_collection_that_is_killed_is_finished_by_the_next(tmp_path: Path, database: Settings) -> None:
    from ingest.labels import import_labels
    from pipeline.stores.collection import collect
    from pipeline.stores.deletion import plan_labels_deletion, run_deletion
    from schemas.label_images import forget_unused_label_images
    from schemas.labels import DeletedLabels

    import_labels(write(tmp_path / "a.pkg.slp", slice(0, 10)), camera="side")
    labels_id = import_labels(write(tmp_path / "b.pkg.slp"), camera="side").labels_id
    run_deletion(plan_labels_deletion(labels_id))
    # Rows go first, in one transaction; then a collection removes the files.
    assert len(forget_unused_label_images([DeletedLabels.fetch1("package_path")], dry_run=False)) == 2
    assert image_files(database) == sorted(HASHES)
    time.sleep(1.1)
    assert len(collect(grace_s=1, labels_grace_s=0).removed) == 1 + 2
    assert image_files(database) == sorted(HASHES[:10])


def test_an_image_that_is_gone_or_damaged_is_named(tmp_path: Path, database: Settings) -> None:
    from ingest.labels import import_labels
    from schemas.label_images import fetch_labels_package

    labels_id = import_labels(write(tmp_path / "a.pkg.slp"), camera="side").labels_id
    path = next(path for path in stored(database) if HASHES[3] in str(path))
    os.truncate(path, 1000)
    with (
        pytest.raises(DatabaseError, match=rf"{HASHES[3]}.* has 1000 bytes, expected"),
        fetch_labels_package(labels_id),
    ):
        pass
    path.unlink()
    with (
        pytest.raises(DatabaseError, match=rf"{HASHES[3]}.* restore it from a backup"),
        fetch_labels_package(labels_id),
    ):
        pass


def test_a_light_package_of_images_that_are_gone_says_so(tmp_path: Path, database: Settings) -> None:
    from ingest.labels import import_labels
    from pipeline.stores.collection import collect
    from pipeline.stores.deletion import plan_labels_deletion, run_deletion

    labels_id = import_labels(write(tmp_path / "a.pkg.slp"), camera="side").labels_id
    (light,) = (path for path in stored(database) if path.suffix == ".slp")
    (tmp_path / "copy.slp").write_bytes(light.read_bytes())
    with pytest.raises(LabelsError, match="names its images only"):
        load_package(tmp_path / "copy.slp")
    run_deletion(plan_labels_deletion(labels_id))
    collect(even_most=True, labels_grace_s=0)
    with pytest.raises(DatabaseError, match=r"copy\.slp names 12 images that this database does not have"):
        import_labels(tmp_path / "copy.slp", camera="side")
