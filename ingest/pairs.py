"""Node pairs: which distances are measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import datajoint as dj

from compute.errors import LabelsError
from compute.measures.node_pairs import check_node_pair
from ingest.plausibility import LARGEST_RATE_RATIO
from schemas.labels import Skeleton
from schemas.metric import NodePair
from schemas.session import Video


@dataclass(frozen=True)
class AddedPair:
    """What the database says of a pair after it was added.

    Attributes
    ----------
    pairs : list of dict
        Its rows, one for each skeleton that has both nodes.
    n_new, n_changed : int
        How many of them are new, and how many were something else before.
    before : list of str
        What those were, such as ``pair_kind was moving``.
    """

    pairs: list[dict[str, Any]]
    n_new: int
    n_changed: int
    before: list[str]


def add_node_pair(
    node_a: str,
    node_b: str,
    *,
    kind: Literal["rigid", "moving"],
    length_mm: float | None = None,
    band_hz: tuple[float, float] | None = None,
) -> AddedPair:
    """Measure the distance between two nodes in every skeleton that has both.

    An existing pair gets the new kind, length and band. What was computed for the old ones is kept and no longer shown;
    the next populate computes comparisons of filters for the new ones.

    Parameters
    ----------
    node_a, node_b : str
        The pair, in either order.
    kind : {"rigid", "moving"}
        Whether the distance is constant in the mouse.
    length_mm : float, optional
        True length, where it is the same in all mice and known.
    band_hz : (float, float), optional
        Band of a moving pair's movement (Hz); without it, it is found in each video.

    Raises
    ------
    LabelsError
        If no skeleton has both nodes, or they cannot be such a pair: see `compute.measures.node_pairs.check_node_pair`.
        If no video is fast enough for the band.
    """
    low_hz, high_hz = band_hz or (None, None)
    definition = {"pair_kind": kind, "length_mm": length_mm, "band_low_hz": low_hz, "band_high_hz": high_hz}
    check_node_pair({"node_a": node_a, "node_b": node_b, **definition})
    if high_hz is not None:
        _check_band_is_seen(high_hz)
    keys, n_new, n_changed, before = [], 0, 0, set[str]()
    for skeleton in _skeletons_with(node_a, node_b):
        key = _key(skeleton, node_a, node_b)
        keys.append(key)
        if not NodePair & key:
            NodePair.insert1({**key, **definition})
            n_new += 1
        elif changed := _changed((NodePair & key).fetch1(), definition):
            NodePair().update1({**key, **definition})
            n_changed += 1
            before |= set(changed)
    pairs = (NodePair & keys).to_dicts(order_by="skeleton_id, node_a, node_b")
    return AddedPair(pairs, n_new, n_changed, sorted(before))


def _check_band_is_seen(high_hz: float) -> None:
    """Refuse a band that no video shows: movement is seen up to half of the rate at which frames were taken.

    That is the rate of the video's file, or that of the camera's time stamps: up to `LARGEST_RATE_RATIO` times it.
    """
    fastest_fps = dj.U().aggr(Video, fastest_fps="max(1.0 * fps_numerator / fps_denominator)").fetch1("fastest_fps")
    if fastest_fps is not None and high_hz >= LARGEST_RATE_RATIO * float(fastest_fps) / 2:
        raise LabelsError(
            f"the band ends at {high_hz:g} Hz, and the fastest video has {float(fastest_fps):g} frames a second;"
            " expected less than half of that. Nothing was changed"
        )


def _skeletons_with(node_a: str, node_b: str) -> list[str]:
    """Skeletons that have both nodes."""
    nodes: dict[str, set[str]] = {}
    for row in Skeleton.Node.to_dicts():
        nodes.setdefault(row["skeleton_id"], set()).add(row["node"])
    skeletons = [skeleton for skeleton, names in nodes.items() if {node_a, node_b} <= names]
    if not skeletons:
        known = ", ".join(sorted(set().union(*nodes.values()))) or "none yet: import labels or a model first"
        raise LabelsError(f"no skeleton has both {node_a} and {node_b}; nodes are {known}")
    return skeletons


def _key(skeleton: str, node_a: str, node_b: str) -> dict[str, str]:
    """Key of the one row of a pair, which may be there in the other order of its nodes."""
    reverse = {"skeleton_id": skeleton, "node_a": node_b, "node_b": node_a}
    return reverse if NodePair & reverse else {"skeleton_id": skeleton, "node_a": node_a, "node_b": node_b}


def _changed(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What a pair was where it is to be something else."""
    said = {name: "not given" if value is None else value for name, value in there.items()}
    return [f"{name} was {said[name]}" for name, value in wanted.items() if there[name] != value]
