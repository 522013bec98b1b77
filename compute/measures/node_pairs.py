"""What a pair of nodes may be whose distance is measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compute.errors import LabelsError
from compute.value_rules import is_finite_number


def check_node_pair(pair: Mapping[str, Any]) -> None:
    """Refuse what cannot be a pair of nodes.

    Parameters
    ----------
    pair : mapping
        ``node_a``, ``node_b``, ``pair_kind``, ``length_mm`` (mm), ``band_low_hz`` and ``band_high_hz`` (Hz), the last
        three None where nothing is known.

    Raises
    ------
    LabelsError
        If both nodes are the same, the kind is neither rigid nor moving, the length is not above 0, or the band is not
        0 < low < high.
    """
    node_a, node_b, kind, length_mm = (pair.get(name) for name in ("node_a", "node_b", "pair_kind", "length_mm"))
    if node_a == node_b:
        raise LabelsError(f"a pair needs two nodes, got {node_a} twice")
    if kind not in ("rigid", "moving"):
        raise LabelsError(f"pair {node_a}, {node_b}: kind is {kind!r}, expected 'rigid' or 'moving'")
    if length_mm is not None and not (is_finite_number(length_mm) and length_mm > 0):
        raise LabelsError(f"pair {node_a}, {node_b}: length is {length_mm!r} mm, expected a number above 0")
    band = [pair.get(name) for name in ("band_low_hz", "band_high_hz")]
    if band != [None, None] and not (all(map(is_finite_number, band)) and 0 < band[0] < band[1]):  # type: ignore[operator]
        raise LabelsError(
            f"pair {node_a}, {node_b}: the band is {band[0]} to {band[1]} Hz, expected a rising one above 0"
        )
