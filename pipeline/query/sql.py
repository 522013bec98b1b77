"""SQL over the tracks of all sessions, as one table, by DuckDB."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from compute.files import whole_file
from compute.json_text import json_text
from pipeline.query.bouts import bouts
from pipeline.query.checks import QueryError
from pipeline.query.results import distances, qualities
from pipeline.query.search import tracks
from pipeline.query.selection import TrackSelection

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb
    import pyarrow as pa
from pipeline.query.duckdb_view import duckdb_pattern

_OF_FRAMES = ("time_span_s", "skip_broken", "node", "calibrated")
"""Keywords of `tracks` that results of whole tracks do not take."""


def sql(statement: str, **question: Any) -> duckdb.DuckDBPyRelation:
    """Ask in SQL; the table ``tracks`` holds the tracks of all sessions that fit the question.

    Columns of ``tracks``: the key (``mouse_id``, ``session_date``, ``session_number``, ``camera``, ``model_id``,
    ``filter_method``), ``held_out``, what is known of mouse, session and video (``sex``, ``genotype``,
    ``session_start``, ``rig``, ``px_per_mm`` ...), ``model_name``, ``fps``, then ``frame_index``, ``time_s`` and for
    each node ``<node>_x``, ``<node>_y`` (px), ``<node>_score`` (and ``<node>_xsd``, ``<node>_ysd``,
    ``<node>_rejected``, ``<node>_filled`` where a filter gives them, ``<node>_spread``, ``<node>_lastingspread`` of an
    ensemble, ``<node>_halfwidth`` of calibrated tracks). A name with a space is quoted: ``"left snout_x"``. Each camera
    has its own coordinates: ask for one, or group by it. A node that was not found is null, so that ``avg`` and
    ``var_samp`` leave it out. Skeletons with different nodes are one table; what a track lacks is null. ``distances``,
    ``qualities`` and ``bouts`` are tables as well, always of tracks that are not calibrated.

    Parameters
    ----------
    statement : str
        SQL as DuckDB speaks it.
    **question
        As of `tracks`.

    Returns
    -------
    duckdb.DuckDBPyRelation
        Lazy: ``.fetchall()``, ``.df()``, ``.pl()`` and ``.arrow()`` each run it. A file that turns out
        damaged then is an error of DuckDB, which names the file. With `skip_broken` the answer is
        computed at once, in memory, since only reading shows which files are intact.

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


def ask_sql(statement: str, **question: Any) -> pa.Table:
    """The answer of `sql`, run once, in memory.

    Raises
    ------
    QueryError
        As `sql`, and if a file is damaged, naming the row; with `skip_broken` it is left out with a warning instead.
    """
    return _answer(statement, tracks(**question), question)


def _relation(statement: str, selection: TrackSelection, question: dict[str, Any]) -> duckdb.DuckDBPyRelation:
    import duckdb

    connection = selection.duckdb_connection()
    for name, table in (("distances", distances), ("qualities", qualities), ("bouts", bouts)):
        if re.search(rf"\b{name}\b", statement, re.IGNORECASE):
            only = {key: value for key, value in question.items() if key not in _OF_FRAMES}
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
    files = [reference.address for reference in selection.references]
    named = {index for index, file in enumerate(files) if file in said or duckdb_pattern(file) in said}
    for index in named:
        if not len(selection.pick([index]).readable(thoroughly=True)):
            return selection.pick([other for other in range(len(selection)) if other != index])
    return selection.readable(thoroughly=True)


def write_sql_table(table: pa.Table, output: Path) -> None:
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


def write_sql_manifest(selection: TrackSelection, output: Path) -> None:
    """Write a selection's manifest to CSV, its lists as JSON, or to Parquet.

    Raises
    ------
    QueryError
        As `write_sql_table`.
    """
    import pyarrow as pa

    table = selection.manifest()
    if output.suffix == ".csv":
        for index, field in enumerate(table.schema):
            if pa.types.is_list(field.type):
                texts = [json_text(names) for names in table[field.name].to_pylist()]
                table = table.set_column(index, field.name, pa.array(texts, pa.string()))
    write_sql_table(table, output)
