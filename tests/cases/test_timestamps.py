"""Time stamps beside a video, of the kinds that people report: each is read right, or refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.sessions import SessionOutcome, ingest_sessions

CASES = Path(__file__).parents[3] / "shared" / "cases" / "timestamps"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not CASES.is_dir(), reason=f"the cases are not here: {CASES}"),
]

EVEN_S = np.arange(30) / 30
WITH_HOLE_S = EVEN_S + np.where(np.arange(30) < 15, 0, 1.0)


@pytest.fixture(scope="module")
def outcomes(database: Any, machine_zone: str) -> Iterator[dict[str, SessionOutcome]]:
    from schemas.session import Session, Video
    from schemas.subject import Mouse

    yield {outcome.folder.parent.name: outcome for outcome in ingest_sessions(CASES, stable_after_s=0)}
    for table in (Video, Session, Mouse):
        table().delete_quick()


def video(mouse: str) -> dict[str, Any]:
    from schemas.session import Video

    return dict((Video & {"mouse_id": mouse}).fetch1())


@pytest.mark.parametrize(
    ("mouse", "times_s"),
    [
        ("m_ok_header", EVEN_S),
        ("m_index_first", EVEN_S),
        ("m_exp", EVEN_S),
        ("m_ms", EVEN_S),
        ("m_comma_decimal", EVEN_S),
        ("m_hdr_space", EVEN_S),
        ("m_bom_nohdr", EVEN_S),
        ("m_unix_epoch", EVEN_S),
        ("m_dropped_gap", WITH_HOLE_S),
    ],
)
def test_times_are_those_of_the_frames(outcomes: dict[str, SessionOutcome], mouse: str, times_s: np.ndarray) -> None:
    from schemas.session import Video

    assert outcomes[mouse].status == "ingested", outcomes[mouse].message
    np.testing.assert_allclose(Video.frame_times(video(mouse)), times_s, atol=1e-6)
    assert video(mouse)["times_from"] == "camera"


def test_the_instant_of_the_first_frame_is_the_start(outcomes: dict[str, SessionOutcome]) -> None:
    from schemas.session import Session

    row = (Session & {"mouse_id": "m_unix_epoch"}).fetch1()
    began = row["session_start"] - timedelta(minutes=row["session_utc_offset_min"])
    assert began == datetime(2026, 3, 2, 9, 30)
    assert video("m_unix_epoch")["time_zero_unix_s"] == 1772443800


def test_a_clock_that_starts_again_is_refused_with_its_line(outcomes: dict[str, SessionOutcome]) -> None:
    assert outcomes["m_reset"].status == "refused"
    assert "line 16: the clock starts again" in outcomes["m_reset"].message
