"""What an ingest says of each session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Status = Literal[
    "ingested",
    "would be ingested",
    "corrected",
    "would be corrected",
    "moved",
    "would be moved",
    "known",
    "changed",
    "waiting",
    "refused",
    "left out",
]
"""Moved: known, and its files were found where they are now. Changed: known, but a video or its time stamps are not
what was ingested. Left out: files that are no recordings."""


@dataclass(frozen=True)
class SessionOutcome:
    """The result of one session, or of files that are of none."""

    folder: Path
    status: Status
    message: str
    session: str = ""
    """Its name; empty: the files are of no session."""
    called: str = ""
    """The session that its files name, where the lab calls it otherwise."""
