"""`orofacial tracks` and `sql`: ask across all animals."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rich_click as click

from pipeline.cli.common import (
    connect,
    console,
    errors,
    json_option,
    next_step,
    print_json,
    print_table,
    says_errors,
)

_ROWS_SHOWN = 40


def question_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which tracks; they arrive as the keywords of `pipeline.query.tracks`."""
    options = [
        click.option("--mouse", multiple=True, help="Only this mouse; like the next five, may be given several times."),
        click.option("--camera", multiple=True, help="Only this camera."),
        click.option("--model", multiple=True, help="Only this model (its id)."),
        click.option("--sex", multiple=True, help="Only mice of this sex."),
        click.option("--genotype", multiple=True, help="Only mice of this genotype."),
        click.option("--filter", multiple=True, default=("raw",), show_default=True, help="The filter."),
        click.option("--node", multiple=True, help="Only this node; may be given several times."),
        click.option("--date", multiple=True, help="Only sessions of this day; twice: first and last day."),
        click.option("--from", "from_s", type=float, help="Only frames from this time on (s)."),
        click.option("--to", "to_s", type=float, help="Only frames before this time (s)."),
        click.option(
            "--held-out/--in-training", default=None, help="Only mice that the model was not trained on, or was."
        ),
        click.option("--quality", multiple=True, help="Only tracks as good as this, such as 'jaw_tip.found > 0.95'."),
        click.option("--where", help="Any other restriction in SQL, such as \"rig='left'\"."),
        click.option("--skip-broken", is_flag=True, help="Leave out tracks that cannot be read, and say which."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def _question(options: dict[str, Any]) -> dict[str, Any]:
    """Keywords of `pipeline.query.tracks` from the options of the command line."""
    from pipeline.query import QueryError

    question = {name: value or None for name, value in options.items() if isinstance(value, tuple)}
    question |= {name: options[name] for name in ("held_out", "skip_broken")}
    question["restriction"] = options["where"]
    if len(options["date"]) > 2:
        raise QueryError(f"--date was given {len(options['date'])} times; expected one day, or the first and the last")
    if len(options["date"]) == 1:
        question["date"] = options["date"][0]
    if options["from_s"] is not None or options["to_s"] is not None:
        start_s, end_s = options["from_s"], options["to_s"]
        question["time_span_s"] = (-1e300 if start_s is None else start_s, 1e300 if end_s is None else end_s)
    return question


@contextmanager
def _left_out_said() -> Iterator[list[str]]:
    """Print on stderr what a query left out."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        said: list[str] = []
        yield said
    said += [str(warning.message) for warning in caught if str(warning.message).startswith("left out ")]
    for line in said:
        errors.print(line, markup=False, style="yellow")


@click.command()
@question_options
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="A .csv or .parquet file.")
@json_option
@click.pass_context
@says_errors
def tracks(context: click.Context, output: Path | None, as_json: bool, **options: Any) -> None:
    """Get tracks across all animals: list those that fit, or write them to a file, a line a frame and node."""
    connect(context)
    from pipeline import query
    from pipeline.export import write_selection

    selection = query.tracks(**_question(options))
    with _left_out_said() as left_out:
        if options["skip_broken"]:
            selection = selection.readable()
        n_rows = write_selection(selection, output) if output is not None and selection.rows else None
    if as_json:
        print_json({"tracks": selection.rows, "output": output, "n_rows": n_rows, "left_out": left_out})
    elif not selection.rows:
        raise query.QueryError("no tracks fit; 'orofacial status' shows what has been computed")
    elif output is not None:
        console.print(f"{n_rows} lines of {len(selection)} tracks written to {output}", markup=False)
    else:
        columns = ["session", "camera", "model", "filter", "held out", "frames", "nodes"]
        print_table(columns, [_line(*pair) for pair in zip(selection.rows, selection.references, strict=True)])
        next_step("the same with -o FILE.csv writes them; 'orofacial sql' computes on them")


def _line(row: dict[str, Any], reference: Any) -> list[Any]:
    """A track for people."""
    session = f"{row['mouse_id']}/{row['session_date']}_{row['session_number']}"
    held_out = "yes" if row["held_out"] else "no"
    return [
        session,
        row["camera"],
        row["model_id"],
        row["filter_method"],
        held_out,
        reference.n_frames,
        len(reference.nodes),
    ]


@click.command()
@click.argument("statement")
@question_options
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="A .csv or .parquet file.")
@json_option
@click.pass_context
@says_errors
def sql(context: click.Context, statement: str, output: Path | None, as_json: bool, **options: Any) -> None:
    """Ask in SQL across all animals: `orofacial sql "select mouse_id, var_samp(jaw_tip_y) from tracks group by 1"`.

    The table tracks has a line a frame: the key (mouse_id, session_date, ...), held_out, sex, genotype, frame_index,
    time_s, and for each node NODE_x, NODE_y (px), NODE_score; `select * from tracks limit 1` shows them all. Also
    distances and qualities are tables.
    """
    connect(context)
    from pipeline import query

    question = _question(options)
    with _left_out_said() as left_out:
        answer = query.ask(statement, **question)
    if output is not None:
        query.write_table(answer, output)
    if as_json:
        rows = answer.to_pylist() if output is None else None
        print_json({"rows": rows, "output": output, "n_rows": answer.num_rows, "left_out": left_out})
    elif output is not None:
        console.print(f"{answer.num_rows} lines written to {output}", markup=False)
    else:
        rows = answer.slice(0, _ROWS_SHOWN).to_pylist()
        print_table(answer.column_names, [list(row.values()) for row in rows])
        if answer.num_rows > _ROWS_SHOWN:
            console.print(f"{answer.num_rows} lines, {_ROWS_SHOWN} shown")
            next_step("the same with -o FILE.csv writes all of them")
