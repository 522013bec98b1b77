"""The name of a session: its mouse, its date and its number on that day."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from compute.errors import SessionError

LONGEST_MOUSE, LARGEST_NUMBER = 64, 2**15 - 1
"""Of the columns `mouse_id` and `session_number`."""

_NAME = re.compile(r"(?:^|.*/)([^/]+)/(\d{4}-\d{2}-\d{2})_(\d+)")


@dataclass(frozen=True)
class SessionName:
    """Mouse, date and number."""

    mouse_id: str
    session_date: date
    session_number: int

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> SessionName:
        """The name of a session from its key, or from a row that has it."""
        return cls(row["mouse_id"], row["session_date"], row["session_number"])

    @property
    def key(self) -> dict[str, object]:
        """Primary key of the session."""
        return {
            "mouse_id": self.mouse_id,
            "session_date": self.session_date,
            "session_number": self.session_number,
        }

    def __str__(self) -> str:
        return f"{self.mouse_id}/{self.session_date}_{self.session_number}"


def parse_session_name(text: str) -> SessionName | None:
    """Read a session's name, or None if the text is none; it may have a folder before it.

    Raises
    ------
    SessionError
        If it is one, but its date does not exist.

    Examples
    --------
    >>> print(parse_session_name("raw/mouse01/2026-03-02_1"))
    mouse01/2026-03-02_1
    >>> parse_session_name("raw/mouse01/yesterday") is None
    True
    """
    match = _NAME.fullmatch(text)
    if match is None:
        return None
    try:
        return SessionName(match[1], date.fromisoformat(match[2]), int(match[3]))
    except ValueError as error:  # such as the 31st of February
        raise SessionError(
            f"{text}: {match[2]} is no date of the calendar ({error}); expected YYYY-MM-DD, such as 2026-03-02."
            " Correct the name"
        ) from error


def check_name_fits(where: str, name: SessionName) -> None:
    """Refuse a name that no database, or no command, could hold.

    Parameters
    ----------
    where : str
        The session's folder, for people.
    name : SessionName
        Its name.

    Raises
    ------
    SessionError
        If the mouse's name or the number is too large, the path is not in UTF-8, or the mouse's name begins with a dot,
        begins or ends with a blank, or holds a slash, a backslash or a control character.
    """
    if where != printable(where):
        raise SessionError(
            f"{where} has a name that is not in UTF-8; expected letters that every computer reads the same."
            " Rename it (such as ö to oe), then ingest again"
        )
    if fault := mouse_name_fault(name.mouse_id):
        raise SessionError(f"{where}: the mouse's name {fault}. Rename the mouse's files, then ingest again")
    if name.session_number > LARGEST_NUMBER:
        raise SessionError(
            f"{where}: the session's number is too large ({name.session_number}); expected at most"
            f" {LARGEST_NUMBER}, as it counts the sessions of a day. Rename it, then ingest again"
        )


def mouse_name_fault(mouse: str) -> str:
    """Why a text can be no mouse's name, for people; empty if it can.

    Examples
    --------
    >>> mouse_name_fault("m" * 65)
    'is too long (65 characters); expected 1 to 64'
    >>> mouse_name_fault("mouse01")
    ''
    """
    if len(mouse) > LONGEST_MOUSE:
        return f"is too long ({len(mouse)} characters); expected 1 to {LONGEST_MOUSE}"
    is_bad = any(one in "/\\%" or unicodedata.category(one) == "Cc" for one in mouse)
    if is_bad or mouse.startswith(".") or mouse != mouse.strip() or not mouse:
        return (
            f"would be {mouse!r}; expected no dot or blank at its begin, no blank at its end, and no slash, backslash,"
            " percent sign (DataJoint deletes no row with one) or control character in it"
        )
    return ""


def printable(text: str) -> str:
    """A text with paths for people: bytes of a name that are not UTF-8 become their codes, which can be printed."""
    return text.encode("utf-8", "backslashreplace").decode()
