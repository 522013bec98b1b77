"""`orofacial migrate-tracks`: what a lab already has in DataJoint."""

from __future__ import annotations

import sys

import rich_click as click

from compute.text import count_text
from pipeline.cli.command_tools import command_says_errors, connect_command, json_option
from pipeline.terminal import console, errors, print_json


@click.command("migrate-tracks")
@click.argument("schema")
@click.argument("table")
@click.argument("column")
@click.option("--node", "nodes", multiple=True, required=True, help="Name of each node, in the order of the arrays.")
@click.option("--fps", type=float, required=True, help="Frame rate of the videos (Hz).")
@json_option
@click.pass_context
@command_says_errors
def migrate_tracks(
    context: click.Context, schema: str, table: str, column: str, nodes: tuple[str, ...], fps: float, as_json: bool
) -> None:
    """Copy arrays of tracks, shape (frame, node, 2 or 3), from a blob or .npy COLUMN of a TABLE into tracks files.

    They come into a new table beside the old one, which stays as it is. Doing it again goes on where it was.
    """
    connect_command(context)
    from pipeline.stores.migrate_tracks import migrate_tracks

    def show(done: int, total: int) -> None:
        if done and (done % 100 == 0 or done == total):
            errors.print(f"{done} of {count_text(total, 'row')}", markup=False)

    result = migrate_tracks(schema, table, column, nodes=nodes, fps=fps, progress=show)
    if as_json:
        print_json(result)
    else:
        console.print(
            f"{count_text(result.n_migrated, 'row')} migrated to {schema}.{result.table},"
            f" {count_text(result.n_known, 'was', 'were')} there already",
            markup=False,
        )
        for refused in result.refused:
            errors.print(f"refused {refused}", markup=False)
    sys.exit(1 if result.refused else 0)
