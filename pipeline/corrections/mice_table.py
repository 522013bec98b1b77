"""All mice as a CSV file, out of the lab and into it: what a colony database knows of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from compute.errors import SessionError
from compute.text import nearest_names
from ingest.correction_history import correction_text, corrections_locked, value_text
from ingest.corrections import Corrections, insert_corrections, mouse_corrections
from ingest.session_files import parse_values
from pipeline.corrections.keys import CorrectionError
from schemas.subject import Mouse

COLUMNS = ("mouse_id", *(column.name for column in Mouse.metadata))


def mice_csv(rows: Iterable[dict[str, Any]]) -> str:
    """Mice as CSV; what is not known is an empty cell.

    Examples
    --------
    >>> print(mice_csv([{"mouse_id": "m1", "sex": "unknown", "genotype": "a, b", "date_of_birth": None}]), end="")
    mouse_id,sex,genotype,date_of_birth
    m1,,"a, b",
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([[row["mouse_id"], *(value_text(row[name]) for name in COLUMNS[1:])] for row in rows])
    return text.getvalue()


def import_mice(path: Path, *, reason: str = "", dry_run: bool = False) -> list[str]:
    """Take in what a CSV file says of the lab's mice: all of it, or nothing.

    Parameters
    ----------
    path : Path
        With a line of names: ``mouse_id`` and columns of `Mouse`. An empty cell says nothing: what is known stays.
    reason : str
        Why; kept in `Correction`.
    dry_run : bool
        Check and say everything, change nothing.

    Returns
    -------
    list of str
        What was corrected of each mouse of which that was not known, for people.

    Raises
    ------
    CorrectionError
        If anything in the file cannot be; the message has a line for each fault.
    """
    with corrections_locked():
        faults: list[str] = []
        corrections = _compare(_read(path, faults), faults)
        if faults:
            raise CorrectionError(
                f"{path}: nothing was changed, since {len(faults)} of its values cannot be taken in:\n"
                + "\n".join(f"  {fault}" for fault in faults)
            )
        changed = [one for one in corrections if one.mouse]
        if changed and not dry_run:
            insert_corrections(*changed, reason=reason)
        return [f"{one.key['mouse_id']}: {'; '.join(map(correction_text, one.lines()))}" for one in changed]


def _read(path: Path, faults: list[str]) -> list[tuple[int, dict[str, str]]]:
    """The cells of each line, by column, with the number of the line."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CorrectionError(f"{path} cannot be read ({error}); expected a CSV file in UTF-8") from error
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text), delimiter=";" if ";" in head and "," not in head else ",", strict=True)
    lines: list[tuple[int, dict[str, str]]] = []
    names: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = [cell.strip() for cell in cells]
                faults += _faults_of_names(names, reader.line_num)
            elif len(cells) != len(names):
                faults.append(
                    f"line {reader.line_num}: {len(cells)} cells; expected {len(names)}, as in the first line"
                )
            else:
                lines.append((reader.line_num, dict(zip(names, (cell.strip() for cell in cells), strict=True))))
    except csv.Error as error:
        faults.append(f"line {reader.line_num}: {error}; expected cells between commas, text with commas in quotes")
    if not names:
        raise CorrectionError(f"{path} is empty; expected a first line with {', '.join(COLUMNS)}")
    return lines


def _faults_of_names(names: list[str], line: int) -> list[str]:
    known = f"known are {', '.join(COLUMNS)}"
    faults = [f"line {line}: unknown column {name!r}; {known}" for name in names if name not in COLUMNS]
    faults += [f"line {line}: column {name} stands there twice" for name in COLUMNS if names.count(name) > 1]
    if "mouse_id" not in names:
        faults.append(f"line {line}: no column mouse_id; {known}")
    return faults


def _compare(lines: list[tuple[int, dict[str, str]]], faults: list[str]) -> list[Corrections]:
    """What the file says and the database does not."""
    known = set(map(str, Mouse.to_arrays("mouse_id")))
    first: dict[str, int] = {}
    found = []
    for number, cells in lines:
        mouse = cells.pop("mouse_id", None)
        if mouse is None:
            continue
        if mouse not in known:
            near = nearest_names(mouse, known)
            faults.append(f"line {number}: the lab has no mouse {mouse!r}{f'; nearest is {near[0]}' if near else ''}")
            continue
        if mouse in first:
            faults.append(
                f"line {number}: mouse {mouse} stands in line {first[mouse]} already; expected one line a mouse"
            )
            continue
        first[mouse] = number
        values: dict[str, Any] = {}
        for name, text in cells.items():
            if name in COLUMNS and text:
                try:
                    values |= parse_values(f"line {number}", {name: text}, of_mouse=True).mouse
                except SessionError as error:
                    faults.append(str(error))
        try:
            found.append(mouse_corrections(mouse, f"line {number}", values))
        except SessionError as error:
            faults.append(str(error))
    return found
