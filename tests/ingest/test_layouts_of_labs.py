"""Recordings as labs leave them, each taken in by a layout of one line, without a file being moved.

Each is modelled on the public description of a program or data set that many labs use; the docstrings name it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from compute.video import write_video
from ingest.layout import NOT_RECORDINGS, Layout
from ingest.layout_report import report_layout
from ingest.sessions import ingest_sessions

pytestmark = pytest.mark.usefixtures("emptied")

WriteVideos = Callable[..., Path]


@pytest.fixture
def write_videos(tmp_path: Path) -> WriteVideos:
    """Write a short video to each path below a raw folder, each with other frames; return the folder."""
    seeds = iter(range(1000))

    def write(*paths: str) -> Path:
        for path in paths:
            video = tmp_path / "raw" / path
            video.parent.mkdir(parents=True, exist_ok=True)
            coarse = np.random.default_rng(next(seeds)).uniform(40, 215, (6, 8))
            frames = np.kron(coarse, np.ones((8, 8))).astype(np.uint8)
            written = video.with_suffix(".mp4")  # in an AVI, H.264 would have its frames' times out of order
            write_video(written, (np.roll(frames, shift, axis=1) for shift in range(8)), 50)
            written.rename(video)
        return tmp_path / "raw"

    return write


@dataclass(frozen=True)
class Lab:
    """How a lab's files are called, its layout, and what they are."""

    layout: str
    files: dict[str, str]
    """What each file is: session and camera; empty: no recording."""
    aliases: dict[str, str] = field(default_factory=dict)
    not_recordings: tuple[str, ...] = ()


DEEPLABCUT = Lab(
    "videos/{mouse}_{date:%Y%m%d}_{camera}.avi",
    {
        "videos/m3_20260302_side.avi": "m3/2026-03-02_1 side",
        "videos/m3_20260302_lower.avi": "m3/2026-03-02_1 lower",
        "videos/m4_20260303_side.avi": "m4/2026-03-03_1 side",
        "videos/m3_20260302_sideDLC_resnet50_faceMar2shuffle1_100000_labeled.mp4": "",
    },
)
"""A DeepLabCut project: all videos in one folder, and what `create_labeled_video` drew beside them (its user guide)."""

ANIPOSE = Lab(
    "{mouse}/{date}_{number}/videos-raw/{camera}.avi",
    {
        "m3/2026-03-02_1/videos-raw/side.avi": "m3/2026-03-02_1 side",
        "m3/2026-03-02_1/videos-raw/lower.avi": "m3/2026-03-02_1 lower",
        "m3/2026-03-02_1/calibration/calib-side.avi": "",
        "m3/2026-03-02_1/videos-labeled/side.avi": "",
    },
)
"""Anipose: `<session>/videos-raw`, `calibration` and `videos-labeled` (its tutorial)."""

IBL = Lab(
    "Subjects/{mouse}/{date}/{number}/raw_video_data/_iblrig_{camera}Camera.raw.mp4",
    {
        "Subjects/KS023/2026-03-02/001/raw_video_data/_iblrig_leftCamera.raw.mp4": "KS023/2026-03-02_1 side",
        "Subjects/KS023/2026-03-02/001/raw_video_data/_iblrig_bodyCamera.raw.mp4": "KS023/2026-03-02_1 lower",
        "Subjects/KS023/2026-03-02/002/raw_video_data/_iblrig_leftCamera.raw.mp4": "KS023/2026-03-02_2 side",
    },
    {"left": "side", "body": "lower"},
)
"""The International Brain Laboratory: ONE's session paths and ALF's file names."""

ALLEN = Lab(
    "behavior_{mouse}_{date}_{time:%H-%M-%S}/behavior-videos/{camera}Camera/video.mp4",
    {
        "behavior_655019_2026-03-02_15-00-22/behavior-videos/FaceCamera/video.mp4": "655019/2026-03-02_2 side",
        "behavior_655019_2026-03-02_15-00-22/behavior-videos/BottomCamera/video.mp4": "655019/2026-03-02_2 lower",
        "behavior_655019_2026-03-02_09-30-00/behavior-videos/FaceCamera/video.mp4": "655019/2026-03-02_1 side",
    },
    {"Face": "side", "Bottom": "lower"},
)
"""The Allen Institute for Neural Dynamics: its file standard for behavior videos, a folder for each camera."""

MINISCOPE = Lab(
    "{mouse}/{date:%Y_%m_%d}/{time:%H_%M_%S}/{camera}/{part}.avi",
    {
        "m3/2026_03_02/15_03_28/BehavCam_1/0.avi": "m3/2026-03-02_1 side",
        "m3/2026_03_02/15_06_28/BehavCam_1/0.avi": "m3/2026-03-02_2 side",
        "m3/2026_03_02/15_03_28/Miniscope/0.avi": "",
    },
    {"BehavCam_1": "side"},
    ("Miniscope",),
)
"""The UCLA Miniscope's DAQ software: a folder a recording, files numbered in each device's folder (ndx-miniscope)."""

BONSAI = Lab(
    "{mouse}/hf{number}/{date:%m%d%y}_{mouse}_*_{camera}.avi",
    {
        "J553RT/hf1/030226_J553RT_control_Rig2_REYE.avi": "J553RT/2026-03-02_1 side",
        "J553RT/hf1/030226_J553RT_control_Rig2_TOP1.avi": "J553RT/2026-03-02_1 lower",
        "J553RT/hf2/030226_J553RT_control_Rig2_REYE.avi": "J553RT/2026-03-02_2 side",
        "J553RT/hf1/030226_J553RT_control_Rig2_REYE_calib.avi": "",
    },
    {"REYE": "side", "TOP1": "lower"},
)
"""Recordings by Bonsai as FreelyMovingEphys (Niell lab) takes them: date, animal, experiment, rig, camera in a name."""

BIDS = Lab(
    "sub-{mouse}/ses-{date:%Y%m%d}T{time:%H%M%S}/beh/sub-{mouse}_ses-*_acq-{camera}_video.mp4",
    {
        "sub-m3/ses-20260302T103000/beh/sub-m3_ses-20260302T103000_acq-side_video.mp4": "m3/2026-03-02_1 side",
        "sub-m3/ses-20260302T103000/beh/sub-m3_ses-20260302T103000_acq-lower_video.mp4": "m3/2026-03-02_1 lower",
        "sub-m3/ses-20260303T090000/beh/sub-m3_ses-20260303T090000_acq-side_video.mp4": "m3/2026-03-03_1 side",
    },
)
"""BIDS and DANDI: entities `sub-` and `ses-` in folders and files."""

SLEAP_ANIPOSE = Lab(
    "{mouse}/{date}/{camera}/*.mp4",
    {
        "m3/2026-03-02/side/side_view_recording.mp4": "m3/2026-03-02_1 side",
        "m3/2026-03-02/lower/lower_view_recording.mp4": "m3/2026-03-02_1 lower",
        "m3/2026-03-02/side/calibration_images/side_calibration_video.mov": "",
    },
)
"""sleap-anipose: a folder for each view in a session's folder, with calibration images (its FOLDER_STRUCTURE.md)."""

LABS = {
    "DeepLabCut": DEEPLABCUT,
    "Anipose": ANIPOSE,
    "IBL": IBL,
    "Allen": ALLEN,
    "Miniscope": MINISCOPE,
    "Bonsai": BONSAI,
    "BIDS": BIDS,
    "sleap-anipose": SLEAP_ANIPOSE,
}


@pytest.mark.parametrize("lab", LABS.values(), ids=LABS)
def test_a_layout_of_one_line_takes_them_in(lab: Lab, write_videos: WriteVideos) -> None:
    from schemas.session import Video

    raw = write_videos(*lab.files)
    layout = Layout(lab.layout, lab.aliases, (*NOT_RECORDINGS, *lab.not_recordings))
    recordings = {path: what for path, what in lab.files.items() if what}
    report = report_layout(raw, layout)
    assert {str(one["file"]): f"{one['session']} {one['camera']}" for one in report.recordings} == recordings
    assert (report.refused, report.fits_nothing) == ((), ())
    assert {one["file"] for one in report.left_out} == lab.files.keys() - recordings.keys()

    outcomes = list(ingest_sessions(raw, layout=layout, stable_after_s=0))
    assert {one.status for one in outcomes if one.session} == {"ingested"}, outcomes
    taken = {
        Path(row["video_file"]).relative_to(raw).as_posix(): (
            f"{row['mouse_id']}/{row['session_date']}_{row['session_number']} {row['camera']}"
        )
        for row in Video.proj("video_file").to_dicts()
    }
    assert taken == recordings
    assert {one.status for one in ingest_sessions(raw, layout=layout, stable_after_s=0) if one.session} == {"known"}
