"""The times of a camera's frames that lie beside its video: `<camera>.timestamps.csv`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compute.errors import SessionError
from ingest.layout import is_video_name
from ingest.plausibility import (
    check_plausible_frame_numbers,
    check_plausible_holes,
    check_plausible_instant,
    check_plausible_order,
    check_plausible_rate,
)
from ingest.rig_time import rig_time_instant
from ingest.timestamp_offsets import add_timestamp_offsets, is_offset_column, timestamp_offsets
from ingest.timestamp_table import TimestampTable, is_timestamp_number, read_timestamp_table, timestamp_instant

UNITS_S = {"s": Decimal(1), "ms": Decimal("1e-3"), "us": Decimal("1e-6"), "ns": Decimal("1e-9")}
"""Units of time that a header may name, in seconds."""

_UNIT_WORDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("ms", "msec", "msecs", "millis", "millisecond", "milliseconds"), "ms"),
    **dict.fromkeys(("us", "µs", "μs", "usec", "usecs", "micros", "microsecond", "microseconds"), "us"),
    **dict.fromkeys(("ns", "nsec", "nsecs", "nanos", "nanosecond", "nanoseconds"), "ns"),
}
_TIME_WORDS = {"time", "times", "timestamp", "timestamps", "stamp", "t", "ts", "pts", "clock", "elapsed", "datetime"}
_OTHER_WORDS = {"exposure", "duration", "interval", "delta", "dt", "diff", "difference", "rate", "fps", "gain"}
_OTHER_WORDS |= {"frame", "frames", "index", "number", "count", "counter", "id", "trigger", "temperature"}
"""What is counted or measured beside the time, perhaps in a unit of time."""

_FRAME_NUMBERS = re.compile(r"(frame|image|img)s?(index|idx|number|num|nr|no|id|count|counter)?|index|idx")
"""Names of columns of frame numbers, of which only the letters count."""

FIRST_EPOCH_S = 946_684_800
"""Seconds since 1970 in the year 2000: no camera's own clock has run for so long, so such a time is an instant."""

_HOW_TO_NAME = "name the column of times in a first line, with its unit: time_s, time_ms, time_us or time_ns"


@dataclass(frozen=True)
class Timestamps:
    """Times of all frames of a camera.

    Attributes
    ----------
    path : Path
        The file.
    times_s : array, shape (frame,), float64
        Strictly increasing. By the camera's clock (s); since the first frame where `first_unix_s` is known.
    first_unix_s : Decimal or None
        Instant of the first frame, in seconds since 1970 (UTC), if the file says it.
    utc_offset : timedelta or None
        Local time minus UTC at the first frame, if the file says it. Times in UTC may be of a rig elsewhere.
    """

    path: Path
    times_s: NDArray[np.float64]
    first_unix_s: Decimal | None
    utc_offset: timedelta | None = None


def timestamps_path(video: Path) -> Path:
    """Where the times of a video's frames would lie."""
    return video.with_name(f"{video.stem}.timestamps.csv")


def unused_timestamps(files: Iterable[Path], videos: Mapping[str, Path]) -> list[str]:
    """For people: the files of a session that look like times of frames, but have no name that is read.

    Files of a camera whose times are read are left out: they may be older ones.

    Parameters
    ----------
    files : iterable of Path
        Of the session.
    videos : mapping of str to Path
        Its videos by camera.
    """
    cameras = {camera: timestamps_path(video) for camera, video in videos.items()}
    said = []
    for path in files:
        if path in cameras.values() or not path.is_file() or is_video_name(path.name) or path.name.startswith("."):
            continue
        if not re.search(r"time[-_. ]?stamp|frame[-_. ]?time|(?<![a-z])times?(?![a-z])", path.name.lower()):
            continue
        of = next((camera for camera in cameras if camera.lower() in path.name.lower()), None)
        if of is not None and cameras[of].exists():
            continue
        known = " or ".join(one.name for one in cameras.values())
        needs = (
            f"the name that is read is {cameras[of].name}" if of else f"no video is of this name; read would be {known}"
        )
        said.append(f"{path.name} looks like times of frames and is not used: {needs}")
    return said


def read_timestamps(
    path: Path, *, n_frames: int, fps: float, utc_offset_min: int | None = None, zone: tzinfo | None = None
) -> Timestamps:
    """Read the times of a camera's frames: a line a frame, the column and its unit by the header.

    Parameters
    ----------
    path : Path
        Text with commas, semicolons, tabs or blanks between columns, decimal points or commas, with or without a
        header. Without one there is one column, in seconds. Times since 1970 and days with times (ISO 8601) are
        instants: what is returned is relative to the first of them. A column ``utc_offset`` says their offset from UTC.
    n_frames : int
        Frames of the video.
    fps : float
        Rate of the video file (Hz).
    utc_offset_min : int or None
        The rig's offset from UTC (min), if session.toml says it; for days and times without an offset.
    zone : tzinfo or None
        The rig's time zone, for such times where no offset is said; None: this machine's.

    Raises
    ------
    SessionError
        If it is not told which column holds the times, if there is not exactly one finite, increasing time a frame, if
        an offset from UTC cannot be read or contradicts another, if a local time does not exist or exists twice, if an
        instant is of no year of the calendar, if their rate is more than twice or less than half that of the video, if
        they jump as only a clock that is set does, or if a column of frame numbers does not count these frames.
    """
    table = read_timestamp_table(path)
    column, unit = _column(table)
    cells = [row[column] for row in table.rows]
    _check_cells(table, cells)
    if len(cells) != n_frames:
        raise SessionError(
            f"{path} has {len(cells)} times, the video has {n_frames} frames; expected one time per frame."
            " Export the timestamps again, or move the file away to use the times of the video itself"
        )
    first = timestamp_instant(cells[0])
    if first and first.tzinfo is None and "utc" in _words(table.header[column] if table.header else table.comment):
        cells = [f"{cell}Z" for cell in cells]
    utc_offset = (first.utcoffset() or None) if first else None
    is_since_1970 = first is None and float(cells[0]) * float(UNITS_S[unit]) >= FIRST_EPOCH_S
    offsets = timestamp_offsets(table, utc_offset_min) if first or is_since_1970 else None
    if offsets is not None:
        utc_offset = offsets[0].utcoffset(None)
    if first:
        local = cells if offsets is None else add_timestamp_offsets(table, cells, offsets)
        seconds = _unix_times_s(table, local, utc_offset_min, zone)
    else:
        factor = UNITS_S[unit]
        times_s = np.array(cells, np.float64) / float(1 / factor)
        seconds = [Decimal(cell) * factor for cell in cells] if is_since_1970 else []
    if seconds:
        times_s = np.array([float(one - seconds[0]) for one in seconds])
    check_plausible_order(str(path), times_s, table.lines)
    check_plausible_rate(str(path), times_s, fps, unit=unit)
    check_plausible_holes(str(path), times_s, fps, table.lines)
    _check_frame_numbers(table, times_s)
    if seconds:
        check_plausible_instant(f"{path}, line {table.lines[0]}", cells[0], float(seconds[0]))
    return Timestamps(path, times_s, seconds[0] if seconds else None, utc_offset)


def _unix_times_s(
    table: TimestampTable, cells: list[str], utc_offset_min: int | None, zone: tzinfo | None
) -> list[Decimal]:
    """Seconds since 1970 of days and times in ISO 8601, with all their digits; each without an offset is local."""
    offsets: dict[datetime, timedelta] = {}  # no clock is set forward or back within a minute
    seconds = []
    offsets_of_zone: set[timedelta | None] = set()
    for line, cell in zip(table.lines, cells, strict=True):
        said = timestamp_instant(cell)
        assert said is not None  # checked with all cells
        local, offset = said.replace(tzinfo=None), said.utcoffset()
        if offset is None:
            minute = local.replace(second=0, microsecond=0)
            if minute not in offsets:
                at = rig_time_instant(
                    f"{table.path}, line {line}", local, utc_offset_min=utc_offset_min, zone=zone, what="each time"
                )
                offsets[minute] = at.utcoffset() or timedelta(0)
                if utc_offset_min is not None and zone is not None:
                    offsets_of_zone.add(minute.replace(tzinfo=zone).utcoffset())
                if len(offsets_of_zone) > 1:
                    raise SessionError(
                        f"{table.path}, line {line}: at {cell} {zone} has another offset from UTC than in"
                        f" line {table.lines[0]}; expected one, as session.toml says one. Remove its utc_offset_min"
                        " if the camera's clock was set too, or give each time with its offset from UTC"
                    )
            offset = offsets[minute]
        whole_s = (local.replace(microsecond=0) - datetime(1970, 1, 1)) // timedelta(seconds=1)
        fraction = re.search(r"[.,](\d+)", cell)
        seconds.append(whole_s - Decimal(offset.total_seconds()) + Decimal(f"0.{fraction[1] if fraction else 0}"))
    return seconds


def _check_cells(table: TimestampTable, cells: list[str]) -> None:
    """Every cell is a finite number; or every cell is a day and time, all with a zone or all without."""
    first = timestamp_instant(cells[0]) if cells else None
    for line, cell in zip(table.lines, cells, strict=True):
        if first is None:
            is_fine = is_timestamp_number(cell) and bool(np.isfinite(float(cell)))
        else:
            one = timestamp_instant(cell)
            is_fine = one is not None and (one.tzinfo is None) == (first.tzinfo is None)
        if not is_fine:
            raise SessionError(
                f"{table.path}, line {line}: {cell!r} is not a time; expected"
                f" {'a number' if first is None else 'day and time as in the lines before it'} for each frame."
                " Export the timestamps again, or mend the line"
            )


def _check_frame_numbers(table: TimestampTable, times_s: NDArray[np.float64]) -> None:
    """Where a column numbers the frames, the lines are these frames; names of pictures, say, are no numbers."""
    for column, header in enumerate(table.header):
        cells = [row[column] for row in table.rows]
        if not _FRAME_NUMBERS.fullmatch(re.sub(r"[\W\d_]", "", header.lower())) or not is_timestamp_number(cells[0]):
            continue
        for line, cell in zip(table.lines, cells, strict=True):
            if not is_timestamp_number(cell) or not float(cell).is_integer():
                raise SessionError(
                    f"{table.path}, line {line}: {cell!r} in column {header} is no frame number; expected a whole"
                    " number, as in the lines before it. Export the timestamps again, or mend the line"
                )
        numbers = np.array([float(cell) for cell in cells])
        check_plausible_frame_numbers(f"{table.path}, column {header}", numbers, times_s, table.lines)


def _column(table: TimestampTable) -> tuple[int, str]:
    """Which column holds the times, and their unit; seconds where nothing says it."""
    if not table.header:
        width = len(table.rows[0]) if table.rows else 1
        if width > 1:
            raise SessionError(
                f"{table.path} has {width} columns and no header, so that it is not known which of them holds the"
                f" times; {_HOW_TO_NAME}, such as 'frame,time_s'"
            )
        return 0, (_unit(table.comment) if _is_time(table.comment) else None) or "s"
    exact = [index for index, name in enumerate(table.header) if re.fullmatch(r"time_(s|ms|us|ns)", name.lower())]
    times = exact or [index for index, name in enumerate(table.header) if _is_time(name)]
    if len(table.header) == 1 and not times and not _words(table.header[0]) & _OTHER_WORDS:
        times = [0]  # such as the camera's name
    if len(times) != 1:
        found = ", ".join(table.header)
        which = "none of them is a time" if not times else f"{len(times)} of them may be the time of a frame"
        raise SessionError(f"{table.path} has the columns {found}; {which}. {_HOW_TO_NAME.capitalize()}")
    return times[0], _unit(table.header[times[0]]) or "s"


def _words(name: str) -> set[str]:
    """The words of a column's name: ``timestamp_ms``, ``time (ms)`` and ``TimeStampMs`` have the unit as a word."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return set(re.findall(r"[^\W\d_]+", apart.lower()))


def _is_time(name: str) -> bool:
    """Whether a column's name says that it holds times of frames; a unit alone says it too."""
    words = _words(name)
    if words & (_OTHER_WORDS - {"frame", "frames"}) or is_offset_column(name):
        return False
    return bool(words & _TIME_WORDS) or (bool(words & set(_UNIT_WORDS)) and not words & {"frame", "frames"})


def _unit(name: str) -> str | None:
    units = {_UNIT_WORDS[word] for word in _words(name) if word in _UNIT_WORDS}
    return units.pop() if len(units) == 1 else None
