"""`orofacial backup`, `restore` and `move-to`: a lab's rows and files, kept and carried."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from compute.text import count_text
from pipeline.cli.command_tools import command_says_errors, json_option, warn_in_yellow
from pipeline.cli.delete_commands import size
from pipeline.cli.upgrading import upgrade_step_printer
from pipeline.terminal import console, print_json, print_next_step

folder_argument = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))


@click.command()
@folder_argument
@json_option
@click.pass_context
@command_says_errors
def backup(context: click.Context, folder: Path, as_json: bool) -> None:
    """Copy the database and the files that its rows point at into FOLDER, all as they are at one moment.

    Workers may go on meanwhile. A second backup into the same folder copies only files that are new, and keeps the ones
    before. A backup that was interrupted is never taken for one. Raw videos are not copied.
    """
    from pipeline.settings import load_settings
    from pipeline.stores.lab_backup import back_up_lab

    settings = load_settings(context.find_root().obj)
    made = back_up_lab(settings, folder, on_step=upgrade_step_printer(as_json))
    snapshot = made.snapshot
    if as_json:
        print_json({**_counts(snapshot), "n_new_files": made.n_new_files, "n_new_bytes": made.n_new_bytes})
    else:
        console.print(
            f"{snapshot.folder}: {count_text(snapshot.rows.n_rows, 'row')} of {len(snapshot.rows.tables)} tables,"
            f" {count_text(len(snapshot.files), 'file')} ({size(snapshot.n_bytes)}), of which"
            f" {made.n_new_files} ({size(made.n_new_bytes)}) are new",
            markup=False,
        )
        console.print("raw videos are not in it")
    _say_lost(snapshot.lost_files)


@click.command()
@folder_argument
@click.option("--snapshot", "name", help="An earlier backup in FOLDER, such as 2026-03-02_18-00-00.  [default: newest]")
@click.option("--dry-run", is_flag=True, help="Only check that the backup is whole: every row and file.")
@json_option
@click.pass_context
@command_says_errors
def restore(context: click.Context, folder: Path, name: str | None, dry_run: bool, as_json: bool) -> None:
    """Restore the backup in FOLDER into this lab, which must be empty: embedded, or the server that is configured.

    Every row and file is compared with the backup. If the command is killed, the lab is empty as before: run it again.
    """
    from pipeline.settings import load_settings
    from pipeline.stores.lab_restore import restore_lab
    from schemas.migrations.steps import newest_step

    settings = load_settings(context.find_root().obj)
    on_step = upgrade_step_printer(as_json)
    snapshot = restore_lab(settings, folder, name, dry_run=dry_run, on_step=on_step)
    if as_json:
        print_json({**_counts(snapshot), "dry_run": dry_run})
    else:
        done = "is whole" if dry_run else "was restored"
        console.print(
            f"{snapshot.folder} {done}: {count_text(snapshot.rows.n_rows, 'row')} of {len(snapshot.rows.tables)} tables"
            f" and {count_text(len(snapshot.files), 'file')} ({size(snapshot.n_bytes)}), each as it was",
            markup=False,
        )
        if not dry_run and (snapshot.folder / "settings.toml").exists():
            console.print(f"that lab's settings are in {snapshot.folder / 'settings.toml'}", markup=False)
        old = snapshot.rows.database_version < newest_step()
        print_next_step("orofacial upgrade: an older version made these tables" if old else "orofacial status")
    _say_lost(snapshot.lost_files)


@click.command("move-to")
@click.argument("target", required=False)
@click.option("--undo", is_flag=True, help="Take the mark of a moved lab away: go on in the old database.")
@json_option
@click.pass_context
@command_says_errors
def move_to(context: click.Context, target: str | None, undo: bool, as_json: bool) -> None:
    """Move this lab's rows to TARGET: a server, named as for `orofacial db init`, or `embedded`.

    The server is prepared first, as `orofacial db init --server TARGET` does it. Every row is read back and compared.
    The stores and their files stay where they are. The old database is left in place and marked, so that nobody goes on
    in it by mistake. Workers must be stopped, and other users of the lab end before.
    """
    if (target is None) != undo:
        raise click.UsageError("give TARGET, or --undo without one")
    from pipeline.database.server import ServerAddress
    from pipeline.settings import load_settings
    from pipeline.stores.lab_move import move_lab, undo_move

    settings = load_settings(context.find_root().obj)
    if undo:
        was_marked = undo_move(settings)
        if as_json:
            print_json({"was_marked": was_marked})
        else:
            console.print("the lab can be used here again" if was_marked else "this lab was not moved: nothing to undo")
        return
    address = None if target == "embedded" else ServerAddress.parse(str(target))
    moved = move_lab(settings, address, on_step=upgrade_step_printer(as_json))
    if as_json:
        counts = {"n_rows": moved.rows.n_rows, "n_tables": len(moved.rows.tables), "n_files": len(moved.files)}
        print_json({"moved_from": moved.moved_from, **counts, "lost_files": moved.lost_files})
    else:
        console.print(
            f"{count_text(moved.rows.n_rows, 'row')} of {len(moved.rows.tables)} tables were moved, each as it was;"
            f" {count_text(len(moved.files), 'file')} of the stores stay where they are",
            markup=False,
        )
        console.print(
            f"the old database, {moved.moved_from}, is left in place, and refused from now on; to go back to it:"
            " orofacial move-to --undo, configured for it",
            markup=False,
        )
        _say_configuration(moved.server)
    _say_lost(moved.lost_files)


def _say_configuration(server: Any) -> None:
    if server is None:
        print_next_step("remove the server from datajoint.json, DJ_* and .secrets/, then: orofacial status")
    else:
        from pipeline.cli.database_commands import say_prepared_server

        say_prepared_server(server)


def _say_lost(files: Any) -> None:
    if files:
        shown = ", ".join(files[:3]) + (" ..." if len(files) > 3 else "")
        warn_in_yellow(f"rows point at {count_text(len(files), 'file')} that the stores do not have: {shown}")


def _counts(snapshot: Any) -> dict[str, Any]:
    return {
        "snapshot": snapshot.folder,
        "database_version": snapshot.rows.database_version,
        "n_tables": len(snapshot.rows.tables),
        "n_rows": snapshot.rows.n_rows,
        "n_files": len(snapshot.files),
        "n_bytes": snapshot.n_bytes,
        "lost_files": snapshot.lost_files,
    }
