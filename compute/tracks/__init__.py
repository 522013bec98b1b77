"""`Tracks`, the one type that flows through the project, and the Parquet file that keeps it."""

from compute.tracks.tracks import (
    FILTER_COLUMNS,
    FORMAT_VERSION,
    Tracks,
    check_tracks_format_version,
    read_tracks_metadata,
)

__all__ = ["FILTER_COLUMNS", "FORMAT_VERSION", "Tracks", "check_tracks_format_version", "read_tracks_metadata"]
