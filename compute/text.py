"""Text for people."""

from __future__ import annotations


def counted(n: int, noun: str, plural: str = "") -> str:
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
    >>> counted(1, "file"), counted(0, "file"), counted(2, "mouse", "mice")
    ('1 file', '0 files', '2 mice')
    """
    return f"{n} {noun if n == 1 else plural or noun + 's'}"
