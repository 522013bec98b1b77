"""Text for people."""

from __future__ import annotations

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


def session_text(key: Mapping[str, Any]) -> str:
    """A session as every command takes it, from its key.

    Examples
    --------
    >>> session_text({"mouse_id": "mouse01", "session_date": "2026-03-02", "session_number": 1, "camera": "side"})
    'mouse01/2026-03-02_1'
    """
    return f"{key['mouse_id']}/{key['session_date']}_{key['session_number']}"
