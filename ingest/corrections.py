"""What is known of a mouse, a session or a video is corrected: by its session.toml, or by a person's command.

Both go the same way: what is said now is compared with what the database holds and with what else is known; then the
rows are changed, and what they held is kept in `Correction`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from pathlib import Path
from typing import Any

from compute.errors import SessionError
from compute.json_text import json_text
from compute.text import count_text, session_text
from ingest.correction_history import (
    correction_line,
    correction_text,
    corrections_locked,
    insert_correction,
    value_text,
)
from ingest.ingest_run import IngestRun, known_lengths_s
from ingest.plausibility import (
    check_known_cameras,
    check_plausible_birth,
    check_plausible_scale,
    check_plausible_sessions,
)
from ingest.rig_time import unix_time_instant
from ingest.session_files import SessionFile, read_session_file, session_file_json, unused_video_values
from ingest.session_names import SessionName
from ingest.session_start import START_COLUMNS, session_span, session_start_columns
from schemas.metric import DistanceMetrics, FilterComparison
from schemas.session import Session, Video
from schemas.subject import Mouse

_MEASURED_IN_MM = (FilterComparison, DistanceMetrics)
"""What depends on the scale of a video; the first on the second."""


@dataclass(frozen=True)
class Corrections:
    """What is said now and the database does not hold.

    Attributes
    ----------
    key : dict
        Primary key of the session, or of the mouse.
    told : str
        Who says it, for people: the session.toml, or the command.
    said : dict or None
        All that session.toml says now, as JSON can hold it; None: it is no file that says it.
    said_before : str or None
        What `session_file_said` held.
    session, mouse : dict
        New values by column of `Session` and of `Mouse`.
    videos : dict of dict
        New values by column of `Video`, for each camera.
    before : dict
        What each of them was: by column, of a video by (camera, column).
    unused : list of str
        For people: what it says of cameras that have no video in the session.
    """

    key: dict[str, Any]
    told: str
    said: dict[str, Any] | None = None
    said_before: str | None = None
    session: dict[str, Any] = field(default_factory=dict)
    mouse: dict[str, Any] = field(default_factory=dict)
    videos: dict[str, dict[str, Any]] = field(default_factory=dict)
    before: dict[Any, Any] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)

    def lines(self) -> list[dict[str, Any]]:
        """Lines of a correction."""
        source = {"session_file": "" if self.said is None else self.told}
        of_mouse = {"mouse_id": self.key["mouse_id"]}
        lines = [
            correction_line(key, column, self.before[column], value, **source)
            for key, values in ((self.key, self.session), (of_mouse, self.mouse))
            for column, value in values.items()
        ]
        for camera, values in self.videos.items():
            lines += [
                correction_line(self.key, column, self.before[camera, column], value, camera=camera, **source)
                for column, value in values.items()
            ]
        return lines

    def describe(self) -> str:
        """What is corrected, and what cannot be used, for people."""
        return "; ".join([*map(correction_text, self.lines()), *self.unused])


def find_corrections(name: SessionName, path: Path, zone: tzinfo | None, run: IngestRun) -> Corrections | None:
    """Compare session.toml with what the database holds of a session that is known; None if it says nothing new.

    What it said when it was last read is known. What it says no longer becomes unknown, but what it never said stays.

    Parameters
    ----------
    name : SessionName
        A session of the database.
    path : Path
        Its session.toml.
    zone : tzinfo or None
        The rig's time zone; None: this machine's.
    run : IngestRun
        What is known, also of sessions that a dry run would have inserted.

    Raises
    ------
    SessionError
        If the file is gone or broken, or what it says now contradicts what else is known. The database stays as it is.
    """
    key: dict[str, Any] = name.key
    row = (Session & key).fetch1()
    before = None if row["session_file_said"] is None else json.loads(row["session_file_said"])
    if before and _places(before) and not path.exists():
        said = ", ".join(f"{place} {value}" for place, value in _places(before).items())
        raise SessionError(
            f"{path} is gone, so that nothing of it can be corrected; what it said stays as it is ({said})."
            " Put the file back; or, if nothing of that holds, put an empty one there"
        )
    try:
        file = read_session_file(path)
    except SessionError as error:
        raise SessionError(f"{error}. Until then {session_text(key)} stays as it was ingested") from error
    check_known_cameras(str(path), file.videos, run.cameras)
    now = session_file_json(file)
    if now == before:
        return None
    found = Corrections(key, str(path), now, row["session_file_said"])
    _compare_session(found, _changed(before, now, "session", file.session), row, before, file, zone, run)
    _compare_mouse(found, _changed(before, now, "mouse", file.mouse), file, run)
    old, new = (None if before is None else before.get("videos", {})), now["videos"]
    _compare_videos(found, lambda camera: _changed(old, new, camera, file.videos.get(camera, {})), file)
    return found


def session_corrections(key: dict[str, Any], told: str, values: SessionFile, zone: tzinfo | None) -> Corrections:
    """Compare what a person says of a known session and its videos with what the database holds.

    Parameters
    ----------
    key : dict
        Primary key of a row of `Session`.
    told : str
        The command, for messages.
    values : SessionFile
        What is said; `unknown` of a column where it is to be forgotten.
    zone : tzinfo or None
        The rig's time zone; None: this machine's.

    Raises
    ------
    SessionError
        If it contradicts what else is known, or the session has no video of a camera.
    """
    run = IngestRun()
    check_known_cameras(told, values.videos, run.cameras)
    row = (Session & key).fetch1()
    found = Corrections(key, told)
    session = dict(values.session)
    if session.keys() & set(START_COLUMNS):  # the start is its local time and its offset
        start = session.setdefault("session_start", row["session_start"])
        if start is None or start.tzinfo is None:
            session.setdefault("session_utc_offset_min", row["session_utc_offset_min"])
    whole = replace(values, session=session)
    _compare_session(found, set(values.session), row, None, whole, zone, run)
    _compare_videos(found, lambda camera: set(values.videos.get(camera, {})), values)
    if found.unused:
        cameras = sorted((Video & key).to_arrays("camera"))
        raise SessionError(
            f"{told}: session {session_text(key)} has no video of camera"
            f" {', '.join(sorted(set(values.videos) - set(cameras)))}; it has {', '.join(cameras)}"
        )
    return found


def mouse_corrections(mouse_id: str, told: str, values: Mapping[str, Any]) -> Corrections:
    """Compare what a person says of a known mouse with what the database holds.

    Parameters
    ----------
    mouse_id : str
        A row of `Mouse`.
    told : str
        The command or the file, for messages.
    values : mapping
        By column of `Mouse`.

    Raises
    ------
    SessionError
        If the mouse was not born, or too old, when one of its sessions was recorded.
    """
    key = {"mouse_id": mouse_id}
    found = Corrections(key, told)
    row = (Mouse & key).fetch1()
    for column, value in values.items():
        if value != row[column]:
            found.mouse[column], found.before[column] = value, row[column]
    _check_birth(found)
    return found


def insert_corrections(*corrections: Corrections, reason: str = "") -> str:
    """Change the rows, keep what they held in `Correction`, remove what was computed with an old scale; all or nothing.

    Parameters
    ----------
    *corrections : Corrections
        What is corrected by one act.
    reason : str
        Why, as the person says.

    Returns
    -------
    str
        What was done, for people; empty if the file says the same in other words, or another process took it in.
    """
    n_removed = 0
    with corrections_locked(), Session.connection.transaction:
        if any(map(_is_taken_in, corrections)):
            return ""
        for one in corrections:
            n_removed += _change_rows(one)
        insert_correction([line for one in corrections for line in one.lines()], reason)
    described = "; ".join(filter(None, (one.describe() for one in corrections)))
    anew = f"; {count_text(n_removed, 'row')} in mm depended on it, and the next populate computes them anew"
    return described + (anew if n_removed else "")


def _is_taken_in(one: Corrections) -> bool:
    """Whether another process has taken in this session.toml meanwhile."""
    return one.said is not None and (Session & one.key).fetch1("session_file_said") != one.said_before


def _change_rows(one: Corrections) -> int:
    """Change the rows; return how many rows in mm were removed."""
    n_removed = 0
    said = {} if one.said is None else {"session_file_said": json_text(one.said)}
    if one.session or said:
        Session.update1({**one.key, **one.session, **said})
    if one.mouse:
        Mouse.update1({"mouse_id": one.key["mouse_id"], **one.mouse})
    for camera, values in one.videos.items():
        Video.update1({**one.key, "camera": camera, **values})
        if "px_per_mm" in values:
            n_removed += _remove_measured({**one.key, "camera": camera})
    return n_removed


def _remove_measured(key: dict[str, Any]) -> int:
    """Remove what was measured in mm of a video; returns how many rows."""
    n_rows = 0
    for table in _MEASURED_IN_MM:
        n_rows += len(table & key)
        (table & key).delete(transaction=False, prompt=False)
    return n_rows


def _compare_session(
    found: Corrections,
    changed: set[str],
    row: dict[str, Any],
    before: dict[str, Any] | None,
    file: SessionFile,
    zone: tzinfo | None,
    run: IngestRun,
) -> None:
    if changed & set(START_COLUMNS) and _start_is_new(row, before, file, zone):
        cameras = {
            f"the clock of camera {one['camera']}": unix_time_instant(one["time_zero_unix_s"])
            for one in (Video & found.key & "time_zero_unix_s IS NOT NULL").to_dicts()
        }
        start = session_start_columns(found.told, file.session, cameras, row["session_date"], zone)
        _check_span(found, start, run)
    else:
        start = {}
    for column in Session.metadata:
        if column.name in START_COLUMNS:
            value = start.get(column.name, row[column.name])
        elif column.name in changed:
            value = file.session.get(column.name, column.unknown)
        else:
            continue
        if value != row[column.name]:
            found.session[column.name], found.before[column.name] = value, row[column.name]


def _check_span(found: Corrections, start: dict[str, Any], run: IngestRun) -> None:
    """By its new start, too, the mouse is in one session at a time."""
    name = SessionName.of(found.key)
    others = {str(other): span for other, span in run.other_spans(name).items()}
    span = session_span(start, known_lengths_s(name)) if others else None
    if span is not None:
        check_plausible_sessions(found.told, span, others)


def _start_is_new(row: dict[str, Any], before: dict[str, Any] | None, file: SessionFile, zone: tzinfo | None) -> bool:
    """Whether the start is to be read anew. A row of an older version keeps a local time whose zone nobody has told."""
    start, offset_min = (file.session.get(column) for column in START_COLUMNS)
    is_same = start is not None and start.tzinfo is None and start == row["session_start"]
    return not (before is None and is_same and offset_min is None and zone is None)


def _compare_mouse(found: Corrections, changed: set[str], file: SessionFile, run: IngestRun) -> None:
    """A mouse is told of by all of its sessions: another one that says something else is a contradiction.

    Unless the database holds already what is said: then a person said it (orofacial mice set).
    """
    key = {"mouse_id": found.key["mouse_id"]}
    row = (Mouse & key).fetch1()
    others = _read_files(run.other_session_files(SessionName.of(found.key))) if changed else {}
    for column in Mouse.metadata:
        value = file.mouse.get(column.name, column.unknown)
        if column.name not in changed or value == row[column.name]:
            continue
        said = {path: other.mouse[column.name] for path, other in others.items() if column.name in other.mouse}
        if column.name not in file.mouse and said:
            continue  # another session still says it
        for path, other in said.items():
            if other != value:
                raise SessionError(
                    f"{found.told}: mouse {key['mouse_id']} has {column.name} {value_text(value)}, but {path} says"
                    f" {value_text(other)}; correct the one that is wrong, then ingest again; or say for all of its"
                    f" sessions what is right: orofacial mice set {key['mouse_id']}"
                    f" {column.toml_key}={value_text(value)}"
                )
        found.mouse[column.name], found.before[column.name] = value, row[column.name]
    _check_birth(found)


def _check_birth(found: Corrections) -> None:
    """By a new date of birth, too, the mouse was born when it was filmed."""
    if found.mouse.get("date_of_birth"):
        mouse = found.key["mouse_id"]
        for day in (Session & {"mouse_id": mouse}).to_arrays("session_date"):
            check_plausible_birth(found.told, mouse, found.mouse["date_of_birth"], day)


def _read_files(paths: Sequence[Path]) -> dict[Path, SessionFile]:
    """What the other sessions of the mouse say now, by path, as far as their folders can be read."""
    files = {}
    for path in paths:
        try:
            files[path] = read_session_file(path)
        except (SessionError, OSError):
            continue
    return files


def _compare_videos(found: Corrections, changed: Callable[[str], set[str]], file: SessionFile) -> None:
    rows = (Video & found.key).to_dicts()
    found.unused.extend(unused_video_values(file, [row["camera"] for row in rows]))
    for row in rows:
        camera = row["camera"]
        said = file.videos.get(camera, {})
        for column in Video.metadata:
            value = said.get(column.name, column.unknown)
            if column.name in changed(camera) and value != row[column.name]:
                found.videos.setdefault(camera, {})[column.name] = value
                found.before[camera, column.name] = row[column.name]
        scale = found.videos.get(camera, {}).get("px_per_mm")
        if scale is not None:
            check_plausible_scale(found.told, camera, scale, row["width_px"])


def _changed(before: Mapping[str, Any] | None, now: Mapping[str, Any], part: str, said: Mapping[str, Any]) -> set[str]:
    """Columns of which the file says something else than before; of a row of an older version, all that it says."""
    if before is None:
        return set(said)
    old, new = before.get(part, {}), now.get(part, {})
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


def _places(said: Mapping[str, Any]) -> dict[str, Any]:
    """All values that a file said, by column, of a video with its camera."""
    flat = {**said.get("session", {}), **said.get("mouse", {})}
    for camera, values in said.get("videos", {}).items():
        flat |= {f"{name} of {camera}": value for name, value in values.items()}
    return flat
