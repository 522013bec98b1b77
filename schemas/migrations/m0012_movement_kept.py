"""Step 12: comparisons of filters are computed anew, with a reference for the movement kept that no filter has made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.metric import FilterComparison

if TYPE_CHECKING:
    from schemas.migrations.database import MigratedDatabase

DESCRIPTION = "the movement that a filter keeps is measured without any filter's gate; comparisons are computed anew"


def upgrade(database: MigratedDatabase) -> None:
    """Make the table of comparisons anew."""
    n_compared = database.make_anew("metric", FilterComparison)
    if n_compared:
        database.notes.append(
            f"{n_compared} comparisons of a filter with the raw tracks are computed anew by the next worker: what they"
            " said of the movement kept left out what the filter's own gate takes away"
        )
