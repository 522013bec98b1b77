"""Insert sessions as rows: all of a session or nothing. Running it again is safe."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any

from datajoint.errors import DuplicateError

from compute.errors import OrofacialError, SessionError
from compute.json_text import json_text
from compute.text import count_text
from ingest.found_sessions import FoundSession, number_sessions, one_video_per_camera, refuse_dead_links
from ingest.ingest_run import IngestRun, completed_mouse, known_mouse
from ingest.known_recordings import refuse_known_recordings
from ingest.known_sessions import known_outcome, known_videos
from ingest.layout import Layout
from ingest.new_videos import NewVideo, read_new_video
from ingest.other_files import refuse_other_videos
from ingest.outcomes import SessionOutcome
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
from ingest.search import FoundRecordings, find_recordings
from ingest.session_files import SessionFile, read_session_file, session_file_json, unused_video_values
from ingest.session_names import SessionName, check_name_fits, printable
from ingest.session_start import (
    camera_spans,
    camera_time_zone,
    first_frame_instants,
    session_span,
    session_start_columns,
    times_since_start,
    unordered_starts,
)
from ingest.timestamps import unused_timestamps
from ingest.unexpected import is_of_one_session
from schemas.metadata import complete_metadata
from schemas.session import Session, Video
from schemas.stored.publishing import published_or_removed
from schemas.subject import Mouse

_logger = logging.getLogger("orofacial")


@dataclass(frozen=True)
class NewSession:
    """A session that was checked and is ready to be inserted."""

    found: FoundSession
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

    @property
    def name(self) -> SessionName:
        """Mouse, date and number."""
        return self.found.name


def ingest_sessions(
    raw_folder: Path,
    *,
    layout: Layout | None = None,
    stable_after_s: float = 10.0,
    dry_run: bool = False,
    marker: str = "",
    rig_time_zone: str = "",
    accept_damaged_videos: bool = False,
    skip: Callable[[FoundSession], bool] = lambda found: False,
) -> Iterator[SessionOutcome]:
    """Ingest every session below a folder that is new, and take in what a session.toml says now and did not before.

    Parameters
    ----------
    raw_folder : Path
        Where the sessions lie; it may also be one session's folder.
    layout : Layout, optional
        How they are named; without it, the default of `ingest.layout.Layout`.
    stable_after_s : float
        A session with a file written within this many seconds is left for the next pass.
    dry_run : bool
        Check everything, insert nothing; a session is compared with those of this run before it, too.
    marker : str
        Name of a file that the rig writes last; a session without it is left for the next pass, and one with it is
        taken at once. Empty: there is none. Among other sessions in a folder it is ``<name>.<marker>``.
    rig_time_zone : str
        The rig's time zone, such as ``Europe/Berlin``; empty: this machine's.
    accept_damaged_videos : bool
        Take a video of which the decoder had to make up some frames in part; the row of `Video` counts them.
    skip : callable
        Returns whether to skip a session.

    Yields
    ------
    SessionOutcome
        One for each folder that cannot be read, then one for each session. A bad one is refused, whatever is wrong
        with it; the others follow. Then one for each folder with files that fit no session, and one for all files that
        are left out.

    Raises
    ------
    SessionError
        If `raw_folder` itself cannot be read.
    """
    run = IngestRun(layout or Layout())
    recordings = find_recordings(raw_folder, run.layout, run.cameras)
    for error in recordings.unreadable:
        yield SessionOutcome(raw_folder, "refused", printable(str(error)))
    spelled = [replace(found, mouse_id=run.names.spelled(found.mouse_id)) for found in recordings.sessions]
    for called in number_sessions(spelled, run.known_times):
        if skip(called):
            continue
        found = called
        try:
            found = run.in_lab(called)
            zone = rig_time_zone_of(rig_time_zone)
            outcome = _ingest_session(found, run, stable_after_s, dry_run, marker, zone, accept_damaged_videos)
        except (OrofacialError, OSError) as error:
            outcome = SessionOutcome(found.folder, "refused", printable(str(error)), str(found.name))
        except Exception as error:
            if not is_of_one_session(error):
                raise
            _logger.debug("%s was refused by an unexpected error", found.place, exc_info=True)
            what = f"{type(error).__name__}: {error}".strip().replace("\n", " ")
            message = (
                f"{found.place}: an unexpected error, {what}. Nothing of this session was changed. If the error names a"
                " value of its files, correct that and ingest again; if not, report the error with its text"
            )
            outcome = SessionOutcome(found.folder, "refused", printable(message), str(found.name))
        if found.name != called.name:
            message = f"{outcome.message} (renamed from {called.name})"
            outcome = replace(outcome, message=message, called=str(called.name))
        yield outcome
    yield from _other_outcomes(raw_folder, run.layout, recordings)


def _other_outcomes(raw_folder: Path, layout: Layout, recordings: FoundRecordings) -> Iterator[SessionOutcome]:
    """What became of the files that are of no session."""
    unfit: dict[Path, list[tuple[Path, str]]] = {}
    for path, why in recordings.unfit:
        unfit.setdefault(path.parent, []).append((path, why))
    for folder, files in unfit.items():
        path, why = files[0]
        others = f", and {count_text(len(files) - 1, 'other file')} of this folder" if len(files) > 1 else ""
        expected = "" if layout.is_list else f", such as {layout.example}"
        message = (
            f"{path} is of no session: {why}{others}. Expected {layout.text}{expected}. Rename it, correct layout in"
            " settings.toml, or, if it is no recording, name it in not_recordings; 'orofacial layout test"
            f" {raw_folder}' shows all files"
        )
        yield SessionOutcome(folder, "refused", printable(message))
    if recordings.left_out:
        patterns = ", ".join(dict.fromkeys(pattern for _, pattern in recordings.left_out))
        n_files = count_text(len(recordings.left_out), "file")
        message = f"{n_files}, as no recording: {recordings.left_out[0][0]}{' ...' * (len(recordings.left_out) > 1)}"
        yield SessionOutcome(raw_folder, "left out", printable(f"{message} ({patterns})"))


def _ingest_session(
    found: FoundSession,
    run: IngestRun,
    stable_after_s: float,
    dry_run: bool,
    marker: str,
    zone: tzinfo | None,
    accept_damaged_videos: bool,
) -> SessionOutcome:
    name, folder = found.name, found.folder
    check_name_fits(found.place, name)
    refuse_dead_links(found)
    known = known_videos(found, run)
    if known is not None:
        return known_outcome(found, run, known, 0 if marker else stable_after_s, dry_run, zone)
    run.names.refuse_former_mouse(name, found.place)
    run.refuse_other_spelling(found.place, name.mouse_id)
    if marker and not found.beside(marker).exists():
        text = f"{name} has no {found.beside(marker).name} yet; left for the next pass"
        return SessionOutcome(folder, "waiting", text, str(name))
    age_s = found.seconds_since_change()
    if age_s < stable_after_s and not marker:
        when = f"{age_s:.0f} s ago" if age_s >= 0 else f"{-age_s:.0f} s to come, by the clock of the disk's server"
        return SessionOutcome(folder, "waiting", f"{name} was written {when}; left for the next pass", str(name))
    session = read_new_session(found, zone, accept_damaged_videos=accept_damaged_videos, run=run)
    frames = "; ".join([", ".join(video.frames_text() for video in session.videos), *session.notes])
    if dry_run:
        run.plan(name, found.session_file, session.file.mouse, session.videos, session.span)
        return SessionOutcome(folder, "would be ingested", f"{name}: {frames}", str(name))
    try:
        insert_new_session(session)
    except DuplicateError:
        # Another process inserted the same videos first.
        if known_videos(found, run) is None:
            raise SessionError(f"{found.place}: a video of it was ingested at this moment under another name") from None
        return SessionOutcome(folder, "known", f"{name} was ingested by another process", str(name))
    return SessionOutcome(folder, "ingested", f"{name}: {frames}", str(name))


def read_new_session(
    found: FoundSession,
    zone: tzinfo | None = None,
    *,
    accept_damaged_videos: bool = False,
    run: IngestRun | None = None,
) -> NewSession:
    """Read and check everything of a session; every video is decoded to its end.

    Parameters
    ----------
    found : FoundSession
        The session's files.
    zone : tzinfo or None
        The rig's time zone; None: this machine's.
    accept_damaged_videos : bool
        As in `ingest_sessions`.
    run : IngestRun, optional
        What is known; without it, the database.

    Raises
    ------
    SessionError, VideoError
        If any part of the session cannot be ingested.
    """
    name = found.name
    check_plausible_date(found.place, name.session_date)
    paths = one_video_per_camera(found)
    run = run or IngestRun()
    refuse_other_videos(found.other_videos, paths, run.cameras if paths else ())
    if not paths:
        raise SessionError(f"{found.place} holds no video; expected such as {run.layout.example}")
    file = read_session_file(found.session_file)
    check_known_cameras(found.place, [*paths, *file.videos], run.cameras)
    told = str(found.session_file)
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
    notes = [*unused_timestamps(found.files, paths), *unused_video_values(file, paths)]
    span = session_span(start, [video.length_s for video in videos])
    if span is not None:
        others = run.other_spans(name)
        check_plausible_sessions(found.place, span, {str(other): known for other, known in others.items()})
        notes += unordered_starts(name, span, others)
    return NewSession(found, file, videos, start, first_unix_s, span, tuple(notes))


def insert_new_session(session: NewSession) -> None:
    """Insert the mouse if it is new, the session and its videos, in one transaction."""
    key = session.name.key
    row = {**key, **complete_metadata(Session.metadata, session.file.session), **session.start}
    said = json_text(session_file_json(session.file))
    row |= {"session_folder": str(session.found.folder), "session_file_said": said}
    zero_unix_s = min(session.first_unix_s.values(), default=None)
    with Session.connection.transaction, published_or_removed():
        _insert_mouse(session.name, session.file.mouse, session.found.session_file)
        Session.insert1(row)
        for video in session.videos:
            first_unix_s = session.first_unix_s.get(video.camera)
            zero = None if first_unix_s is None or zero_unix_s is None else float(zero_unix_s)
            times = video.info.own_times_s
            if video.timestamps is not None:
                times = times_since_start(video.timestamps, first_unix_s, zero_unix_s)
            Video.insert1({**key, **video.row(), "timestamps": times, "time_zero_unix_s": zero})


def _insert_mouse(name: SessionName, said: dict[str, Any], session_file: Path) -> None:
    """Insert a mouse, or complete its row from session.toml."""
    known = known_mouse(name.mouse_id)
    completed = completed_mouse(known, name, said, session_file)
    if known is None:
        Mouse.insert1(completed, skip_duplicates=True)
    elif completed != known:
        Mouse.update1(completed)
