"""Step 3: files of poses that other programs wrote beside the videos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.pose import PoseFile

if TYPE_CHECKING:
    from schemas.migrations.database import MigratedDatabase

DESCRIPTION = "poses can come from files that DeepLabCut or Lightning Pose wrote beside the videos"


def upgrade(database: MigratedDatabase) -> None:
    """Create the table of such files."""
    database.create_table(PoseFile)
