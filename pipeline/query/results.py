"""Distances and qualities of all sessions that fit a question, as one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.query.columns import DETAILS, KEY, columns_schema
from pipeline.query.search import make_question, search_held_out, search_tracks
from schemas.metadata import metadata_arrow_type
from schemas.metric import DistanceMetrics, NodePair
from schemas.track import TrackQuality

if TYPE_CHECKING:
    import pyarrow as pa


_ORDER = ("node", "node_a", "node_b", "bout_method", "bout_index")
"""Columns that answers are ordered by, after the track's key."""


def distances(**question: Any) -> pa.Table:
    """Distances of node pairs, a line a track and pair.

    Parameters
    ----------
    **question
        Which tracks, as of `tracks` (without ``node`` and ``time_span_s``).

    Returns
    -------
    pyarrow.Table
        Key, ``held_out``, details of the session, ``node_a``, ``node_b``, ``pair_kind``, ``mean_px``,
        ``variance_px2``, ``mean_mm``, ``variance_mm2`` (null: never seen together, or no scale) and
        ``fraction_missing``. ``.to_pandas()`` makes a frame of it.

    Raises
    ------
    QueryError
        As `tracks`.
    """
    columns = [name for name in DistanceMetrics.heading.secondary_attributes if not name.endswith("_provenance")]
    pairs = NodePair.proj("pair_kind")
    return question_results(
        DistanceMetrics.proj(*columns) * pairs, ("node_a", "node_b", "pair_kind", *columns), question
    )


def qualities(**question: Any) -> pa.Table:
    """Quality of the raw tracks, a line a track and node.

    Parameters
    ----------
    **question
        Which tracks, as of `tracks` (without ``node`` and ``time_span_s``).

    Returns
    -------
    pyarrow.Table
        Key, ``held_out``, details of the session, ``node``, ``fraction_found``, ``n_jumps``, ``score_p05`` ...
        ``score_p95``, ``fraction_outside`` and ``n_disputed`` (null: the model is no ensemble); see `TrackQuality`.
        ``.to_pandas()`` makes a frame of it.

    Raises
    ------
    QueryError
        As `tracks`.
    """
    secondary = tuple(TrackQuality.Node.heading.secondary_attributes)
    return question_results(TrackQuality.Node, ("node", *secondary), question)


def question_results(table: Any, columns: tuple[str, ...], question: dict[str, Any]) -> pa.Table:
    """The rows of a table of results whose tracks fit, in one SQL query.

    Parameters
    ----------
    table : datajoint.QueryExpression
        With the key of a track, or part of it, in its primary key.
    columns : tuple of str
        What it says beside the track's key and details.
    question : dict
        As of `tracks`, without ``node`` and ``time_span_s``.

    Raises
    ------
    QueryError
        As `tracks`.
    """
    import pyarrow as pa

    asked = make_question(question)
    found = search_tracks(asked, asked.expression().proj("model_name", *DETAILS) * table)
    held_out = search_held_out(asked)
    key = [name for name in KEY if name != "held_out"]
    lines = []
    for line in found:
        lines.append({**{name: line[name] for name in key}, "held_out": held_out(line)})
        lines[-1] |= {name: line[name] for name in (*DETAILS, *columns)}
    order = [*key, *(name for name in _ORDER if name in columns)]
    lines.sort(key=lambda line: tuple(line[name] for name in order))
    heading = table.heading.attributes
    types = {name: metadata_arrow_type(heading[name].original_type or heading[name].type) for name in columns}
    return pa.Table.from_pylist(lines, columns_schema(KEY | DETAILS | types))
