"""What an NWB file says about the session and the mouse; the poses are added by `compute.formats.nwb`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any

_SEX = {"female": "F", "male": "M"}
_UNKNOWN_AGE = "P0D/"
"""NWB's way to say that only a lower bound of the age is known: from 0 days on."""


def new_file(provenance: Mapping[str, Any]) -> Any:
    """A file with what is known about the session and the subject."""
    from pynwb import NWBFile
    from pynwb.file import Subject

    session = str(provenance.get("session", "unknown"))
    recording, mouse = provenance.get("recording", {}), provenance.get("mouse", {})
    day = date.fromisoformat(recording["session_date"]) if "session_date" in recording else None
    start, remark = _start(recording.get("session_start"), day)
    notes, rig = recording.get("session_notes"), recording.get("rig")
    experimenter = recording.get("experimenter")
    file = NWBFile(
        session_description=f"Head-fixed mouse, orofacial movements filmed; session {session}.{remark}",
        identifier=str(uuid.uuid5(uuid.NAMESPACE_URL, f"orofacial:{session}:{provenance.get('video', {})}")),
        session_start_time=start,
        session_id=nwb_name(session),
        experimenter=[experimenter] if experimenter else None,
        experiment_description="Pose estimation of face and jaw from videos, with orofacial",
        keywords=["mouse", "orofacial", "pose estimation", "behavior"],
        notes=". ".join(text for text in (f"rig: {rig}" if rig else "", notes or "") if text) or None,
    )
    born = date.fromisoformat(mouse["date_of_birth"]) if mouse.get("date_of_birth") else None
    file.subject = Subject(
        subject_id=nwb_name(str(mouse.get("mouse_id", "unknown"))),
        species="Mus musculus",
        sex=_SEX.get(mouse.get("sex"), "U"),
        date_of_birth=None if born is None else datetime.combine(born, time(), tzinfo=start.tzinfo),
        age=_UNKNOWN_AGE if born is None else f"P{(start.date() - born).days}D",
        genotype=mouse.get("genotype") or None,
        description="head-fixed mouse",
    )
    return file


def _start(session_start: str | None, day: date | None) -> tuple[datetime, str]:
    """When the session began, in this machine's time zone, and a remark where that is not known."""
    if session_start is not None:
        return datetime.fromisoformat(session_start).astimezone(), ""
    if day is not None:
        return datetime.combine(day, time()).astimezone(), " The time of day is not known: midnight stands for it."
    return datetime(1970, 1, 1, tzinfo=UTC), " Neither day nor time are known: 1970 stands for them."


def nwb_name(name: str) -> str:
    """A name that HDF5 and NWB's rules allow."""
    for forbidden in "/\\:":
        name = name.replace(forbidden, "-")
    return "dot" if name == "." else name
