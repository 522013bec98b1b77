"""`orofacial report`: the results as one HTML file."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from pipeline.cli.command_tools import command_says_errors, connect_command
from pipeline.terminal import console


@click.command()
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default="report.html", show_default=True, help="The HTML file."
)
@click.option("--model", help="This model (name or id), or: all.  [default: the deployed one of each camera]")
@click.option("--json", "summary_file", type=click.Path(path_type=Path), help="Also write the numbers to this file.")
@click.pass_context
@command_says_errors
def report(context: click.Context, output: Path, model: str | None, summary_file: Path | None) -> None:
    """Write a report: pictures of tracks and distances, and the table of distance variance by filter."""
    connect_command(context)
    from pipeline.figures.report import write_report

    write_report(output, model=model, summary_file=summary_file)
    console.print(f"report written to {output}", markup=False)
