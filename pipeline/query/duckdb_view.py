"""SQL over the tracks of all sessions, as one table, by DuckDB. Only the files and columns that are needed are read."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from pipeline.query.checks import QueryError
from pipeline.query.database import tracks
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
    ``experimenter``, ``px_per_mm``, ``model_name``, ``fps``, then ``frame_index``, ``time_s`` and for each node
    ``<node>_x``, ``<node>_y`` (px), ``<node>_score`` (and ``<node>_xsd``, ``<node>_ysd``, ``<node>_rejected``,
    ``<node>_filled`` where a filter gives them). A name with a space is quoted: ``"left snout_x"``. Each camera has
    its own coordinates: ask for one, or group by it. A node that was not found is null,
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
        damaged then is DuckDB's error, which names the file and in its path the key. With `skip_broken` the answer is
        computed at once, in memory, since only reading tells what is whole.

    Raises
    ------
    QueryError
        If the question or the SQL cannot be understood, no tracks fit, or a file is gone.

    Examples
    --------
    After connecting (see README), in a database with tracks:

    >>> from pipeline import query
    >>> statement = "select mouse_id, var_samp(jaw_tip_y) as variance_px2 from tracks group by 1"
    >>> query.sql(statement, camera="lower", filter="median", held_out=True).columns
    ['mouse_id', 'variance_px2']
    """
    import duckdb

    selection = tracks(**question)
    if selection.skip_broken:
        return duckdb.connect().from_arrow(_answer(statement, selection, question))
    return _relation(statement, selection, question)


def ask(statement: str, **question: Any) -> pa.Table:
    """The answer of `sql`, run once, in memory.

    Raises
    ------
    QueryError
        As `sql`, and if a file is damaged, naming the row; with `skip_broken` it is left out with a warning instead.
    """
    return _answer(statement, tracks(**question), question)


def _relation(statement: str, selection: TrackSelection, question: dict[str, Any]) -> duckdb.DuckDBPyRelation:
    import duckdb

    connection = connect(selection)
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


def _answer(statement: str, selection: TrackSelection, question: dict[str, Any]) -> pa.Table:
    """Run the statement; with `skip_broken` again without the files that turn out damaged."""
    import duckdb

    while True:
        try:
            return _relation(statement, selection, question).to_arrow_table()
        except duckdb.Error as error:
            whole = _without_broken(selection, error)
            if len(whole) == len(selection):
                raise QueryError(f"the SQL cannot be run: {error}") from error
            selection = whole


def _without_broken(selection: TrackSelection, error: duckdb.Error) -> TrackSelection:
    """The selection without the file that DuckDB failed at: the one it names, else all that cannot be read.

    Raises
    ------
    QueryError
        If such a file is found and `skip_broken` is not asked for, naming the row.
    """
    import duckdb

    statements = (duckdb.DataError, duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)
    if isinstance(error, (*statements, duckdb.OutOfMemoryException)):
        return selection
    said = str(error)
    named = {index for index, file in enumerate(selection.files()) if file in said or _as_pattern(file) in said}
    for index in named:
        if not len(selection.pick([index]).readable(thoroughly=True)):
            return selection.pick([other for other in range(len(selection)) if other != index])
    return selection.readable(thoroughly=True)


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


def write_manifest(selection: TrackSelection, output: Path) -> None:
    """Write a selection's manifest to CSV, its lists of nodes as JSON, or to Parquet.

    Raises
    ------
    QueryError
        As `write_table`.
    """
    import pyarrow as pa

    table = selection.manifest()
    if output.suffix == ".csv":
        nodes = pa.array([json.dumps(names, ensure_ascii=False) for names in table["nodes"].to_pylist()], pa.string())
        table = table.set_column(table.column_names.index("nodes"), "nodes", nodes)
    write_table(table, output)


def connect(selection: TrackSelection) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection of its own, in which the view ``tracks`` holds a selection's tracks.

    Raises
    ------
    QueryError
        If the selection is empty, a file is gone, or two nodes differ in case only, which SQL does not tell apart.
    """
    import duckdb

    if selection.skip_broken:
        selection = selection.readable()
    selection = selection.understood()
    selection.check_any()
    connection = duckdb.connect()
    fs = selection.references[0].filesystem
    if fs is not None:
        connection.register_filesystem(fs)
    keys = selection.manifest().drop_columns(["nodes", "n_frames"])
    connection.register("manifest", keys)
    connection.execute("create temp table keys as select * from manifest")
    connection.unregister("manifest")
    try:
        connection.execute(f"create temp view tracks as {_select(selection)}")
    except duckdb.Error as error:
        selection.readable()  # says which file is gone
        raise QueryError(f"the tracks cannot be read as one table: {error}") from error
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
    start_s, end_s = selection.time_span_s
    ends = ((">=", start_s), ("<", end_s))
    within = " and ".join(f"time_s {sign} {second!r}" for sign, second in ends if math.isfinite(second))
    return f"select {', '.join(columns)} from {source}{' where ' if within else ''}{within}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _as_pattern(address: str) -> str:
    """DuckDB takes a path for a pattern: what a mouse's name may hold of a pattern's signs stands for itself."""
    return re.sub(r"[\[*?]", lambda sign: f"[{sign[0]}]", address)
