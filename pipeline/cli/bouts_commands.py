"""`orofacial bouts`: bouts of movement across animals, and what a lab counts as one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from compute.text import session_text
from pipeline.cli.command_tools import command_says_errors, connect_command, json_option
from pipeline.cli.distances_commands import output_option, say_if_nothing, say_results
from pipeline.cli.question_options import question_of_options, result_options
from pipeline.terminal import console, print_json, print_next_step, print_table

_LINES_SHOWN = 40


@click.group(invoke_without_command=True)
@click.option("--method", multiple=True, help="Only bouts by this method; may be given several times.")
@result_options
@output_option
@json_option
@click.pass_context
@command_says_errors
def bouts(context: click.Context, output: Path | None, as_json: bool, **options: Any) -> None:
    """Bouts of movement in every video that fits, found by the lab's bout methods.

    Without -o a line a video; -o and --json give a line a bout.
    """
    if context.invoked_subcommand is not None:
        return
    settings = connect_command(context)
    from pipeline import query

    question = question_of_options(options, settings)
    if output is not None or as_json:
        say_results(query.bouts(**question), output, as_json, "bouts")
        return
    counts = query.bout_counts(**question)
    say_if_nothing(counts, "bouts", "orofacial bouts add")
    rows = counts.to_pylist()
    print_table(_HEADS, [_line(row) for row in rows[:_LINES_SHOWN]])
    if len(rows) > _LINES_SHOWN:
        console.print(f"{len(rows)} lines, {_LINES_SHOWN} shown")
    print_next_step("the same with -o FILE.csv writes a line a bout")


_HEADS = ["session", "camera", "method", "held\nout", "bouts", "time in\nthem s", "node\nfound"]


def _line(row: dict[str, Any]) -> list[Any]:
    names = ("camera", "bout_method", "held_out", "n_bouts", "time_in_bouts_s")
    return [session_text(row), *(row[name] for name in names), f"{row['fraction_known']:.1%}"]


@bouts.command("add")
@click.argument("name")
@click.argument("node")
@click.option("--filter", "filter_method", required=True, help="The filter method in whose tracks they are found.")
@click.option("--minimum-speed", "minimum_speed_px_per_s", type=float, required=True, help="(px/s) of each move.")
@click.option("--minimum-duration", "minimum_duration_s", type=float, help="(s) of a bout.  [default: 0.05]")
@click.option("--maximum-gap", "maximum_gap_s", type=float, help="(s) of a rest within a bout.  [default: 0.2]")
@click.option("--against", "reference_node", help="Movement of NODE against this node.  [default: in the picture]")
@click.option("--camera", help="Only this camera: a px is not the same for all.  [default: every camera]")
@json_option
@click.pass_context
@command_says_errors
def add_bouts(context: click.Context, name: str, node: str, as_json: bool, **limits: Any) -> None:
    """Add the bout method NAME: what counts as a bout of movement of NODE, in every video with this filter's tracks."""
    connect_command(context)
    from ingest.bouts import add_bout_method
    from schemas.metric import BoutMethod

    given = {column: value for column, value in limits.items() if value is not None}
    is_new = add_bout_method(name, node, **given)
    row = (BoutMethod & {"bout_method": name}).fetch1()
    if as_json:
        print_json({**row, "is_new": is_new})
        return
    console.print(f"bout method {name} {'added' if is_new else 'is there already'}: {_text(row)}", markup=False)
    print_next_step("orofacial populate")


@bouts.command("methods")
@json_option
@click.pass_context
@command_says_errors
def list_bout_methods(context: click.Context, as_json: bool) -> None:
    """List the bout methods."""
    connect_command(context)
    from schemas.metric import BoutMethod

    rows = BoutMethod.to_dicts(order_by="bout_method")
    if as_json:
        print_json(rows)
        return
    print_table(["method", "what counts as a bout"], [[row["bout_method"], _text(row)] for row in rows])
    if not rows:
        print_next_step("orofacial bouts add NAME NODE --filter kalman --minimum-speed 200")


def _text(row: dict[str, Any]) -> str:
    against = f" against {row['reference_node']}" if row["reference_node"] else ""
    return (
        f"{row['node']}{against}, {row['filter_method']} tracks of {row['camera'] or 'every camera'}, at least"
        f" {row['minimum_speed_px_per_s']:g} px/s for {row['minimum_duration_s']:g} s, with rests up to"
        f" {row['maximum_gap_s']:g} s"
    )
