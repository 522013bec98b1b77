"""SLEAP's analysis CSV: a line an instance, with its track, the number of its frame, and x, y and score of each node.

SLEAP leaves out frames without an instance, and a person's instance has no scores. What the format has no place for
(edges, times, provenance) is in a ``.json`` beside the file; filter columns are not kept.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.errors import ExportError
from compute.formats.assembly import assemble_tracks
from compute.formats.frame_rows import frame_numbers
from compute.formats.one_animal import choose_one, one_animal_instances
from compute.formats.portable import PortableTrack
from compute.formats.registry import Format, register_format
from compute.formats.sidecar import about_in_sidecar, read_sidecar_times, write_sidecar
from compute.formats.text_table import TextTable

_FRAME, _TRACK, _VIDEO = "frame_idx", "track", "video"
_INSTANCE = "instance"
_INSTANCE_SCORES = (f"{_INSTANCE}.score", "score")
_COORDS = ("x", "y", "score")


def write(path: Path, track: PortableTrack) -> None:
    """Write tracks as SLEAP's CSV, and what it cannot hold as JSON beside it. Every frame gets a line.

    Raises
    ------
    ExportError
        If a node is called ``instance``: its score would be taken for that of the instance.
    """
    tracks = track.tracks
    if _INSTANCE in tracks.nodes:
        raise ExportError(f"{path}: SLEAP's CSV cannot hold a node that is called {_INSTANCE}; use another format")
    write_sidecar(path, track, time_s=tracks.time.tolist())
    values = np.concatenate([tracks.position, tracks.score[..., None]], axis=-1)
    values = values.reshape(tracks.n_frames, len(tracks.nodes) * len(_COORDS))
    totals = np.nansum(tracks.score, axis=1)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        columns = [f"{node}.{coord}" for node in tracks.nodes for coord in _COORDS]
        writer.writerow([_TRACK, _FRAME, _INSTANCE_SCORES[0], *columns])
        for index, row in enumerate(values):
            cells = ["" if np.isnan(value) else str(value) for value in row]
            writer.writerow(["", track.first_frame + index, float(totals[index]), *cells])


def read(path: Path, *, fps: float | None = None, name: str | None = None) -> PortableTrack:
    """Read the one mouse of a file that `write`, SLEAP or sleap-io wrote.

    Tracks that are never there in the same frame are joined. An instance without scores was placed by a person: it is
    taken before the predictions of its frame, and its scores are NaN.

    Raises
    ------
    ExportError
        If it is no such file, holds several animals or videos and `name` chooses none, a frame twice, or no times and
        no `fps` is given.
    """
    nodes, instances = _read_lines(path)
    videos = list(dict.fromkeys(instances["video"].tolist())) or [""]
    video = choose_one(path, "videos", videos, name if name in videos else None)
    instances = {column: values[instances["video"] == video] for column, values in instances.items()}
    frame_index, position, by_person = (instances[column] for column in ("frame_index", "position", "by_person"))
    name = None if name == video else name
    kept = one_animal_instances(path, frame_index, instances["track"].tolist(), position, by_person, name)
    rows = {"position": position[kept], "score": instances["score"][kept]}
    lines = instances["line"][kept]
    return assemble_tracks(
        path,
        nodes,
        frame_index[kept],
        rows,
        read_sidecar_times(path),
        fps=fps,
        by_person=by_person[kept],
        place=lambda row: f"{path}, line {lines[row]}",
    )


def _read_lines(path: Path) -> tuple[tuple[str, ...], dict[str, NDArray[Any]]]:
    """Nodes, and of each instance: frame number, line, track, video, position, score (node,), whether a person's."""
    table = TextTable(path)
    lines = iter(table)
    header = next(lines, [])
    nodes, columns = _columns(path, header)
    texts = {name: header.index(name) for name in (_FRAME, _TRACK, _VIDEO, *_INSTANCE_SCORES) if name in header}
    numbers, said, places = [], [], []
    for cells in lines:
        table.check_width(cells, len(header))
        numbers.append([table.number(cells[column]) for column in columns])
        said.append({name: cells[column] for name, column in texts.items()})
        places.append(table.line_number)
    values = np.array(numbers, np.float32).reshape(len(numbers), len(nodes), len(_COORDS))
    score = values[..., 2]
    scored = np.array([any(one.get(name) for name in _INSTANCE_SCORES) for one in said], bool)
    there = ~np.isnan(values[..., 0]).all(axis=1)
    return nodes, {
        "frame_index": frame_numbers([one[_FRAME] for one in said], lambda row: table.line(places[row])),
        "track": np.array([one.get(_TRACK, "") for one in said], np.str_),
        "video": np.array([one.get(_VIDEO, "") for one in said], np.str_),
        "position": values[..., :2],
        "score": score,
        "line": np.array(places, np.int64),
        "by_person": there & ~scored & np.isnan(score).all(axis=1),
    }


def _columns(path: Path, header: list[str]) -> tuple[tuple[str, ...], list[int]]:
    """Nodes in the order of the file, and the columns of x, y and score of each."""
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise ExportError(f"{path} has two columns {twice[0]}; expected one")
    found = (re.fullmatch(r"(.+)\.(?:x|y|score)", name) for name in header)
    nodes = tuple(dict.fromkeys(one[1] for one in found if one is not None and one[1] != _INSTANCE))
    missing = [f"{node}.{coord}" for node in nodes for coord in _COORDS if f"{node}.{coord}" not in header]
    if _FRAME not in header or not nodes or missing:
        wanted = ", ".join(missing or [_FRAME, "NODE.x, NODE.y, NODE.score"])
        raise ExportError(f"{path} has no column {wanted}, which SLEAP's analysis CSV has; export it again")
    return nodes, [header.index(f"{node}.{coord}") for node in nodes for coord in _COORDS]


def _is_one(path: Path) -> bool:
    try:
        return _FRAME in next(iter(TextTable(path)), [])
    except ExportError:
        return False


register_format(
    Format("sleap-csv", ".sleap.csv", "SLEAP's analysis CSV", write, read, about_in_sidecar, is_one=_is_one)
)
