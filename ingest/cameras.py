"""Cameras of the rigs."""

from __future__ import annotations

from compute.errors import SessionError
from ingest.known_rows import TakenInRow, take_in_row
from ingest.session_names import name_of_other_case
from schemas.session import Camera


def add_camera(camera: str, description: str = "") -> TakenInRow:
    """Add a camera; its videos are named after it. Of one that is known, a description that was missing is added.

    Parameters
    ----------
    camera : str
        Its name, up to 32 characters that a file's name may have.
    description : str
        Where it stands; empty: not said.

    Raises
    ------
    SessionError
        If no video can have that name, or the camera is known with another description, or in other letters of upper
        and lower case.
    """
    if not 0 < len(camera) <= 32 or camera.startswith(".") or set(camera) & set("/\\") or camera != camera.strip():
        raise SessionError(f"{camera!r} names no camera; expected up to 32 characters that a video's name may have")
    if (other := name_of_other_case(camera, set(Camera.to_arrays("camera")))) is not None:
        raise SessionError(
            f"camera {camera} differs from the camera {other} only in upper and lower case, which some disks do not"
            f" tell apart. Name its videos {other}.mp4; or, if it is another camera, give it another name"
        )
    return take_in_row(
        Camera,
        {"camera": camera},
        {"camera_description": description or None},
        what=f"camera {camera}",
        error=SessionError,
        advice="Nothing was changed. 'orofacial camera list' shows what is known",
    )
