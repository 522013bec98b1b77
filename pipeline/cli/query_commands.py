"""`orofacial tracks` and `sql`: ask across all animals."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rich_click as click

from compute.errors import LeftOutWarning
from compute.text import session_text
from pipeline.cli.command_tools import command_says_errors, connect_command, json_option
from pipeline.terminal import console, errors, print_answer, print_json, print_next_step, print_table

_ROWS_SHOWN = 40


held_out_options = (
    click.option(
        "--held-out/--in-training",
        "held_out",
        default=None,
        help="Only mice that the model is known not to have been trained on, or known to have been.",
    ),
    click.option("--held-out-not-known", is_flag=True, help="Only mice of which neither is known."),
)
"""Options of which `asked_held_out` makes the keyword ``held_out`` of `pipeline.query.tracks`."""


def asked_held_out(held_out: bool | None, not_known: bool) -> Any:
    """What `held_out_options` ask for: True, False, ``"not known"``, or None for all."""
    if held_out is not None and not_known:
        raise click.UsageError("--held-out-not-known is neither --held-out nor --in-training; give one of them")
    return "not known" if not_known else held_out


def question_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which tracks; they arrive as the keywords of `pipeline.query.tracks`."""
    return _with_options(function, list(_options(("raw",))))


def result_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say of which tracks results are shown: no frames, and every filter where none is named."""
    without = ("--from", "--to", "--skip-broken")
    return _with_options(function, [name for name in _options(("all",)) if name not in without], ("all",))


def _with_options(
    function: Callable[..., Any], names: list[str], filters: tuple[str, ...] = ("raw",)
) -> Callable[..., Any]:
    options = _options(filters)
    for name in reversed(names):
        function = options[name](function)
    return function


def _options(filters: tuple[str, ...]) -> dict[str, Callable[..., Any]]:
    """Every option of a question; `filters` are those that are meant where none is named."""

    def several(name: str, text: str, **more: Any) -> Callable[..., Any]:
        return click.option(name, multiple=True, help=text, **more)

    of_filters = {"default": filters, "show_default": True}
    return {
        "--mouse": several("--mouse", "Only this mouse; like the next five, may be given several times."),
        "--camera": several("--camera", "Only this camera."),
        "--model": several("--model", "This model (name or id), or: all.  [default: the deployed one]"),
        "--sex": several("--sex", "Only mice of this sex."),
        "--genotype": several("--genotype", "Only mice of this genotype."),
        "--filter": several("--filter", "The filter; all for every one.", **of_filters),
        "--node": several("--node", "Only this node; may be given several times."),
        "--date": several("--date", "Only sessions of this day; twice: first and last day."),
        "--from": click.option("--from", "from_s", type=float, help="Only frames from this time on (s)."),
        "--to": click.option("--to", "to_s", type=float, help="Only frames before this time (s)."),
        "--held-out": held_out_options[0],
        "--held-out-not-known": held_out_options[1],
        "--quality": several("--quality", "Only tracks as good as this, such as 'jaw_tip.found > 0.95'."),
        "--where": click.option("--where", help="Any other restriction in SQL, such as \"rig='left'\"."),
        "--skip-broken": click.option(
            "--skip-broken", is_flag=True, help="Leave out tracks that cannot be read, and say which."
        ),
    }


def question_of_options(options: dict[str, Any]) -> dict[str, Any]:
    """Keywords of `pipeline.query.tracks` from the options of the command line.

    Raises
    ------
    QueryError
        If a day is given three times.
    """
    from pipeline.query import QueryError

    question = {name: value or None for name, value in options.items() if isinstance(value, tuple)}
    question |= {name: options[name] for name in ("skip_broken",) if name in options}
    question["held_out"] = asked_held_out(options["held_out"], options["held_out_not_known"])
    question["restriction"] = options["where"]
    if len(options["date"]) > 2:
        raise QueryError(f"--date was given {len(options['date'])} times; expected one day, or the first and the last")
    if len(options["date"]) == 1:
        question["date"] = options["date"][0]
    if options.get("from_s") is not None or options.get("to_s") is not None:
        question["time_span_s"] = (options["from_s"], options["to_s"])
    return question


@contextmanager
def _left_out_said() -> Iterator[list[str]]:
    """Print on stderr what a query left out."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        said: list[str] = []
        yield said
    said += [str(warning.message) for warning in caught if issubclass(warning.category, LeftOutWarning)]
    for line in said:
        errors.print(line, markup=False, style="yellow")


@click.command()
@question_options
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="A .csv or .parquet file.")
@click.option(
    "--manifest", "as_manifest", is_flag=True, help="Write a line a track to -o: its key, and where its file is."
)
@json_option
@click.pass_context
@command_says_errors
def tracks(context: click.Context, output: Path | None, as_manifest: bool, as_json: bool, **options: Any) -> None:
    """Get tracks across all animals: list those that fit, or write them to a file, a line a frame and node."""
    connect_command(context)
    from pipeline import query

    if as_manifest and output is None:
        raise query.QueryError("--manifest writes a file: give -o FILE.csv or -o FILE.parquet")
    with _left_out_said() as left_out:
        selection = query.tracks(**question_of_options(options))
        if options["skip_broken"]:
            selection = selection.readable()
        n_rows = _written(selection, output, as_manifest) if output is not None and selection.rows else None
    broken = [] if output is not None else [str(one) for one in selection.broken()]
    if as_json:
        described = zip(selection.rows, selection.details, selection.references, strict=True)
        listed = [_described(*one) for one in described]
        print_json({"tracks": listed, "output": output, "n_rows": n_rows, "left_out": left_out, "broken": broken})
        return
    selection.check_any()
    if output is not None:
        gone = [one.row for one in selection.left_out]
        of = "" if as_manifest else f" of {sum(row not in gone for row in selection.rows)} tracks"
        console.print(f"{n_rows} lines{of} written to {output}", markup=False)
    else:
        _list(selection, broken)


def _written(selection: Any, output: Path, as_manifest: bool) -> int:
    """Write the tracks, or where they are; return the number of lines."""
    from pipeline import query
    from pipeline.query.table import write_selection_table

    if as_manifest:
        query.write_sql_manifest(selection, output)
        return len(selection)
    if not selection.any_frame():
        start_s, end_s = selection.time_span_s
        raise query.QueryError(f"no track has a frame with {start_s:g} <= time < {end_s:g} s; {output} was not written")
    return write_selection_table(selection, output)


def _described(row: dict[str, Any], details: dict[str, Any], reference: Any) -> dict[str, Any]:
    """A track for programs."""
    n_frames, fps = reference.n_frames, details["fps"]
    said = {"n_frames": n_frames, "fps": fps, "duration_s": n_frames / fps, "nodes": reference.nodes}
    return {**row, **said, "file": reference.address}


def _list(selection: Any, broken: list[str]) -> None:
    """Tracks for people, the names of their models, and which of them cannot be read."""
    from pipeline.query.chosen_models import model_text

    rows = []
    for row, details, reference in zip(selection.rows, selection.details, selection.references, strict=True):
        names = [row[name] for name in ("camera", "model_id", "filter_method")]
        rows.append(
            [
                session_text(row),
                *names,
                "not known" if row["held_out"] is None else row["held_out"],
                reference.n_frames,
                details["fps"],
            ]
        )
    print_table(["session", "camera", "model", "filter", "held\nout", "frames", "fps"], rows)
    for model in sorted({(row["camera"], model_text(row)) for row in selection.rows}):
        console.print(f"model of camera {': '.join(model)}", markup=False, style="dim")
    for line in broken:
        errors.print(f"cannot be used: {line}", markup=False, style="yellow")
    leave_out = ", with --skip-broken without those" if broken else ""
    print_next_step(f"the same with -o FILE.csv writes them{leave_out}; 'orofacial sql' computes on them")


@click.command()
@click.argument("statement")
@question_options
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="A .csv or .parquet file.")
@json_option
@click.pass_context
@command_says_errors
def sql(context: click.Context, statement: str, output: Path | None, as_json: bool, **options: Any) -> None:
    """Ask in SQL across all animals.

    Such as `orofacial sql "select mouse_id, var_samp(jaw_tip_y) from tracks group by 1" --camera lower`.

    The table tracks has a line a frame: the key (mouse_id, session_date, ...), held_out, sex, genotype, frame_index,
    time_s, and for each node NODE_x, NODE_y (px), NODE_score; `select * from tracks limit 1` shows them all. Each
    camera has its own coordinates: give --camera, or group by it. Also distances, qualities and bouts are tables.
    """
    connect_command(context)
    from pipeline import query

    question = question_of_options(options)
    with _left_out_said() as left_out:
        answer = query.ask_sql(statement, **question)
    if output is not None:
        query.write_sql_table(answer, output)
    if as_json:
        rows = answer.to_pylist() if output is None else None
        print_json({"rows": rows, "output": output, "n_rows": answer.num_rows, "left_out": left_out})
    elif output is not None:
        console.print(f"{answer.num_rows} lines written to {output}", markup=False)
    else:
        rows = answer.slice(0, _ROWS_SHOWN).to_pylist()
        print_answer(answer.column_names, [list(row.values()) for row in rows])
        if answer.num_rows > _ROWS_SHOWN:
            console.print(f"{answer.num_rows} lines, {_ROWS_SHOWN} shown")
            print_next_step("the same with -o FILE.csv writes all of them")
