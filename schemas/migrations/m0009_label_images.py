"""Step 9: an image that several sets of labels hold is stored once.

Labels that were imported before keep their package with the images inside, which is read as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.labels import DeletedLabelImage, LabeledFrames, LabelImage

if TYPE_CHECKING:
    from schemas.migrations.database import MigratedDatabase

DESCRIPTION = "an image that several sets of labels hold is stored once"


def upgrade(database: MigratedDatabase) -> None:
    """Create the table of images, and those that name them."""
    database.create_table(LabelImage)
    database.create_table(LabeledFrames)  # its part Image
    database.create_table(DeletedLabelImage)
