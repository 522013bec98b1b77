"""Text for people."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any


def count_text(n: int, noun: str, plural: str = "") -> str:
    """A number and what it counts, in singular or plural.

    Parameters
    ----------
    n : int
        How many.
    noun : str
        One of them.
    plural : str, optional
        Several of them, where that is not the noun with an s.

    Examples
    --------
    >>> count_text(1, "file"), count_text(0, "file"), count_text(2, "mouse", "mice")
    ('1 file', '0 files', '2 mice')
    """
    return f"{n} {noun if n == 1 else plural or noun + 's'}"


def names_text(names: Iterable[str], none: str = "none yet") -> str:
    """Names for a message; an empty one, which stands for what is not known, is left out.

    Examples
    --------
    >>> names_text(["", "het", "wild type"]), names_text([""])
    ('het, wild type', 'none yet')
    """
    return ", ".join(name for name in names if name) or none


def nearest_names(name: str, known: Iterable[str]) -> list[str]:
    """Up to three known names that are written much like one, the nearest first.

    Examples
    --------
    >>> nearest_names("v01bsae", ["v01base", "v02", "mouse01"]), nearest_names("V02", ["v01", "v02"])
    (['v01base'], ['v02', 'v01'])
    """
    by_case: dict[str, list[str]] = {}
    for one in sorted(set(known)):
        by_case.setdefault(one.casefold(), []).append(one)
    found = difflib.get_close_matches(name.casefold(), by_case, n=3)
    return [one for near in found for one in by_case[near] if one][:3]


def one_spelling(text: str) -> str:
    """A text as it is compared: an accented letter is one character (NFC), however a disk wrote it.

    Examples
    --------
    >>> one_spelling("mu\u0308ller") == "m\u00fcller"
    True
    """
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def name_of_other_spelling(name: str, known: Iterable[str]) -> str | None:
    """The known name that differs in nothing but upper and lower case, or in how Unicode writes a letter such as ü.

    Some disks and databases take both for one name. None: there is no such name, or `name` itself is known.

    Examples
    --------
    >>> name_of_other_spelling("Side", {"side", "lower"})
    'side'
    """
    names = sorted(map(str, known))
    if name in names:
        return None
    plain = one_spelling(name.casefold())
    return next((other for other in names if one_spelling(other.casefold()) == plain), None)


def known_names_text(name: str, known: Iterable[str]) -> str:
    """The known names for the message about one that is unknown, the nearest first.

    Examples
    --------
    >>> known_names_text("v01bsae", ["v01base", "v02"]), known_names_text("typo", ["v01base", "v02"])
    ('nearest is v01base; known are v01base, v02', 'known are v01base, v02')
    """
    several = sorted(set(known))
    nearest = names_text(nearest_names(name, several), none="")
    return f"{f'nearest is {nearest}; ' if nearest else ''}known are {names_text(several)}"


def session_text(key: Mapping[str, Any]) -> str:
    """A session as every command takes it, from its key.

    Examples
    --------
    >>> session_text({"mouse_id": "mouse01", "session_date": "2026-03-02", "session_number": 1, "camera": "side"})
    'mouse01/2026-03-02_1'
    """
    return f"{key['mouse_id']}/{key['session_date']}_{key['session_number']}"
