"""A text file of numbers in columns, whoever wrote it: encoding, separator, decimal sign and header are found out."""

from __future__ import annotations

import codecs
import csv
import itertools
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from compute.errors import SessionError

_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+([eE][-+]?\d+)?")
_COMMENT = ("#", "%")


@dataclass(frozen=True)
class TimestampTable:
    """Columns of a text file.

    Attributes
    ----------
    path : Path
        The file.
    header : tuple of str
        Name of each column; empty: the file has no header.
    rows : list of list of str
        Cells of each line of data, without quotes; numbers with a decimal point.
    lines : list of int
        Number of each of these lines in the file, from 1.
    comment : str
        The last comment (a line that starts with # or %) before the data; empty: there is none.
    """

    path: Path
    header: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    comment: str


def read_timestamp_table(path: Path) -> TimestampTable:
    """Read a text file of columns.

    Cells are separated by semicolons, tabs, commas or blanks. A file without any of the first two, whose lines are
    ``0,033`` each, has decimal commas if its header names one column, or if it has none and both parts together
    increase from line to line where the part before the comma does not.

    Raises
    ------
    SessionError
        If the file is no text, has a second line of names, or a line has another number of cells than the lines
        before it.
    """
    numbered = [(number, line) for number, line in enumerate(_text(path).splitlines(), 1) if line.strip()]
    comments = [line for _, line in numbered if line.lstrip().startswith(_COMMENT)]
    numbered = [(number, line) for number, line in numbered if not line.lstrip().startswith(_COMMENT)]
    has_header = bool(numbered) and _is_header(numbered[0][1])
    head, data = (numbered[0][1] if has_header else ""), numbered[has_header:]
    if head and data and _is_header(data[0][1]) and re.search(r"\d:\d\d", data[0][1]):
        raise SessionError(
            f"{path}, line {data[0][0]}: {data[0][1].strip()!r} holds a time of day in a form that is not known;"
            " expected a day with its time in one column, such as 2026-03-02T10:30:00.5+01:00, or numbers in a column"
            " that names their unit (time_s, time_ms, time_us or time_ns). Export the times in one of these forms"
        )
    if head and data and _is_header(data[0][1]):
        raise SessionError(
            f"{path}, line {data[0][0]}: {data[0][1].strip()!r} is no time; expected one header line, then the first"
            f" frame's. Keep one of the lines {numbered[0][0]} and {data[0][0]}: the one that names the columns, with"
            " the unit in the name, such as time_s, time_ms, time_us or time_ns"
        )
    separator = _separator([line for _, line in data], head)
    rows = [_cells(line, separator) for _, line in data]
    header = tuple(_cells(head, separator)) if head else ()
    width = len(header) or (len(rows[0]) if rows else 0)
    for (number, _), row in zip(data, rows, strict=True):
        if len(row) != width:
            raise SessionError(
                f"{path}, line {number}: {len(row)} cells, expected {width} as in line {numbered[0][0]}."
                " Mend the line; decimal commas need another separator between columns, such as a semicolon"
            )
    rows = [[_with_point(cell) if "," in cell else cell for cell in row] for row in rows]
    comment = comments[-1].lstrip("#% \t").strip() if comments else ""
    return TimestampTable(path, header, rows, [number for number, _ in data], comment)


def is_timestamp_number(cell: str) -> bool:
    """Whether a cell is a number, also with a decimal comma."""
    try:
        float(_with_point(cell))
    except ValueError:
        return False
    return True


def timestamp_instant(cell: str) -> datetime | None:
    """The day and time that a cell says in ISO 8601, such as ``2026-03-02T10:30:00.5+01:00``; None for another cell."""
    if not re.match(r"\d{4}-\d{2}-\d{2}[T ]\d", cell):
        return None
    try:
        return datetime.fromisoformat(cell)
    except ValueError:
        return None


def _text(path: Path) -> str:
    """The file's text: UTF-8 or UTF-16 with or without a byte order mark, else Latin-1."""
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    if b"\0" in content:
        raise SessionError(f"{path} is no text; expected a CSV with a line for each frame. Export the times again")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _is_header(line: str) -> bool:
    """Whether no cell of a line is a number or a time, whatever separates them."""
    cells = [cell.strip("\"' ") for cell in re.split(r"[;\t,]", line)]
    return not any(is_timestamp_number(cell) or timestamp_instant(cell) for cell in cells) and not _is_row_of_blanks(
        line
    )


def _is_row_of_blanks(line: str) -> bool:
    """Whether a line is numbers that blanks separate."""
    cells = line.split()
    return len(cells) > 1 and all(map(is_timestamp_number, cells))


def _separator(data: list[str], head: str) -> str | None:
    """What separates the cells; None: blanks; empty: there is one column."""
    for separator in (";", "\t"):
        if any(separator in line for line in data):
            return separator
    if any("," in line for line in data):
        is_decimal = all(_DECIMAL_COMMA.fullmatch(line.strip("\"' ")) or is_timestamp_number(line) for line in data)
        return "" if is_decimal and ("," not in head if head else not _counts(data)) else ","
    return None if any(map(_is_row_of_blanks, data)) else ""


def _with_point(cell: str) -> str:
    """A number with a decimal comma as one with a point; anything else as it is."""
    return cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell


def _counts(data: list[str]) -> bool:
    """Whether the part before the comma is a frame number: one more in each line."""
    first = [int(line.strip("\"' ").partition(",")[0]) for line in data]
    return len(data) > 1 and all(after - before == 1 for before, after in itertools.pairwise(first))


def _cells(line: str, separator: str | None) -> list[str]:
    if separator == "":
        return [line.strip("\"' \t;,")]
    if separator is None:
        return line.split()
    cells = next(csv.reader([line.strip(" ").removesuffix(separator)], delimiter=separator, skipinitialspace=True))
    return [cell.strip("\"' ") for cell in cells]
