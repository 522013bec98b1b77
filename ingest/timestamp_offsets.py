"""Offsets from UTC that stand in a column of their own beside the times of a camera's frames."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from compute.errors import SessionError
from ingest.rig_time import rig_time_zone_at
from ingest.timestamp_table import TimestampTable, is_timestamp_number, timestamp_instant

_COLUMNS = re.compile(
    r"(?:utc|gmt|tz|(?:time)?zone)offset(?:in)?(?P<unit>s|secs?|seconds?|m|mins?|minutes?|h|hours?)?|(?:time)?zone|tz"
)
"""Names of such columns, of which only the letters count."""

_UNITS_MIN = {"s": 1 / 60, "m": 1, "h": 60}
"""Units (min) by their first letter."""


_ISO_OFFSET = r"(?:UTC|GMT|Z)?((?:[-+](?:[01]\d|2[0-3])(?::?[0-5]\d)?)?)"
"""Upper case; hours and minutes that are on a clock."""


def is_offset_column(name: str) -> bool:
    """Whether a column's name says that it holds offsets from UTC.

    Examples
    --------
    >>> [is_offset_column(name) for name in ("utc_offset", "UTC offset (min)", "time_zone", "x_offset")]
    [True, True, True, False]
    """
    return _column_name(name) is not None


def timestamp_offsets(table: TimestampTable, utc_offset_min: int | None = None) -> list[timezone] | None:
    """The offset from UTC of each line, where a column says it.

    Parameters
    ----------
    table : TimestampTable
        A header, and lines of data.
    utc_offset_min : int or None
        The rig's offset from UTC (min), if session.toml says it.

    Returns
    -------
    list of timezone, or None
        None: no column says it.

    Raises
    ------
    SessionError
        If a cell is no offset, session.toml says another one, or several columns say it.
    """
    columns = [index for index, name in enumerate(table.header) if is_offset_column(name)]
    if not columns:
        return None
    if len(columns) > 1:
        names = ", ".join(table.header[index] for index in columns)
        raise SessionError(
            f"{table.path} has {len(columns)} columns of offsets from UTC ({names}); expected one. Take the others out"
        )
    (column,) = columns
    known: dict[str, timezone] = {}
    for line, row in zip(table.lines, table.rows, strict=True):
        if row[column] not in known:
            known[row[column]] = _offset(f"{table.path}, line {line}", table.header[column], row[column])
    offsets = [known[row[column]] for row in table.rows]
    if offsets and utc_offset_min not in (None, offsets[0].utcoffset(None) / timedelta(minutes=1)):
        raise SessionError(
            f"{table.path}, line {table.lines[0]}: the offset from UTC is {_text(offsets[0])} in column"
            f" {table.header[column]}, and utc_offset_min of session.toml is {utc_offset_min}; expected the same."
            " Correct the one that is wrong"
        )
    return offsets


def add_timestamp_offsets(table: TimestampTable, cells: Sequence[str], offsets: Sequence[timezone]) -> list[str]:
    """Days and times with their offset from UTC; those that say UTC themselves stay as they are.

    Raises
    ------
    SessionError
        If a day and time says another offset than its line.
    """
    whole = []
    for line, cell, offset in zip(table.lines, cells, offsets, strict=True):
        said = timestamp_instant(cell)
        assert said is not None  # checked with all cells
        if said.tzinfo is not None and said.utcoffset() not in (timedelta(0), offset.utcoffset(None)):
            raise SessionError(
                f"{table.path}, line {line}: {cell} says its offset from UTC itself, and another column says"
                f" {_text(offset)}; expected the same. Take the one out that is wrong"
            )
        whole.append(cell if said.tzinfo is not None else cell + _text(offset))
    return whole


def _offset(where: str, name: str, cell: str) -> timezone:
    found = _column_name(name)
    unit = found and found["unit"]
    minutes = None
    if unit and is_timestamp_number(cell) and math.isfinite(float(cell)):
        minutes = float(cell) * _UNITS_MIN[unit[0]]
    elif not unit and cell and (text := re.fullmatch(_ISO_OFFSET, cell.upper())):
        at = datetime.fromisoformat(f"2000-01-01T00:00:00{text[1] or 'Z'}")
        minutes = (at.utcoffset() or timedelta(0)) / timedelta(minutes=1)
    zone = rig_time_zone_at(f"{where}, column {name}", round(minutes)) if minutes is not None else None
    if zone is None or round(minutes or 0) != minutes:
        raise SessionError(
            f"{where}: {cell!r} in column {name} is no offset from UTC; expected such as -05:00, or a number in a"
            " column that names its unit (utc_offset_min, utc_offset_h). Write it so; or take the column out: the times"
            " are the rig's local ones then, see rig_time_zone in settings.toml"
        )
    return zone


def _column_name(name: str) -> re.Match[str] | None:
    return _COLUMNS.fullmatch(re.sub(r"[\W\d_]", "", name.lower()))


def _text(offset: timezone) -> str:
    return datetime(2000, 1, 1, tzinfo=offset).isoformat()[-6:]
