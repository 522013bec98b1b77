"""What an import asks for, beside what the database holds already.

Every import that may be repeated goes this way: a row that is new is inserted; of one that is there, what was not known
is added, and what contradicts it is refused. The answer is read back from the database: what was asked for is never
echoed as done.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import datajoint as dj

from compute.errors import OrofacialError
from compute.text import name_of_other_spelling

_NOT_KNOWN: tuple[Any, ...] = (None, "")


Row = dict[str, Any]


@dataclass(frozen=True)
class KnownRowComparison:
    """What was asked for, beside a row that is there.

    Parameters
    ----------
    added : dict
        Values of columns in which the row says nothing yet.
    contradictions : dict
        Columns in which the row says something else: what it says, and what was asked for.
    """

    added: Row = field(default_factory=dict)
    contradictions: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def refuse(self, what: str, error: type[OrofacialError], advice: str) -> None:
        """Refuse what contradicts the row.

        Parameters
        ----------
        what : str
            What is known already, for people, such as ``camera top``.
        error : type of OrofacialError
            The error to raise.
        advice : str
            What to do.

        Raises
        ------
        OrofacialError
            The error, with each column, what it says, and what was asked for.
        """
        if self.contradictions:
            raise error(f"{what} is there already: {describe_contradictions(self.contradictions)}. {advice}")


@dataclass(frozen=True)
class TakenInRow:
    """The answer of an import, read from the database.

    Parameters
    ----------
    is_new : bool
        Whether the row was inserted now.
    added : dict
        Columns that a row that was there says now, and did not before.
    row : dict
        The row.
    """

    is_new: bool
    added: Row
    row: Row

    def text(self, new: str = "added") -> str:
        """What was done, for people: `new`, ``known already``, or what was added to what was known.

        Examples
        --------
        >>> TakenInRow(False, {"camera_description": "from above"}, {}).text()
        'known already; added camera_description from above'
        """
        if self.is_new:
            return new
        added = ", ".join(f"{name} {_value_text(value)}" for name, value in self.added.items())
        return f"known already; added {added}" if added else "known already"


def compare_known_row(row: Mapping[str, Any], asked: Mapping[str, Any]) -> KnownRowComparison:
    """Compare what was asked for with a row that is there.

    Parameters
    ----------
    row : mapping
        As the database holds it. None and an empty text say nothing.
    asked : mapping
        Values by column; None was not asked for. A mapping is compared entry by entry.

    Examples
    --------
    >>> compare_known_row({"camera": "side", "mouse_id": None}, {"camera": "lower", "mouse_id": "mouse01"})
    KnownRowComparison(added={'mouse_id': 'mouse01'}, contradictions={'camera': ('side', 'lower')})
    """
    said = {name: value for name, value in asked.items() if value is not None and row[name] != value}
    added = {name: value for name, value in said.items() if row[name] in _NOT_KNOWN}
    contradictions: dict[str, tuple[Any, Any]] = {}
    for name, value in said.items():
        if isinstance(value, Mapping):
            entries = {entry: (row[name].get(entry), value.get(entry)) for entry in [*value, *row[name]]}
            contradictions |= {entry: pair for entry, pair in entries.items() if pair[0] != pair[1]}
        elif name not in added:
            contradictions[name] = (row[name], value)
    return KnownRowComparison(added, contradictions)


def refuse_other_spelling(what: str, name: str, known: Iterable[str], error: type[OrofacialError]) -> None:
    """Refuse a name that is a known one but for upper and lower case: MySQL takes both for one, PostgreSQL does not.

    Raises
    ------
    OrofacialError
        `error`, if there is such a name, and none of this spelling.
    """
    if (other := name_of_other_spelling(name, known)) is not None:
        raise error(
            f"{what} {name} differs from the {what} {other} only in upper and lower case, which not every database"
            f" tells apart. Use {other} if it is that one; else choose another name"
        )


def take_in_row(
    table: type[dj.Table], key: Row, asked: Mapping[str, Any], *, what: str, error: type[OrofacialError], advice: str
) -> TakenInRow:
    """Insert a row if it is new; else add to it what was not known, and refuse what contradicts it.

    Parameters
    ----------
    table : type of datajoint.Table
        Where the row belongs.
    key : dict
        Its primary key.
    asked : mapping
        Values by column; None was not asked for.
    what, error, advice
        Of the refusal, see `KnownRowComparison.refuse`.

    Raises
    ------
    OrofacialError
        `error`, if the row that is there says something else. Nothing is changed then.
    """
    is_new = not table & key
    if is_new:
        # Another process may insert it at this moment: the row that is there then is compared like any other.
        table.insert1({**key, **{n: v for n, v in asked.items() if v is not None}}, skip_duplicates=True)
    compared = compare_known_row((table & key).fetch1(), asked)
    compared.refuse(what, error, advice)
    if compared.added:
        table.update1({**key, **compared.added})
    return TakenInRow(is_new, compared.added, (table & key).fetch1())


def describe_contradictions(contradictions: Mapping[str, tuple[Any, Any]]) -> str:
    """Contradictions as text.

    Examples
    --------
    >>> describe_contradictions({"camera": ("side", "lower"), "mice": (["mouse01"], ["mouse02", "mouse03"])})
    'camera is side, not lower; mice is mouse01, not mouse02, mouse03'
    """
    return "; ".join(
        f"{name} is {_value_text(there)}, not {_value_text(wanted)}" for name, (there, wanted) in contradictions.items()
    )


def _value_text(value: Any) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value)) or "none"
    return str(value)
