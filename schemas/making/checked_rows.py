"""Tables whose rows are checked and completed before they are inserted, whoever inserts them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from compute.errors import OrofacialError

_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
EVERY = "all"
"""What a question says for all rows of such a table; so no row has this name."""


class CheckedRows:
    """Beside `datajoint.Lookup` or `datajoint.Manual`: every row that is inserted goes through `checked`.

    Commands, Python and initial contents go the same way: DataJoint's `insert1` and `insert` both end here.
    """

    def checked(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row as it is inserted, with what it leaves out; to be defined by the table.

        Raises
        ------
        OrofacialError
            If a value is none that the table may hold.
        """
        raise NotImplementedError

    def insert(self, rows: Any, *, skip_duplicates: bool = False, **options: Any) -> None:
        """Insert rows, all of them or none: see `datajoint.Table.insert` for the forms that they may have.

        With `skip_duplicates`, rows whose key is there already are left out before they are checked.
        """
        table: Any = self
        given = _as_dicts(table, rows)
        if skip_duplicates:
            there = {tuple(key[name] for name in table.primary_key) for key in table.proj().to_dicts()}
            given = [row for row in given if tuple(row.get(name) for name in table.primary_key) not in there]
        super().insert(  # type: ignore[misc]
            [self.checked(row) for row in given], skip_duplicates=skip_duplicates, **options
        )


def _as_dicts(table: Any, rows: Any) -> list[dict[str, Any]]:
    """Rows of each form that DataJoint's `insert` takes, as dicts."""
    if isinstance(rows, Path):
        with rows.open(newline="") as file:
            return list(csv.DictReader(file))
    if isinstance(rows, type):  # a table
        rows = rows()
    if type(rows).__module__.startswith("pandas"):
        return [dict(row) for row in rows.reset_index(drop=not rows.index.names[0]).to_dict("records")]
    for method in ("to_dicts", "to_pylist"):  # a query or polars, pyarrow
        if hasattr(rows, method):
            return list(getattr(rows, method)())
    return [_as_dict(table, row) for row in rows]


def _as_dict(table: Any, row: Any) -> dict[str, Any]:
    if isinstance(row, Mapping):
        return dict(row)
    if isinstance(row, np.void):
        return {name: row[name] for name in row.dtype.names or ()}
    if isinstance(row, Iterable) and not isinstance(row, str | bytes):
        return dict(zip(table.heading.names, row, strict=False))
    raise TypeError(f"a row of {type(table).__name__} is {row!r}; expected a dict of columns and values")


def check_row_name(what: str, name: Any, error: type[OrofacialError]) -> None:
    """Refuse a name that no row of a table of methods may have.

    Parameters
    ----------
    what : str
        What the row is, such as ``filter method``.
    name : str
        The name.
    error : type
        What is raised.

    Raises
    ------
    OrofacialError
        If it is none of up to 64 letters, digits and underscores, or stands for all rows.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise error(f"{name!r} names no {what}; expected up to 64 letters, digits, underscores")
    if name == EVERY:
        raise error(f"{name!r} stands for every {what}; choose another name")
