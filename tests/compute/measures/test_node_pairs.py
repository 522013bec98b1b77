"""What can be a pair of nodes, and what is refused by name."""

from __future__ import annotations

import math
from typing import Any

import pytest

from compute.errors import LabelsError
from compute.measures.node_pairs import check_node_pair

PAIR = {"node_a": "jaw_tip", "node_b": "snout", "pair_kind": "moving", "length_mm": None}
PAIR |= {"band_low_hz": None, "band_high_hz": None}


@pytest.mark.parametrize(
    "changed", [{}, {"pair_kind": "rigid", "length_mm": 2.6}, {"band_low_hz": 3, "band_high_hz": 9.0}, {"length_mm": 2}]
)
def test_a_pair_is_accepted(changed: dict[str, Any]) -> None:
    check_node_pair({**PAIR, **changed})


@pytest.mark.parametrize("wrong", [0, -1.0, math.nan, math.inf, True, "2", [2.0], 10**400])
def test_a_length_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(LabelsError, match=r"pair jaw_tip, snout: length is .* mm, expected a number above 0"):
        check_node_pair({**PAIR, "length_mm": wrong})


@pytest.mark.parametrize(
    "band", [(9, 3), (3, 3), (0, 3), (-1, 3), (3, None), (None, 3), (3, math.inf), (math.nan, 3), ("3", 9)]
)
def test_a_band_rises(band: Any) -> None:
    with pytest.raises(LabelsError, match=r"pair jaw_tip, snout: the band is .* Hz, expected a rising one above 0"):
        check_node_pair({**PAIR, "band_low_hz": band[0], "band_high_hz": band[1]})


@pytest.mark.parametrize(
    ("changed", "said"), [({"node_b": "jaw_tip"}, "two nodes"), ({"pair_kind": "stiff"}, "'stiff'")]
)
def test_nodes_differ_and_the_kind_is_one_of_two(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(LabelsError, match=said):
        check_node_pair({**PAIR, **changed})
