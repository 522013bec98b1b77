"""Animals."""

from typing import ClassVar

import datajoint as dj

from schemas.metadata import MetadataColumn, metadata_definition

schema = dj.Schema()


@schema
class Mouse(dj.Manual):
    """A mouse, under the name that the lab uses for it."""

    metadata: ClassVar = (
        MetadataColumn("sex", "enum('female', 'male', 'unknown')", meaning="sex of the mouse"),
        MetadataColumn("genotype", "varchar(255)", meaning="as the lab writes it"),
        MetadataColumn("date_of_birth", "date", meaning="birthday of the mouse"),
    )
    """What ``[mouse]`` in session.toml may say."""

    definition = f"""
    mouse_id : varchar(64)
    ---
    {metadata_definition(metadata)}
    """
