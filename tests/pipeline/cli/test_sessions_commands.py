"""`orofacial populate` and `status`: what they say of jobs that failed."""

from __future__ import annotations

import pytest

from pipeline.cli.sessions_commands import say_failures


def test_jobs_that_failed_for_one_reason_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    key = {"session_date": "2026-03-02", "session_number": 1, "camera": "side"}
    keys = [{"mouse_id": f"mouse{number:02}", **key} for number in range(300)]
    failures = [("FilteredTrack", one, "no such node") for one in keys]
    say_failures([*failures, ("FilteredTrack", keys[0], "two nodes"), ("TrackQuality", keys[0], "no such node")])
    assert capsys.readouterr().err.splitlines() == [
        "failed: FilteredTrack mouse00/2026-03-02_1 side and 299 others: no such node",
        "failed: FilteredTrack mouse00/2026-03-02_1 side: two nodes",
        "failed: TrackQuality mouse00/2026-03-02_1 side: no such node",
    ]
