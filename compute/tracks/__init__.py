"""`Tracks`, the one type that flows through the project, and the Parquet file that keeps it."""

from compute.tracks.point_columns import POINT_COLUMNS, PointColumn
from compute.tracks.tracks import FORMAT_VERSION, Tracks, check_tracks_format_version, read_tracks_metadata

__all__ = [
    "FORMAT_VERSION",
    "POINT_COLUMNS",
    "PointColumn",
    "Tracks",
    "check_tracks_format_version",
    "read_tracks_metadata",
]
