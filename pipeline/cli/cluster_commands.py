"""`orofacial cluster`: as many workers as the queue needs."""

from __future__ import annotations

import sys
import time
from typing import Any

import rich_click as click

from compute.errors import OrofacialError
from compute.text import count_text
from pipeline.cli.command_tools import command_says_errors, json_option
from pipeline.terminal import console, errors, print_json, print_json_line, print_next_step, print_table


@click.group()
def cluster() -> None:
    """Workers on Slurm, or, where there is none, on this machine."""


@cluster.command("up")
@click.option(
    "--every", "every_s", type=click.FloatRange(min=1), help="Look again every so many seconds, until stopped."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be started.")
@click.option("--here", is_flag=True, help="Start processes of this machine even where Slurm is.")
@json_option
@click.pass_context
@command_says_errors
def up(context: click.Context, every_s: float | None, dry_run: bool, here: bool, as_json: bool) -> None:
    """Start the workers that the queue needs, up to the limits in settings.toml. Doing it again starts no more.

    With --every and --json, one JSON object a line.
    """
    from pipeline.cli.command_tools import connect_command

    settings = connect_command(context)
    on_slurm = False if here else None
    if every_s is None:
        report = _pass(settings, dry_run, on_slurm)
        _warn(report)
        print_json(report) if as_json else _print(report, dry_run)
        return
    warned = False
    while True:
        started = time.monotonic()
        try:
            report = _pass(settings, dry_run, on_slurm)
        except OrofacialError as error:  # a database or Slurm that is restarted: the next pass may find it again
            from pipeline.database.passwords import hide_password

            errors.print(f"this pass failed: {hide_password(str(error))}", markup=False)
        else:
            if not warned:
                _warn(report)
                warned = True
            if as_json:
                print_json_line(report)
            elif report.n_started or report.n_released:
                _print(report, dry_run)
                sys.stdout.flush()
        time.sleep(max(0.0, every_s - (time.monotonic() - started)))


def _pass(settings: Any, dry_run: bool, on_slurm: bool | None) -> Any:
    from pipeline.work.cluster import start_cluster_workers as start_workers

    return start_workers(settings, dry_run=dry_run, on_slurm=on_slurm)


def _warn(report: Any) -> None:
    for warning in report.warnings:
        errors.print(f"[yellow]warning:[/] {warning}")


def _print(report: Any, dry_run: bool) -> None:
    """Print what a pass found and did."""
    started = "would start" if dry_run else "started"
    print_table(
        ["jobs", "pending", "reserved", "workers", "limit", started, "Slurm job"],
        [
            [one.device, one.n_pending, one.n_reserved, one.n_workers, one.max_workers, one.n_started, one.job_id]
            for one in report.classes
        ],
    )
    if report.n_released:
        console.print(f"{count_text(report.n_released, 'job')} taken back from workers that are gone")
    if report.n_started and not dry_run:
        print_next_step("orofacial status" + (", squeue --me" if report.where == "slurm" else ""))
    elif not any(one.n_pending for one in report.classes):
        console.print("nothing is waiting")
