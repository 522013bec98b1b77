"""What an NWB file says about the session and the mouse; the poses are added by `compute.formats.nwb`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any

_SEX = {"female": "F", "male": "M"}
_OF_SESSION = ("institution", "lab", "pharmacology", "protocol", "surgery", "virus")
_OF_SUBJECT = ("genotype", "strain")
"""Columns of metadata that NWB has a text field of the same name for. Those without a field stand in the notes."""

_ELSEWHERE = {"mouse_id", "session_date", "session_number", "session_start", "session_notes", "experimenter"}
_ELSEWHERE |= {"sex", "date_of_birth", *_OF_SESSION, *_OF_SUBJECT}
"""Metadata and keys that are not said in the notes under their names."""

_UNKNOWN_AGE = "P0D/"
"""NWB's way to say that only a lower bound of the age is known: from 0 days on."""


def new_nwb_session(provenance: Mapping[str, Any]) -> Any:
    """A file with what is known about the session and the subject.

    ``recording`` and ``mouse`` of the provenance hold it, by column. What NWB has no field for is in the notes, as
    ``name: value``; all of it is also in the JSON of `compute.formats.nwb`.
    """
    from pynwb import NWBFile
    from pynwb.file import Subject

    session = str(provenance.get("session", "unknown"))
    recording, mouse = provenance.get("recording", {}), provenance.get("mouse", {})
    day = date.fromisoformat(recording["session_date"]) if "session_date" in recording else None
    start, remark = _start(recording.get("session_start"), day)
    experimenter = recording.get("experimenter")
    file = NWBFile(
        session_description=f"Orofacial movements of a mouse, filmed; session {session}.{remark}",
        identifier=str(uuid.uuid5(uuid.NAMESPACE_URL, f"orofacial:{session}:{provenance.get('video', {})}")),
        session_start_time=start,
        session_id=nwb_name(session),
        experimenter=[experimenter] if experimenter else None,
        experiment_description="Pose estimation of face and jaw from videos, with orofacial",
        keywords=["mouse", "orofacial", "pose estimation", "behavior"],
        notes=_notes(recording, mouse) or None,
        **_texts(_OF_SESSION, recording),
    )
    born = date.fromisoformat(mouse["date_of_birth"]) if mouse.get("date_of_birth") else None
    file.subject = Subject(
        subject_id=nwb_name(str(mouse.get("mouse_id", "unknown"))),
        species="Mus musculus",
        sex=_SEX.get(mouse.get("sex"), "U"),
        date_of_birth=None if born is None else datetime.combine(born, time(), tzinfo=start.tzinfo),
        age=_UNKNOWN_AGE if born is None else f"P{(start.date() - born).days}D",
        **_texts(_OF_SUBJECT, mouse),
        description=None,
    )
    return file


def _notes(recording: Mapping[str, Any], mouse: Mapping[str, Any]) -> str:
    """What NWB has no field for, then the experimenter's own notes."""
    rest = {name: value for name, value in {**recording, **mouse}.items() if name not in _ELSEWHERE}
    said = [f"{name}: {value}" for name, value in rest.items() if value not in (None, "", "unknown")]
    return ". ".join([*said, *filter(None, [recording.get("session_notes")])])


def _texts(names: tuple[str, ...], values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(values[name]) for name in names if values.get(name)}


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
