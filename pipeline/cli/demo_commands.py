"""`orofacial demo`: everything, on simulated mice."""

from __future__ import annotations

import time
from pathlib import Path

import rich_click as click

from pipeline.cli.shared import connect, says_errors
from pipeline.terminal import console, next_step


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default="demo")
@click.option("--frames", "n_frames", default=1000, show_default=True, help="Frames of each video.")
@click.pass_context
@says_errors
def demo(context: click.Context, folder: Path, n_frames: int) -> None:
    """Run the whole pipeline on a simulated lab of six mice, in FOLDER, on an embedded database of its own."""
    from compute.estimators import that_trains

    that_trains().check_installed()
    started = time.monotonic()
    folder = folder.resolve()
    data_folder = folder / "data"
    context.find_root().obj = data_folder
    from pipeline.database.connection import server_is_configured
    from pipeline.database.datajoint_setup import import_datajoint

    import_datajoint()
    from pipeline.demo.run import DemoError, prepare_folder, run_demo

    if server_is_configured():
        raise DemoError(
            "DataJoint is configured for a database server (DJ_* variables, .secrets/ or datajoint.json); the demo"
            " stays out of a lab's database. Run it in a folder and an environment without that configuration"
        )

    prepare_folder(folder)
    connect(context)
    from pipeline.cli.progress_bars import ProgressDisplay
    from pipeline.demo.results import print_comparison, write_demo_report

    with ProgressDisplay().shown() as display:
        lab = run_demo(folder, data_folder, display, n_frames=n_frames)
        display.started("report", 1)
        summary = write_demo_report(lab, folder)
        display.finished("report", 1)
    print_comparison(summary)
    console.print(f"done in {time.monotonic() - started:.0f} s: {folder / 'report.html'}, {folder / 'summary.json'}")
    next_step(f"orofacial --data-folder {data_folder} compare, or status, or any other command")
