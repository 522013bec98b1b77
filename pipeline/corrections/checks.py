"""What is checked before a name is corrected: that it is free, and that nothing that is known contradicts it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, timedelta, timezone
from typing import Any

from compute.errors import SessionError
from compute.text import known_names_text, name_of_other_spelling, one_spelling, session_text
from ingest.ingest_run import IngestRun, known_lengths_s
from ingest.plausibility import (
    check_plausible_birth,
    check_plausible_date,
    check_plausible_day,
    check_plausible_sessions,
)
from ingest.session_names import LARGEST_NUMBER, SessionName, mouse_name_fault
from ingest.session_start import session_span
from pipeline.corrections.keys import CorrectionError
from schemas.metadata import known_metadata
from schemas.session import Camera, Session, Video
from schemas.subject import Mouse

Row = dict[str, Any]


def sessions_of(mouse: str) -> list[SessionName]:
    """The sessions of a mouse, the first first."""
    keys = (Session & {"mouse_id": mouse}).keys(order_by="session_date, session_number")
    return list(map(SessionName.of, keys))


def check_mouse_name(name: str, before: str | None = None) -> None:
    """Refuse a name that no file or database holds, or that is another mouse's but for case or encoding.

    Parameters
    ----------
    name : str
        The new name.
    before : str, optional
        The mouse's name until now; without it, the mouse is new.
    """
    fault = mouse_name_fault(name)
    if not fault and not (name.isprintable() and one_spelling(name) == name):
        fault = f"would be {name!a}; expected characters that can be seen, and each accented letter as one"
    if fault:
        raise CorrectionError(f"nothing was changed: the mouse's new name {fault}")
    other = name_of_other_spelling(name, set(map(str, Mouse.to_arrays("mouse_id"))) - {before})
    if other is not None:
        raise CorrectionError(
            f"nothing was changed: {name!a} differs from the known mouse {other!a} only in upper and lower case, or in"
            " how its letters are encoded; expected one name for a mouse"
        )


def check_mouse(mouse: str) -> None:
    """There is such a mouse."""
    if mouse not in set(map(str, (Mouse & {"mouse_id": mouse}).to_arrays("mouse_id"))):
        raise CorrectionError(no_mouse_text(mouse))


def no_mouse_text(mouse: str) -> str:
    """For people: that there is no such mouse, and which are near."""
    return f"there is no mouse {mouse!r}; {known_names_text(mouse, map(str, Mouse.to_arrays('mouse_id')))}"


def refuse_colliding_sessions(mouse: str, into: str, sessions: list[SessionName]) -> None:
    """No session of one mouse has date and number of one of the other."""
    taken = {(one.session_date, one.session_number) for one in sessions_of(into)}
    both = [one for one in sessions if (one.session_date, one.session_number) in taken]
    if both:
        shown = ", ".join(f"{one.session_date}_{one.session_number}" for one in both[:5])
        more = f" and {len(both) - 5} others" if len(both) > 5 else ""
        raise CorrectionError(
            f"nothing was changed: {mouse} and {into} both have a session {shown}{more}; expected sessions of their own"
            f" date or number. Give one of each another number first: orofacial sessions move {both[0]}"
            f" {SessionName(mouse, both[0].session_date, _free_number(mouse, into, both[0]))}"
        )


def _free_number(mouse: str, into: str, name: SessionName) -> int:
    of_day = Session & [{"mouse_id": mouse}, {"mouse_id": into}] & {"session_date": name.session_date}
    return int(max(of_day.to_arrays("session_number"))) + 1


def added_metadata(mouse: str, into: str) -> Row:
    """What is known of one mouse and not of the one that it becomes.

    Raises
    ------
    CorrectionError
        If different things are known of the two.
    """
    rows = [known_metadata(Mouse.metadata, (Mouse & {"mouse_id": one}).fetch1()) for one in (mouse, into)]
    for column in rows[0].keys() & rows[1].keys():
        if rows[0][column] != rows[1][column]:
            raise CorrectionError(
                f"nothing was changed: {column} of {mouse} is {rows[0][column]}, of {into} it is {rows[1][column]};"
                " expected the same of one mouse. Correct the one that is wrong first: orofacial mice set"
                f" {mouse} {column}={rows[1][column]}"
            )
    return {column: value for column, value in rows[0].items() if column not in rows[1]}


def check_new_session(before: SessionName, name: SessionName, *, swap: bool) -> None:
    """A session may have the new name: no other has it; to be swapped, another one has it."""
    if not 0 <= name.session_number <= LARGEST_NUMBER:
        raise CorrectionError(f"{name}: expected a number of the session from 0 to {LARGEST_NUMBER}")
    check_plausible_date(str(name), name.session_date)
    if name == before:
        raise CorrectionError(f"session {before} has that name already; expected another one")
    there = (Session & name.key).to_dicts()
    if there and not swap:
        raise CorrectionError(
            f"nothing was changed: there is a session {name} already, ingested from {there[0]['session_folder']};"
            f" expected a name that no session has. If the two have each other's name, say --swap; or move {name}"
            " first"
        )
    if swap and not there:
        raise CorrectionError(f"there is no session {name} to swap {before} with; without --swap, {before} is moved")


def check_start(old: SessionName, new: SessionName) -> None:
    """A session began on the day that it is called after."""
    start, offset_min = (Session & old.key).fetch1("session_start", "session_utc_offset_min")
    if start is not None and new.session_date != old.session_date:
        zone = UTC if offset_min is None else timezone(timedelta(minutes=int(offset_min)))
        try:
            check_plausible_day(
                f"session {old}", start.replace(tzinfo=zone), new.session_date, zone_is_known=offset_min is not None
            )
        except SessionError as error:
            raise SessionError(
                f"{error}. If the start is wrong too, forget it first: orofacial sessions set {old} start="
            ) from error


def check_fits_mouse(
    old: SessionName, new: SessionName, birth: date | None, leaving: Collection[SessionName] = ()
) -> None:
    """A mouse was born when it was filmed, and is in one session at a time.

    Parameters
    ----------
    old, new : SessionName
        The session as it is called, and as it will be.
    birth : date or None
        Of the new name's mouse.
    leaving : collection of SessionName
        Sessions that leave their places.
    """
    if birth is not None:
        check_plausible_birth(f"session {old}", new.mouse_id, birth, new.session_date)
    near = IngestRun().other_spans(new)
    others = {str(one): span for one, span in near.items() if one not in leaving}
    if others:
        span = session_span((Session & old.key).fetch1(), known_lengths_s(old))
        if span is not None:
            check_plausible_sessions(f"session {old}", span, others)


def check_new_camera(session: Row, camera: str, new_camera: str, *, swap: bool) -> None:
    """A video may be of the new camera: no other of its session is; to be swapped, another one is."""
    name = session_text(session)
    cameras = sorted(map(str, (Video & session).to_arrays("camera")))
    known = sorted(map(str, Camera.to_arrays("camera")))
    if camera not in cameras:
        raise CorrectionError(f"session {name} has no video of camera {camera}; it has {', '.join(cameras)}")
    if new_camera not in known:
        raise CorrectionError(
            f"there is no camera {new_camera!r}; known are {', '.join(known)}. Add it with: orofacial camera add"
            f" {new_camera}"
        )
    if new_camera == camera:
        raise CorrectionError(f"video {name}/{camera} is of that camera already; expected another one")
    if new_camera in cameras and not swap:
        raise CorrectionError(
            f"nothing was changed: session {name} has a video of camera {new_camera} already; expected one video a"
            " camera. If the two have each other's camera, say --swap"
        )
    if swap and new_camera not in cameras:
        raise CorrectionError(f"session {name} has no video of camera {new_camera} to swap with; leave --swap out")
