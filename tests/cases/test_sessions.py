"""Sessions of the kinds that people report, in three time zones of the machine."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.sessions import SessionOutcome, ingest_sessions

CASES = Path(__file__).parents[3] / "shared" / "cases" / "sessions"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not CASES.is_dir(), reason=f"the cases are not here: {CASES}"),
]


@pytest.fixture(scope="module")
def outcomes(database: Any, machine_zone: str, model_id: str) -> Iterator[dict[str, SessionOutcome]]:
    """What became of the cases on a machine in this zone; those that were ingested have filtered tracks."""
    from pipeline.stores.deletion import plan_session_deletion, run_deletion
    from pipeline.work.populate import populate
    from schemas.session import Session

    found = {outcome.folder.parent.name: outcome for outcome in ingest_sessions(CASES, stable_after_s=0)}
    insert_poses(model_id)
    assert not populate().failed
    yield found
    for key in Session.proj().to_dicts():
        run_deletion(plan_session_deletion(key))


@pytest.fixture(scope="module")
def model_id(database: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    from ingest.deployment import deploy
    from ingest.labels import insert_label_skeleton
    from schemas.model import Model

    bundle = tmp_path_factory.mktemp("bundle")
    (bundle / "weights").write_text("none")
    skeleton = insert_label_skeleton(("jaw_tip", "nose"), ())
    row = {"model_id": "0123456789abcdef", "camera": "side", "skeleton_id": skeleton, "estimator": "sleap"}
    Model.insert1({**row, "model_name": "none", "bundle": bundle})
    deploy(row["model_id"])
    return row["model_id"]


def insert_poses(model_id: str) -> None:
    """Give every video poses of a mouse at rest."""
    from compute.tracks import Tracks
    from schemas.pose import PoseEstimation
    from schemas.session import Video

    for row in Video.to_dicts():
        time_s = Video.frame_times(row)
        tracks = Tracks(np.full((time_s.size, 2, 2), 20.0), np.ones((time_s.size, 2)), time_s, ("jaw_tip", "nose"))
        key = {**{name: row[name] for name in Video.primary_key}, "model_id": model_id}
        made = {"tracks": tracks, "device": "cpu", "estimation_duration_s": 1.0}
        PoseEstimation.insert1({**key, **made}, allow_direct_insert=True)


def smoothed(mouse: str) -> Any:
    from pipeline import query
    from pipeline.query.export import export_track

    (row,) = query.tracks(mouse=mouse, filter="kalman").rows
    return export_track(row)


def test_a_start_with_its_zone_is_one_instant(outcomes: dict[str, SessionOutcome], tmp_path: Path) -> None:
    from compute.formats import write
    from schemas.session import Session

    assert outcomes["m_aware_start"].status == "ingested"
    row = (Session & {"mouse_id": "m_aware_start"}).fetch1()
    assert (row["session_start"], row["session_utc_offset_min"]) == (datetime(2026, 3, 2, 10, 30), 60)
    write("nwb", tmp_path / "a.nwb", smoothed("m_aware_start"))
    said = nwb_session(tmp_path / "a.nwb")
    assert said["start"].astimezone(UTC) == datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    assert said["start"].utcoffset() == timedelta(hours=1)
    assert said["age"] == "P91D"


@pytest.mark.parametrize(
    ("mouse", "said"),
    [("m_born_after", "183 days before its birth"), ("m_other_day", "2025-03-02 10:30:00")],
)
def test_what_does_not_fit_the_folder_is_refused(outcomes: dict[str, SessionOutcome], mouse: str, said: str) -> None:
    from schemas.subject import Mouse

    assert outcomes[mouse].status == "refused"
    assert said in outcomes[mouse].message
    assert "2026-03-02" in outcomes[mouse].message
    assert "session.toml" in outcomes[mouse].message
    assert not Mouse & {"mouse_id": mouse}


def test_a_video_of_one_frame_goes_through(outcomes: dict[str, SessionOutcome], tmp_path: Path) -> None:
    import xarray as xr
    from nwbinspector import Importance, inspect_all

    from compute.formats import read, write
    from pipeline import query

    assert outcomes["m_one_frame"].status == "ingested"
    track = smoothed("m_one_frame")
    ((_, dataset),) = query.tracks(mouse="m_one_frame", filter="kalman").to_xarray()
    dataset.to_netcdf(tmp_path / "one.nc")
    np.testing.assert_array_equal(xr.load_dataset(tmp_path / "one.nc")["position"], dataset["position"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write("nwb", tmp_path / "one.nwb", track)
        found = [one for one in inspect_all(path=tmp_path) if one.importance is not None]
    serious = {Importance.CRITICAL, Importance.BEST_PRACTICE_VIOLATION, Importance.ERROR, Importance.PYNWB_VALIDATION}
    # One frame is fewer than the two coordinates of a point, whichever way the array lies.
    assert {one.check_function_name for one in found if one.importance in serious} == {"check_data_orientation"}
    np.testing.assert_array_equal(read(tmp_path / "one.nwb").tracks.position, track.tracks.position)


def nwb_session(path: Path) -> dict[str, Any]:
    import pynwb

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pynwb.NWBHDF5IO(path, "r") as io:
            file = io.read()
            return {"start": file.session_start_time, "age": file.subject.age}
