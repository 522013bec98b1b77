"""Tracks of many files as one DuckDB view, a line a frame. Only the files and columns that are needed are read."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipeline.query.checks import QueryError
from schemas.calibration import CalibratedTracksReference
from schemas.stored.fetching import TracksReference

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_INTERVAL = ("offsetx", "offsety", "halfwidth2", "usual2", "reach2")
"""Ends of the columns of the table ``calibration``: a `NodeInterval`, its half-width and reach squared (px, px²)."""


def open_duckdb_view(
    keys: pa.Table,
    references: Sequence[TracksReference],
    nodes: Sequence[str] | None = None,
    time_span_s: tuple[float, float] | None = None,
) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection of its own, in which the view ``tracks`` holds these tracks.

    Calibrated ones are calibrated as they are read: offsets and intervals of each file are a table beside them.

    Parameters
    ----------
    keys : pyarrow.Table
        A line a track: its key and details, and ``file``.
    references : sequence of TracksReference
        The files, one or more, in the order of `keys`.
    nodes : sequence of str, optional
        Only these nodes; None means all of each skeleton.
    time_span_s : tuple of two floats, optional
        Only frames with start <= time < end (s).

    Raises
    ------
    QueryError
        If two nodes differ in case only, which SQL does not tell apart.
    duckdb.Error
        If the files cannot be read as one table, such as when one is gone.
    """
    import duckdb

    connection = duckdb.connect()
    fs = references[0].filesystem
    if fs is not None:
        connection.register_filesystem(fs)
    connection.register("given", keys)
    connection.execute("create temp table keys as select * from given")
    connection.unregister("given")
    calibrated = [reference for reference in references if isinstance(reference, CalibratedTracksReference)]
    if calibrated:
        connection.register("intervals", _calibration(calibrated, nodes))
        connection.execute("create temp table calibration as select * from intervals")
        connection.unregister("intervals")
    connection.execute(f"create temp view tracks as {_select(references, nodes, time_span_s)}")
    return connection


def _select(
    references: Sequence[TracksReference], nodes: Sequence[str] | None, time_span_s: tuple[float, float] | None
) -> str:
    """The view: files of the same columns are read as one, others put below them, and each file's key beside it."""
    layouts: dict[tuple[Any, ...], list[TracksReference]] = {}
    for reference in references:
        layouts.setdefault((reference.nodes, reference.filter_columns), []).append(reference)
    parts = [_read(layout, nodes, time_span_s) for layout in layouts.values()]
    keys = "keys.* exclude (file)"
    return (
        f"select {keys}, files.* exclude (filename)"
        f" from ({' union all by name '.join(parts)}) files join keys on files.filename = keys.file"
    )


def _read(
    references: list[TracksReference], wanted: Sequence[str] | None, time_span_s: tuple[float, float] | None
) -> str:
    nodes, suffixes = references[0].nodes, references[0].suffixes
    folded = [node.casefold() for node in nodes]
    if len(set(folded)) != len(folded):
        raise QueryError(f"SQL does not tell nodes apart that differ in case only: {', '.join(nodes)}")
    is_calibrated = isinstance(references[0], CalibratedTracksReference)
    columns = ["filename", "file_row_number as frame_index", "time_s"]
    for node in nodes if wanted is None else wanted:
        columns += _calibrated(node, suffixes) if is_calibrated else [_quoted(f"{node}_{end}") for end in suffixes]
    files = ", ".join(_literal(duckdb_pattern(reference.address)) for reference in references)
    source = f"read_parquet([{files}], filename=true, file_row_number=true, hive_partitioning=false) stored"
    if is_calibrated:
        source += " join calibration on stored.filename = calibration.file"
    if time_span_s is None:
        return f"select {', '.join(columns)} from {source}"
    start_s, end_s = time_span_s
    ends = ((">=", start_s), ("<", end_s))
    within = " and ".join(f"time_s {sign} {second!r}" for sign, second in ends if math.isfinite(second))
    return f"select {', '.join(columns)} from {source}{' where ' if within else ''}{within}"


def _calibration(references: Sequence[CalibratedTracksReference], nodes: Sequence[str] | None) -> pa.Table:
    """Offsets and intervals, a line a file. Nodes of several files that differ in case share columns."""
    import pyarrow as pa

    lines = []
    for reference in references:
        line: dict[str, Any] = {"file": reference.address}
        intervals = reference.intervals(nodes)
        for node in reference.nodes if nodes is None else nodes:
            one = intervals.get(node)
            of_node: tuple[float | None, ...] = (0.0, 0.0, None, None, None)
            if one is not None:
                squares = (one.half_width_px**2, one.usual_variance_px2, one.n_standard_deviations**2)
                of_node = (*one.offset_px, *squares)
            line |= {f"{node.casefold()}_{end}": value for end, value in zip(_INTERVAL, of_node, strict=True)}
        lines.append(line)
    names = dict.fromkeys(name for line in lines for name in line if name != "file")
    return pa.Table.from_pylist(lines, pa.schema([("file", pa.string()), *((name, pa.float64()) for name in names)]))


def _calibrated(node: str, suffixes: Sequence[str]) -> list[str]:
    """The columns of a node as `compute.calibration.calibrated.calibrated_tracks` makes them, number for number."""
    stored = {end: f"stored.{_quoted(f'{node}_{end}')}" for end in (*suffixes, "xsd", "ysd")}
    x, y, xsd, ysd = (f"{stored[end]}::double" for end in ("x", "y", "xsd", "ysd"))
    of_node = [f"calibration.{_quoted(f'{node.casefold()}_{end}')}" for end in _INTERVAL]
    offset_x, offset_y, half_width2, usual, reach2 = of_node
    added = "0"
    if "xsd" in suffixes:
        added = f"coalesce({reach2} * greatest(({xsd} * {xsd} + {ysd} * {ysd}) / 2 - {usual}, 0), 0)"
    made = {
        "x": f"({x} - {offset_x})::float",
        "y": f"({y} - {offset_y})::float",
        "halfwidth": f"case when {x} is not null then sqrt({half_width2} + {added})::float end",
    }
    return [f"{made.get(end, stored[end])} as {_quoted(f'{node}_{end}')}" for end in suffixes]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def duckdb_pattern(address: str) -> str:
    """Escape glob characters: DuckDB takes a path for a pattern."""
    return re.sub(r"[\[*?]", lambda sign: f"[{sign[0]}]", address)
