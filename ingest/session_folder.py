"""The optional files beside the videos: `session.toml` and `<camera>.timestamps.csv`."""

from __future__ import annotations

import tomllib
from datetime import date, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError

from compute.errors import SessionError


class MouseFile(BaseModel):
    """`[mouse]` in session.toml."""

    model_config = ConfigDict(extra="forbid")
    sex: Literal["female", "male", "unknown"] | None = None
    date_of_birth: date | None = None
    genotype: str | None = Field(default=None, max_length=255)


class SessionFile(BaseModel):
    """What session.toml may say. Everything is optional; an unknown key is refused, since it may be a typo."""

    model_config = ConfigDict(extra="forbid")
    start: datetime | None = None
    rig: str = Field(default="", max_length=64)
    experimenter: str = Field(default="", max_length=64)
    notes: str = Field(default="", max_length=1000)
    mouse: MouseFile = MouseFile()
    px_per_mm: dict[str, PositiveFloat] = {}


def read_session_file(folder: Path) -> SessionFile:
    """Read session.toml of a session's folder; without one, nothing is known.

    Raises
    ------
    SessionError
        If the file is no TOML, holds an unknown key or a value of the wrong kind.
    """
    path = folder / "session.toml"
    if not path.exists():
        return SessionFile()
    try:
        return SessionFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SessionError(
            f'{path} is not valid TOML: {error}. Mend that line: text stands in quotes (rig = "rig 2"), dates and'
            " numbers do not (start = 2026-03-02T10:30:00)"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        known = "start, rig, experimenter, notes, px_per_mm.<camera>, mouse.sex, mouse.date_of_birth, mouse.genotype"
        raise SessionError(f"{path}: {place}: {first['msg'].lower()}; known are {known}") from error


def read_timestamps(path: Path, n_frames: int) -> NDArray[np.float64]:
    """Read a camera's timestamps: a CSV with one time per frame, in seconds, with or without a header line.

    Returns
    -------
    array, shape (frame,), float64
        Times in seconds, strictly increasing.

    Raises
    ------
    SessionError
        If there is not exactly one finite, increasing time per frame.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").split()
    try:
        float(lines[0].split(",")[0]) if lines else None
    except ValueError:
        lines = lines[1:]
    try:
        times = np.array([line.split(",")[0] for line in lines], dtype=np.float64)
    except ValueError as error:
        raise SessionError(f"{path}: {error}; expected one time in seconds a line") from error
    if times.size != n_frames:
        raise SessionError(
            f"{path} has {times.size} times, the video has {n_frames} frames; expected one time per frame."
            " Export the timestamps again, or remove the file to use the video's frame rate"
        )
    if not np.isfinite(times).all():
        raise SessionError(f"{path} holds a time that is not a number; expected seconds, one time per frame")
    steps = np.diff(times)
    if (steps <= 0).any():
        frame = int(np.argmax(steps <= 0)) + 1
        raise SessionError(
            f"{path}: time does not increase at frame {frame} ({times[frame - 1]:.6f} s, then {times[frame]:.6f} s);"
            " expected seconds that increase from frame to frame. Export the timestamps again"
        )
    return times
