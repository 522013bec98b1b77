"""Distances, qualities and bouts of all sessions that fit a question, as one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compute.measures.bouts import find_bouts
from pipeline.query.checks import QueryError
from pipeline.query.columns import BOUTS, DETAILS, KEY, columns_schema
from pipeline.query.search import make_question, search_held_out, search_tracks, tracks
from schemas.metadata import metadata_arrow_type
from schemas.metric import DistanceMetrics, NodePair
from schemas.track import TrackQuality

if TYPE_CHECKING:
    import pyarrow as pa


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
    return _results(DistanceMetrics.proj(*columns) * pairs, ("node_a", "node_b", "pair_kind", *columns), question)


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
        ``score_p95`` and ``fraction_outside``; see `TrackQuality`. ``.to_pandas()`` makes a frame of it.

    Raises
    ------
    QueryError
        As `tracks`.
    """
    secondary = tuple(TrackQuality.Node.heading.secondary_attributes)
    return _results(TrackQuality.Node, ("node", *secondary), question)


def bouts(
    node: str,
    *,
    minimum_speed_px_per_s: float,
    minimum_duration_s: float = 0.05,
    maximum_gap_s: float = 0.05,
    **question: Any,
) -> pa.Table:
    """Bouts of movement of one node, a line a bout, found in the tracks that fit.

    Parameters
    ----------
    node : str
        The node that moves.
    minimum_speed_px_per_s, minimum_duration_s, maximum_gap_s : float
        What a bout is, see `compute.measures.bouts.find_bouts`.
    **question
        Which tracks, as of `tracks`.

    Returns
    -------
    pyarrow.Table
        Key, ``held_out``, ``start_s``, ``end_s``, ``path_px`` and ``peak_speed_px_per_s``.

    Raises
    ------
    QueryError
        As `tracks`, if a file is gone or damaged, or if a number cannot be meant.
    """
    import pyarrow as pa

    if not isinstance(node, str):
        raise QueryError(f"bouts of {node!r}; expected the name of one node, and a call for each")
    limits = {
        "minimum_speed_px_per_s": minimum_speed_px_per_s,
        "minimum_duration_s": minimum_duration_s,
        "maximum_gap_s": maximum_gap_s,
    }
    for name, value in limits.items():
        if isinstance(value, str) or not 0 <= value < float("inf"):
            raise QueryError(f"{name}={value!r}; expected a number that is not negative")
    lines = []
    for row, found in tracks(node=node, **question):
        lines += [{**row, **vars(bout)} for bout in find_bouts(found, node, **limits)]
    return pa.Table.from_pylist(lines, columns_schema(BOUTS))


def _results(table: Any, columns: tuple[str, ...], question: dict[str, Any]) -> pa.Table:
    """The rows of a table of results whose tracks fit, in one SQL query."""
    import pyarrow as pa

    asked = make_question(question)
    found = search_tracks(asked, asked.expression().proj("model_name", *DETAILS) * table)
    held_out = search_held_out(asked)
    key = [name for name in KEY if name != "held_out"]
    lines = []
    for line in found:
        lines.append({**{name: line[name] for name in key}, "held_out": held_out(line)})
        lines[-1] |= {name: line[name] for name in (*DETAILS, *columns)}
    order = [*key, *(name for name in ("node", "node_a", "node_b") if name in columns)]
    lines.sort(key=lambda line: tuple(line[name] for name in order))
    heading = table.heading.attributes
    types = {name: metadata_arrow_type(heading[name].original_type or heading[name].type) for name in columns}
    return pa.Table.from_pylist(lines, columns_schema(KEY | DETAILS | types))
