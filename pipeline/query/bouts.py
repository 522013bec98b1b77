"""Bouts of movement of all sessions that fit a question: those in the database, or found with other limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compute.errors import TracksError
from compute.measures.bouts import check_bout_limits, default_bout_limits, find_bouts
from pipeline.query.checks import QueryError, checked_texts
from pipeline.query.columns import BOUTS, columns_schema
from pipeline.query.results import question_results
from pipeline.query.search import tracks
from schemas.making.checked_rows import EVERY
from schemas.metric import BoutMethod, Bouts

if TYPE_CHECKING:
    import pyarrow as pa


def bouts(
    node: str | None = None,
    *,
    method: str | None = None,
    minimum_speed_px_per_s: float | None = None,
    **question: Any,
) -> pa.Table:
    """Bouts of movement, a line a bout.

    Without `minimum_speed_px_per_s` these are the bouts in the database, which `populate` finds by the lab's bout
    methods (`orofacial bouts add`). With it they are found now, in the tracks that fit; nothing is kept.

    Parameters
    ----------
    node : str, optional
        The node that moves; where bouts are found now, it must be given.
    method : str, optional
        Only the bouts in the database by this row of `BoutMethod`.
    minimum_speed_px_per_s : float, optional
        (px/s) find bouts that are at least this fast; then also ``minimum_duration_s``, ``maximum_gap_s`` (s) and
        ``reference_node``, see `compute.measures.bouts.find_bouts`.
    **question
        Which tracks, as of `tracks`. A method says itself which filter's tracks it is about, so that ``filter`` is
        only needed where bouts are found now.

    Returns
    -------
    pyarrow.Table
        Key, ``held_out``, ``start_s``, ``end_s``, ``path_px`` and ``peak_speed_px_per_s``; of bouts in the database
        also what is known of the session, ``bout_method``, ``node``, ``reference_node`` and ``bout_index``.

    Raises
    ------
    QueryError
        As `tracks`, if a file is gone or damaged, if a limit is out of its range, or there is no such method.
    """
    if minimum_speed_px_per_s is not None:
        if method is not None:
            raise QueryError("give a bout method, whose bouts are in the database, or limits to find others; not both")
        return _found_now(node, {"minimum_speed_px_per_s": minimum_speed_px_per_s}, question)
    columns = ("bout_method", "node", "reference_node", *Bouts.Bout.primary_key[-1:])
    secondary = tuple(Bouts.Bout.heading.secondary_attributes)
    return question_results(Bouts.Bout * _methods(node, method), (*columns, *secondary), _of_every_filter(question))


def bout_counts(node: str | None = None, *, method: str | None = None, **question: Any) -> pa.Table:
    """Number of bouts in the database, a line a track and bout method; also where a track has none.

    Parameters
    ----------
    node, method, **question
        As of `bouts`.

    Returns
    -------
    pyarrow.Table
        Key, ``held_out``, what is known of the session, ``bout_method``, ``node``, ``reference_node``, ``n_bouts``,
        ``time_in_bouts_s`` and ``fraction_known`` (of all frames: the node has a position).

    Raises
    ------
    QueryError
        As `bouts`.
    """
    columns = ("bout_method", "node", "reference_node", "n_bouts", "time_in_bouts_s", "fraction_known")
    table = Bouts.proj("n_bouts", "time_in_bouts_s", "fraction_known") * _methods(node, method)
    return question_results(table, columns, _of_every_filter(question))


def _of_every_filter(question: dict[str, Any]) -> dict[str, Any]:
    return {"filter": EVERY, **question}


def _methods(node: str | None, method: str | None) -> Any:
    """The bout methods that were asked for, with their nodes.

    Raises
    ------
    QueryError
        If there is none.
    """
    found = BoutMethod.proj("node", "reference_node")
    for name, value in (("bout_method", method), ("node", node)):
        if value is None:
            continue
        wanted = checked_texts(name, value)
        known = sorted(set(BoutMethod.to_arrays(name)))
        for one in wanted:
            if one not in known:
                listed = ", ".join(known) or "none yet: add one with 'orofacial bouts add', then 'orofacial populate'"
                raise QueryError(f"no bouts of {name} {one!r} are found in this lab; known are {listed}")
        found = found & [{name: one} for one in wanted]
    return found


def _found_now(node: Any, limits: dict[str, Any], question: dict[str, Any]) -> pa.Table:
    """Find bouts in the tracks that fit."""
    import pyarrow as pa

    if not isinstance(node, str):
        raise QueryError(f"bouts of {node!r}; expected the name of one node, and a call for each")
    limits |= {name: question.pop(name) for name in default_bout_limits() if name in question}
    reference = question.pop("reference_node", None)
    try:
        check_bout_limits(limits)
    except TracksError as error:
        raise QueryError(str(error)) from None
    lines = []
    for row, found in tracks(node=node if reference is None else (node, reference), **question):
        lines += [{**row, **vars(bout)} for bout in find_bouts(found, node, reference_node=reference, **limits)]
    return pa.Table.from_pylist(lines, columns_schema(BOUTS))
