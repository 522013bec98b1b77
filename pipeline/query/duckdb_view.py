"""SQL over the tracks of all sessions, as one table, by DuckDB. Only the files and columns that are needed are read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pipeline.query.database import tracks
from pipeline.query.question import QueryError
from pipeline.query.results import distances, qualities
from pipeline.query.selection import TrackSelection
from pipeline.whole_file import whole_file
from schemas.codecs import TracksReference

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb
    import pyarrow as pa

_SUFFIXES = {"sd": ("xsd", "ysd"), "rejected": ("rejected",), "filled": ("filled",)}


def sql(statement: str, **question: Any) -> duckdb.DuckDBPyRelation:
    """Ask in SQL; the table ``tracks`` holds the tracks of all sessions that fit the question.

    Columns of ``tracks``: the key (``mouse_id``, ``session_date``, ``session_number``, ``camera``, ``model_id``,
    ``filter_method``), ``held_out``, ``sex``, ``genotype``, ``date_of_birth``, ``session_start``, ``rig``,
    ``experimenter``, ``px_per_mm``, ``model_name``, then ``frame_index``, ``time_s`` and for each node ``<node>_x``,
    ``<node>_y`` (px), ``<node>_score`` (and ``<node>_xsd``, ``<node>_ysd``, ``<node>_rejected``, ``<node>_filled``
    where a filter gives them). A name with a space is quoted: ``"left snout_x"``. A node that was not found is null,
    so that ``avg`` and ``var_samp`` leave it out. Skeletons with different nodes are one table; what a track lacks is
    null. ``distances`` and ``qualities`` are tables as well.

    Parameters
    ----------
    statement : str
        SQL as DuckDB speaks it.
    **question
        As of `tracks`.

    Returns
    -------
    duckdb.DuckDBPyRelation
        Lazy: ``.fetchall()``, ``.df()``, ``.pl()``, ``.arrow()`` run it, and each of them again. A file that turns out
        damaged then is DuckDB's error, which names the file and in its path the key; `skip_broken` looks before.

    Raises
    ------
    QueryError
        If the question or the SQL cannot be understood, or no tracks fit.

    Examples
    --------
    After connecting (see README), in a database with tracks:

    >>> from pipeline import query
    >>> statement = "select mouse_id, var_samp(jaw_tip_y) as variance_px2 from tracks group by 1"
    >>> query.sql(statement, filter="median", held_out=True).columns
    ['mouse_id', 'variance_px2']
    """
    import duckdb

    connection = connect(tracks(**question))
    for name, table in (("distances", distances), ("qualities", qualities)):
        if re.search(rf"\b{name}\b", statement, re.IGNORECASE):
            only = {key: value for key, value in question.items() if key not in ("time_span_s", "skip_broken", "node")}
            connection.register(name, table(**only))
    try:
        relation = connection.sql(statement)
        if relation is not None:
            relation.columns  # noqa: B018  (binds the statement now, so that its errors are raised here)
    except duckdb.Error as error:
        raise QueryError(f"the SQL cannot be run: {error}") from error
    if relation is None:
        raise QueryError("the SQL gives no table; expected a select")
    return relation


def ask(statement: str, **question: Any) -> pa.Table:
    """The answer of `sql`, run once, in memory.

    Raises
    ------
    QueryError
        As `sql`, and if a file is gone or damaged, naming the row.
    """
    import duckdb

    relation = sql(statement, **question)
    try:
        return relation.to_arrow_table()
    except duckdb.Error as error:
        # DuckDB names one file; whether it is the files' fault, and which rows', their footers say.
        tracks(**{**question, "skip_broken": False}).readable()
        raise QueryError(f"the SQL cannot be run: {error}") from error


def write_table(table: pa.Table, output: Path) -> None:
    """Write an answer to CSV or Parquet by the suffix; the file appears when it is complete.

    Raises
    ------
    QueryError
        If the suffix is neither .csv nor .parquet, or the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.csv as pa_csv
    import pyarrow.parquet as pq

    writers: dict[str, Any] = {".csv": pa_csv.write_csv, ".parquet": pq.write_table}
    if output.suffix not in writers:
        raise QueryError(f"{output}: suffix {output.suffix!r}; expected .csv or .parquet")
    with whole_file(output, QueryError, pa.ArrowException) as temporary:
        writers[output.suffix](table, temporary)


def connect(selection: TrackSelection) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection of its own, in which the view ``tracks`` holds a selection's tracks.

    Raises
    ------
    QueryError
        If the selection is empty, or two of its nodes differ in case only, which SQL does not tell apart.
    """
    import duckdb

    if selection.skip_broken:
        selection = selection.readable()
    selection = selection.understood()
    if not selection.rows:
        raise QueryError("no tracks fit; 'orofacial status' shows what has been computed")
    connection = duckdb.connect()
    fs = selection.references[0].filesystem
    if fs is not None:
        connection.register_filesystem(fs)
    keys = selection.manifest().drop_columns(["nodes", "n_frames"])
    connection.register("manifest", keys)
    connection.execute("create temp table keys as select * from manifest")
    connection.unregister("manifest")
    connection.execute(f"create temp view tracks as {_select(selection)}")
    return connection


def _select(selection: TrackSelection) -> str:
    """The view: files of the same columns are read as one, others put below them, and each file's key beside it."""
    layouts: dict[tuple[Any, ...], list[TracksReference]] = {}
    for reference in selection.references:
        layouts.setdefault((reference.nodes, reference.filter_columns), []).append(reference)
    parts = [_read(layout, selection) for layout in layouts.values()]
    keys = "keys.* exclude (file)"
    return (
        f"select {keys}, files.* exclude (filename)"
        f" from ({' union all by name '.join(parts)}) files join keys on files.filename = keys.file"
    )


def _read(references: list[TracksReference], selection: TrackSelection) -> str:
    nodes, filter_columns = references[0].nodes, references[0].filter_columns
    folded = [node.casefold() for node in nodes]
    if len(set(folded)) != len(folded):
        raise QueryError(f"SQL does not tell nodes apart that differ in case only: {', '.join(nodes)}")
    wanted = nodes if selection.nodes is None else selection.nodes
    suffixes = ["x", "y", "score", *(suffix for name in filter_columns for suffix in _SUFFIXES[name])]
    columns = ["filename", "file_row_number as frame_index", "time_s"]
    for node in wanted:
        columns += [_quoted(f"{node}_{suffix}") for suffix in suffixes]
    files = ", ".join(_literal(_as_pattern(reference.address)) for reference in references)
    source = f"read_parquet([{files}], filename=true, file_row_number=true, hive_partitioning=false)"
    if selection.time_span_s is None:
        return f"select {', '.join(columns)} from {source}"
    start_s, end_s = (float(second) for second in selection.time_span_s)
    return f"select {', '.join(columns)} from {source} where time_s >= {start_s!r} and time_s < {end_s!r}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _as_pattern(address: str) -> str:
    """DuckDB takes a path for a pattern: what a mouse's name may hold of a pattern's signs stands for itself."""
    return re.sub(r"[\[*?]", lambda sign: f"[{sign[0]}]", address)
