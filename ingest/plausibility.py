"""What comes from outside is compared with what is known already: one function for each thing that must fit another.

Each raises a `SessionError` that names what was found, what it was compared with, and what to do. `ingest.sessions` and
`ingest.corrections` call them before a row is written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from compute.errors import SessionError
from compute.frame_times import LONGEST_FRAME_INTERVAL_S, usual_frame_interval_s
from ingest.session_names import name_of_other_case


@dataclass(frozen=True)
class Span:
    """From the first frame to the last one, with their offsets from UTC."""

    start: datetime
    end: datetime


LARGEST_RATE_RATIO = 2.0
"""How many times faster or slower than the video file the time stamps of a camera may be."""

LONGEST_HOLE_S = 86400.0
"""A session is of one day: between two of its frames the clock cannot have gone on for longer."""

LONGEST_PAUSE_S = 3600.0
LONGEST_PAUSE_RATIO = 100.0
"""A longer pause than this is no pause if it is also so many times longer than the whole video."""

LATEST_AFTER_MIDNIGHT = timedelta(hours=1)
"""A folder may be made before midnight and its recording begin after it, or the other way round."""

CLOCKS_AGREE = timedelta(minutes=5)
"""How far a start that a person or program wrote may be from the first frame: less than between any two time zones."""

STARTS_ARE_EXACT_TO = timedelta(seconds=1)
"""Starts are often written in whole seconds, so that two sessions in a row may seem to overlap by less."""

FIRST_DAY = date(1990, 1, 1)
"""Nobody filmed a mouse's face to a file before."""

LARGEST_COUNT = 2**16 - 1
"""Of a camera that counts its frames with 16 bits, as GigE cameras do."""

CALENDAR_YEARS = (1000, 9000)
"""Instants that every database holds, and that no time zone carries beyond the years 1 to 9999 of Python."""

_EARTH = (timedelta(hours=-12), timedelta(hours=14))
"""Local times on earth are at most so far from UTC."""

OLDEST_MOUSE_DAYS = 5 * 365
PICTURE_WIDTH_MM = (1.0, 1000.0)
"""What a picture of a mouse's face can show."""

_UNIT_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def check_known_cameras(name: str, cameras: Iterable[str], known: Collection[str]) -> None:
    """The lab knows these cameras."""
    for camera in cameras:
        if (other := name_of_other_case(camera, known)) is not None:
            raise SessionError(
                f"{name}: {camera!r} differs from the camera {other!r} only in upper and lower case; expected one name"
                f" for a camera. Write it as {other!r}, as in {other}.mp4"
            )
        if camera not in known:
            raise SessionError(
                f"{name}: unknown camera {camera!r}; known are {', '.join(sorted(known))}."
                f" Rename the file, or add the camera with: orofacial camera add {camera}"
            )


def check_plausible_order(name: str, times_s: NDArray[np.float64], lines: Sequence[int] = ()) -> None:
    """Each frame comes after the one before it.

    Parameters
    ----------
    name : str
        Where the times are from, for people.
    times_s : array, shape (frame,)
        Times (s).
    lines : sequence of int
        Line of each time in its file, if it is one.
    """
    steps = np.diff(times_s)
    if not (steps <= 0).any():
        return
    frame = int(np.argmax(steps <= 0)) + 1
    line = f"line {lines[frame]}: " if lines else ""
    starts_again = times_s[frame] - times_s[0] < 0.5 * (times_s[frame - 1] - times_s[0])
    what = "the clock starts again" if starts_again else "time does not increase"
    raise SessionError(
        f"{name}: {line}{what} at frame {frame} ({times_s[frame - 1]:.6f} s, then {times_s[frame]:.6f} s);"
        " expected times that increase from frame to frame. "
        + (
            "Export the timestamps again by a clock that goes on, or give each part a session of its own"
            if lines
            else "Write the times of the frames to a file <camera>.timestamps.csv beside the video"
        )
    )


def check_plausible_rate(name: str, times_s: NDArray[np.float64], fps: float, *, unit: str) -> None:
    """Time stamps have about the rate of their video; holes in them do not matter.

    Parameters
    ----------
    name : str
        Where the times are from, for people.
    times_s : array, shape (frame,)
        Strictly increasing times (s).
    fps : float
        Frame rate that the video file states (Hz).
    unit : {"s", "ms", "us", "ns"}
        The unit that the times were taken to be in.
    """
    if times_s.size < 2:
        return
    rate = float(1 / np.percentile(np.diff(times_s), 50, method="lower"))
    if _is_near(rate, fps):
        return
    fits = [one for one, size_s in _UNIT_S.items() if _is_near(rate * _UNIT_S[unit] / size_s, fps)]
    advice = (
        f"As {fits[0]} they would fit: name the column time_{fits[0]} in a first line"
        if fits
        else "No unit of time makes them fit. Export the timestamps again; or, if it is the video file that states a"
        " wrong rate, write it again with the true one (ffmpeg -itsscale) and ingest that file"
    )
    raise SessionError(
        f"{name}: taken as {unit}, the times have {rate:.4g} frames a second, but the video has {fps:.4g};"
        f" expected at most {LARGEST_RATE_RATIO:g} times more or less. {advice}"
    )


def check_plausible_frame_interval(name: str, interval_s: float) -> None:
    """Frames follow each other fast enough that movement can be seen in them: filters and bouts need that.

    Parameters
    ----------
    name : str
        The video, or the file of its times, for people.
    interval_s : float
        Usual time between two frames (s).
    """
    if interval_s > LONGEST_FRAME_INTERVAL_S:
        raise SessionError(
            f"{name}: the frames are {interval_s:.4g} s apart ({1 / interval_s:.3g} a second); expected at most"
            f" {LONGEST_FRAME_INTERVAL_S:g} s, since a time lapse shows no movement of a face, so that no filter and no"
            " bout could be computed. If the file states a wrong rate, write it again with the true one (ffmpeg"
            " -itsscale); if it is a time lapse, keep it outside of the sessions' folder"
        )


def check_plausible_holes(name: str, times_s: NDArray[np.float64], fps: float, lines: Sequence[int] = ()) -> None:
    """No hole between two frames is so long that the clock must have been set in it; dropped frames and pauses are not.

    Parameters
    ----------
    name : str
        Where the times are from, for people.
    times_s : array, shape (frame,)
        Strictly increasing times (s) that have about the rate of the video.
    fps : float
        Frame rate that the video file states (Hz).
    lines : sequence of int
        Line of each time in its file, if it is one.
    """
    if times_s.size < 2:
        return
    frame = int(np.argmax(np.diff(times_s))) + 1
    hole_s, video_s = float(times_s[frame] - times_s[frame - 1]), times_s.size / fps
    longest_s = min(LONGEST_HOLE_S, max(LONGEST_PAUSE_S, LONGEST_PAUSE_RATIO * video_s))
    if hole_s > longest_s:
        jump = f"{hole_s / 86400:.0f} days" if hole_s > 2 * 86400 else f"{hole_s / 3600:.3g} h"
        raise SessionError(
            f"{name}: {f'line {lines[frame]}: ' if lines else ''}time jumps by {jump} at frame {frame}"
            f" ({times_s[frame - 1]:.6f} s, then {times_s[frame]:.6f} s), but the video is {video_s:.4g} s long;"
            f" expected at most {longest_s / 3600:.3g} h between two frames. If the camera's clock was set there, write"
            f" the times{'' if lines else ' to a file <camera>.timestamps.csv'} on one side of the jump by the clock of"
            " the other; if it is a pause, give each part a session of its own"
        )


def check_plausible_frame_numbers(
    name: str, numbers: NDArray[np.float64], times_s: NDArray[np.float64], lines: Sequence[int]
) -> None:
    """A camera counts its frames: numbers rise by one, and by more only where time says that frames were dropped.

    Parameters
    ----------
    name : str
        The column of the numbers, for people.
    numbers : array, shape (frame,)
        Whole numbers. A camera's counter of 16 bits starts again at 0 or 1.
    times_s : array, shape (frame,)
        Strictly increasing times (s).
    lines : sequence of int
        Line of each number in its file.
    """
    steps, interval_s = np.diff(numbers), usual_frame_interval_s(times_s)
    steps[(numbers[:-1] == LARGEST_COUNT) & (numbers[1:] <= 1) & (numbers[1:] >= 0)] = 1
    is_wrong = (steps < 1) | ((steps > 1) & (np.diff(times_s) < (steps - 0.5) * interval_s))
    if not is_wrong.any():
        return
    frame = int(np.argmax(is_wrong)) + 1
    passed = ""
    if steps[frame - 1] > 1:
        passed = (
            f", but only {times_s[frame] - times_s[frame - 1]:.6f} s passed, where frames are {interval_s:.6f} s apart"
        )
    raise SessionError(
        f"{name}, line {lines[frame]}: number {numbers[frame]:.0f} follows {numbers[frame - 1]:.0f}{passed}; expected"
        " numbers that rise by one, and by more only where as many frames are missing in time. Export the timestamps"
        " again, a line for each frame of the video in its order; or, if the column counts something else, name it so"
    )


def _is_near(rate: float, fps: float) -> bool:
    return max(rate / fps, fps / rate) <= LARGEST_RATE_RATIO * (1 + 1e-3)


def check_plausible_instant(name: str, said: str, unix_s: float) -> None:
    """An instant has a year that can be written down: digits of a day and a time, taken for a number, are far beyond.

    Parameters
    ----------
    name : str
        Where the instant is from, for people.
    said : str
        How it stands there.
    unix_s : float
        What it was taken for, in seconds since 1970; of a local time, those of the same time in UTC.
    """
    year = 1970 + unix_s / (365.2425 * 86400)
    if not CALENDAR_YEARS[0] <= year <= CALENDAR_YEARS[1]:
        raise SessionError(
            f"{name}: {said} is an instant of the year {int(year)}; expected one from {FIRST_DAY} to today. If its"
            " digits are a day and a time, write them as 2026-03-02T10:30:00.5; if it is a number, export the times"
            f" again in seconds since 1970 (now {datetime.now(UTC).timestamp():.0f})"
        )


def check_plausible_date(folder: str, day: date) -> None:
    """A folder is of a day on which somebody can have filmed, in any time zone."""
    now = datetime.now(UTC)
    if day < FIRST_DAY or datetime.combine(day, datetime.min.time(), UTC) > now + timedelta(days=1):
        raise SessionError(
            f"{folder}: the folder is of {day}, and by this machine's clock today is {now.date()}; expected a day from"
            f" {FIRST_DAY} to today. Correct the folder's name, or the clock that is wrong"
        )


def check_plausible_day(name: str, start: datetime, day: date, *, zone_is_known: bool) -> None:
    """A recording began on the day that its folder is named after.

    Parameters
    ----------
    name : str
        Where the start is from, for people.
    start : datetime
        With its offset from UTC.
    day : date
        Day of the folder's name, in the rig's local time.
    zone_is_known : bool
        Whether the offset is the rig's. Otherwise the instant must be on that day anywhere on earth.
    """
    first = datetime.combine(day, datetime.min.time(), UTC)
    earliest, latest = first - LATEST_AFTER_MIDNIGHT, first + timedelta(days=1) + LATEST_AFTER_MIDNIGHT
    if zone_is_known:
        local = start.replace(tzinfo=UTC)
        fits = earliest <= local < latest
    else:
        fits = earliest - _EARTH[1] <= start < latest - _EARTH[0]
    if not fits:
        raise SessionError(
            f"{name}: the recording began at {start.isoformat(sep=' ')}, but the folder is of {day}; expected a"
            " start on that day. Correct the one that is wrong: the start, its unit or time zone, or the folder's name"
        )


def check_plausible_clocks(name: str, start: datetime, camera_name: str, first_frame: datetime) -> None:
    """The start that session.toml says and the instant of the first frame are the same, as far as clocks agree."""
    if abs(first_frame - start) > CLOCKS_AGREE:
        said = first_frame.astimezone(start.tzinfo)
        raise SessionError(
            f"{name}: the recording began at {start.isoformat(sep=' ')}, but by {camera_name} its first frame is of"
            f" {said.isoformat(sep=' ')}; expected at most {CLOCKS_AGREE.seconds // 60} minutes between them. Correct"
            " the one that is wrong (a time without a zone is taken for the rig's, see rig_time_zone in settings.toml)"
        )


def check_plausible_cameras(spans: Mapping[str, Span]) -> None:
    """The cameras of a session filmed at the same time: each began before any other had ended.

    Parameters
    ----------
    spans : mapping of str to Span
        Of each camera whose clock says it, under a name for people.
    """
    if len(spans) < 2:
        return
    early = min(spans, key=lambda name: spans[name].end)
    late = max(spans, key=lambda name: spans[name].start)
    apart = spans[late].start - spans[early].end
    if apart > timedelta(seconds=LONGEST_FRAME_INTERVAL_S):
        between_starts = duration_text(spans[late].start - spans[early].start)
        raise SessionError(
            f"{late}: its first frame is of {spans[late].start.isoformat(sep=' ')}, {duration_text(apart)} after the"
            f" last frame of {early} ({spans[early].end.isoformat(sep=' ')}); their first frames are {between_starts}"
            " apart. Expected cameras of one session that film at the same time. Correct the clock that is wrong (a"
            " time without a zone is taken for the rig's, see rig_time_zone in settings.toml), or give each video a"
            " session of its own"
        )


def check_plausible_sessions(name: str, span: Span, others: Mapping[str, Span]) -> None:
    """A mouse is in one session at a time.

    Parameters
    ----------
    name : str
        Where the start is from, for people.
    span : Span
        Of the session.
    others : mapping of str to Span
        Of the mouse's other sessions whose start is known.
    """
    for other, known in others.items():
        overlap = min(span.end, known.end) - max(span.start, known.start)
        if overlap > STARTS_ARE_EXACT_TO or span.start == known.start:
            raise SessionError(
                f"{name}: the session begins at {span.start.isoformat(sep=' ')} and lasts"
                f" {duration_text(span.end - span.start)}, but session {other} of the same mouse begins at"
                f" {known.start.isoformat(sep=' ')} and lasts {duration_text(known.end - known.start)}; expected a"
                " mouse in one session at a time. Correct the start, or the mouse, that is wrong"
            )


def duration_text(duration: timedelta) -> str:
    """A time between two instants, for people."""
    seconds = duration.total_seconds()
    size_s, unit = next(
        (one for one in ((86400, "days"), (3600, "h"), (60, "min")) if seconds >= 2 * one[0] or seconds == one[0]),
        (1, "s"),
    )
    return f"{seconds / size_s:.4g} {unit}"


def check_plausible_birth(name: str, mouse: str, date_of_birth: date, day: date) -> None:
    """A mouse was born before it was filmed, and not too long before."""
    age_days = (day - date_of_birth).days
    if not 0 <= age_days <= OLDEST_MOUSE_DAYS:
        age = f"{-age_days} days before its birth" if age_days < 0 else f"at the age of {age_days / 365.25:.1f} years"
        raise SessionError(
            f"{name}: mouse {mouse} was born on {date_of_birth}, so that the session of {day} would be {age};"
            " correct date_of_birth, or the folder's date"
        )


def check_plausible_scale(name: str, camera: str, px_per_mm: float, width_px: int) -> None:
    """A picture is as wide as a mouse's face can be."""
    low, high = PICTURE_WIDTH_MM
    width_mm = width_px / px_per_mm
    if not low <= width_mm <= high:
        inverse = f" {1 / px_per_mm:.4g}" if low <= width_px * px_per_mm <= high else ""
        raise SessionError(
            f"{name}: at {px_per_mm:g} px per mm the {width_px} px of camera {camera} would show {width_mm:.4g} mm;"
            f" expected {low:g} to {high:g} mm. Give the pixels of one mm{', such as' + inverse if inverse else ''}"
        )
