"""`orofacial demo`: everything, on simulated mice."""

from __future__ import annotations

import time
from pathlib import Path

import rich_click as click

from pipeline.cli.command_tools import command_says_errors, connect_command
from pipeline.terminal import console, print_next_step


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default="demo")
@click.option("--frames", "n_frames", default=1000, show_default=True, help="Frames of each video.")
@click.pass_context
@command_says_errors
def demo(context: click.Context, folder: Path, n_frames: int) -> None:
    """Run the whole pipeline on a simulated lab of six mice, in FOLDER, on an embedded database of its own."""
    from compute.estimators import estimator_that_trains

    estimator_that_trains().check_installed()
    started = time.monotonic()
    folder = folder.resolve()
    data_folder = folder / "data"
    context.find_root().obj = data_folder
    from pipeline.database.connection import server_is_configured
    from pipeline.database.datajoint_setup import import_datajoint

    import_datajoint()
    from pipeline.demo.run import DemoError, prepare_demo_folder, run_demo

    if server_is_configured():
        raise DemoError(
            "DataJoint is configured for a database server (DJ_* variables, .secrets/ or datajoint.json); the demo"
            " stays out of a lab's database. Run it in a folder and an environment without that configuration"
        )

    prepare_demo_folder(folder)
    connect_command(context)
    from pipeline.cli.progress_bars import ProgressBars
    from pipeline.demo.results import print_demo_results, write_demo_report

    with ProgressBars().shown() as display:
        lab = run_demo(folder, data_folder, display, n_frames=n_frames)
        display.started("report", 1)
        summary = write_demo_report(lab, folder)
        display.finished("report", 1)
    print_demo_results(summary)
    console.print(f"done in {time.monotonic() - started:.0f} s: {folder / 'report.html'}, {folder / 'summary.json'}")
    print_next_step(f"orofacial --data-folder {data_folder} compare, or status, or any other command")
