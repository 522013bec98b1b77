"""`orofacial mice` and `sessions`: what the lab knows of them, and corrections of names and values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from pipeline.cli.command_tools import command_says_errors, connect_command, json_option
from pipeline.terminal import console, print_json, print_next_step, print_table

_why = click.option("--why", "reason", default="", metavar="TEXT", help="Why it is corrected; kept in the history.")
_dry_run = click.option("--dry-run", is_flag=True, help="Check everything and say what would change; change nothing.")


@click.group()
def mice() -> None:
    """The lab's mice: what is known of them, and their names. Corrections keep every result."""


@mice.command("list")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, as `mice import` reads it.")
@json_option
@click.pass_context
@command_says_errors
def list_mice(context: click.Context, as_csv: bool, as_json: bool) -> None:
    """Every mouse, what is known of it, and how many sessions it has."""
    connect_command(context)
    from pipeline.corrections.mice_table import mice_csv
    from pipeline.corrections.values import listed_mice

    rows = listed_mice()
    if as_csv:
        print(mice_csv(rows), end="")
    elif as_json:
        print_json({"mice": rows})
    else:
        print_table(list(rows[0]) if rows else ["mouse_id"], [list(row.values()) for row in rows])


@mice.command("show")
@click.argument("mouse")
@json_option
@click.pass_context
@command_says_errors
def show_mouse(context: click.Context, mouse: str, as_json: bool) -> None:
    """What is known of MOUSE, and what was corrected of it, by whom and why."""
    connect_command(context)
    from pipeline.corrections.values import described_mouse

    found = described_mouse(mouse)
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        if name != "corrections":
            console.print(f"{name}: {'unknown' if value in (None, '') else value}", markup=False)
    _say_corrections(found["corrections"])


@mice.command("set")
@click.argument("mouse")
@click.argument("values", nargs=-1, required=True, metavar="NAME=VALUE...")
@_why
@_dry_run
@json_option
@click.pass_context
@command_says_errors
def set_mouse(
    context: click.Context, mouse: str, values: tuple[str, ...], reason: str, dry_run: bool, as_json: bool
) -> None:
    """Correct what is known of MOUSE: sex=female, genotype="wild type", date_of_birth=2026-01-05. NAME= forgets it."""
    connect_command(context)
    from pipeline.corrections import values as corrections

    said = corrections.parse_assignments(values)
    _say(corrections.set_mouse(mouse, said, reason=reason, dry_run=dry_run), dry_run, as_json)


@mice.command("rename")
@click.argument("mouse")
@click.argument("new_name")
@_why
@_dry_run
@json_option
@click.pass_context
@command_says_errors
def rename(context: click.Context, mouse: str, new_name: str, reason: str, dry_run: bool, as_json: bool) -> None:
    """Give MOUSE the name NEW_NAME, everywhere. Folders on disk keep theirs, and are known."""
    connect_command(context)
    from pipeline.corrections.renames import rename_mouse

    _say(rename_mouse(mouse, new_name, reason=reason, dry_run=dry_run), dry_run, as_json)


@mice.command("merge")
@click.argument("mouse")
@click.argument("into")
@_why
@_dry_run
@json_option
@click.pass_context
@command_says_errors
def merge(context: click.Context, mouse: str, into: str, reason: str, dry_run: bool, as_json: bool) -> None:
    """MOUSE and INTO are one mouse: all of MOUSE becomes INTO's. Refused where their sessions collide."""
    connect_command(context)
    from pipeline.corrections.renames import merge_mice

    _say(merge_mice(mouse, into, reason=reason, dry_run=dry_run), dry_run, as_json)


@mice.command("import")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_why
@_dry_run
@json_option
@click.pass_context
@command_says_errors
def import_(context: click.Context, file: Path, reason: str, dry_run: bool, as_json: bool) -> None:
    """Take in what the CSV FILE says of the lab's mice: a column mouse_id, and those of `mice list --csv`.

    An empty cell says nothing. If any value cannot be, all faults are listed and nothing is changed.
    """
    connect_command(context)
    from pipeline.corrections.mice_table import import_mice

    lines = import_mice(file, reason=reason, dry_run=dry_run)
    _say("\n".join(lines), dry_run, as_json)


@click.group()
def sessions() -> None:
    """The lab's sessions: what is known of them, and their names. Corrections keep every result."""


@sessions.command("list")
@click.option("--mouse", help="Only this mouse.")
@json_option
@click.pass_context
@command_says_errors
def list_sessions(context: click.Context, mouse: str | None, as_json: bool) -> None:
    """Every session, with its cameras and what is known of it."""
    connect_command(context)
    from pipeline.corrections.values import listed_sessions

    rows = listed_sessions(mouse)
    if as_json:
        print_json({"sessions": rows})
        return
    names = [name for name in (rows[0] if rows else {"session": ""}) if name != "session_folder"]
    print_table(names, [[_cell(row[name]) for name in names] for row in rows])


@sessions.command("show")
@click.argument("session")
@json_option
@click.pass_context
@command_says_errors
def show_session(context: click.Context, session: str, as_json: bool) -> None:
    """What is known of SESSION, such as mouse01/2026-03-02_1, and what was corrected of it, by whom and why."""
    settings = connect_command(context)
    from pipeline.corrections.values import described_session
    from pipeline.query.sessions import session_key

    found = described_session(session_key(session, settings))
    if as_json:
        print_json(found)
        return
    console.print(f"{found['session']} in {found['session_folder']}, ingested {found['ingested_at']}", markup=False)
    for part in ("mouse", "recording"):
        said = ", ".join(f"{name} {value}" for name, value in found[part].items())
        console.print(f"{part}: {said or 'nothing is known'}", markup=False)
    for video in found["videos"]:
        scale = "unknown scale" if video["px_per_mm"] is None else f"{video['px_per_mm']:g} px per mm"
        console.print(
            f"camera {video['camera']}: {video['video_file']}, {video['n_frames']} frames, {scale}", markup=False
        )
    console.print(f"tracks: {found['n_tracks']}")
    _say_corrections(found["corrections"])


@sessions.command("set")
@click.argument("session")
@click.argument("values", nargs=-1, required=True, metavar="NAME=VALUE...")
@_why
@_dry_run
@json_option
@click.pass_context
@command_says_errors
def set_session(
    context: click.Context, session: str, values: tuple[str, ...], reason: str, dry_run: bool, as_json: bool
) -> None:
    """Correct what is known of SESSION, by the names of session.toml: rig="rig 2", px_per_mm.side=12.5.

    NAME= forgets a value.

    After a new px_per_mm, what was measured in mm is computed anew by the next populate.
    """
    settings = connect_command(context)
    from pipeline.corrections import values as corrections
    from pipeline.query.sessions import session_key

    said, key = corrections.parse_assignments(values), session_key(session, settings)
    _say(corrections.set_session(key, said, settings, reason=reason, dry_run=dry_run), dry_run, as_json)


@sessions.command("move")
@click.argument("session")
@click.argument("new_name")
@click.option("--swap", is_flag=True, help="The two have each other's name: exchange them.")
@click.option("--new-mouse", is_flag=True, help="The new name's mouse is one that the lab does not know yet.")
@_why
@_dry_run
@json_option
@click.pass_context
@command_says_errors
def move(
    context: click.Context,
    session: str,
    new_name: str,
    swap: bool,
    new_mouse: bool,
    reason: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Give SESSION another mouse, date or number: NEW_NAME, such as mouse02/2026-03-02_1.

    With a camera behind both names, a video gets another camera: mouse01/2026-03-02_1/side mouse01/2026-03-02_1/lower.
    """
    settings = connect_command(context)
    from pipeline.corrections.renames import assign_camera, move_session
    from pipeline.corrections.video_names import parse_move

    key, name, cameras = parse_move(session, new_name, settings)
    options: dict[str, Any] = {"swap": swap, "reason": reason, "dry_run": dry_run}
    if cameras is None:
        said = move_session(key, name, new_mouse=new_mouse, **options)
    else:
        said = assign_camera(key, *cameras, **options)
    _say(said, dry_run, as_json)


def _say(said: str, dry_run: bool, as_json: bool) -> None:
    """Say what was corrected, or would be."""
    if as_json:
        print_json({"dry_run": dry_run, "corrected": said.splitlines()})
        return
    if not said:
        console.print("nothing to correct: the lab knows that already")
        return
    for line in said.splitlines():
        console.print(f"{'would be corrected' if dry_run else 'corrected'}: {line}", markup=False)
    if not dry_run and "populate" in said:
        print_next_step("orofacial populate")


def _say_corrections(lines: list[dict[str, Any]]) -> None:
    from ingest.correction_history import correction_source_text, correction_text

    for line in lines:
        console.print(
            f"corrected {line['corrected_at']}: {correction_text(line)}, {correction_source_text(line)}", markup=False
        )


def _cell(value: Any) -> Any:
    return ", ".join(value) if isinstance(value, list) else None if value == "" else value
