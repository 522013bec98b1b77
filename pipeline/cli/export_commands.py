"""`orofacial export` and `convert`: tracks as files of other tools."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rich_click as click
from click.core import ParameterSource

from compute.formats import FORMATS
from compute.text import count_text
from pipeline.cli.command_tools import command_says_errors, connect_command, json_option, warn_in_yellow
from pipeline.cli.question_options import calibrated_option, question_of_options, question_options
from pipeline.terminal import console, print_json, print_next_step

if TYPE_CHECKING:
    from pipeline.query import LeftOut, TrackSelection
    from pipeline.query.export import Exported

_A_SESSION = ", ".join(name for name, one in FORMATS.items() if one.a_session)
_EXPORT_HELP = f"""Write tracks as files that other tools read, each with what made it.

Without --filter, {_A_SESSION} gets all filters, the others raw.

FORMAT is one of: {"; ".join(f"{name} ({one.text})" for name, one in FORMATS.items())}.
"""


@click.command(help=_EXPORT_HELP)
@click.argument("format_name", metavar="FORMAT", type=click.Choice(list(FORMATS)))
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to fill.")
@question_options
@calibrated_option
@click.option("--overwrite", is_flag=True, help="Write files anew that are there already.")
@json_option
@click.pass_context
@command_says_errors
def export(
    context: click.Context,
    format_name: str,
    output: Path,
    overwrite: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Write tracks as files that other tools read, each with what made it."""
    settings = connect_command(context)
    from pipeline import query
    from pipeline.query.export import export_rows

    if FORMATS[format_name].a_session and context.get_parameter_source("filter") is ParameterSource.DEFAULT:
        options["filter"] = ("all",)
    selection = query.tracks(**question_of_options(options, settings))
    skip_broken = options["skip_broken"]
    selection.check_any()

    def say(path: Path) -> None:
        if not as_json:
            console.print(f"written: {path}", markup=False)

    rows, broken = _readable(selection) if skip_broken else (selection.rows, [])
    if broken and not rows:
        raise query.QueryError(f"none of the tracks can be read: {broken[0]}")
    done = export_rows(
        format_name,
        rows,
        output,
        nodes=selection.nodes,
        time_span_s=selection.time_span_s,
        overwrite=overwrite,
        skip_broken=skip_broken,
        calibrated=options["calibrated"],
        on_file=say,
    )
    left_out = [str(one) for one in [*broken, *done.left_out]]
    n_tracks = len(rows) - len(done.left_out)
    if as_json:
        print_json(
            {
                "format": format_name,
                "written": done.written,
                "kept": done.kept,
                "not_compared": done.not_compared,
                "n_tracks": n_tracks,
                "left_out": left_out,
            }
        )
    else:
        _report(done, output, n_tracks, left_out)
    sys.exit(0 if done.written or done.kept else 1)


def _report(done: Exported, output: Path, n_tracks: int, left_out: list[str]) -> None:
    """Say what an export did."""
    for one in left_out:
        warn_in_yellow(f"left out {one}")
    for path in done.not_compared:
        warn_in_yellow(
            f"{path} was kept, but does not say what it holds: another program wrote or saved it, so that it may be"
            " older than the database (--overwrite writes it anew)"
        )
    n_kept = len(done.kept)
    kept = f"; {n_kept} {'was' if n_kept == 1 else 'were'} there already (--overwrite writes anew)" if n_kept else ""
    written, of_tracks = count_text(len(done.written), "file"), count_text(n_tracks, "track")
    console.print(f"{written} written to {output}{kept}; {of_tracks} in all", markup=False)
    if done.written:
        print_next_step(f"orofacial convert {done.written[0]} OUTPUT reads one back")


def _readable(selection: TrackSelection) -> tuple[list[dict[str, Any]], list[LeftOut]]:
    """Rows whose files are whole, by their footers, and what was left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the command says it itself
        rows = selection.readable().rows
    return rows, selection.left_out


@click.command()
@click.argument("source", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--to", "format_name", type=click.Choice(list(FORMATS)), help="Format.  [default: by the ending of TARGET]"
)
@click.option(
    "--name",
    help="Which of several that a file holds: poses of NWB such as side_kalman, an animal, a network, a video.",
)
@click.option("--fps", type=click.FloatRange(min=0, min_open=True), help="Frame rate, for a file that has no times.")
@click.option("--overwrite", is_flag=True, help="Write TARGET anew if it is there already.")
@json_option
@command_says_errors
def convert(
    source: Path,
    target: Path,
    format_name: str | None,
    name: str | None,
    fps: float | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Read one file of tracks, of this or another program, and write it in another format. Needs no database."""
    from compute.formats import ExportError, format_for, read, write
    from compute.formats.portable import portable_times

    format_name = format_name or format_for(target)
    if target.exists() and not overwrite:
        raise ExportError(f"{target} exists already; give --overwrite, or another name")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        track = read(source, fps=fps, name=name)
    write(format_name, target, track)
    n_frames, n_nodes = track.tracks.score.shape
    fps_used = None if fps is None else np.array_equal(track.tracks.time, portable_times(source, n_frames, fps))
    if as_json:
        said = {"n_frames": n_frames, "nodes": track.tracks.nodes, "provenance": track.provenance or None}
        said |= {"fps_used": fps_used, "assumptions": track.assumptions}
        print_json({"source": source, "target": target, "format": format_name, **said})
        return
    frames = f"{count_text(n_frames, 'frame')} of {count_text(n_nodes, 'node')}"
    console.print(f"{frames} written to {target} ({format_name})", markup=False)
    notes = [str(one.message) for one in caught if str(one.message).startswith("--fps ")]
    for note in [*notes, *(f"{source}: {one}" for one in track.assumptions)]:
        warn_in_yellow(note)
    if not track.provenance:
        console.print(f"{source} does not say what made it, so neither does {target}", markup=False)
