"""Tracks of many files as one DuckDB view, a line a frame. Only the files and columns that are needed are read."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipeline.query.checks import QueryError
from schemas.stored.fetching import TracksReference

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


_SUFFIXES = {
    "sd": ("xsd", "ysd"),
    "rejected": ("rejected",),
    "filled": ("filled",),
    "interval_half_width_px": ("halfwidth",),
}


def open_duckdb_view(
    manifest: pa.Table,
    references: Sequence[TracksReference],
    nodes: Sequence[str] | None = None,
    time_span_s: tuple[float, float] | None = None,
) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection of its own, in which the view ``tracks`` holds these tracks.

    Parameters
    ----------
    manifest : pyarrow.Table
        A line a track, as of `TrackSelection.manifest`: its key and details, and ``file``.
    references : sequence of TracksReference
        The files, one or more, in the manifest's order.
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
    connection.register("manifest", manifest.drop_columns(["nodes", "n_frames"]))
    connection.execute("create temp table keys as select * from manifest")
    connection.unregister("manifest")
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
    nodes, filter_columns = references[0].nodes, references[0].filter_columns
    folded = [node.casefold() for node in nodes]
    if len(set(folded)) != len(folded):
        raise QueryError(f"SQL does not tell nodes apart that differ in case only: {', '.join(nodes)}")
    suffixes = ["x", "y", "score", *(suffix for name in filter_columns for suffix in _SUFFIXES[name])]
    columns = ["filename", "file_row_number as frame_index", "time_s"]
    for node in nodes if wanted is None else wanted:
        columns += [_quoted(f"{node}_{suffix}") for suffix in suffixes]
    files = ", ".join(_literal(duckdb_pattern(reference.address)) for reference in references)
    source = f"read_parquet([{files}], filename=true, file_row_number=true, hive_partitioning=false)"
    if time_span_s is None:
        return f"select {', '.join(columns)} from {source}"
    start_s, end_s = time_span_s
    ends = ((">=", start_s), ("<", end_s))
    within = " and ".join(f"time_s {sign} {second!r}" for sign, second in ends if math.isfinite(second))
    return f"select {', '.join(columns)} from {source}{' where ' if within else ''}{within}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def duckdb_pattern(address: str) -> str:
    """Escape glob characters: DuckDB takes a path for a pattern."""
    return re.sub(r"[\[*?]", lambda sign: f"[{sign[0]}]", address)
