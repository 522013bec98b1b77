"""Step 10: a model may be made from others, and quality counts the points at which these disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.model import EnsembleMember

if TYPE_CHECKING:
    from schemas.migrations.database import MigratedDatabase

DESCRIPTION = "several models of a camera can be one, an ensemble; quality counts the points at which they disagree"


def upgrade(database: MigratedDatabase) -> None:
    """Create the table of members, and add the column to the quality of nodes."""
    database.create_table(EnsembleMember)
    database.add_column(
        "track",
        "__track_quality__node",
        "n_disputed=null : int32  # points at which the members of an ensemble disagree; null: the model is none",
    )
