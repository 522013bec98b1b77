"""How a column of metadata is declared: once, in the table that it belongs to.

`Mouse`, `Session` and `Video` each have a list `metadata`. Everything else is made from these lists: the table's
columns, what session.toml may hold and the text of its errors, the insert, the columns and keywords of a query, the
lines of `orofacial why`, what NWB and Parquet files say, and the documentation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any

_INTEGERS = {"int16": 16, "int32": 32, "int64": 64}
_PYTHON = {
    **dict.fromkeys(("varchar", "char", "enum"), str),
    **dict.fromkeys(_INTEGERS, int),
    "float64": float,
    "date": date,
    "datetime": datetime,
}
_ARROW = {str: "string", int: "int64", float: "double", date: "date32", datetime: "timestamp[us]"}


@dataclass(frozen=True)
class MetadataColumn:
    """A column that session.toml may fill.

    Parameters
    ----------
    name : str
        Name of the column, with its unit. No other table of a track has a column of this name.
    datatype : str
        DataJoint's type: ``varchar(n)``, ``enum(...)``, ``date``, ``datetime``, ``float64``, ``int16``, ``int32`` or
        ``int64``. Where session.toml says nothing, a text is empty, an enum ``'unknown'``, and all else null.
    comment : str
        What it is, with its unit; the column's comment in the database.
    meaning : str, optional
        The same for people, for a column whose comment does not say it.
    key : str, optional
        Name in session.toml, where that is not the column's.
    above : float, optional
        A number must be larger than this.

    Examples
    --------
    >>> MetadataColumn("weight_g", "float64", "(g) of the mouse on this day", above=0).definition
    'weight_g=null : float64  # (g) of the mouse on this day'
    """

    name: str
    datatype: str
    comment: str = ""
    meaning: str = ""
    key: str = ""
    above: float | None = None

    @property
    def toml_key(self) -> str:
        """Name in session.toml."""
        return self.key or self.name

    @property
    def text(self) -> str:
        """What it is, for people."""
        return self.meaning or self.comment

    @property
    def python_type(self) -> type:
        """Type of its values in Python."""
        return metadata_python_type(self.datatype)

    @property
    def values(self) -> tuple[str, ...]:
        """The values of an enum; empty for other types."""
        return tuple(re.findall(r"'([^']*)'", self.datatype))

    @property
    def max_length(self) -> int | None:
        """The most characters of a text (varchar)."""
        found = re.fullmatch(r"varchar\((\d+)\)", self.datatype)
        return int(found[1]) if found else None

    @property
    def n_bits(self) -> int | None:
        """Size of an integer; None for other types."""
        return _INTEGERS.get(self.datatype)

    @property
    def is_text(self) -> bool:
        """Whether a query takes its values as a keyword."""
        return self.python_type is str

    @cached_property
    def unknown(self) -> str | None:
        """Its value where nothing is known."""
        if self.values:
            return "unknown"
        return "" if self.is_text else None

    @property
    def definition(self) -> str:
        """Its line in the table's definition."""
        default = "null" if self.unknown is None else f"'{self.unknown}'"
        return f"{self.name}={default} : {self.datatype}" + (f"  # {self.comment}" if self.comment else "")


def metadata_definition(metadata: Iterable[MetadataColumn]) -> str:
    """The lines of these columns in a table's definition."""
    return "\n    ".join(column.definition for column in metadata)


def complete_metadata(metadata: Iterable[MetadataColumn], said: dict[str, Any]) -> dict[str, Any]:
    """A value of each of these columns: what was said, else that nothing is known."""
    return {column.name: said.get(column.name, column.unknown) for column in metadata}


def known_metadata(metadata: Iterable[MetadataColumn], row: dict[str, Any]) -> dict[str, Any]:
    """The values of these columns in a row, without those that are not known."""
    return {column.name: row[column.name] for column in metadata if row.get(column.name) not in (None, column.unknown)}


def metadata_python_type(datajoint_type: str) -> type:
    """Python's type of the values of a column.

    Raises
    ------
    KeyError
        If it is none that a column of metadata or of results can have.
    """
    return _PYTHON[datajoint_type.partition("(")[0]]


def metadata_arrow_type(datajoint_type: str) -> str:
    """Arrow's type, as `pyarrow.type_for_alias` takes it, of a column.

    Examples
    --------
    >>> metadata_arrow_type("varchar(64)"), metadata_arrow_type("float64"), metadata_arrow_type("int32")
    ('string', 'double', 'int64')
    """
    return _ARROW[metadata_python_type(datajoint_type)]
