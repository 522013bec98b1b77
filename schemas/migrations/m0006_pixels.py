"""Step 6: videos count their damaged frames, and models say how many channels of a frame they read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.migrations.database import MigratedDatabase

DESCRIPTION = "videos count the frames that are damaged, models say whether they read gray or color"


def upgrade(database: MigratedDatabase) -> None:
    """Add the columns; of what was taken in before, both are not known."""
    database.add_column(
        "session",
        "video",
        "n_damaged_frames=null : int32  # of them, those that the decoder made up in part; null: nobody looked",
    )
    database.add_column(
        "model",
        "model",
        "n_channels=null : int16  # of a frame that it reads: 1 gray, 3 color; null: gray, or not known",
    )
