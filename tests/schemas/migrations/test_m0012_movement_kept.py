"""Step 12: comparisons that an older version made are computed anew."""

from __future__ import annotations

from typing import Any

ADD_COMPARISON = """
schemas.activate(prefix, connection)
from schemas.metric import FilterComparison

key = FilterComparison().key_source.keys()[0]
FilterComparison.insert1({**key, "power_kept": 0.93, "n_bouts": 3}, allow_direct_insert=True)
"""

UPGRADE = """
import importlib

step = importlib.import_module("schemas.migrations.m0012_movement_kept")
number = plan_tables_upgrade(prefix, connection, []).version_before + 1
done = upgrade_tables(prefix, connection, steps=[MigrationStep(number, step.DESCRIPTION, step.upgrade)])
print(" ".join(done.notes))
table = MigratedDatabase(connection, prefix).table("metric", "__filter_comparison")
assert connection.query(f"SELECT count(*) FROM {table}").fetchone()[0] == 0
"""


def test_comparisons_are_computed_anew(old_lab: Any) -> None:
    old_lab.orofacial("upgrade")
    old_lab.program(ADD_COMPARISON)
    assert "1 comparisons of a filter with the raw tracks are computed anew" in old_lab.program(UPGRADE)
