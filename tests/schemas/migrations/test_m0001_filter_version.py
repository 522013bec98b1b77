"""Step 1: rows of `FilterMethod` get a version, and the Kalman smoother's parameter ``motion`` goes."""

from __future__ import annotations

from typing import Any

ADD_ROWS = """
import json

table = MigratedDatabase(connection, prefix).table("track", "#filter_method")
moving = {"motion": "constant_acceleration", "gate_minimum_px": 3.0}
resting = {"motion": "constant_velocity", "gate_minimum_px": 3.0}
entry = {"filter": "kalman", "parameters": moving}
for method, name, parameters in [
    ("turning", "kalman", moving),
    ("turning_jaw", "per_node", {"filters": {"jaw_tip": entry, "snout": {"filter": "raw", "parameters": {}}}}),
    ("resting_jaw", "per_node", {"filters": {"jaw_tip": {"filter": "kalman", "parameters": resting}}}),
    ("nothing", "per_node", {"filters": None}),
]:
    connection.query(
        f"INSERT INTO {table} (filter_method, filter_name, filter_parameters) VALUES (%s, %s, %s)",
        args=(method, name, json.dumps(parameters)),
    )
"""

CHECK = """
from compute.filters import check_parameters, default_parameters

schemas.activate(prefix, connection)
from schemas.track import FilteredTrack, FilterMethod, is_current_filter

rows = {row["filter_method"]: row for row in FilterMethod.to_dicts()}
kept = {"motion": "constant_acceleration", "gate_minimum_px": 3.0}
assert rows["turning"]["filter_version"] == 0 and rows["turning"]["filter_parameters"] == kept
jaw = rows["turning_jaw"]
assert jaw["filter_version"] == 0 and jaw["filter_parameters"]["filters"]["jaw_tip"]["parameters"] == kept
assert rows["resting_jaw"]["filter_parameters"] == {
    "filters": {"jaw_tip": {"filter": "kalman", "parameters": {"gate_minimum_px": 3.0}}}
}
assert rows["nothing"]["filter_parameters"] == {"filters": None}
newer_parameters = {"same_x", "same_y", "pose_shape"}
assert rows["kalman"]["filter_parameters"] == {
    **{name: value for name, value in default_parameters("kalman").items() if name not in newer_parameters},
    "maximum_bandwidth_hz": 25.0, "gate_minimum_px": 2.0
}
older = {method for method, row in rows.items() if not is_current_filter(row)}
newer = {"interpolate", "kalman", "gaussian", "gaussian_gated", "median", "one_euro", "savitzky_golay"}
assert {"turning", "turning_jaw", *newer} <= older, older
for method in rows.keys() - older:
    assert rows[method]["filter_version"] == 1 or method.endswith(f"_v{rows[method]['filter_version']}")
    check_parameters(rows[method]["filter_name"], rows[method]["filter_parameters"])
assert {"gaussian_v2", "gaussian_gated_v3", "median_v2", "one_euro_v2", "savitzky_golay_v2"} <= rows.keys() - older
wanted = set(FilteredTrack().key_source.to_arrays("filter_method"))
assert wanted == rows.keys() - older, wanted
"""


def test_parameters_and_versions_after_the_step(old_lab: Any) -> None:
    old_lab.program(ADD_ROWS)
    old_lab.orofacial("upgrade")
    old_lab.program(CHECK)
