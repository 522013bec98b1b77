"""`orofacial tracks` and `report`: what came out."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from pipeline.cli.common import connect, console, json_option, next_step, print_json, print_table, says_errors


@click.command()
@click.option("--node", "nodes", multiple=True, help="Only this node; may be given several times.")
@click.option("--filter", "filter_method", default="raw", show_default=True, help="The filter.")
@click.option("--mouse", help="Only this mouse.")
@click.option("--camera", help="Only this camera.")
@click.option("--model", help="Only this model (its id).")
@click.option(
    "--held-out/--in-training", "held_out", default=None, help="Only mice that the model was not trained on, or was."
)
@click.option("--where", help="Any other restriction in SQL, such as \"sex='female'\".")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="A .csv or .parquet file.")
@json_option
@click.pass_context
@says_errors
def tracks(
    context: click.Context,
    nodes: tuple[str, ...],
    filter_method: str,
    mouse: str | None,
    camera: str | None,
    model: str | None,
    held_out: bool | None,
    where: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Get tracks across all animals: list those that fit, or write them to a file, a line a frame and node."""
    connect(context)
    from pipeline import query
    from pipeline.export import write_selection

    selection = query.tracks(
        mouse=mouse,
        camera=camera,
        node=nodes or None,
        filter=filter_method,
        model=model,
        held_out=held_out,
        restriction=where,
    )
    n_rows = write_selection(selection, output) if output is not None else None
    if as_json:
        print_json({"tracks": selection.rows, "output": output, "n_rows": n_rows})
    elif not selection.rows:
        raise query.QueryError("no tracks fit; 'orofacial status' shows what has been computed")
    elif output is not None:
        console.print(f"{n_rows} lines of {len(selection)} tracks written to {output}", markup=False)
    else:
        columns = list(selection.rows[0])
        print_table(columns, [[row[column] for column in columns] for row in selection.rows])
        next_step("the same with -o FILE.csv writes them")


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), default="report.html", show_default=True)
@click.option("--json", "summary_file", type=click.Path(path_type=Path), help="Also write the numbers to this file.")
@click.pass_context
@says_errors
def report(context: click.Context, output: Path, summary_file: Path | None) -> None:
    """Write a report: pictures of tracks and distances, and the table of distance variance by filter."""
    connect(context)
    from pipeline.report import write_report

    write_report(output, summary_file=summary_file)
    console.print(f"report written to {output}", markup=False)
