"""Step 11: labeled frames of a video say what its tracks are off by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.calibration import TrackCalibration

if TYPE_CHECKING:
    from schemas.migrations.database import MigratedDatabase

DESCRIPTION = "lasting offsets and intervals of tracks, by labeled frames that the model has not seen, are a table"


def upgrade(database: MigratedDatabase) -> None:
    """Create the table."""
    database.collate_like_others("calibration")
    database.create_table(TrackCalibration)
