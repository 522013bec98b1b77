"""Step 13: one table of corrections, of names and values, that refers to no other row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.session import Correction
from schemas.subject import Mouse

if TYPE_CHECKING:
    from schemas.migrations.database import MigratedDatabase

DESCRIPTION = (
    "names of mice and sessions can be corrected; the table of corrections says who and why, and outlives them"
)

_NAMES = "corrected_column", "corrected_camera", "value_before", "value_after", "session_file", "corrected_at"


def upgrade(database: MigratedDatabase) -> None:
    """Move the corrections of session.toml into the new table: each a correction of its own, the oldest first."""
    database.create_table(Correction)
    if not database.has_table("session", "metadata_correction"):
        return
    names = ("mouse_id", "session_date", "session_number", *_NAMES)
    rows = database.rows(
        f"SELECT {', '.join(names)} FROM {database.table('session', 'metadata_correction')}"
        " ORDER BY corrected_at, mouse_id, session_date, session_number, correction_number"
    )
    of_mouse = {column.name for column in Mouse.metadata}
    corrections = []
    for number, values in enumerate(rows, start=1):
        row = dict(zip(names, values, strict=True))
        is_of_mouse = row["corrected_column"] in of_mouse
        key = {
            "correction_number": number,
            "correction_line": 1,
            "corrected_mouse": row["mouse_id"],
            "corrected_date": None if is_of_mouse else row["session_date"],
            "corrected_number": None if is_of_mouse else row["session_number"],
        }
        corrections.append({**key, **{name: row[name] for name in _NAMES}})
    Correction.insert(corrections)
    database.drop_table("session", "metadata_correction")
