"""`orofacial why`: every step of the chain is there, and it is what the tables say."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from compute.video import video_content_hash
from pipeline import lab
from schemas.making.provenance import PACKAGES, provenance_code_version, provenance_environment, recording_provenance

Run = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(__file__).parents[2]


def test_the_chain_is_what_the_rows_say(small_lab: object) -> None:
    from pipeline import query
    from pipeline.why import why_chain
    from schemas.track import FilteredTrack

    (row,) = query.tracks(mouse="mouse03", camera="lower", filter="kalman").rows
    found = why_chain(row, "jaw_tip")
    video = small_lab.raw_folder / "mouse03" / "2026-03-02_1" / "lower.mp4"  # type: ignore[attr-defined]
    assert found["video"]["content_hash"] == video_content_hash(video)
    assert found["model"]["held_out"]
    assert found["model"]["training_mice"] == ["mouse01", "mouse02"]
    assert found["model"]["training"]["parameters"] == {"epochs": 2}
    assert found["model"]["error"]["nodes"]["jaw_tip"]["error_p50_px"] == 1.5
    assert found["labels"]["mice"] == ["mouse01", "mouse02"]
    assert found["estimation"]["device"] == "cpu"
    assert found["filter"]["parameters"]["max_gap_s"] == 0.1
    assert found["filter"]["fitted"].keys() == {"jaw_tip"}
    stored = (FilteredTrack & row).fetch1("filter_provenance")
    assert found["filter"]["provenance"] == stored
    assert stored["packages"].keys() <= set(PACKAGES)
    assert stored["code_version"] == provenance_code_version()
    json.dumps(found, allow_nan=False)


def test_every_computed_table_records_what_made_its_rows(small_lab: object) -> None:
    from schemas.calibration import TrackCalibration
    from schemas.metric import DistanceMetrics, FilterComparison, LabelError
    from schemas.track import FilteredTrack, TrackQuality

    for table, column in (
        (FilteredTrack, "filter"),
        (TrackQuality, "quality"),
        (DistanceMetrics, "distance"),
        (FilterComparison, "comparison"),
        (LabelError, "label_error"),
        (TrackCalibration, "calibration"),
    ):
        for record in table.to_arrays(f"{column}_provenance"):
            assert record["host"] == provenance_environment()["host"]
            assert record["duration_s"] >= 0


def test_rows_from_before_say_that_it_is_not_known(small_lab: object) -> None:
    from pipeline import query
    from pipeline.cli.why_commands import describe_why
    from pipeline.why import why_chain
    from schemas.track import FilteredTrack

    (row,) = query.tracks(mouse="mouse02", camera="side", filter="median").rows
    key = {name: row[name] for name in FilteredTrack.primary_key}
    before = (FilteredTrack & key).fetch1("filter_provenance")
    FilteredTrack.update1({**key, "filter_provenance": None})
    try:
        assert "was not recorded" in "\n".join(describe_why(why_chain(row)))
    finally:
        FilteredTrack.update1({**key, "filter_provenance": before})


def test_a_recording_says_how_long_it_took_even_when_it_is_short() -> None:
    with recording_provenance() as record:
        assert "duration_s" not in record
    assert 0 <= record["duration_s"] < 60
    assert json.loads(json.dumps(record)) == record


def test_the_code_version_is_that_of_the_checkout_wherever_the_worker_starts(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from schemas.making.provenance import provenance_code_version; print(provenance_code_version())",
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    described = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--tags"],
        capture_output=True,
        text=True,
        check=False,
    )
    if described.returncode == 0:
        assert done.stdout.strip().endswith(described.stdout.strip())
    assert done.stdout.startswith("0.1.0")


def test_times_have_a_zone_and_are_right(small_lab: object) -> None:
    from pipeline import query
    from pipeline.why import why_chain

    for row in query.tracks(mouse="mouse01").rows:
        found = why_chain(row)
        for said in (found["labels"]["imported_at"], found["model"]["created_at"]):
            age = datetime.now(UTC) - datetime.fromisoformat(said)
            assert timedelta() <= age < timedelta(hours=1)


def test_what_a_filter_fitted_is_said_for_people(small_lab: object) -> None:
    from pipeline import query
    from pipeline.cli.why_commands import describe_why
    from pipeline.why import why_chain

    (row,) = query.tracks(mouse="mouse03", camera="lower", filter="kalman").rows
    found = why_chain(row, "jaw_tip")
    found["filter"]["fitted"] = {
        "jaw_tip": {
            "process_noise_px2_per_s3": {"p10": [2549.4752739962614, 2.0], "p90": [31785.409, 308572.0998536034]},
            "measurement_sd_px": [0.0722612, 0.225],
            "log_likelihood": -863.52,
        },
        "nose": None,
    }
    found["filter"]["parameters"] = {"rigid_groups": None, "nodes": {"jaw_tip": {"sd_px": 0.123456789}}}
    found["video"]["fps"] = "30000/1001"
    lines = [line.strip() for line in describe_why(found)]
    assert (
        "process_noise_px2_per_s3: over the windows of the video p10 x 2549, y 2; p90 x 3.179e+04, y 3.086e+05" in lines
    )
    assert "measurement_sd_px: x 0.07226, y 0.225" in lines
    assert "log_likelihood: -863.5" in lines
    assert "fitted to nose: nothing, there was no point to use" in lines
    assert "kalman: rigid_groups none, nodes (jaw_tip (sd_px 0.1235))" in lines
    text = "\n".join(lines)
    assert "29.97 (30000/1001) fps" in text
    assert "{" not in text


def test_the_command_prints_the_chain_as_text_and_as_json(orofacial: Run) -> None:
    session = "mouse01/2026-03-02_1"
    result = orofacial("why", session, "--node", "jaw_tip", "--filter", "kalman", "--camera", "lower")
    assert result.returncode == 0, result.stderr
    for said in (
        "sha256",
        "small lower",
        "that it was not trained on: median 1.5 px",
        "fitted to jaw_tip",
        "on cpu",
        "by orofacial",
    ):
        assert said in result.stdout
    result = orofacial("why", session, "--json")
    assert {chain["camera"] for chain in json.loads(result.stdout)["chains"]} == {"side", "lower"}
    for words, said in [
        (("mouse01",), "names no session"),
        (("mouse09/2026-03-02_1",), "no session mouse09"),
        ((session, "--node", "tongue"), "no skeleton has"),
    ]:
        result = orofacial("why", *words)
        assert result.returncode == 1
        assert said in result.stderr


@pytest.mark.parametrize("package", ["sleap-nn", "numpy", "datajoint"])
def test_versions_are_the_installed_ones(package: str) -> None:
    from importlib.metadata import version

    assert provenance_environment()["packages"][package] == version(package)


def test_the_examples_of_a_lab_run(small_lab: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OROFACIAL_DATA_FOLDER", str(small_lab.settings.data_folder))  # type: ignore[attr-defined]
    monkeypatch.setenv("OROFACIAL_SCHEMA_PREFIX", small_lab.settings.schema_prefix)  # type: ignore[attr-defined]
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.testmod(lab, optionflags=options).failed == 0
    lab.connect_lab()  # the examples closed it
