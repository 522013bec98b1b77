"""`orofacial export` and `convert`: tracks as files of other tools."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rich_click as click

from compute.formats import FORMATS
from compute.text import count_text
from pipeline.cli.command_tools import command_says_errors, connect_command, json_option
from pipeline.cli.query_commands import asked_held_out, held_out_options
from pipeline.terminal import console, errors, print_json, print_next_step

if TYPE_CHECKING:
    from pipeline.query import LeftOut, TrackSelection
    from pipeline.query.export import Exported

_A_SESSION = ", ".join(name for name, one in FORMATS.items() if one.a_session)
_EXPORT_HELP = f"""Write tracks as files that other tools read, each with what made it.

FORMAT is one of: {"; ".join(f"{name} ({one.text})" for name, one in FORMATS.items())}.
"""


@click.command(help=_EXPORT_HELP)
@click.argument("format_name", metavar="FORMAT", type=click.Choice(list(FORMATS)))
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to fill.")
@click.option("--node", "nodes", multiple=True, help="Only this node; may be given several times.")
@click.option(
    "--filter",
    "filters",
    multiple=True,
    help=f"The filter; may be given several times.  [default: raw; {_A_SESSION}: all]",
)
@click.option("--mouse", help="Only this mouse.")
@click.option("--session", help="Only this session, such as mouse01/2026-03-02_1.")
@click.option("--camera", help="Only this camera.")
@click.option("--model", help="This model (name or id), or: all.  [default: the deployed one of each camera]")
@held_out_options[0]
@held_out_options[1]
@click.option("--where", help="Any other restriction in SQL, such as \"sex='female'\".")
@click.option("--overwrite", is_flag=True, help="Write files anew that are there already.")
@click.option("--skip-broken", is_flag=True, help="Leave out tracks that cannot be read, and say which.")
@json_option
@click.pass_context
@command_says_errors
def export(
    context: click.Context,
    format_name: str,
    output: Path,
    nodes: tuple[str, ...],
    filters: tuple[str, ...],
    mouse: str | None,
    session: str | None,
    camera: str | None,
    model: str | None,
    held_out: bool | None,
    held_out_not_known: bool,
    where: str | None,
    overwrite: bool,
    skip_broken: bool,
    as_json: bool,
) -> None:
    """Write tracks as files that other tools read, each with what made it."""
    settings = connect_command(context)
    from pipeline import query
    from pipeline.query.export import export_rows
    from pipeline.query.sessions import session_key
    from schemas.track import FilterMethod

    restriction: list[object] = [] if where is None else [where]
    if session is not None:
        restriction.append(session_key(session, settings))
    if not filters:
        filters = tuple(FilterMethod.to_arrays("filter_method")) if FORMATS[format_name].a_session else ("raw",)
    selections = [
        query.tracks(
            mouse=mouse,
            camera=camera,
            node=nodes or None,
            filter=filter_method,
            model=model,
            held_out=asked_held_out(held_out, held_out_not_known),
            restriction=_all(restriction),
            skip_broken=skip_broken,
        )
        for filter_method in filters
    ]
    if not any(selection.rows for selection in selections):
        raise query.QueryError("no tracks fit; 'orofacial status' shows what has been computed")

    def say(path: Path) -> None:
        if not as_json:
            console.print(f"written: {path}", markup=False)

    rows, broken = _readable(selections) if skip_broken else ([row for one in selections for row in one.rows], [])
    if broken and not rows:
        raise query.QueryError(f"none of the tracks can be read: {broken[0]}")
    done = export_rows(
        format_name, rows, output, nodes=nodes or None, overwrite=overwrite, skip_broken=skip_broken, on_file=say
    )
    left_out = [str(one) for one in [*broken, *done.left_out]]
    n_tracks = len(rows) - len(done.left_out)
    if as_json:
        print_json(
            {
                "format": format_name,
                "written": done.written,
                "kept": done.kept,
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
        errors.print(f"left out {one}", markup=False, style="yellow")
    n_kept = len(done.kept)
    kept = f"; {n_kept} {'was' if n_kept == 1 else 'were'} there already (--overwrite writes anew)" if n_kept else ""
    written, of_tracks = count_text(len(done.written), "file"), count_text(n_tracks, "track")
    console.print(f"{written} written to {output}{kept}; {of_tracks} in all", markup=False)
    if done.written:
        print_next_step(f"orofacial convert {done.written[0]} OUTPUT reads one back")


def _readable(selections: list[TrackSelection]) -> tuple[list[dict[str, Any]], list[LeftOut]]:
    """Rows whose files are whole, by their footers, and what was left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the command says it itself
        rows = [row for selection in selections for row in selection.readable().rows]
    return rows, [one for selection in selections for one in selection.left_out]


def _all(restriction: list[object]) -> object:
    """All of these conditions at once, as DataJoint takes them."""
    if not restriction:
        return None
    import datajoint as dj

    return dj.AndList(restriction)


@click.command()
@click.argument("source", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--to", "format_name", type=click.Choice(list(FORMATS)), help="Format.  [default: by the ending of TARGET]"
)
@click.option("--name", help="Which poses of an NWB file with several, such as side_kalman.")
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
    track = read(source, fps=fps, name=name)
    write(format_name, target, track)
    fps_used = (
        None if fps is None else np.array_equal(track.tracks.time, portable_times(source, track.tracks.n_frames, fps))
    )
    n_frames, n_nodes = track.tracks.score.shape
    if as_json:
        said = {"n_frames": n_frames, "nodes": track.tracks.nodes, "provenance": track.provenance or None}
        said["fps_used"] = fps_used
        print_json({"source": source, "target": target, "format": format_name, **said})
        return
    console.print(
        f"{count_text(n_frames, 'frame')} of {count_text(n_nodes, 'node')} written to {target} ({format_name})",
        markup=False,
    )
    if fps_used is False:
        note = f"--fps {fps:g} was not used: {source} has the times of its frames"
        errors.print(note, markup=False, style="yellow")
    if not track.provenance:
        console.print(f"{source} does not say what made it, so neither does {target}", markup=False)
