"""Node pairs: which distances are measured."""

from __future__ import annotations

from typing import Literal

from compute.errors import LabelsError
from schemas.labels import Skeleton
from schemas.metric import NodePair


def add_node_pair(node_a: str, node_b: str, *, kind: Literal["rigid", "moving"], length_mm: float | None = None) -> int:
    """Measure the distance between two nodes in every skeleton that has both; return how many have.

    A pair that is there already gets the new kind and length.

    Raises
    ------
    LabelsError
        If no skeleton has both nodes, or they are one node.
    """
    if node_a == node_b:
        raise LabelsError(f"a pair needs two nodes, got {node_a} twice")
    nodes: dict[str, set[str]] = {}
    for row in Skeleton.Node.to_dicts():
        nodes.setdefault(row["skeleton_id"], set()).add(row["node"])
    skeletons = [skeleton for skeleton, names in nodes.items() if {node_a, node_b} <= names]
    if not skeletons:
        known = ", ".join(sorted(set().union(*nodes.values()))) or "none yet: import labels or a model first"
        raise LabelsError(f"no skeleton has both {node_a} and {node_b}; nodes are {known}")
    for skeleton in skeletons:
        # One row a pair, whichever node is named first.
        reverse = {"skeleton_id": skeleton, "node_a": node_b, "node_b": node_a}
        key = reverse if NodePair & reverse else {"skeleton_id": skeleton, "node_a": node_a, "node_b": node_b}
        row = {**key, "pair_kind": kind, "length_mm": length_mm}
        if NodePair & key:
            NodePair.update1(row)
        else:
            NodePair.insert1(row)
    return len(skeletons)
