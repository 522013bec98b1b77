"""Bout methods: what a lab counts as a bout of movement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compute.errors import TracksError
from ingest.known_rows import compare_known_row, refuse_other_spelling
from schemas.labels import Skeleton
from schemas.metric import BoutMethod


def add_bout_method(bout_method: str, node: str, **limits: Any) -> bool:
    """Add a row of `BoutMethod`; return whether it is new.

    Parameters
    ----------
    bout_method : str
        Name of the row, up to 64 letters, digits and underscores.
    node : str
        The node that moves.
    **limits
        The other columns: ``filter_method`` and ``minimum_speed_px_per_s``, and where they are not the defaults
        ``minimum_duration_s``, ``maximum_gap_s``, ``reference_node`` and ``camera``.

    Raises
    ------
    TracksError
        If a value is none that the row may have, no skeleton has the nodes, the name is taken by a row with other
        values, or another row has it in other case.
    """
    refuse_other_spelling("bout method", bout_method, BoutMethod.to_arrays("bout_method"), TracksError)
    row = BoutMethod().checked({"bout_method": bout_method, "node": node, **limits})
    _check_nodes([name for name in (row["node"], row["reference_node"]) if name])
    key = {"bout_method": bout_method}
    is_new = not BoutMethod & key
    if is_new:
        # Another process may insert it at this moment: the row that is there then is compared like any other.
        BoutMethod.insert1(row, skip_duplicates=True)
    compared = compare_known_row(_said((BoutMethod & key).fetch1()), _said(row))
    advice = "Its bouts depend on it, so it stays as it is; choose another name"
    compared.refuse(f"bout method {bout_method}", TracksError, advice)
    return is_new


def _said(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row in which nothing is left open: without a camera or a reference node it says so."""
    return {**row, "camera": row["camera"] or "every camera", "reference_node": row["reference_node"] or "none"}


def _check_nodes(nodes: list[str]) -> None:
    """Refuse nodes that no skeleton has together."""
    of_skeletons: dict[str, set[str]] = {}
    for row in Skeleton.Node.to_dicts():
        of_skeletons.setdefault(row["skeleton_id"], set()).add(row["node"])
    if not any(set(nodes) <= names for names in of_skeletons.values()):
        known = ", ".join(sorted(set().union(*of_skeletons.values()))) or "none yet: import labels or a model first"
        raise TracksError(f"no skeleton has {' and '.join(nodes)}; nodes are {known}")
