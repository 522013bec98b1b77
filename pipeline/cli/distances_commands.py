"""`orofacial distances`: distances of node pairs across animals, as tables and files."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

import rich_click as click

from compute.text import session_text
from pipeline.cli.command_tools import command_says_errors, connect_command, json_option
from pipeline.cli.question_options import question_of_options, result_options
from pipeline.terminal import console, print_json, print_next_step, print_table

_LINES_SHOWN = 40

output_option = click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="A .csv or .parquet file."
)


@click.command()
@result_options
@output_option
@json_option
@click.pass_context
@command_says_errors
def distances(context: click.Context, output: Path | None, as_json: bool, **options: Any) -> None:
    """Distances of node pairs in every video that fits, after every filter.

    With --node only pairs of that node. Without -o a table for each pair: mean and variance over the frames that the
    filter has, and the share of frames that it lacks.
    """
    settings = connect_command(context)
    from pipeline import query

    nodes = set(options.pop("node"))
    found = query.distances(**question_of_options(options, settings))
    if nodes:
        kept = [bool(nodes & {row["node_a"], row["node_b"]}) for row in found.select(["node_a", "node_b"]).to_pylist()]
        found = found.filter(kept)
        if not found.num_rows:
            raise query.QueryError(f"no pair of {' or '.join(sorted(nodes))} is measured; see 'orofacial pairs list'")
    if say_results(found, output, as_json, "distances"):
        return
    say_if_nothing(found, "distances", "orofacial pairs add")
    for (camera, model, *pair, kind), rows in groupby(_in_pairs(found.to_pylist()), key=_pair):
        title = f"camera {camera}, model {model}: {' - '.join(pair)}, {kind}"
        lines = list(rows)
        print_table(_HEADS, [_line(row) for row in lines[:_LINES_SHOWN]], title=title)
        if len(lines) > _LINES_SHOWN:
            console.print(f"{len(lines)} lines, {_LINES_SHOWN} shown\n")
    print_next_step("the same with -o FILE.csv; orofacial compare")


_HEADS = ["session", "filter", "held\nout", "mean\npx", "var.\npx²", "mean\nmm", "missing"]


def _line(row: dict[str, Any]) -> list[Any]:
    names = ("filter_method", "held_out", "mean_px", "variance_px2", "mean_mm")
    return [session_text(row), *(row[name] for name in names), f"{row['fraction_missing']:.1%}"]


def _pair(row: dict[str, Any]) -> tuple[str, ...]:
    return tuple(row[name] for name in ("camera", "model_id", "node_a", "node_b", "pair_kind"))


def _in_pairs(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sorted by pair; of each pair in the order of the answer."""
    return sorted(rows, key=_pair)


def say_results(table: Any, output: Path | None, as_json: bool, name: str) -> bool:
    """Write an answer to a file or print it as JSON; return whether one of them was asked for."""
    from pipeline import query

    if output is not None:
        query.write_sql_table(table, output)
    if as_json:
        print_json({name: None if output else table.to_pylist(), "output": output, "n_rows": table.num_rows})
    elif output is not None:
        console.print(f"{table.num_rows} lines written to {output}", markup=False)
    return as_json or output is not None


def say_if_nothing(table: Any, what: str, command: str) -> None:
    """Refuse an answer without a line, with what there would have to be.

    Raises
    ------
    QueryError
        If there is none.
    """
    from pipeline import query

    if not table.num_rows:
        raise query.QueryError(
            f"no {what} fit; 'orofacial status' shows what has been computed, '{command}' says what is to be"
        )
