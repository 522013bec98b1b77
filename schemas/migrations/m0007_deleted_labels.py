"""Step 7: labels can be deleted; their packages stay in the store for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.labels import DeletedLabels

if TYPE_CHECKING:
    from schemas.migrations.database import MigratedDatabase

DESCRIPTION = "labels can be deleted, and when their packages may be collected is kept"


def upgrade(database: MigratedDatabase) -> None:
    """Create the table of deleted labels."""
    database.create_table(DeletedLabels)
