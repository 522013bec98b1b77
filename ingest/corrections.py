"""A session.toml that was changed after its session was ingested: what it says now is taken in, what was is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Any

from compute.errors import SessionError
from compute.json_text import json_text
from compute.text import count_text, session_text
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
from schemas.session import MetadataCorrection, Session, Video
from schemas.subject import Mouse

_MEASURED_IN_MM = (FilterComparison, DistanceMetrics)
"""What depends on the scale of a video; the first on the second."""


@dataclass(frozen=True)
class Corrections:
    """What session.toml says now and the database does not.

    Attributes
    ----------
    key : dict
        Primary key of the session.
    path : Path
        The session.toml.
    said : dict
        All that it says now, as JSON can hold it.
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
    path: Path
    said: dict[str, Any]
    session: dict[str, Any] = field(default_factory=dict)
    mouse: dict[str, Any] = field(default_factory=dict)
    videos: dict[str, dict[str, Any]] = field(default_factory=dict)
    before: dict[Any, Any] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)

    def lines(self) -> list[dict[str, Any]]:
        """Rows of `MetadataCorrection` without key and number."""
        changed = [("", column, value, self.before[column]) for column, value in (self.session | self.mouse).items()]
        for camera, values in self.videos.items():
            changed += [(camera, column, value, self.before[camera, column]) for column, value in values.items()]
        return [
            {
                "corrected_camera": camera,
                "corrected_column": column,
                "value_before": _text(before),
                "value_after": _text(after),
                "session_file": str(self.path),
            }
            for camera, column, after, before in changed
        ]

    def describe(self) -> str:
        """What is corrected, and what cannot be used, for people."""
        corrected = [
            f"{line['corrected_column']}{' of ' + line['corrected_camera'] if line['corrected_camera'] else ''} was"
            f" {line['value_before'] or 'unknown'}, is {line['value_after'] or 'unknown'}"
            for line in self.lines()
        ]
        return "; ".join([*corrected, *self.unused])


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
    found = Corrections(key, path, now)
    _compare_session(found, row, before, file, zone, run)
    _compare_mouse(found, before, file, run)
    _compare_videos(found, before, file)
    return found


def insert_corrections(corrections: Corrections) -> str:
    """Change the rows, keep what they held in `MetadataCorrection`, and remove what was computed with an old scale.

    Returns
    -------
    str
        What was done, for people; empty if the file says the same in other words.
    """
    key = corrections.key
    n_removed = 0
    with Session.connection.transaction:
        number = max([0, *(MetadataCorrection & key).to_arrays("correction_number")])
        rows = [
            {**key, "correction_number": number + 1 + index, **line} for index, line in enumerate(corrections.lines())
        ]
        MetadataCorrection.insert(rows)
        Session.update1({**key, **corrections.session, "session_file_said": json_text(corrections.said)})
        if corrections.mouse:
            Mouse.update1({"mouse_id": key["mouse_id"], **corrections.mouse})
        for camera, values in corrections.videos.items():
            Video.update1({**key, "camera": camera, **values})
            if "px_per_mm" in values:
                n_removed += _remove_measured({**key, "camera": camera})
    anew = f"; {count_text(n_removed, 'row')} in mm depended on it, and the next populate computes them anew"
    return corrections.describe() + (anew if n_removed else "")


def _remove_measured(key: dict[str, Any]) -> int:
    """Remove what was measured in mm of a video; returns how many rows."""
    n_rows = 0
    for table in _MEASURED_IN_MM:
        n_rows += len(table & key)
        (table & key).delete(transaction=False, prompt=False)
    return n_rows


def _compare_session(
    found: Corrections,
    row: dict[str, Any],
    before: dict[str, Any] | None,
    file: SessionFile,
    zone: tzinfo | None,
    run: IngestRun,
) -> None:
    changed = _changed(before, found.said, "session", file.session)
    if changed & set(START_COLUMNS) and _start_is_new(row, before, file, zone):
        cameras = {
            f"the clock of camera {one['camera']}": unix_time_instant(one["time_zero_unix_s"])
            for one in (Video & found.key & "time_zero_unix_s IS NOT NULL").to_dicts()
        }
        start = session_start_columns(str(found.path), file.session, cameras, row["session_date"], zone)
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
    name = SessionName(**found.key)
    others = {str(other): span for other, span in run.other_spans(name).items()}
    span = session_span(start, known_lengths_s(name)) if others else None
    if span is not None:
        check_plausible_sessions(str(found.path), span, others)


def _start_is_new(row: dict[str, Any], before: dict[str, Any] | None, file: SessionFile, zone: tzinfo | None) -> bool:
    """Whether the start is to be read anew. A row of an older version keeps a local time whose zone nobody has told."""
    start, offset_min = (file.session.get(column) for column in START_COLUMNS)
    is_same = start is not None and start.tzinfo is None and start == row["session_start"]
    return not (before is None and is_same and offset_min is None and zone is None)


def _compare_mouse(found: Corrections, before: dict[str, Any] | None, file: SessionFile, run: IngestRun) -> None:
    """A mouse is told of by all of its sessions: another one that says something else is a contradiction."""
    key = {"mouse_id": found.key["mouse_id"]}
    row = (Mouse & key).fetch1()
    changed = _changed(before, found.said, "mouse", file.mouse)
    others = _read_files(run.other_session_files(SessionName(**found.key))) if changed else {}
    for column in Mouse.metadata:
        if column.name not in changed:
            continue
        value = file.mouse.get(column.name, column.unknown)
        said = {path: other.mouse[column.name] for path, other in others.items() if column.name in other.mouse}
        if column.name not in file.mouse and said:
            continue  # another session still says it
        for path, other in said.items():
            if other != value:
                raise SessionError(
                    f"{found.path}: mouse {key['mouse_id']} has {column.name} {_text(value)}, but {path} says"
                    f" {_text(other)}; correct the one that is wrong, then ingest again"
                )
        if value != row[column.name]:
            found.mouse[column.name], found.before[column.name] = value, row[column.name]
    if found.mouse.get("date_of_birth"):
        for day in (Session & key).to_arrays("session_date"):
            check_plausible_birth(str(found.path), key["mouse_id"], found.mouse["date_of_birth"], day)


def _read_files(paths: Sequence[Path]) -> dict[Path, SessionFile]:
    """What the other sessions of the mouse say now, by path, as far as their folders can be read."""
    files = {}
    for path in paths:
        try:
            files[path] = read_session_file(path)
        except (SessionError, OSError):
            continue
    return files


def _compare_videos(found: Corrections, before: dict[str, Any] | None, file: SessionFile) -> None:
    rows = (Video & found.key).to_dicts()
    found.unused.extend(unused_video_values(file, [row["camera"] for row in rows]))
    for row in rows:
        camera = row["camera"]
        said = file.videos.get(camera, {})
        changed = _changed(
            (before or {}).get("videos") if before is not None else None, found.said["videos"], camera, said
        )
        for column in Video.metadata:
            value = said.get(column.name, column.unknown)
            if column.name in changed and value != row[column.name]:
                found.videos.setdefault(camera, {})[column.name] = value
                found.before[camera, column.name] = row[column.name]
        scale = found.videos.get(camera, {}).get("px_per_mm")
        if scale is not None:
            check_plausible_scale(str(found.path), camera, scale, row["width_px"])


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


def _text(value: Any) -> str:
    """A value for people; empty for what is not known."""
    if value is None or value == "unknown":
        return ""
    return str(value.isoformat() if hasattr(value, "isoformat") else value)
