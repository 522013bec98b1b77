"""Step 6: starts are instants, frames have times of the video file, and session.toml may be corrected."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.migrations.database import MigratedDatabase

DESCRIPTION = "sessions keep their offset from UTC, videos where their times are from, and corrections of session.toml"


def upgrade(database: MigratedDatabase) -> None:
    """Add the columns. Where times were stored, they were the camera's; no start says its zone.

    The table of corrections that this step once made has no rows in a database that lacks it: step 13 makes another.
    """
    database.add_column(
        "session",
        "session",
        "session_utc_offset_min=null : int16  # (min) local time of the rig minus UTC; null: not known",
    )
    database.add_column(
        "session",
        "session",
        "session_file_said=null : varchar(8000)"
        "  # JSON: what session.toml said when it was last read; null: not recorded",
    )
    database.add_column(
        "session",
        "video",
        "times_from='rate' : enum('rate', 'camera', 'container')"
        "  # camera: its file of timestamps; container: the video file",
    )
    database.add_column(
        "session",
        "video",
        "time_zero_unix_s=null : float64  # (s) since 1970 (UTC): instant of time 0; null: not known",
    )
    video = database.table("session", "video")
    database.execute(f"UPDATE {video} SET times_from = 'camera' WHERE timestamps IS NOT NULL")
