"""Sessions that were ingested before: what their files say now, beside what the database holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import tzinfo
from typing import Any

from compute.errors import SessionError
from ingest.changed_files import changed_files
from ingest.corrections import find_corrections, insert_corrections
from ingest.found_sessions import FoundSession, seconds_since_change
from ingest.ingest_run import IngestRun
from ingest.known_recordings import refuse_copied_session
from ingest.moved_files import follow_moved_files, videos_by_known_camera
from ingest.other_files import refuse_other_videos
from ingest.outcomes import SessionOutcome, Status
from ingest.timestamps import timestamps_path


def known_outcome(
    found: FoundSession,
    run: IngestRun,
    videos: list[dict[str, Any]],
    stable_after_s: float,
    dry_run: bool,
    zone: tzinfo | None,
) -> SessionOutcome:
    """Take in where a known session lies and what its session.toml says now, and say which other files changed.

    Parameters
    ----------
    found : FoundSession
        Its files, under the name that the lab has for it.
    run : IngestRun
        What is known.
    videos : list of dict
        As of `known_videos`.
    stable_after_s : float
        A session.toml that was written within this many seconds is left for the next pass.
    dry_run : bool
        Change nothing.
    zone : tzinfo or None
        The rig's time zone; None: this machine's.

    Raises
    ------
    SessionError
        As `ingest.corrections.find_corrections` and `ingest.moved_files.follow_moved_files`.
    """
    if str(found.name) in run.sessions:  # in a dry run: it is ingested now
        return _correct(found, run, stable_after_s, dry_run, zone)
    paths = videos_by_known_camera(found, videos, run.layout)
    moved = follow_moved_files(found, paths, videos, dry_run=dry_run)
    outcome = _correct(found, run, stable_after_s, dry_run, zone)
    if moved and outcome.status == "known":
        outcome = replace(outcome, status="would be moved" if dry_run else "moved", message=f"{found.name}: {moved}")
    elif moved:
        outcome = replace(outcome, message=f"{outcome.message}; {moved}")
    notes = changed_files(found, paths, videos, zone)
    if not notes:
        return outcome
    status: Status = "changed" if outcome.status == "known" else outcome.status
    return replace(outcome, status=status, message="; ".join([outcome.message, *notes]))


def _correct(
    found: FoundSession, run: IngestRun, stable_after_s: float, dry_run: bool, zone: tzinfo | None
) -> SessionOutcome:
    """Take in what the session.toml of a known session says now."""
    name, path = found.name, found.session_file
    known = SessionOutcome(found.folder, "known", f"{name} was ingested before", str(name))
    if seconds_since_change([path]) < stable_after_s:
        return known  # it may still be written
    if str(name) in run.sessions:
        return known  # in a dry run: what this folder would correct of the other one is not known yet
    corrections = find_corrections(name, path, zone, run)
    if corrections is None:
        return known
    what = corrections.describe()
    if dry_run:
        run.plan_correction(name.mouse_id, corrections.mouse)
    else:
        what = insert_corrections(corrections)
    if not what:
        return known
    status: Status = "would be corrected" if dry_run else "corrected"
    return SessionOutcome(found.folder, status, f"{name}: {what}", str(name))


def known_videos(session: FoundSession, run: IngestRun) -> list[dict[str, Any]] | None:
    """Rows of the videos of a session that is known with these videos; None if it is not known.

    Raises
    ------
    SessionError
        If the session has other videos in the database, since recordings never change; or another folder.
    """
    name = session.name
    videos = run.videos(name)
    if videos is None:
        return None
    refuse_copied_session(session, videos)
    known = {row["camera"]: row for row in videos}
    found = videos_by_known_camera(session, videos, run.layout)
    for camera, path in found.items():
        if camera not in known:
            raise SessionError(
                f"{path}: session {name} was ingested without camera {camera}; a session is ingested whole. Take it out"
                f" with 'orofacial delete session {name}', then 'orofacial ingest {session.folder}'; or give the video"
                " a session of its own. If videos of a session arrive far apart, see 'orofacial watch --marker'"
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
                f" 'orofacial ingest {session.folder}'"
            )
    if left_out := set(run.cameras) - known.keys():
        refuse_other_videos(session.other_videos, found, left_out)
    return videos
