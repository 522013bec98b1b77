"""Node pairs: which distances are measured."""

from __future__ import annotations

import math
from typing import Literal

from compute.errors import LabelsError
from schemas.labels import Skeleton
from schemas.metric import FilterComparison, NodePair


def add_node_pair(
    node_a: str,
    node_b: str,
    *,
    kind: Literal["rigid", "moving"],
    length_mm: float | None = None,
    band_hz: tuple[float, float] | None = None,
) -> int:
    """Measure the distance between two nodes in every skeleton that has both; return how many have.

    An existing pair gets the new kind, length and band; its comparisons of filters, which depend on them,
    are computed anew by the next populate.

    Parameters
    ----------
    node_a, node_b : str
        The pair.
    kind : {"rigid", "moving"}
        Whether the distance is constant in the mouse.
    length_mm : float, optional
        True length, where it is the same in all mice and known.
    band_hz : (float, float), optional
        Band of a moving pair's movement (Hz); without it, it is found in each video.

    Raises
    ------
    LabelsError
        If no skeleton has both nodes, both are the same node, or the band is not 0 < low < high.
    """
    if node_a == node_b:
        raise LabelsError(f"a pair needs two nodes, got {node_a} twice")
    if band_hz is not None and not 0 < band_hz[0] < band_hz[1] < math.inf:
        raise LabelsError(f"the band is {band_hz[0]:g} to {band_hz[1]:g} Hz, expected a rising one above 0")
    nodes: dict[str, set[str]] = {}
    for row in Skeleton.Node.to_dicts():
        nodes.setdefault(row["skeleton_id"], set()).add(row["node"])
    skeletons = [skeleton for skeleton, names in nodes.items() if {node_a, node_b} <= names]
    if not skeletons:
        known = ", ".join(sorted(set().union(*nodes.values()))) or "none yet: import labels or a model first"
        raise LabelsError(f"no skeleton has both {node_a} and {node_b}; nodes are {known}")
    for skeleton in skeletons:
        # One row for each pair, in either order of its nodes.
        reverse = {"skeleton_id": skeleton, "node_a": node_b, "node_b": node_a}
        key = reverse if NodePair & reverse else {"skeleton_id": skeleton, "node_a": node_a, "node_b": node_b}
        low_hz, high_hz = band_hz or (None, None)
        row = {**key, "pair_kind": kind, "length_mm": length_mm, "band_low_hz": low_hz, "band_high_hz": high_hz}
        if NodePair & key:
            if (NodePair & key).fetch1() != row:
                (FilterComparison & key).delete(prompt=False)
                NodePair.update1(row)
        else:
            NodePair.insert1(row)
    return len(skeletons)
