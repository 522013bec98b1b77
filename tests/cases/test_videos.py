"""The videos and the labeled, turned video of ../shared/cases: each is taken in as it is, or refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from compute.video import probe_video, read_video_luma
from pipeline.settings import Settings

CASES = Path(__file__).parents[3] / "shared" / "cases"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not CASES.is_dir(), reason=f"the cases are not here: {CASES}"),
]


needs_rows = pytest.mark.usefixtures("empty_tables")


@pytest.fixture
def empty_tables(database: Settings) -> Iterator[None]:
    from schemas.session import Session, Video
    from schemas.subject import Mouse

    yield
    for table in (Video, Session, Mouse):
        table().delete_quick()


def ingest_case(name: str, **options: bool) -> tuple[str, str]:
    """Status and message of the one session of a case."""
    from ingest.sessions import ingest_sessions

    (outcome,) = ingest_sessions(CASES / "videos" / name, stable_after_s=0, **options)
    return outcome.status, outcome.message


def n_rows() -> int:
    from schemas.session import Session, Video
    from schemas.subject import Mouse

    return len(Mouse()) + len(Session()) + len(Video())


def number_of(gray: NDArray[np.uint8]) -> int:
    """The number that ten blocks of 16 pixels in a frame's first rows show."""
    return sum(int(gray[6, 16 * bit + 8] > 128) << bit for bit in range(10))


@needs_rows
def test_a_file_that_ends_before_the_promised_time_is_refused() -> None:
    status, message = ingest_case("m_mkv_cut")
    assert status == "refused"
    assert "side.mkv was cut off: it ends at 3.300 s (96 frames can be read), its header promises 6.666 s" in message
    assert n_rows() == 0


@needs_rows
def test_concealed_damage_is_refused_and_the_frames_are_named() -> None:
    status, message = ingest_case("m_damaged_h264")
    assert status == "refused"
    assert "side.mp4: 30 frames of 60 cannot be read whole" in message
    assert "30-59, from 0" in message
    assert n_rows() == 0


@needs_rows
def test_concealed_damage_is_accepted_by_a_setting_and_said() -> None:
    from schemas.session import Video

    status, message = ingest_case("m_damaged_h264", accept_damaged_videos=True)
    assert (status, "30 damaged" in message) == ("ingested", True)
    assert Video.fetch1("n_frames", "n_damaged_frames") == (60, 30)


@needs_rows
def test_dropped_frames_of_an_avi_are_no_damage() -> None:
    from schemas.session import Video

    assert ingest_case("m_avi_dropped")[0] == "ingested"
    assert Video.fetch1("n_frames", "n_damaged_frames") == (60, 0)
    path = CASES / "videos" / "m_avi_dropped" / "2026-03-02_1" / "side.avi"
    assert [number_of(gray) for gray in read_video_luma(path)] == list(range(60))
    times_s = probe_video(path).own_times_s
    assert times_s is not None
    assert len(set(range(63)) - set(np.round(30 * times_s).astype(int))) == 3


def test_a_turned_video_has_the_pixels_that_the_labeler_saw() -> None:
    """The labels place the nose on a bright block and the jaw on dark ground, as the video is displayed."""
    from compute.labels import labeled_images, labeled_positions, read_labels

    labels = read_labels(CASES / "labels" / "rotation180" / "labels.slp")
    nose, jaw = labeled_positions(labels)[:, :2].swapaxes(0, 1).astype(int)
    images = np.stack(labeled_images(labels))
    frames = np.arange(len(images))
    assert (images[frames, nose[:, 1], nose[:, 0]] > 200).all()
    assert (images[frames, jaw[:, 1], jaw[:, 0]] < 60).all()
    info = probe_video(CASES / "labels" / "rotation180" / "side.mp4")
    assert images.shape[1:] == (info.height_px, info.width_px)
