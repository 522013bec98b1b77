"""Step 8: the training mice of a model can be corrected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.model import TrainingMiceCorrection

if TYPE_CHECKING:
    from schemas.migrations.database import MigratedDatabase

DESCRIPTION = "the training mice of a model can be corrected, and what was told before is kept"


def upgrade(database: MigratedDatabase) -> None:
    """Create the table of corrections."""
    database.create_table(TrainingMiceCorrection)
