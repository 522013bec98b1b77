"""Files of a known session that lie elsewhere now, or are called otherwise: their rows follow, by their content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compute.errors import SessionError
from compute.text import count_text
from compute.video import video_content_hash
from ingest.correction_history import correction_line, corrections_locked, insert_correction
from ingest.known_recordings import is_recording_there, is_there
from ingest.session_folders import SessionFolderName
from schemas.pose import PoseFile
from schemas.session import Session, Video

Row = Mapping[str, Any]


def videos_by_known_camera(videos: Mapping[str, Path], rows: Sequence[Row]) -> dict[str, Path]:
    """Videos of a session's folder by the camera that the lab knows each by.

    That is the file's name, unless a person corrected which camera filmed it. Then it is the name that the row says,
    or, where the file was renamed too, its content.

    Parameters
    ----------
    videos : mapping of str to Path
        Videos by their name.
    rows : sequence of mapping
        The session's rows of `Video`.
    """
    if all(Path(row["video_file"]).stem == row["camera"] for row in rows):
        return dict(videos)
    by_name = {Path(row["video_file"]).name: row for row in rows}
    found = {}
    for name, path in videos.items():
        row = by_name.get(path.name)
        if row is None or path.stat().st_size != row["file_size_bytes"]:
            content_hash = video_content_hash(path)
            row = next((one for one in rows if one["content_hash"] == content_hash), None)
        found[name if row is None else row["camera"]] = path
    return found


def follow_moved_files(
    name: SessionFolderName, folder: Path, videos: Mapping[str, Path], rows: Sequence[Row], *, dry_run: bool
) -> str:
    """Let the rows of a known session follow its files, where these are no longer where they were.

    Parameters
    ----------
    name : SessionFolderName
        The session.
    folder : Path
        The folder in which its videos are now.
    videos : mapping of str to Path
        These videos, by the camera that the lab knows each by.
    rows : sequence of mapping
        The session's rows of `Video`.
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
                f"{now} has another content than the video of camera {row['camera']} that session {name} was ingested"
                f" with ({before}, which is not there any more); recordings never change. Put the right file there, or"
                " give the new video a session of its own"
            )
        moved[row["camera"]] = (before, now)
    if not moved:
        return ""
    if not dry_run:
        _move_rows(name, folder, moved)
    before = next(iter(moved.values()))[0]
    where = f"from {before.parent} to {folder}" if before.parent != folder else f"in {folder}"
    return f"{count_text(len(moved), 'video')} moved {where}; nothing is computed anew"


def _move_rows(name: SessionFolderName, folder: Path, moved: Mapping[str, tuple[Path, Path]]) -> None:
    """Change where the rows say that the files are."""
    with corrections_locked(), Session.connection.transaction:
        folder_before = (Session & name.key).fetch1("session_folder")
        lines = []
        if folder_before != str(folder):
            Session.update1({**name.key, "session_folder": str(folder)})
            lines.append(correction_line(name.key, "session_folder", folder_before, folder))
        for camera, (before, now) in moved.items():
            key = {**name.key, "camera": camera}
            Video.update1({**key, "video_file": str(now)})
            lines.append(correction_line(name.key, "video_file", before, now, camera=camera))
            for row in (PoseFile & key).proj("pose_file").to_dicts():
                pose_file = Path(row["pose_file"])
                if pose_file.parent == before.parent and is_there(folder / pose_file.name):
                    PoseFile.update1({**row, "pose_file": str(folder / pose_file.name)})
        insert_correction(lines)
