"""Files of a known session that change on disk: people are told in every run, and the database stays as it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ingest.sessions import SessionOutcome, ingest_sessions

MakeSession = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("emptied")


def ingest_one(folder: Path) -> SessionOutcome:
    (outcome,) = ingest_sessions(folder, stable_after_s=0)
    return outcome


def write_times(path: Path, shift_s: float = 0) -> None:
    times = np.arange(20) / 100 + np.where(np.arange(20) < 7, 0, shift_s)
    path.write_text("\n".join(["time_s", *(f"{one:.6f}" for one in times)]))


def later(path: Path, seconds: float = 60) -> None:
    """Say that a file was written a while after its session was ingested."""
    os.utime(path, (time.time() + seconds,) * 2)


@pytest.fixture
def known(make_session: MakeSession) -> Path:
    """A session that is known, with time stamps of the side camera."""
    folder = make_session()
    write_times(folder / "side.timestamps.csv")
    assert ingest_one(folder).status == "ingested"
    return folder


def test_files_that_were_written_again_alike_are_known(known: Path) -> None:
    for name in ("side.mp4", "side.timestamps.csv"):
        later(known / name)
    assert ingest_one(known).status == "known"


def test_time_stamps_that_were_changed_are_said(known: Path) -> None:
    from schemas.session import Video

    path = known / "side.timestamps.csv"
    write_times(path, shift_s=0.005)
    later(path)
    for _ in range(2):
        outcome = ingest_one(known)
        assert outcome.status == "changed"
        assert f"{path} was changed after it was ingested" in outcome.message
        assert "the time of frame 7 was 0.070000 s, is 0.075000 s" in outcome.message
        assert "'orofacial delete session mouse01/2026-03-02_1'" in outcome.message
    np.testing.assert_allclose(Video.frame_times((Video & {"camera": "side"}).fetch1()), np.arange(20) / 100)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time_s\n0\n", "now it would be refused"),
        ("\n".join(f"2026-03-02T10:30:00.{i:02}Z" for i in range(20)), "the times were without a day, are instants"),
    ],
)
def test_time_stamps_of_another_kind_are_said(known: Path, text: str, said: str) -> None:
    path = known / "side.timestamps.csv"
    path.write_text(text)
    later(path)
    outcome = ingest_one(known)
    assert outcome.status == "changed" and said in outcome.message


def test_time_stamps_that_are_gone_are_said(known: Path) -> None:
    (known / "side.timestamps.csv").unlink()
    outcome = ingest_one(known)
    assert outcome.status == "changed"
    assert f"{known / 'side.timestamps.csv'} is gone" in outcome.message


def test_a_video_that_was_overwritten_at_its_size_is_said(known: Path) -> None:
    path = known / "lower.mp4"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    later(path)
    outcome = ingest_one(known)
    assert outcome.status == "changed"
    assert f"{path} was overwritten after it was ingested" in outcome.message
    (known / "session.toml").write_text('rig = "rig 2"\n')
    outcome = ingest_one(known)
    assert outcome.status == "corrected"
    assert "rig was unknown, is rig 2" in outcome.message and f"{path} was overwritten" in outcome.message


def test_a_file_is_read_again_only_if_it_was_written_since(known: Path) -> None:
    path = known / "side.timestamps.csv"
    write_times(path, shift_s=0.005)
    later(path, -60)
    assert ingest_one(known).status == "known"
    later(path)
    assert ingest_one(known).status == "changed"
