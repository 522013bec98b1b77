"""Skeletons of labels and models as rows; the same nodes and edges in another order are one skeleton."""

from __future__ import annotations

import hashlib

from schemas.labels import Skeleton
from schemas.metric import NodePair

Nodes = tuple[str, ...]
Edges = tuple[tuple[str, str], ...]


def find_label_skeleton(nodes: Nodes, edges: Edges) -> tuple[Nodes, Edges]:
    """Nodes and edges in the order in which the database has them; as they are given if it does not have them.

    Parameters
    ----------
    nodes : tuple of str
        Names of the nodes.
    edges : tuple of (str, str)
        Pairs of nodes.
    """
    if Skeleton & {"skeleton_id": label_skeleton_id(nodes, edges)}:
        return nodes, edges
    for skeleton_id in sorted(Skeleton.to_arrays("skeleton_id")):
        known = Skeleton & {"skeleton_id": skeleton_id}
        known_nodes = tuple(map(str, known.nodes()))
        if set(known_nodes) == set(nodes):
            rows = (Skeleton.Edge & known).to_dicts(order_by="edge_index")
            known_edges = tuple((str(row["source_node"]), str(row["target_node"])) for row in rows)
            if set(known_edges) == set(edges):
                return known_nodes, known_edges
    return nodes, edges


def insert_label_skeleton(nodes: Nodes, edges: Edges) -> str:
    """Insert a skeleton if it is new, with the node pairs that other skeletons have of its nodes; return its id."""
    nodes, edges = find_label_skeleton(nodes, edges)
    key = {"skeleton_id": label_skeleton_id(nodes, edges)}
    if not Skeleton & key:
        Skeleton.insert1(key)
        Skeleton.Node.insert([{**key, "node": node, "node_index": index} for index, node in enumerate(nodes)])
        Skeleton.Edge.insert(
            [
                {**key, "edge_index": index, "source_node": source, "target_node": target}
                for index, (source, target) in enumerate(edges)
            ]
        )
        _adopt_node_pairs(key["skeleton_id"])
    return key["skeleton_id"]


def label_skeleton_id(nodes: Nodes, edges: Edges) -> str:
    """Hash of the names of nodes and edges, in their order.

    Examples
    --------
    >>> label_skeleton_id(("nose", "jaw_tip"), (("nose", "jaw_tip"),))
    'cc8fdf983f453d9e'
    """
    return hashlib.sha256(repr((nodes, edges)).encode()).hexdigest()[:16]


def _adopt_node_pairs(skeleton_id: str) -> None:
    """Measure in a new skeleton the pairs of its nodes that other skeletons have; the most similar skeleton counts."""
    nodes: dict[str, set[str]] = {}
    for row in Skeleton.Node.to_dicts():
        nodes.setdefault(row["skeleton_id"], set()).add(row["node"])
    own = nodes[skeleton_id]
    pairs = [pair for pair in NodePair.to_dicts() if {pair["node_a"], pair["node_b"]} <= own]
    pairs.sort(key=lambda pair: (-len(nodes[pair["skeleton_id"]] & own), pair["skeleton_id"]))
    adopted = {frozenset((pair["node_a"], pair["node_b"])): pair for pair in reversed(pairs)}
    NodePair().insert([{**pair, "skeleton_id": skeleton_id} for pair in adopted.values()])
