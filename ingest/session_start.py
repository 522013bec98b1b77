"""When a session began, from what session.toml and the cameras' clocks say; and the cameras' times since then."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.plausibility import Span, check_plausible_clocks, check_plausible_day
from ingest.rig_time import in_rig_time, rig_time_instant, rig_time_zone_at, unix_time_instant
from ingest.session_names import SessionName
from ingest.timestamps import Timestamps

START_COLUMNS = ("session_start", "session_utc_offset_min")


def first_frame_instants(timestamps: Mapping[str, Timestamps]) -> dict[str, Decimal]:
    """Instant of the first frame of each camera whose time stamps say it, in seconds since 1970."""
    return {camera: one.first_unix_s for camera, one in timestamps.items() if one.first_unix_s is not None}


def camera_spans(timestamps: Mapping[str, Timestamps]) -> dict[str, Span]:
    """When each camera filmed whose time stamps say it, by their file."""
    spans = {}
    for one in timestamps.values():
        if one.first_unix_s is not None:
            start = unix_time_instant(float(one.first_unix_s))
            spans[str(one.path)] = Span(start, start + timedelta(seconds=float(one.times_s[-1])))
    return spans


def session_span(start: Mapping[str, Any], lengths_s: Collection[float]) -> Span | None:
    """When a session was recorded, by `START_COLUMNS` and the lengths of its videos (s); None where nobody knows."""
    local, offset_min = (start[column] for column in START_COLUMNS)
    if local is None or offset_min is None or not lengths_s:
        return None
    began = local.replace(tzinfo=timezone(timedelta(minutes=offset_min)))
    return Span(began, began + timedelta(seconds=max(lengths_s)))


def unordered_starts(name: SessionName, span: Span, others: Mapping[SessionName, Span]) -> list[str]:
    """For people: sessions of the same day that are numbered in another order than they began."""
    return [
        f"{name} began at {span.start.isoformat(sep=' ')} and {other} at {known.start.isoformat(sep=' ')}: their"
        " numbers are not in the order of their starts. Correct the start or the folder's name if one is wrong"
        for other, known in others.items()
        if other.session_date == name.session_date
        and (other.session_number < name.session_number) != (known.start < span.start)
    ]


def times_since_start(
    timestamps: Timestamps, first_unix_s: Decimal | None, zero_unix_s: Decimal | None
) -> NDArray[np.float64]:
    """Times of a camera (s): since the session's first frame if the camera knows the instant, else by its own clock."""
    if first_unix_s is None or zero_unix_s is None:
        return timestamps.times_s
    return timestamps.times_s + float(first_unix_s - zero_unix_s)


def camera_time_zone(timestamps: Mapping[str, Timestamps]) -> timezone | None:
    """The offset from UTC that the cameras' files say; None where none says it, or they differ."""
    offsets = {one.utc_offset for one in timestamps.values() if one.utc_offset is not None}
    return timezone(offsets.pop()) if len(offsets) == 1 else None


def session_start_columns(
    name: str, said: Mapping[str, Any], cameras: Mapping[str, datetime], day: date, zone: tzinfo | None
) -> dict[str, Any]:
    """When a session began: `START_COLUMNS` of `Session`.

    Parameters
    ----------
    name : str
        Path of session.toml, for people.
    said : mapping
        What session.toml says, by column of `Session`.
    cameras : mapping of str to datetime
        Instant of the first frame by each clock that says it, under a name for people.
    day : date
        Day of the folder's name.
    zone : tzinfo or None
        The rig's time zone; None: this machine's.

    Returns
    -------
    dict
        Local time as session.toml says it, else of the first frame; and its offset from UTC. None where nobody knows.

    Raises
    ------
    SessionError
        If the start is on another day than the folder's, or if two clocks contradict each other.
    """
    start, offset_min = (said.get(column) for column in START_COLUMNS)
    rig_zone = rig_time_zone_at(name, offset_min) or zone
    for camera, first_frame in cameras.items():
        check_plausible_day(camera, in_rig_time(first_frame, rig_zone), day, zone_is_known=rig_zone is not None)
    if start is not None:
        began = rig_time_instant(name, start, utc_offset_min=offset_min, zone=zone)
        # An offset of 0 may be UTC of a rig elsewhere: then only the instant counts.
        is_local = start.tzinfo is None or bool(began.utcoffset())
        at_rig = began if rig_zone is None or start.tzinfo is None else in_rig_time(began, rig_zone)
        check_plausible_day(name, at_rig, day, zone_is_known=is_local or rig_zone is not None)
        for camera, first_frame in cameras.items():
            check_plausible_clocks(name, began, camera, first_frame)
    elif cameras:
        began = in_rig_time(min(cameras.values()), rig_zone)
    else:
        return {"session_start": None, "session_utc_offset_min": offset_min}
    minutes = round((began.utcoffset() or timedelta(0)) / timedelta(minutes=1))
    return {"session_start": began.replace(tzinfo=None), "session_utc_offset_min": minutes}
