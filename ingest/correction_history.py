"""What was corrected, by whom and why; and what a mouse or a session that was renamed is called now.

A correction is one act of a person, with a line of `Correction` for each name or value. Lines name mouse and session as
they were called until then, so that a name is followed from correction to correction: forward, to what an old name
means now, or backward, to everything that was corrected of a session under whatever name.
"""

from __future__ import annotations

import getpass
import os
import platform
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from itertools import groupby
from typing import Any

from compute.errors import SessionError
from compute.text import one_spelling, session_text
from ingest.session_names import SessionName, parse_session_name
from schemas.making.locks import holding_lock
from schemas.session import Correction, Session
from schemas.subject import Mouse

Row = dict[str, Any]

MOUSE_NAME, MERGED_MOUSE, SESSION_NAME, CAMERA = "mouse_id", "merged_mouse_id", "session", "camera"
"""What stands in `corrected_column` where a name was corrected; otherwise it is the column of a value."""

_LONGEST_REASON = 1000
_RENAMES = (MOUSE_NAME, MERGED_MOUSE, SESSION_NAME)


def corrections_locked() -> AbstractContextManager[bool]:
    """Hold this around a transaction that corrects something: one correction at a time, each with a number."""
    return holding_lock(Correction.connection, f"{Correction().full_table_name} rows")


def insert_correction(lines: Iterable[Row], reason: str = "") -> None:
    """Write down what is corrected at once. Call it inside of `corrections_locked`, in the transaction that corrects.

    Parameters
    ----------
    lines : iterable of dict
        Rows of `Correction` without number, person and reason, as of `correction_line`.
    reason : str
        Why, as the person says.
    """
    if len(reason) > _LONGEST_REASON:
        raise SessionError(f"the reason has {len(reason)} characters; expected at most {_LONGEST_REASON}")
    (number,) = Correction.connection.query(
        f"SELECT coalesce(max(correction_number), 0) + 1 FROM {Correction().full_table_name}"
    ).fetchone()
    said = {"corrected_by": person_text(), "correction_reason": reason}
    Correction.insert(
        [
            {"correction_number": number, "correction_line": index, **said, **line}
            for index, line in enumerate(lines, start=1)
        ]
    )


def correction_line(key: Row, column: str, before: Any, after: Any, *, camera: str = "", session_file: str = "") -> Row:
    """A line of a correction.

    Parameters
    ----------
    key : dict
        Key of a mouse or a session, as it was called until then.
    column : str
        Of the value; or one of the kinds of names.
    before, after
        Values; what is not known is empty.
    camera : str
        Whose video.
    session_file : str
        The session.toml that says it; empty: a command.

    Examples
    --------
    >>> line = correction_line({"mouse_id": "mouse01"}, "sex", "unknown", "female")
    >>> line["corrected_mouse"], line["corrected_date"], line["value_before"], line["value_after"]
    ('mouse01', None, '', 'female')
    """
    return {
        "corrected_mouse": key["mouse_id"],
        "corrected_date": key.get("session_date"),
        "corrected_number": key.get("session_number"),
        "corrected_camera": camera,
        "corrected_column": column,
        "value_before": value_text(before),
        "value_after": value_text(after),
        "session_file": session_file,
    }


def value_text(value: Any) -> str:
    """A value for people; empty for what is not known."""
    if value is None or value == "unknown":
        return ""
    return str(value.isoformat() if hasattr(value, "isoformat") else value)


def correction_text(line: Row) -> str:
    """A line of a correction for people.

    Examples
    --------
    >>> correction_text(correction_line({"mouse_id": "mouse01"}, "sex", "unknown", "female"))
    'sex was unknown, is female'
    """
    camera = f" of camera {line['corrected_camera']}" if line["corrected_camera"] else ""
    return (
        f"{line['corrected_column']}{camera} was {line['value_before'] or 'unknown'},"
        f" is {line['value_after'] or 'unknown'}"
    )


def correction_source_text(line: Row) -> str:
    """Who corrected it by what, and why, for people.

    Examples
    --------
    >>> correction_source_text({"session_file": "", "corrected_by": "jane@rig", "correction_reason": "mistyped"})
    'by jane@rig (mistyped)'
    """
    sources = [one for one in (line["session_file"], line["corrected_by"]) if one]
    reason = f" ({line['correction_reason']})" if line["correction_reason"] else ""
    return f"by {', '.join(sources) or 'a person'}{reason}"


def person_text() -> str:
    """Who works here, as user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{user}@{platform.node()}"


def parse_session_text(text: str) -> SessionName:
    """A session from its text, such as ``mouse01/2026-03-02_1``, which must be one."""
    name = parse_session_name(text)
    if name is None:
        raise SessionError(f"{text!r} is no session's name; expected such as mouse01/2026-03-02_1")
    return name


@dataclass(frozen=True)
class NameHistory:
    """The names that were corrected, by correction, the oldest first.

    Attributes
    ----------
    corrections : sequence of list of dict
        The lines of each correction that concern names.
    mice : frozenset of str
        The mice that there are.
    """

    corrections: Sequence[list[Row]]
    mice: frozenset[str] = frozenset()

    @classmethod
    def fetch(cls) -> NameHistory:
        """Read them from the database."""
        found = _corrections((Correction & [{"corrected_column": column} for column in _RENAMES]).to_dicts())
        return cls(found, frozenset(map(str, Mouse.to_arrays("mouse_id"))))

    @cached_property
    def _spellings(self) -> dict[str, str]:
        """Names of mice, also those that no mouse has any more, by themselves and with each accented letter as one."""
        ever = {line["corrected_mouse"] for lines in self.corrections for line in lines} | self.mice
        return {one_spelling(one): one for one in ever} | {one: one for one in ever}

    def spelled(self, mouse_id: str) -> str:
        """A mouse's name as the lab writes its accents; the same for a mouse that the lab never knew."""
        return self._spellings.get(mouse_id) or self._spellings.get(one_spelling(mouse_id), mouse_id)

    def session_now(self, name: SessionName) -> SessionName:
        """What a session that once had this name is called now; the same where it was never renamed."""
        name = replace(name, mouse_id=self.spelled(name.mouse_id))
        if not self.corrections or Session & name.key:
            return name
        return _followed(name, self.corrections, mouse_is_other=name.mouse_id in self.mice)

    def moved_sessions(self, mouse_id: str, day: date) -> list[SessionName]:
        """What the sessions of a mouse and day that were given another name are called now."""
        now, found = self.mouse_now(mouse_id), []
        for index, lines in enumerate(self.corrections):
            for line in lines:
                if line["corrected_column"] != SESSION_NAME:
                    continue
                before = parse_session_text(line["value_before"])
                is_of_mouse = before.mouse_id == mouse_id or self.mouse_now(before.mouse_id) == now
                if is_of_mouse and before.session_date == day:
                    found.append(_followed(parse_session_text(line["value_after"]), self.corrections[index + 1 :]))
        return found

    def names_ever(self, name: SessionName) -> list[SessionName]:
        """All names that a session has had, the one of now first."""
        found = [str(name)]
        for lines in reversed(self.corrections):
            before = _name_before(lines, found[-1])
            if before != found[-1]:
                found.append(before)
        return [name, *map(parse_session_text, found[1:])]

    def mouse_now(self, mouse_id: str) -> str:
        """What a mouse that once had this name is called now; the same for one that there is."""
        mouse_id = self.spelled(mouse_id)
        if mouse_id in self.mice:
            return mouse_id
        for lines in self.corrections:
            for line in lines:
                if line["corrected_column"] in (MOUSE_NAME, MERGED_MOUSE) and line["value_before"] == mouse_id:
                    mouse_id = line["value_after"]
                    break
        return mouse_id

    def refuse_former_mouse(self, name: SessionName, where: str) -> None:
        """Refuse a new session of a mouse that is called otherwise now.

        It would be another mouse, and one that no model was trained on.

        Raises
        ------
        SessionError
            If the session's mouse was renamed or merged with another, and no mouse has that name now.
        """
        now = self.mouse_now(name.mouse_id)
        if now != name.mouse_id:
            raise SessionError(
                f"{where}: mouse {name.mouse_id} was renamed, and is {now} now; expected its new sessions under that"
                f" name. Rename the files to those of {replace(name, mouse_id=now)} (and correct the name at the rig);"
                " if it is another mouse, give it a name that no mouse ever had"
            )


def mouse_history(mouse_id: str, rows: Sequence[Row] | None = None) -> list[Row]:
    """Lines of corrections of a mouse, under each of its names, the oldest first.

    Parameters
    ----------
    mouse_id : str
        Its name now.
    rows : sequence of dict, optional
        Rows of `Correction`; without it, those of the database.
    """
    names, found = {mouse_id}, []
    for lines in reversed(_corrections(_fetch() if rows is None else rows)):
        own = [line for line in lines if line["corrected_date"] is None]
        renamed = [line for line in own if line["corrected_column"] == MOUSE_NAME and line["value_after"] in names]
        merged = [line for line in own if line["corrected_column"] == MERGED_MOUSE and line["value_after"] in names]
        names -= {line["value_after"] for line in renamed}
        names |= {line["value_before"] for line in (*renamed, *merged)}
        values = [line for line in own if line["corrected_column"] not in _RENAMES and line["corrected_mouse"] in names]
        found.append([*renamed, *merged, *values])
    return [line for lines in reversed(found) for line in lines]


def session_history(key: Row, rows: Sequence[Row] | None = None) -> list[Row]:
    """Lines of corrections of a session and of its mouse, under each of their names, the oldest first.

    What was corrected of another session that once had one of these names, and was deleted, is left out.

    Parameters
    ----------
    key : dict
        Primary key of a row of `Session`.
    rows : sequence of dict, optional
        Rows of `Correction`; without it, those of the database since the session was ingested.
    """
    since = None
    if rows is None:
        rows = _fetch()
        since = (Session & {name: key[name] for name in Session.primary_key}).fetch1("ingested_at")
    name, found = session_text(key), list(mouse_history(key["mouse_id"], rows))
    for lines in reversed(_corrections(rows)):
        name = _name_before(lines, name)
        own = [line for line in lines if line["corrected_date"] is not None and _session_of(line) == name]
        found += [line for line in own if since is None or line["corrected_at"] >= since]
    return sorted(found, key=lambda line: (line["correction_number"], line["correction_line"]))


def camera_history(history: Sequence[Row], camera: str) -> list[Row]:
    """Of a session's history, what concerns one camera: the session, its mouse, and this video, whatever it was called.

    Parameters
    ----------
    history : sequence of dict
        As of `session_history`.
    camera : str
        The video's camera now.
    """
    found = []
    for lines in reversed(_corrections(history)):
        changed = [line for line in lines if (line["corrected_column"], line["value_after"]) == (CAMERA, camera)]
        camera = changed[0]["value_before"] if changed else camera
        found.append([line for line in lines if line["corrected_camera"] in ("", camera)])
    return [line for lines in reversed(found) for line in lines]


def _followed(name: SessionName, corrections: Iterable[Sequence[Row]], *, mouse_is_other: bool = False) -> SessionName:
    """What a session is called after some corrections; `mouse_is_other`: another mouse has its mouse's name now."""
    for lines in corrections:
        by_column = {(line["corrected_column"], line["value_before"]): line["value_after"] for line in lines}
        moved = by_column.get((SESSION_NAME, str(name)))
        mouse = by_column.get((MOUSE_NAME, name.mouse_id)) or by_column.get((MERGED_MOUSE, name.mouse_id))
        if moved is not None:
            name, mouse_is_other = parse_session_text(moved), False
        elif mouse is not None and not mouse_is_other:
            name = replace(name, mouse_id=mouse)
    return name


def _name_before(lines: Sequence[Row], name: str) -> str:
    """What a session was called before a correction."""
    mouse = name.rpartition("/")[0]
    before = {(line["corrected_column"], line["value_after"]): line["value_before"] for line in reversed(lines)}
    if (MOUSE_NAME, mouse) in before and (SESSION_NAME, name) not in before:
        return str(before[MOUSE_NAME, mouse]) + name[len(mouse) :]
    return str(before.get((SESSION_NAME, name), name))


def _session_of(line: Row) -> str:
    return f"{line['corrected_mouse']}/{line['corrected_date']}_{line['corrected_number']}"


def _fetch() -> list[Row]:
    rows: list[Row] = Correction.to_dicts(order_by="correction_number, correction_line")
    return rows


def _corrections(rows: Iterable[Row]) -> list[list[Row]]:
    """The lines of each correction, the oldest first."""
    ordered = sorted(rows, key=lambda line: (line["correction_number"], line["correction_line"]))
    return [list(lines) for _, lines in groupby(ordered, key=lambda line: line["correction_number"])]
