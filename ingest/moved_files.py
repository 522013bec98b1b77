"""Files of a known session that lie elsewhere now, or are called otherwise: their rows follow, by their content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compute.errors import SessionError
from compute.text import count_text
from compute.video import video_content_hash
from ingest.correction_history import correction_line, corrections_locked, insert_correction
from ingest.found_sessions import FoundSession, one_video_per_camera
from ingest.known_recordings import is_recording_there, is_there
from ingest.layout import Layout, UnreadablePathError
from schemas.pose import PoseFile
from schemas.session import Session, Video

Row = Mapping[str, Any]


def videos_by_known_camera(session: FoundSession, rows: Sequence[Row], layout: Layout) -> dict[str, Path]:
    """Videos of a known session by the camera that the lab knows each by.

    That is the camera that its path names, unless a person corrected which camera filmed it. Then it is the camera of
    the row that names this file, or, where the file was moved or renamed too, of the row with its content.

    Parameters
    ----------
    session : FoundSession
        The session, as it lies now.
    rows : sequence of mapping
        Its rows of `Video`.
    layout : Layout
        How the lab's recordings lie.

    Raises
    ------
    SessionError
        As `ingest.found_sessions.one_video_per_camera`.
    """
    by_file = {(Path(row["video_file"]), row["file_size_bytes"]): row["camera"] for row in rows}
    is_corrected = any(_camera_of_path(row["video_file"], layout) != row["camera"] for row in rows)
    found = {}
    for camera, path in one_video_per_camera(session).items():
        known = by_file.get((path, path.stat().st_size))
        if known is None and is_corrected:
            content_hash = video_content_hash(path)
            known = next((row["camera"] for row in rows if row["content_hash"] == content_hash), None)
        found[camera if known is None else known] = path
    return found


def _camera_of_path(path: str, layout: Layout) -> str | None:
    """The camera that the path of a video names; None where the layout does not say it."""
    try:
        reading = layout.read(path)
    except UnreadablePathError:
        return None
    return None if reading is None else reading.camera


def follow_moved_files(session: FoundSession, videos: Mapping[str, Path], rows: Sequence[Row], *, dry_run: bool) -> str:
    """Let the rows of a known session follow its files, where these are no longer where they were.

    Parameters
    ----------
    session : FoundSession
        The session as the lab calls it, and where it lies now.
    videos : mapping of str to Path
        Its videos, by the camera that the lab knows each by.
    rows : sequence of mapping
        Its rows of `Video`.
    dry_run : bool
        Change nothing.

    Returns
    -------
    str
        What was moved, for people; empty if nothing was.

    Raises
    ------
    SessionError
        If a video has another content than the one that was ingested. Nothing is changed then.
    """
    moved: dict[str, tuple[Path, Path]] = {}
    for row in rows:
        before, now = Path(row["video_file"]), videos.get(row["camera"])
        if now is None or now == before or (is_recording_there(row) and before not in videos.values()):
            continue
        if video_content_hash(now) != row["content_hash"]:
            raise SessionError(
                f"{now} has another content than the video of camera {row['camera']} that session {session.name} was"
                f" ingested with ({before}, which is not there any more); recordings never change. Put the right file"
                " there, or give the new video a session of its own"
            )
        moved[row["camera"]] = (before, now)
    if not moved:
        return ""
    if not dry_run:
        _move_rows(session, moved)
    before, now = next(iter(moved.values()))
    where = f"from {before.parent} to {now.parent}" if before.parent != now.parent else f"in {now.parent}"
    return f"{count_text(len(moved), 'video')} moved {where}; nothing is computed anew"


def _move_rows(session: FoundSession, moved: Mapping[str, tuple[Path, Path]]) -> None:
    """Change where the rows say that the files are."""
    name, folder = session.name, str(session.folder)
    with corrections_locked(), Session.connection.transaction:
        folder_before = (Session & name.key).fetch1("session_folder")
        lines = []
        if folder_before != folder:
            Session.update1({**name.key, "session_folder": folder})
            lines.append(correction_line(name.key, "session_folder", folder_before, folder))
        for camera, (before, now) in moved.items():
            key = {**name.key, "camera": camera}
            Video.update1({**key, "video_file": str(now)})
            lines.append(correction_line(name.key, "video_file", before, now, camera=camera))
            for row in (PoseFile & key).proj("pose_file", "pose_file_hash").to_dicts():
                pose_file = _pose_file(row, before, now)
                if Path(row["pose_file"]).parent == before.parent and is_there(pose_file):
                    PoseFile.update1({**row, "pose_file": str(pose_file)})
        insert_correction(lines)


def _pose_file(row: Row, before: Path, now: Path) -> Path:
    """Where a file of poses lies beside a video that was moved: also if it was renamed as the video was."""
    name = Path(row["pose_file"]).name
    renamed = now.with_name(now.stem + name.removeprefix(before.stem))
    if renamed.name != name and renamed.exists() and video_content_hash(renamed) == row["pose_file_hash"]:
        return renamed
    return now.with_name(name)
