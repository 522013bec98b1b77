"""Recordings: which camera filmed which mouse, when."""

from __future__ import annotations

from typing import Any, ClassVar

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from schemas.metadata import MetadataColumn, metadata_definition
from schemas.subject import Mouse

schema = dj.Schema()


@schema
class Camera(dj.Lookup):
    """A view of the mouse. A lab with other cameras inserts its own rows."""

    definition = """
    camera : varchar(32)
    ---
    camera_description='' : varchar(255)
    """
    contents = (
        {"camera": "side", "camera_description": "from the side of the mouse"},
        {"camera": "lower", "camera_description": "from below the mouse"},
    )


@schema
class Session(dj.Manual):
    """One recording of one mouse: the folder `<mouse>/<date>_<number>`."""

    metadata: ClassVar = (
        MetadataColumn("session_start", "datetime", "as session.toml says, local time of the rig", key="start"),
        MetadataColumn(
            "session_utc_offset_min",
            "int16",
            "(min) local time of the rig minus UTC; null: not known",
            key="utc_offset_min",
        ),
        MetadataColumn("rig", "varchar(64)", meaning="the setup that recorded"),
        MetadataColumn("experimenter", "varchar(64)", meaning="who recorded"),
        MetadataColumn("session_notes", "varchar(1000)", meaning="anything else", key="notes"),
    )
    """What session.toml may say of a session."""

    definition = f"""
    -> Mouse
    session_date : date
    session_number : int16  # counts the sessions of a day
    ---
    {metadata_definition(metadata)}
    session_folder : varchar(1000)  # where the videos lie
    ingested_at=CURRENT_TIMESTAMP : datetime
    session_file_said=null : varchar(8000)  # JSON: what session.toml said when it was last read; null: not recorded
    """


@schema
class Video(dj.Manual):
    """A video of a session, as it lies on disk; never altered."""

    metadata: ClassVar = (MetadataColumn("px_per_mm", "float64", "scale at the mouse; null: unknown", above=0),)
    """What session.toml may say of a camera's video, each in a section of its own: ``[px_per_mm]``."""

    definition = f"""
    -> Session
    -> Camera
    ---
    video_file : varchar(1000)  # absolute path, the same on every machine of the lab
    file_size_bytes : int64  # (bytes)
    content_hash : char(64)  # sha256 of the file
    n_frames : int32  # decoded, not the container's promise
    n_damaged_frames=null : int32  # of them, those that the decoder made up in part; null: nobody looked
    fps_numerator : int32  # (Hz) exact frame rate is numerator / denominator
    fps_denominator : int32
    width_px : int32
    height_px : int32
    {metadata_definition(metadata)}
    timestamps=null : <array@tracks>  # (s) time of each frame by the camera's clock; null: frame_index / fps
    times_from='rate' : enum('rate', 'camera', 'container')  # camera: its file of timestamps; container: the video file
    time_zero_unix_s=null : float64  # (s) since 1970 (UTC): instant of time 0; null: not known
    unique index (content_hash)
    """

    @staticmethod
    def frame_times(row: dict[str, Any]) -> NDArray[np.float64]:
        """Time of each frame in seconds, shape (frame,).

        The timestamps of the camera, or of an irregular video file; else frame index divided by the exact frame rate.

        Parameters
        ----------
        row : dict
            A fetched row of `Video`.
        """
        if row["timestamps"] is not None:
            return np.asarray(row["timestamps"], np.float64)
        return np.arange(row["n_frames"]) * row["fps_denominator"] / row["fps_numerator"]


@schema
class Correction(dj.Manual):
    """A name or a value that a person corrected, before and after. Rows are only ever added, and never changed.

    They refer to no other row: each names the mouse and the session as they were called until then, and stays when
    these are renamed or deleted. `ingest.correction_history` follows the names.
    """

    definition = """
    correction_number : int64  # counts the corrections of the lab, from 1
    correction_line : int32  # counts what was corrected at once, from 1
    ---
    corrected_mouse : varchar(64)  # its name until then
    corrected_date=null : date  # of the session; null: it is the mouse that was corrected
    corrected_number=null : int16  # number of the session
    corrected_camera='' : varchar(32)  # whose video; empty: of the session or the mouse
    corrected_column : varchar(64)  # of Mouse, Session or Video, or the kind of name
    value_before='' : varchar(1000)  # as text; empty: not known
    value_after='' : varchar(1000)  # as text; empty: not known any more
    session_file='' : varchar(1000)  # the session.toml that says it; empty: a command
    corrected_by='' : varchar(320)  # user@host; empty: not recorded
    correction_reason='' : varchar(1000)  # as that person says; empty: not said
    corrected_at=CURRENT_TIMESTAMP : datetime
    """


METADATA: tuple[MetadataColumn, ...] = (*Mouse.metadata, *Session.metadata, *Video.metadata)
"""Everything that session.toml may say."""
