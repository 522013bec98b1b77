"""A CSV that names the recordings one by one, for what no layout can say: a line a file."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path, PurePath

from compute.errors import SessionError
from compute.text import one_spelling
from ingest.layout import Layout, Reading, is_video_name
from ingest.session_names import SessionName

NEEDED, OPTIONAL = ("mouse", "date", "camera", "file"), ("number", "part")
"""Columns of the list."""


def list_stem(name: SessionName) -> str:
    """What the names of a listed session's own files begin with, such as its session.toml.

    Examples
    --------
    >>> list_stem(SessionName("mouse01", date(2026, 3, 2), 1))
    'mouse01_2026-03-02_1'
    """
    return f"{name.mouse_id}_{name.session_date}_{name.session_number}"


def read_recording_list(path: Path, layout: Layout) -> dict[Path, Reading]:
    """Read a list of recordings.

    Parameters
    ----------
    path : Path
        A CSV with a header: mouse, date (YYYY-MM-DD), camera, file, and if need be number and part. The files are below
        the list's folder, with slashes.
    layout : Layout
        For the cameras' aliases.

    Returns
    -------
    dict of Path to Reading
        By the file's absolute path. Without a number, the number is 1.

    Raises
    ------
    SessionError
        If the list is not there or lacks a column, or if a line names a file twice, a file that is not there, or a
        value of the wrong kind. The message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SessionError(
            f"{path} cannot be read ({error}); layout in settings.toml says that it lists the recordings. Expected a"
            f" CSV with the columns {', '.join((*NEEDED, *OPTIONAL))}"
        ) from error
    rows = csv.DictReader(text.splitlines())
    columns = [column.strip() for column in rows.fieldnames or ()]
    rows.fieldnames = columns
    lacking = [column for column in NEEDED if column not in columns]
    unknown = [column for column in columns if column not in (*NEEDED, *OPTIONAL)]
    if lacking or unknown or len(set(columns)) < len(columns):
        raise SessionError(
            f"{path} has the columns {', '.join(columns)}; expected {', '.join(NEEDED)}, and if need be"
            f" {' and '.join(OPTIONAL)}, each once. Correct the first line"
        )
    found: dict[Path, Reading] = {}
    for row in rows:
        where = f"{path}, line {rows.line_num}"
        if None in row or None in row.values():
            raise SessionError(f"{where} has not {len(columns)} values, as the first line has. Correct it")
        video, reading = _row(where, path.parent, {name: value.strip() for name, value in row.items()}, layout)
        if video in found:
            raise SessionError(f"{where} names {video} again; expected one line for a file. Remove one")
        found[video] = reading
    folders: dict[tuple[object, ...], list[Path]] = {}
    for video, reading in found.items():
        folders.setdefault((reading.mouse_id, reading.session_date, reading.number), []).append(video.parent)
    for video, reading in found.items():
        folder = _common_folder(folders[reading.mouse_id, reading.session_date, reading.number])
        found[video] = replace(reading, folder_depth=len(video.parts) - len(folder.parts))
    return found


def _row(where: str, folder: Path, row: Mapping[str, str], layout: Layout) -> tuple[Path, Reading]:
    if not row["file"] or PurePath(row["file"]).is_absolute() or ".." in PurePath(row["file"]).parts:
        raise SessionError(f"{where}: file is {row['file']!r}; expected a path below {folder}")
    video = folder / row["file"]
    if not is_video_name(video.name):
        raise SessionError(f"{where}: {row['file']!r} has no ending of a video that is taken")
    if not video.exists() and not video.is_symlink():
        raise SessionError(f"{where}: there is no file {video}. Correct the line, or mount the disk that holds it")
    empty = [name for name in ("mouse", "camera") if not row[name]]
    if empty:
        raise SessionError(f"{where}: {' and '.join(empty)} is empty. Fill it in")
    try:
        day = date.fromisoformat(row["date"])
    except ValueError as error:
        raise SessionError(
            f"{where}: {row['date']!r} is no date ({error}); expected YYYY-MM-DD, such as 2026-03-02"
        ) from error
    counts = {name: row.get(name, "") for name in OPTIONAL}
    for name, text in counts.items():
        if text and not (text.isascii() and text.isdigit()):
            raise SessionError(f"{where}: {name} is {text!r}; expected digits, or nothing")
    number = int(counts["number"] or 1)
    mouse, camera = one_spelling(row["mouse"]), one_spelling(row["camera"])
    stem = list_stem(SessionName(mouse, day, number))
    camera = layout.camera_aliases.get(camera, camera)
    return video, Reading(mouse, day, number, None, camera, int(counts["part"]) if counts["part"] else None, 1, stem)


def _common_folder(folders: list[Path]) -> Path:
    """The deepest folder that holds all of these."""
    common = folders[0]
    while not all(folder.is_relative_to(common) for folder in folders):
        common = common.parent
    return common
