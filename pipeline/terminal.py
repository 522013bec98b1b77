"""Text, tables and JSON on a terminal, at any width."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compute.json_text import json_text

# The name of a mouse may hold colons: ":x:" is not an emoji.
console = Console(soft_wrap=True, highlight=False, emoji=False)
errors = Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)


def print_json(value: Any) -> None:
    """Print one JSON object: dates as text, paths as text, NaN as null."""
    print(json_text(value, indent=2, ascii_only=True))


def print_json_line(value: Any) -> None:
    """Print one JSON object as one line, at once: for commands that go on."""
    print(json_text(value, ascii_only=True), flush=True)


def print_table(columns: list[str], rows: list[list[Any]], title: str | None = None) -> None:
    """Print a table; a column whose values are all numbers is aligned to the right."""
    table = Table(
        title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    for index, column in enumerate(columns):
        numbers = all(_is_number(row[index]) for row in rows)
        # Numbers, and the names in the first column that people copy, are never broken.
        no_wrap = index == 0 or numbers
        table.add_column(column, justify="right" if numbers else "left", overflow="fold", no_wrap=no_wrap)
    for row in rows:
        table.add_row(*(escape(_text(value)) for value in row))
    console.print(table)


def print_answer(columns: list[str], rows: list[list[Any]]) -> None:
    """Print a table; where it is wider than the terminal, a line a column, one row below the other."""
    cells = [[" ".join(_text(value).splitlines()) for value in row] for row in rows]
    widths = [max(cell_len(line[index]) for line in [columns, *cells]) for index in range(len(columns))]
    if not rows or sum(widths) + 2 * len(widths) <= console.width:
        print_table(columns, rows)
        return
    width = max(cell_len(column) for column in columns)
    for number, row in enumerate(cells, start=1):
        console.print(f"[bold]row {number}[/]")
        for column, cell in zip(columns, row, strict=True):
            console.print(f"  {column}{' ' * (width - cell_len(column))}  {cell}", markup=False)


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return value == "-" or value.removeprefix("-").replace(".", "", 1).isdigit()
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def print_next_step(text: str) -> None:
    """Say what comes next."""
    console.print(f"[dim]next:[/] {escape(text)}")
