"""Files of a known session that are no longer those that were ingested: people are told, and nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from compute.errors import SessionError
from compute.video import video_content_hash
from ingest.found_sessions import FoundSession
from ingest.session_files import read_session_file
from ingest.timestamps import read_timestamps, timestamps_path
from schemas.session import Video

_TIMES_ARE_EXACT_TO_S = 1e-6


def changed_files(
    session: FoundSession, videos: Mapping[str, Path], rows: Iterable[Mapping[str, Any]], zone: tzinfo | None
) -> list[str]:
    """For people: the videos and time stamps of a known session that are not those that were ingested.

    A file is read only if it was written after the session was ingested.

    Parameters
    ----------
    session : FoundSession
        The session, as it lies now.
    videos : mapping of str to Path
        Its videos that are there, by the camera that the lab knows each by.
    rows : iterable of mapping
        Its rows of `Video`, with `ingested_unix_s`, when the session was ingested (s, since 1970).
    zone : tzinfo or None
        The rig's time zone; None: this machine's.
    """
    said = []
    for row in rows:
        path = videos.get(row["camera"])
        if path is None:
            continue
        times = timestamps_path(path)
        ingested_unix_s = float(row["ingested_unix_s"])
        if _is_later(path, ingested_unix_s) and _content_hash(path, path.stat().st_mtime_ns) != row["content_hash"]:
            said.append(f"{path} was overwritten after it was ingested ({_day_text(ingested_unix_s)})")
        if row["times_from"] != "camera":
            continue
        if not times.exists():
            said.append(f"{times} is gone, which was ingested ({_day_text(ingested_unix_s)})")
        elif _is_later(times, ingested_unix_s):
            difference = _difference_of_times(times, session, row["camera"], zone)
            if difference:
                said.append(f"{times} was changed after it was ingested ({_day_text(ingested_unix_s)}): {difference}")
    if said:
        said.append(
            f"the database keeps what was ingested, and all that was computed from it. Restore the file; or, if the new"
            f" one is right, take the session out with 'orofacial delete session {session.name}', then 'orofacial"
            f" ingest {session.folder}'"
        )
    return said


def _is_later(path: Path, unix_s: float) -> bool:
    """Whether a file was written after an instant that is known to the second."""
    return path.stat().st_mtime > unix_s + 1


@cache
def _content_hash(path: Path, modified_ns: int) -> str:
    """Hash of a video's content; a program that watches reads a file once for each time that it was written."""
    return video_content_hash(path)


def _difference_of_times(path: Path, session: FoundSession, camera: str, zone: tzinfo | None) -> str:
    """What the time stamps of a camera say now and the database does not, for people; empty: nothing."""
    row = (Video & session.name.key & {"camera": camera}).fetch1()
    known_s, fps = Video.frame_times(row), row["fps_numerator"] / row["fps_denominator"]
    try:
        offset_min = read_session_file(session.session_file).session.get("session_utc_offset_min")
        now = read_timestamps(path, n_frames=row["n_frames"], fps=fps, utc_offset_min=offset_min, zone=zone)
    except SessionError as error:
        return f"now it would be refused ({error})"
    now_s, zero_unix_s = now.times_s, row["time_zero_unix_s"]
    if now.first_unix_s is not None and zero_unix_s is not None:
        now_s = now_s + float(now.first_unix_s) - zero_unix_s
    if (now.first_unix_s is None) != (zero_unix_s is None):
        return f"the times were {_kind_text(zero_unix_s)}, are {_kind_text(now.first_unix_s)}"
    differs = np.abs(now_s - known_s) > _TIMES_ARE_EXACT_TO_S
    if not differs.any():
        return ""
    frame = int(np.argmax(differs))
    return f"the time of frame {frame} was {known_s[frame]:.6f} s, is {now_s[frame]:.6f} s"


def _kind_text(unix_s: object) -> str:
    return "without a day" if unix_s is None else "instants"


def _day_text(unix_s: float) -> str:
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%d %H:%M} UTC"
