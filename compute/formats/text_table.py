"""Lines and numbers of a text file that a program or a spreadsheet wrote: CSV in any of its dialects."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from pathlib import Path

from compute.errors import ExportError
from compute.text import count_text

_DELIMITERS = ",;\t"
_HEAD_BYTES = 1 << 20
"""More than the header of any table of tracks has."""


class TextTable:
    """Cells of a text file, line by line.

    The byte order mark says the encoding; without one it is UTF-8. Cells are separated by what follows the
    first cell: commas, semicolons or tabs. Where it is not the comma, a comma may stand in a number.

    Parameters
    ----------
    path : Path
        The file, for errors.
    content : bytes, optional
        The file's bytes, if they have been read already.

    Raises
    ------
    ExportError
        If it cannot be read, or is no text.
    """

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        self.path = path
        try:
            text = _decoded(path.read_bytes() if content is None else content)
        except (OSError, UnicodeError) as error:
            raise ExportError(f"{path} cannot be read as text ({error}); export or copy it again") from error
        self.delimiter = next((sign for sign in text.partition("\n")[0] if sign in _DELIMITERS), ",")
        self._reader = csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter)

    @classmethod
    def head(cls, path: Path) -> TextTable:
        """Only the first lines of a file, to find out what it is.

        Raises
        ------
        ExportError
            If it cannot be read, or is no text.
        """
        try:
            with path.open("rb") as file:
                content = file.read(_HEAD_BYTES)
        except OSError as error:
            raise ExportError(f"{path} cannot be read ({error.strerror}); copy it again") from error
        return cls(path, content.rpartition(b"\n")[0] if len(content) == _HEAD_BYTES else content)

    def __iter__(self) -> Iterator[list[str]]:
        """The cells of each line that is not empty."""
        try:
            for cells in self._reader:
                if cells:
                    yield cells
        except csv.Error as error:
            raise ExportError(f"{self.line()}: {error}; export or copy the file again") from error

    def line(self, number: int | None = None) -> str:
        """The place of a line, for people; without a number, of the one that was read last."""
        return f"{self.path}, line {self.line_number if number is None else number}"

    @property
    def line_number(self) -> int:
        """Number of the line that was read last, from 1."""
        return self._reader.line_num

    def number(self, cell: str) -> float:
        """The number in a cell of the line that was read last; NaN if it is empty.

        Raises
        ------
        ExportError
            If it holds something else.
        """
        try:
            return float(cell)
        except ValueError:
            pass
        if not cell.strip():
            return float("nan")
        try:
            if self.delimiter != ",":
                return float(cell.replace(",", "."))
        except ValueError:
            pass
        raise ExportError(f"{self.line()}: {cell!r} is no number")

    def check_width(self, cells: list[str], width: int) -> None:
        """Refuse a line with another number of cells.

        Raises
        ------
        ExportError
            Naming the line.
        """
        if len(cells) != width:
            raise ExportError(
                f"{self.line()} has {count_text(len(cells), 'cell')}, expected {width}: it may have been cut off"
            )


def _decoded(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    return content.decode("utf-8-sig")
