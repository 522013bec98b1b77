"""Labels of the kinds that people report: each is read right, or refused by name, and nothing of it is kept then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from compute.errors import LabelsError
from compute.labels import labeled_frame_sources, labeled_positions, labeled_skeleton, labels_scorers, read_labels
from pipeline.settings import Settings

CASES = Path(__file__).parents[3] / "shared" / "cases" / "labels"

pytestmark = [pytest.mark.real, pytest.mark.skipif(not CASES.is_dir(), reason=f"the cases are not here: {CASES}")]

NODES = ("nose", "jaw", "ear")


needs_rows = pytest.mark.usefixtures("empty_tables")


@pytest.fixture
def empty_tables(database: Settings) -> Iterator[None]:
    from schemas.labels import LabeledFrames

    yield
    LabeledFrames().delete(prompt=False)


def test_people_who_labeled_different_images_are_put_together() -> None:
    labels = read_labels(CASES / "two_scorers" / "CollectedData.csv")
    assert labels_scorers(labels) == ({"ann": 2, "bob": 2}, {})
    np.testing.assert_array_equal(labeled_positions(labels)[:, 0], [[20, 30], [21, 30], [118, 31], [117, 31]])


def test_people_who_contradict_each_other_are_refused_or_chosen() -> None:
    path = CASES / "two_scorers_conflict" / "CollectedData.csv"
    with pytest.raises(LabelsError, match=r"img00\.png: nose was placed at \(20, 30\) by ann .* by bob .*--scorer"):
        read_labels(path)
    labels = read_labels(path, scorer="bob")
    assert labels_scorers(labels) == ({"bob": 4}, {"ann": 4})
    np.testing.assert_array_equal(labeled_positions(labels)[:, 0, 0], [120, 119, 118, 117])
    with pytest.raises(LabelsError, match="nobody is called 'eve' there; it was labeled by ann, bob"):
        read_labels(path, scorer="eve")


def test_half_a_point_is_refused_by_frame_and_node() -> None:
    with pytest.raises(LabelsError, match=r"line 4, labeled-data/img00\.png: nose has x but no y"):
        read_labels(CASES / "half_point" / "CollectedData.csv")


def test_an_image_of_another_folder_is_not_taken_for_one_of_equal_name() -> None:
    with pytest.raises(LabelsError, match=r"labeled-data/videoB/img0000\.png is missing"):
        read_labels(CASES / "equal_names" / "labeled-data" / "videoA" / "CollectedData_ann.csv")


@needs_rows
def test_merged_packages_know_the_videos_of_their_frames() -> None:
    from ingest.labels import import_labels

    path = CASES / "merged_pkgs" / "m.pkg.slp"
    sources = labeled_frame_sources(read_labels(path))
    mice = ("mouse01", "mouse01", "mouse02", "mouse02")
    assert [tuple(one) for one in sources] == [
        (f"raw/{mouse}/2026-03-02_1/side.mp4", index) for mouse, index in zip(mice, (1, 4, 1, 4), strict=True)
    ]
    imported = import_labels(path, camera="side")
    assert (imported.mice, imported.n_frames_without_session) == (("mouse01", "mouse02"), 0)


def test_the_skeleton_in_use_counts() -> None:
    assert labeled_skeleton(read_labels(CASES / "unused_skeleton" / "l.slp"))[0] == NODES


@needs_rows
def test_labels_again_add_what_was_not_known_and_answer_from_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    from ingest.labels import import_labels
    from schemas.labels import LabeledFrames

    monkeypatch.chdir(CASES / "import_again" / "labelling")
    path = Path("../labels.slp")
    first = import_labels(path, camera="side")
    assert (first.is_new, first.mice, first.n_frames_without_mouse) == (True, (), 10)
    again = import_labels(path, camera="side", mouse="mouse01")
    assert (again.is_new, again.added["mouse"], again.mice) == (False, 10, ("mouse01",))
    assert set(LabeledFrames.Source.to_arrays("mouse_id")) == {"mouse01"}
    for camera, mouse, said in (("lower", None, "says camera side, --camera says"), ("side", "mouse02", "mouse01")):
        with pytest.raises(LabelsError, match=said):
            import_labels(path, camera=camera, mouse=mouse)
    last = import_labels(path, camera="side")
    assert (last.labels_id, last.camera, last.mice, last.added["mouse"]) == (first.labels_id, "side", ("mouse01",), 0)
    assert set(LabeledFrames.to_arrays("camera")) == {"side"}
