"""Step 5: rows of an older version keep their times, and say where these are from; no start gets a zone by itself."""

from __future__ import annotations

from typing import Any

CHECK = """
schemas.activate(prefix, connection)
from schemas.session import Session, Video

videos = Video.to_dicts()
assert {row["times_from"] for row in videos} == {"rate", "camera"}
for row in videos:
    assert row["times_from"] == ("rate" if row["timestamps"] is None else "camera")
    assert row["time_zero_unix_s"] is None
    assert len(Video.frame_times(row)) == row["n_frames"]
for row in Session.to_dicts():
    assert row["session_utc_offset_min"] is None and row["session_file_said"] is None
"""


def test_times_and_starts_after_the_step(old_lab: Any) -> None:
    old_lab.orofacial("upgrade")
    old_lab.program(CHECK)
