"""`orofacial delete` and `collect`: what goes, rows and files."""

from __future__ import annotations

import sys
from typing import Any

import rich_click as click

from compute.text import count_text
from pipeline.cli.command_tools import command_says_errors, connect_command, json_option
from pipeline.terminal import console, errors, print_json, print_table

dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would go; delete nothing.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group()
def delete() -> None:
    """Delete a session, a model or a failed training, and all that was made from it; videos and labels stay."""


@delete.command("session")
@click.argument("session")
@dry_run_option
@yes_option
@json_option
@click.pass_context
@command_says_errors
def delete_session(context: click.Context, session: str, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Delete SESSION, such as mouse01/2026-03-02_1, from the database, and all that was computed from it."""
    settings = connect_command(context)
    from pipeline.query.sessions import session_key
    from pipeline.stores.deletion import plan_session_deletion

    carry_out_deletion(plan_session_deletion(session_key(session, settings)), dry_run, yes, as_json)


@delete.command("model")
@click.argument("model_id")
@dry_run_option
@yes_option
@json_option
@click.pass_context
@command_says_errors
def delete_model(context: click.Context, model_id: str, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Delete a model, all that was computed with it, and the request to train it."""
    connect_command(context)
    from pipeline.stores.deletion import plan_model_deletion

    carry_out_deletion(plan_model_deletion(model_id), dry_run, yes, as_json)


@delete.command("training")
@click.argument("labels_id")
@click.argument("training_config")
@click.argument("seed", type=int)
@dry_run_option
@yes_option
@json_option
@click.pass_context
@command_says_errors
def delete_training(
    context: click.Context, labels_id: str, training_config: str, seed: int, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Delete the request of a training that failed, by LABELS_ID, TRAINING_CONFIG and SEED as `status` names it."""
    connect_command(context)
    from pipeline.stores.deletion import plan_training_deletion

    carry_out_deletion(plan_training_deletion(labels_id, training_config, seed), dry_run, yes, as_json)


def carry_out_deletion(plan: Any, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Say what goes with a plan, ask, and delete it."""
    from pipeline.stores.deletion import run_deletion as delete_planned

    if as_json and not (dry_run or yes):
        raise click.UsageError("--json cannot ask: give --dry-run or --yes with it")
    if not as_json:
        _say(plan)
    if dry_run:
        if as_json:
            print_json(_summary(plan.name, plan.n_rows, plan.files, dry_run=True))
        return
    if not yes and not click.confirm("Delete this?", default=False):
        errors.print("nothing was deleted")
        sys.exit(1)
    n_rows, files = delete_planned(plan)
    if as_json:
        print_json(_summary(plan.name, n_rows, files, dry_run=False))
        return
    console.print(
        f"{plan.name}: {count_text(sum(n_rows.values()), 'row')} and {count_text(len(files), 'file')} deleted",
        markup=False,
    )


def _say(plan: Any) -> None:
    console.print(f"with {plan.name} go:", markup=False)
    print_table(["table", "rows"], [[table, n] for table, n in plan.n_rows.items()])
    console.print(f"and {count_text(len(plan.files), 'file')} of the stores, {size(plan.n_bytes)}")
    if plan.n_running:
        running = count_text(plan.n_running, "job is", "jobs are")
        console.print(f"{running} being computed from it now: what runs will fail and leave nothing")
    console.print(plan.kept, markup=False)


def _summary(name: str, n_rows: dict[str, int], files: list[Any], *, dry_run: bool) -> dict[str, Any]:
    n_bytes = sum(file.size_bytes for file in files)
    return {"what": name, "dry_run": dry_run, "rows": n_rows, "n_files": len(files), "n_bytes": n_bytes}


@click.command()
@dry_run_option
@click.option(
    "--grace-hours", default=1.0, show_default=True, help="Leave files alone that are younger: a worker may need them."
)
@click.option("--even-most", is_flag=True, help="Go on even if more than half of all files are garbage.")
@json_option
@click.pass_context
@command_says_errors
def collect(context: click.Context, dry_run: bool, grace_hours: float, even_most: bool, as_json: bool) -> None:
    """Remove files of the stores that no row points at. Workers may go on meanwhile.

    Of what people labelled, only packages of labels are removed that were deleted 30 days ago or more.
    """
    connect_command(context)
    from pipeline.stores.collection import collect as collect_files

    found = collect_files(dry_run=dry_run, grace_s=grace_hours * 3600, even_most=even_most)
    files = found.garbage if dry_run else found.removed
    n_bytes = sum(file.size_bytes for file in files)
    if as_json:
        print_json(
            {
                "dry_run": dry_run,
                "n_files": found.n_files,
                "garbage": [f"{file.store}/{file.path}" for file in found.garbage],
                "n_removed": len(found.removed),
                "n_bytes": n_bytes,
                "n_young": len(found.young),
            }
        )
        return
    verb = "would be removed" if dry_run else "removed"
    console.print(f"{len(files)} of {count_text(found.n_files, 'file')} {verb}, {size(n_bytes)}")
    for file in files:
        console.print(f"  {file.store}/{file.path}", markup=False)
    if found.young:
        console.print(f"{len(found.young)} that no row points at yet are younger than {grace_hours:g} h: left alone")


def size(n_bytes: int) -> str:
    """A size for people.

    Examples
    --------
    >>> size(999), size(5_700_000)
    ('999 B', '5.7 MB')
    """
    value, units = float(n_bytes), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.3g} {units[0]}"
