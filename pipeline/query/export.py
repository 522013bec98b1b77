"""Export the result of a query as files."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from compute.errors import DatabaseError
from compute.formats import FORMATS, ExportError, Format, PortableTrack, write, write_whole
from compute.formats.contents import Contents, about_contents, contents_difference, file_contents
from compute.json_text import json_value
from pipeline.query.checks import checked_texts
from pipeline.query.columns import KEY
from pipeline.query.selection import LeftOut, selection_row_name
from pipeline.why import why_chain, why_tracks
from schemas.calibration import CalibrationReader, calibrate
from schemas.labels import Skeleton
from schemas.model import Model
from schemas.session import METADATA, Video
from schemas.track import FilteredTrack

SESSION = ("mouse_id", "session_date", "session_number")


@dataclass(frozen=True)
class Exported:
    """Result of an export.

    Attributes
    ----------
    written : list of Path
        Files that were written now.
    kept : list of Path
        Existing files that were kept.
    not_compared : list of Path
        Those of the kept files that do not say what they hold: another program wrote them, or saved them since.
    left_out : list of LeftOut
        Tracks that could not be read or have no frame in the span of time, and why.
    """

    written: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    not_compared: list[Path] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def export_rows(
    format_name: str,
    rows: Iterable[dict[str, Any]],
    folder: Path,
    *,
    nodes: Sequence[str] | None = None,
    time_span_s: tuple[float, float] | None = None,
    overwrite: bool = False,
    skip_broken: bool = False,
    calibrated: bool = False,
    on_file: Callable[[Path], None] = lambda path: None,
) -> Exported:
    """Write the tracks of these rows, one file each, or one file a session where that is the format's way (NWB).

    Parameters
    ----------
    format_name : str
        One of `compute.formats.FORMATS`.
    rows : iterable of dict
        Rows of `pipeline.query.tracks`.
    folder : Path
        Made if it is not there.
    nodes : sequence of str, optional
        Only these nodes; one that is named twice counts once.
    time_span_s : tuple of two floats, optional
        Only frames with start <= time < end (s); infinite at an open end. They keep the numbers and times that they
        have in the video. A track without such a frame is left out.
    overwrite : bool
        Write existing files again. Without it they are kept: somebody may have edited them, and an export
        that was stopped continues. An existing file is an error that holds other tracks or nodes, or of which the
        metadata or what made the tracks has changed in the database.
    skip_broken : bool
        Leave out tracks that cannot be read (`Exported.left_out`), and go on. Otherwise the first of them is an error.
    calibrated : bool
        Take off lasting offsets and give every point its interval, see `pipeline.query.tracks`.
    on_file : callable
        Called with each file when it is finished.

    Raises
    ------
    ExportError
        If a file cannot be written; those before it stay. Before anything is written: if a file that is to be kept
        holds something else.
    DatabaseError, TracksError
        If tracks cannot be read from the store, naming the row.
    """
    one, done = FORMATS[format_name], Exported()
    nodes = checked_texts("nodes", nodes) or None
    ordered = sorted(rows, key=_order)
    if not ordered:
        raise ExportError("there is nothing to export: no tracks fit")
    groups = [list(group) for _, group in groupby(ordered, key=_session)] if one.a_session else [[r] for r in ordered]
    read = functools.partial(
        _read,
        left_out=done.left_out,
        skip_broken=skip_broken,
        nodes=nodes,
        time_span_s=time_span_s,
        calibration=CalibrationReader() if calibrated else None,
    )
    by_path = {folder / export_file_name(format_name, group[0]): group for group in groups}
    if not overwrite:
        done.kept.extend(path for path in by_path if path.exists())
        for path in done.kept:
            held = file_contents(one, path)
            if held is None:
                done.not_compared.append(path)
            else:
                _refuse_other(path, held, read(by_path[path]))
    kept = set(done.kept)
    for path, group in by_path.items():
        if path in kept:
            continue
        tracks = read(group)
        if tracks:
            _write(one, path, tracks, group[0])
            done.written.append(path)
            on_file(path)
    if one.finish is not None and (done.written or done.kept):
        one.finish(folder, {column.name: column.text for column in METADATA})
    return done


def _refuse_other(path: Path, held: Contents, tracks: list[PortableTrack]) -> None:
    """Refuse to keep an existing file that holds something else than these tracks as the database has them now."""
    differs = contents_difference(held, about_contents(json.loads(track.about()) for track in tracks))
    if differs:
        raise ExportError(
            f"{path} is there already: {differs}. Nothing was written; name another folder, or write the files anew"
            " with --overwrite"
        )


def _session(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in SESSION)


def _order(row: dict[str, Any]) -> tuple[Any, ...]:
    """By session; within it raw tracks first, which are those that SLEAP shows of an NWB file."""
    return (*_session(row), row["filter_method"] != "raw", row["camera"], row["filter_method"], row["model_id"])


def _read(
    group: list[dict[str, Any]],
    *,
    left_out: list[LeftOut],
    skip_broken: bool,
    time_span_s: tuple[float, float] | None,
    **options: Any,
) -> list[PortableTrack]:
    """Read the tracks of a file; those without a frame, or with `skip_broken` those that are damaged, are left out."""
    tracks = []
    for row in group:
        try:
            track = export_track(row, time_span_s=time_span_s, **options)
            if time_span_s is None or track.tracks.n_frames:
                tracks.append(track)
            else:
                left_out.append(LeftOut(row, "no frame in the span of time"))
        except DatabaseError as error:
            if not skip_broken:
                raise type(error)(f"{error}. To go on without it: --skip-broken") from error
            # `why_tracks` names the row by its key alone, without the model's name.
            named = selection_row_name({name: row[name] for name in FilteredTrack.primary_key})
            left_out.append(LeftOut(row, str(error).removeprefix(f"{named}: ")))
    return tracks


def _write(one: Format, path: Path, tracks: list[PortableTrack], row: dict[str, Any]) -> None:
    if one.a_session:
        write_whole(path, lambda temporary: one.write(temporary, tracks))
        return
    options = {"row": {name: row[name] for name in KEY if name in row}} if one.takes_row else {}
    write(one.name, path, tracks[0], **options)


def export_track(
    row: dict[str, Any],
    nodes: Sequence[str] | None = None,
    time_span_s: tuple[float, float] | None = None,
    *,
    calibration: CalibrationReader | None = None,
) -> PortableTrack:
    """Read the tracks of a row, with skeleton, video and provenance.

    Parameters
    ----------
    row : dict
        A row of `pipeline.query.tracks`, or another dict with the primary key of `FilteredTrack`.
    nodes : sequence of str, optional
        Only these nodes, and the edges between them.
    time_span_s : tuple of two floats, optional
        Only frames with start <= time < end (s).
    calibration : CalibrationReader, optional
        Take off lasting offsets and give every point its interval, see `pipeline.query.tracks`, by what this one reads
        once for all tracks.
    """
    key = {name: row[name] for name in FilteredTrack.primary_key}
    tracks = why_tracks(key, nodes)
    video_file, width_px, height_px = (Video & key).fetch1("video_file", "width_px", "height_px")
    edges = _edges(str((Model & key).fetch1("skeleton_id")))
    made = why_chain(key, tracks=tracks)
    if calibration is not None:
        tracks = calibrate(tracks, key, calibration)
        made["calibration"] = json_value(tracks.attributes["calibration"])
    first_frame = 0
    if time_span_s is not None:
        first_frame, stop = np.searchsorted(tracks.time, time_span_s).tolist()
        tracks = tracks.part(first_frame, stop)
        made["time_span_s"] = json_value(time_span_s)
    return PortableTrack(
        tracks,
        tuple(edge for edge in edges if set(edge) <= set(tracks.nodes)),
        video_file,
        (width_px, height_px),
        made,
        first_frame,
    )


@functools.lru_cache(maxsize=64)
def _edges(skeleton_id: str) -> tuple[tuple[str, str], ...]:
    rows = (Skeleton.Edge & {"skeleton_id": skeleton_id}).to_dicts(order_by="edge_index")
    return tuple((row["source_node"], row["target_node"]) for row in rows)


def export_file_name(format_name: str, row: dict[str, Any]) -> str:
    """Name of the file of a row: unique, and allowed on every system whatever the mouse is called.

    Examples
    --------
    >>> row = {"mouse_id": "mouse01", "session_date": "2026-03-02", "session_number": 1, "camera": "side",
    ...        "filter_method": "raw", "model_id": "0123456789abcdef"}
    >>> export_file_name("slp", row), export_file_name("nwb", row)
    ('mouse01_2026-03-02_1_side_raw_01234567.slp', 'sub-mouse01_ses-2026-03-02-1.nwb')
    """
    mouse = _safe(row["mouse_id"])
    if FORMATS[format_name].a_session:
        stem = f"sub-{mouse}_ses-{row['session_date']}-{row['session_number']}"
    else:
        parts = (row["session_date"], row["session_number"], _safe(row["camera"]), _safe(row["filter_method"]))
        stem = "_".join([mouse, *map(str, parts), str(row["model_id"])[:8]])
    return stem + FORMATS[format_name].ending


def _safe(name: str) -> str:
    """Letters, digits, dot and dash; with a hash where something else was replaced, so that names stay different."""
    safe = re.sub(r"[^\w.-]|_", "-", name, flags=re.ASCII).lstrip(".")
    return safe if safe == name else f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"
