"""Step 4: comparisons hang on what their pair is, bouts are tables, and `interpolate` with every score goes on."""

from __future__ import annotations

from typing import Any

ADD_ROWS = """
import json

table = MigratedDatabase(connection, prefix).table("track", "#filter_method")
every = {"minimum_score": None, "max_gap_s": 0.1, "gated": False}
good = {"minimum_score": 0.6, "max_gap_s": 0.1, "gated": False}
entry = lambda parameters: {"filter": "interpolate", "parameters": parameters}
for method, name, parameters in [
    ("every_score", "interpolate", every),
    ("good_scores", "interpolate", good),
    ("node_every", "per_node", {"filters": {"jaw_tip": entry(every), "snout": {"filter": "raw", "parameters": {}}}}),
    ("node_good", "per_node", {"filters": {"jaw_tip": entry(every), "snout": entry(good)}}),
    ("node_default", "per_node", {"filters": {"jaw_tip": entry(every), "snout": entry({})}}),
]:
    connection.query(
        f"INSERT INTO {table} (filter_method, filter_name, filter_parameters) VALUES (%s, %s, %s)",
        args=(method, name, json.dumps(parameters)),
    )
"""

CHECK = """
from compute.filters import check_parameters

schemas.activate(prefix, connection)
from schemas.metric import BoutMethod, Bouts, DistanceMetrics, FilterComparison, NodePair, PairDefinition
from schemas.track import FilterMethod, filter_row_fault, is_current_filter

rows = {row["filter_method"]: row for row in FilterMethod.to_dicts()}
current = {method for method, row in rows.items() if is_current_filter(row)}
assert {"every_score", "interpolate_v2", "kalman_v2"} <= current, current
assert {"good_scores", "node_good", "node_default", "interpolate"} <= rows.keys() - current
every = {"lowest_score_fraction": None, "max_gap_s": 0.1, "gated": False}
assert rows["every_score"]["filter_parameters"] == every
assert rows["node_every"]["filter_parameters"]["filters"]["jaw_tip"]["parameters"] == every
assert rows["good_scores"]["filter_parameters"]["minimum_score"] == 0.6
assert rows["node_good"]["filter_parameters"]["filters"]["jaw_tip"]["parameters"]["minimum_score"] is None
assert not [row for row in rows.values() if filter_row_fault(row) is not None]

pairs = NodePair.to_dicts()
definitions = {(row["skeleton_id"], row["node_a"], row["node_b"]): row for row in PairDefinition.to_dicts()}
assert len(pairs) == len(definitions) == len(PairDefinition.current()) > 0
for pair in pairs:
    row = definitions[pair["skeleton_id"], pair["node_a"], pair["node_b"]]
    assert all(row[name] == pair[name] for name in ("pair_kind", "length_mm", "band_low_hz", "band_high_hz"))
assert len(FilterComparison()) == 0 and len(FilterComparison().key_source) == len(DistanceMetrics()) > 0
assert len(BoutMethod()) == len(Bouts()) == 0
print("checked")
"""


def test_pairs_comparisons_and_filters_after_the_step(old_lab: Any) -> None:
    old_lab.program(ADD_ROWS)
    said = old_lab.orofacial("upgrade")
    assert "comparisons of a filter with the raw tracks are computed anew" in " ".join(said.split())
    assert "checked" in old_lab.program(CHECK)
