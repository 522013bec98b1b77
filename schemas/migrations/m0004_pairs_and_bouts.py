"""Step 4: comparisons hang on what their pair was, bouts are tables, and scores are taken relative to their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from schemas.metric import BoutMethod, Bouts, FilterComparison, NodePair, PairDefinition

if TYPE_CHECKING:
    from schemas.migrations.database import MigratedDatabase

DESCRIPTION = "comparisons of filters keep what their pair was; bouts are tables; `interpolate` knows no fixed score"


def upgrade(database: MigratedDatabase) -> None:
    """Create the tables, have comparisons computed anew, and rename a parameter where that changes no track."""
    database.create_table(PairDefinition)
    for pair in NodePair.to_dicts():
        PairDefinition.insert1(PairDefinition.of(pair))
    n_compared = database.make_anew("metric", FilterComparison)
    if n_compared:
        database.notes.append(
            f"{n_compared} comparisons of a filter with the raw tracks are computed anew by the next worker, on the"
            " frames that both have"
        )
    database.create_table(BoutMethod)
    database.create_table(Bouts)
    _rename_minimum_score(database)


def _rename_minimum_score(database: MigratedDatabase) -> None:
    """Give rows whose `interpolate` takes all scores the parameter of its version 2: their tracks are the same.

    A row with a number as `minimum_score` stays one of version 1: its tracks stay, and it makes no new ones.
    """
    table = database.table("track", "#filter_method")
    for method, name, stored, version in database.rows(
        f"SELECT filter_method, filter_name, filter_parameters, filter_version FROM {table}"
    ):
        parameters = json.loads(stored) if isinstance(stored, str | bytes) else stored
        changed = _without_minimum_score(name, parameters)
        if changed != parameters:
            database.execute(
                f"UPDATE {table} SET filter_parameters = %s, filter_version = %s WHERE filter_method = %s",
                (json.dumps(changed), version + 1, method),
            )


def _without_minimum_score(name: str, parameters: Any) -> Any:
    """The parameters of version 2, if a filter (or each node's) gives the same tracks with them; else as they are."""
    if not isinstance(parameters, Mapping):
        return parameters
    if name == "interpolate" and "minimum_score" in parameters and parameters["minimum_score"] is None:
        rest = {parameter: value for parameter, value in parameters.items() if parameter != "minimum_score"}
        return {"lowest_score_fraction": None, **rest}
    entries = parameters.get("filters") if name == "per_node" else None
    if not isinstance(entries, Mapping):
        return parameters
    changed = {
        node: {"filter": entry["filter"], "parameters": _without_minimum_score(entry["filter"], entry["parameters"])}
        for node, entry in entries.items()
    }
    interpolated = [entry["parameters"] for entry in changed.values() if entry["filter"] == "interpolate"]
    if any("lowest_score_fraction" not in entry for entry in interpolated):
        return parameters
    return {**parameters, "filters": changed}
