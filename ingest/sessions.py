"""Insert session folders as rows: all of a folder or nothing. Running it again is safe."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from datajoint.errors import DuplicateError

from compute.errors import OrofacialError, SessionError
from compute.json_text import json_text
from ingest.changed_files import changed_files
from ingest.corrections import find_corrections, insert_corrections
from ingest.ingest_run import IngestRun, completed_mouse, known_mouse
from ingest.known_recordings import refuse_copied_folder, refuse_known_recordings
from ingest.moved_files import follow_moved_files, videos_by_known_camera
from ingest.new_videos import NewVideo, read_new_video
from ingest.other_files import drawn_videos_text, refuse_other_videos
from ingest.plausibility import (
    Span,
    check_known_cameras,
    check_plausible_birth,
    check_plausible_cameras,
    check_plausible_date,
    check_plausible_scale,
    check_plausible_sessions,
)
from ingest.rig_time import rig_time_zone_of, unix_time_instant
from ingest.session_files import SessionFile, read_session_file, session_file_json, unused_video_values
from ingest.session_folders import (
    SESSION_PATTERN,
    SessionFolderName,
    check_name_fits,
    find_session_folders,
    parse_session_folder,
    printable,
    refuse_dead_links,
    seconds_since_folder_change,
    session_folder_videos,
)
from ingest.session_start import (
    camera_spans,
    camera_time_zone,
    first_frame_instants,
    session_span,
    session_start_columns,
    times_since_start,
    unordered_starts,
)
from ingest.timestamps import timestamps_path, unused_timestamps
from ingest.unexpected import is_of_one_session
from schemas.metadata import complete_metadata
from schemas.session import Session, Video
from schemas.stored.publishing import published_or_removed
from schemas.subject import Mouse

_logger = logging.getLogger("orofacial")

Status = Literal[
    "ingested",
    "would be ingested",
    "corrected",
    "would be corrected",
    "moved",
    "would be moved",
    "known",
    "changed",
    "waiting",
    "refused",
]
"""Moved: known, and its files were found where they are now. Changed: known, but a video or its time stamps are not
what was ingested."""


@dataclass(frozen=True)
class SessionOutcome:
    """The result of one folder; `called`: the session that its name says, where the lab calls it otherwise."""

    folder: Path
    status: Status
    message: str
    called: str = ""


@dataclass(frozen=True)
class NewSession:
    """A session folder that was checked and is ready to be inserted."""

    name: SessionFolderName
    folder: Path
    file: SessionFile
    videos: tuple[NewVideo, ...]
    start: dict[str, Any]
    """When it began, by column of `Session`."""
    first_unix_s: dict[str, Decimal]
    """Instant of the first frame of each camera that knows it."""
    span: Span | None
    """When it was recorded; None: not known."""
    notes: tuple[str, ...]
    """What people should look at, though it is no reason to refuse the session."""


def ingest_sessions(
    raw_folder: Path,
    *,
    pattern: str = SESSION_PATTERN,
    stable_after_s: float = 10.0,
    dry_run: bool = False,
    marker: str = "",
    rig_time_zone: str = "",
    accept_damaged_videos: bool = False,
    skip: Callable[[Path], bool] = lambda folder: False,
    on_folder: Callable[[Path], None] = lambda folder: None,
) -> Iterator[SessionOutcome]:
    """Ingest every session below a folder that is new, and take in what a session.toml says now and did not before.

    Parameters
    ----------
    raw_folder : Path
        Where the sessions lie; it may also be one session's folder.
    pattern : str
        How session folders are named, see `ingest.session_folders.parse_session_folder`.
    stable_after_s : float
        A folder with a file written within this many seconds is left for the next pass.
    dry_run : bool
        Check everything, insert nothing; a session is compared with those of this run before it, too.
    marker : str
        Name of a file that the rig writes last; a folder without it is left for the next pass, and one with it is taken
        at once. Empty: there is none.
    rig_time_zone : str
        The rig's time zone, such as ``Europe/Berlin``; empty: this machine's.
    accept_damaged_videos : bool
        Take a video of which the decoder had to make up some frames in part; the row of `Video` counts them.
    skip : callable
        Returns whether to skip a folder.
    on_folder : callable
        Called with each folder, before the folder is read.

    Yields
    ------
    SessionOutcome
        One for each folder. A bad folder is refused, whatever is wrong with it; the others follow.

    Raises
    ------
    SessionError
        If `raw_folder` itself cannot be read.
    """
    run = IngestRun()
    for found in find_session_folders(raw_folder.resolve()):
        if isinstance(found, SessionError):
            yield SessionOutcome(raw_folder, "refused", printable(str(found)))
            continue
        if skip(found):
            continue
        on_folder(found)
        try:
            zone = rig_time_zone_of(rig_time_zone)
            outcome = _ingest_folder(found, run, pattern, stable_after_s, dry_run, marker, zone, accept_damaged_videos)
        except (OrofacialError, OSError) as error:
            outcome = SessionOutcome(found, "refused", printable(str(error)))
        except Exception as error:
            if not is_of_one_session(error):
                raise
            _logger.debug("%s was refused by an unexpected error", found, exc_info=True)
            what = f"{type(error).__name__}: {error}".strip().replace("\n", " ")
            message = (
                f"{found}: an unexpected error, {what}. Nothing of this session was changed. If the error names a value"
                " of its files, correct that and ingest again; if not, report the error with its text"
            )
            outcome = SessionOutcome(found, "refused", printable(message))
        yield outcome


def _ingest_folder(
    folder: Path,
    run: IngestRun,
    pattern: str,
    stable_after_s: float,
    dry_run: bool,
    marker: str,
    zone: tzinfo | None,
    accept_damaged_videos: bool,
) -> SessionOutcome:
    name = parse_session_folder(folder.as_posix(), pattern)
    if name is None:
        raise SessionError(
            f"{folder} does not fit the pattern {pattern}; expected for example mouse01/2026-03-02_1."
            " Rename the folder, or set session_pattern in settings.toml"
        )
    check_name_fits(folder, name)
    refuse_dead_links(folder)
    called, name = name, run.name_in_lab(name, folder)
    known = _known_videos(name, folder, run)
    if known is not None:
        outcome = _known_outcome(folder, name, run, known, 0 if marker else stable_after_s, dry_run, zone)
        renamed = replace(outcome, message=f"{outcome.message} (renamed from {called})", called=str(called))
        return outcome if called == name else renamed
    run.names.refuse_former_mouse(name, folder)
    if marker and not (folder / marker).exists():
        return SessionOutcome(folder, "waiting", f"{name} has no {marker} yet; left for the next pass")
    age_s = seconds_since_folder_change(folder)
    if age_s < stable_after_s and not marker:
        return SessionOutcome(folder, "waiting", f"{name} was written {age_s:.0f} s ago; left for the next pass")
    session = read_new_session(folder, name, zone, accept_damaged_videos=accept_damaged_videos, run=run)
    frames = ", ".join(video.frames_text() for video in session.videos) + drawn_videos_text(folder)
    frames = "; ".join([frames, *session.notes])
    if dry_run:
        run.plan(name, folder, session.file.mouse, session.videos, session.span)
        return SessionOutcome(folder, "would be ingested", f"{name}: {frames}")
    try:
        insert_new_session(session)
    except DuplicateError:
        # Another process inserted the same videos first.
        if _known_videos(name, folder, run) is None:
            raise SessionError(f"{folder}: a video of it was ingested at this moment under another name") from None
        return SessionOutcome(folder, "known", f"{name} was ingested by another process")
    return SessionOutcome(folder, "ingested", f"{name}: {frames}")


def _known_outcome(
    folder: Path,
    name: SessionFolderName,
    run: IngestRun,
    videos: list[dict[str, Any]],
    stable_after_s: float,
    dry_run: bool,
    zone: tzinfo | None,
) -> SessionOutcome:
    """Take in what the session.toml of a known session says now, and say which of its other files changed."""
    if str(name) in run.sessions:  # in a dry run: it is ingested now
        return _correct(folder, name, run, stable_after_s, dry_run, zone)
    found = videos_by_known_camera(session_folder_videos(folder), videos)
    moved = follow_moved_files(name, folder, found, videos, dry_run=dry_run)
    outcome = _correct(folder, name, run, stable_after_s, dry_run, zone)
    if moved and outcome.status == "known":
        outcome = SessionOutcome(folder, "would be moved" if dry_run else "moved", f"{name}: {moved}")
    elif moved:
        outcome = replace(outcome, message=f"{outcome.message}; {moved}")
    notes = changed_files(name, found, videos, zone)
    if not notes:
        return outcome
    status: Status = "changed" if outcome.status == "known" else outcome.status
    return replace(outcome, status=status, message="; ".join([outcome.message, *notes]))


def _correct(
    folder: Path, name: SessionFolderName, run: IngestRun, stable_after_s: float, dry_run: bool, zone: tzinfo | None
) -> SessionOutcome:
    """Take in what the session.toml of a known session says now."""
    known = SessionOutcome(folder, "known", f"{name} was ingested before")
    path = folder / "session.toml"
    if path.exists() and time.time() - path.stat().st_mtime < stable_after_s:
        return known  # it may still be written
    if str(name) in run.sessions:
        return known  # in a dry run: what this folder would correct of the other one is not known yet
    corrections = find_corrections(name.key, folder, zone, run)
    if corrections is None:
        return known
    what = corrections.describe()
    if dry_run:
        run.plan_correction(name.mouse_id, corrections.mouse)
    else:
        what = insert_corrections(corrections)
    if not what:
        return known
    return SessionOutcome(folder, "would be corrected" if dry_run else "corrected", f"{name}: {what}")


def _known_videos(name: SessionFolderName, folder: Path, run: IngestRun) -> list[dict[str, Any]] | None:
    """Rows of the videos of a session that is known with these videos; None if it is not known.

    Raises
    ------
    SessionError
        If the session has other videos in the database, since recordings never change; or another folder.
    """
    videos = run.videos(name)
    if videos is None:
        return None
    refuse_copied_folder(name, folder, videos)
    known = {row["camera"]: row for row in videos}
    found = videos_by_known_camera(session_folder_videos(folder), videos)
    for camera, path in found.items():
        if camera not in known:
            raise SessionError(
                f"{path}: session {name} was ingested without camera {camera}; a session is ingested whole. Take it out"
                f" with 'orofacial delete session {name}', then 'orofacial ingest {folder}'; or give the video a"
                " session of its own. If videos of a session arrive far apart, see 'orofacial watch --marker'"
            )
        if path.stat().st_size != known[camera]["file_size_bytes"]:
            raise SessionError(
                f"{path} has {path.stat().st_size} bytes, but session {name} was ingested with a video of"
                f" {known[camera]['file_size_bytes']} bytes ({known[camera]['video_file']}); recordings never"
                " change. Restore the file, or give the new video a session of its own"
            )
        if timestamps_path(path).exists() and known[camera]["times_from"] != "camera":
            raise SessionError(
                f"{timestamps_path(path)} came after session {name} was ingested, with the times of the video itself; a"
                f" session is ingested whole. Take it out with 'orofacial delete session {name}', then"
                f" 'orofacial ingest {folder}'"
            )
    if left_out := set(run.cameras) - known.keys():
        refuse_other_videos(folder, found, left_out)
    return videos


def read_new_session(
    folder: Path,
    name: SessionFolderName,
    zone: tzinfo | None = None,
    *,
    accept_damaged_videos: bool = False,
    run: IngestRun | None = None,
) -> NewSession:
    """Read and check everything of a session's folder; every video is decoded to its end.

    Parameters
    ----------
    folder : Path
        The folder.
    name : SessionFolderName
        Its session.
    zone : tzinfo or None
        The rig's time zone; None: this machine's.
    accept_damaged_videos : bool
        As in `ingest_sessions`.
    run : IngestRun, optional
        What is known; without it, the database.

    Raises
    ------
    SessionError, VideoError
        If any part of the folder cannot be ingested.
    """
    check_plausible_date(str(folder), name.session_date)
    paths = session_folder_videos(folder)
    run = run or IngestRun()
    refuse_other_videos(folder, paths, run.cameras if paths else ())
    if not paths:
        raise SessionError(f"{folder} holds no video; expected <camera>.mp4, such as side.mp4 and lower.mp4")
    run.refuse_other_spelling(folder, name.mouse_id)
    file = read_session_file(folder)
    check_known_cameras(str(folder), [*paths, *file.videos], run.cameras)
    told = str(folder / "session.toml")
    if "date_of_birth" in file.mouse:
        check_plausible_birth(told, name.mouse_id, file.mouse["date_of_birth"], name.session_date)
    videos = tuple(read_new_video(camera, path, file, zone, accept_damaged_videos) for camera, path in paths.items())
    for video in videos:
        if "px_per_mm" in video.metadata:
            check_plausible_scale(told, video.camera, video.metadata["px_per_mm"], video.info.width_px)
    refuse_known_recordings(name, [(one.path, one.content_hash) for one in videos], run.videos_of_content)
    timestamps = {video.camera: video.timestamps for video in videos if video.timestamps is not None}
    first_unix_s = first_frame_instants(timestamps)
    clocks = {str(timestamps[camera].path): unix_time_instant(float(one)) for camera, one in first_unix_s.items()}
    check_plausible_cameras(camera_spans(timestamps))
    local = zone or camera_time_zone(timestamps)
    start = session_start_columns(told, file.session, clocks, name.session_date, local)
    notes = [*unused_timestamps(folder, list(paths.values())), *unused_video_values(file, paths)]
    span = session_span(start, [video.length_s for video in videos])
    if span is not None:
        others = run.other_spans(name)
        check_plausible_sessions(str(folder), span, {str(other): known for other, known in others.items()})
        notes += unordered_starts(name, span, others)
    return NewSession(name, folder, file, videos, start, first_unix_s, span, tuple(notes))


def insert_new_session(session: NewSession) -> None:
    """Insert the mouse if it is new, the session and its videos, in one transaction."""
    key = session.name.key
    row = {**key, **complete_metadata(Session.metadata, session.file.session), **session.start}
    row |= {"session_folder": str(session.folder), "session_file_said": json_text(session_file_json(session.file))}
    zero_unix_s = min(session.first_unix_s.values(), default=None)
    with Session.connection.transaction, published_or_removed():
        _insert_mouse(session.name, session.file.mouse, session.folder)
        Session.insert1(row)
        for video in session.videos:
            first_unix_s = session.first_unix_s.get(video.camera)
            zero = None if first_unix_s is None or zero_unix_s is None else float(zero_unix_s)
            times = video.info.own_times_s
            if video.timestamps is not None:
                times = times_since_start(video.timestamps, first_unix_s, zero_unix_s)
            Video.insert1({**key, **video.row(), "timestamps": times, "time_zero_unix_s": zero})


def _insert_mouse(name: SessionFolderName, said: dict[str, Any], folder: Path) -> None:
    """Insert a mouse, or complete its row from session.toml."""
    known = known_mouse(name.mouse_id)
    completed = completed_mouse(known, name, said, folder)
    if known is None:
        Mouse.insert1(completed, skip_duplicates=True)
    elif completed != known:
        Mouse.update1(completed)
