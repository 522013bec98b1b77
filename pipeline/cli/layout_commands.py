"""`orofacial layout`: how a lab's recordings lie, tried before anything is taken in."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import rich_click as click

from pipeline.cli.command_tools import command_says_errors, json_option
from pipeline.terminal import console, print_json, print_next_step


@click.group()
def layout() -> None:
    """How the recordings below a raw folder name mouse, date and camera."""


@layout.command("test")
@click.argument("raw_folder", type=click.Path(path_type=Path))
@click.option("--layout", "text", help="Try this one.  [default: layout of settings.toml]")
@json_option
@click.pass_context
@command_says_errors
def test_layout(context: click.Context, raw_folder: Path, text: str | None, as_json: bool) -> None:
    """Show what each file below RAW_FOLDER would become, and what is of no session, and why.

    No video is opened, no database is needed, and nothing is changed. Ends with code 1 if a file is of no session, or a
    session would be refused for its name.
    """
    from compute.text import count_text
    from ingest.layout_report import report_layout
    from pipeline.database.datajoint_setup import import_datajoint
    from pipeline.settings import load_settings

    import_datajoint()  # without its warning that it is not configured
    from schemas.session import Camera

    settings = load_settings(context.find_root().obj)
    tried = settings.recording_layout if text is None else replace(settings.recording_layout, text=text)
    report = report_layout(raw_folder, tried, [str(row["camera"]) for row in Camera.contents])
    if as_json:
        print_json({**vars(report), "counts": report.counts})
    else:
        for one in report.recordings:
            part = "" if one["part"] is None else f" part {one['part']}"
            click.echo(f"{one['session']} {one['camera']}{part}: {one['file']}")
        for file in report.left_out:
            click.echo(f"left out: {file['file']} ({file['pattern']})")
        for session in report.refused:
            click.echo(f"refused: {session['reason']}")
        for file in report.fits_nothing:
            click.echo(f"fits nothing: {file['file']}: {file['reason']}")
        counts = report.counts
        found = f"{count_text(counts['recordings'], 'video')} of {count_text(counts['sessions'], 'session')}"
        others = f"{counts['refused']} refused, {counts['fits_nothing']} fit nothing, {counts['left_out']} left out"
        console.print(f"{report.layout}: {found}, {others}", markup=False)
    is_good = bool(report.recordings) and not report.refused and not report.fits_nothing
    if is_good and not as_json:
        same = tried.text == settings.layout
        print_next_step(f"orofacial ingest {raw_folder}" if same else f"layout = '{tried.text}' in settings.toml")
    sys.exit(0 if is_good else 1)
