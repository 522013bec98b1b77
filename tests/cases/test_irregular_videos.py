"""Videos whose frames are at irregular times keep the container's own, wherever times are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.layout import Layout
from ingest.search import find_recordings
from ingest.sessions import insert_new_session, read_new_session

CASES = Path(__file__).parents[3] / "shared" / "cases" / "videos"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not CASES.is_dir(), reason=f"the cases are not here: {CASES}"),
]


@pytest.mark.parametrize("mouse", ["m_vfr_mp4", "m_vfr_mkv"])
def test_times_are_those_of_the_container(mouse: str, database: Any) -> None:
    import av

    from schemas.session import Video

    folder = CASES / mouse / "2026-03-02_1"
    (found,) = find_recordings(folder, Layout()).sessions
    insert_new_session(read_new_session(found))
    row = (Video & {"mouse_id": mouse}).fetch1()
    with av.open(row["video_file"]) as container:
        times_s = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
    assert row["times_from"] == "container"
    np.testing.assert_allclose(Video.frame_times(row), times_s, atol=1e-9)
    assert float(row["fps_numerator"] / row["fps_denominator"]) == pytest.approx(59 / times_s[-1], rel=1e-6)
