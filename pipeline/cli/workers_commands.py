"""`orofacial watch`, `work` and `retry`: ingest and compute without a person, and try failed jobs again."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from pipeline.cli.command_tools import command_says_errors, connect_command, json_option
from pipeline.terminal import console, errors, print_json, print_json_line, print_next_step

if TYPE_CHECKING:
    from ingest.outcomes import SessionOutcome


@click.command()
@click.option("--gpu", "device", flag_value="gpu", help="Only jobs that want a GPU: training, and poses of a network.")
@click.option(
    "--cpu",
    "device",
    flag_value="cpu",
    help="Only jobs that want none: filters, quality, distances, and poses read from files.",
)
@click.option("--until-empty", is_flag=True, help="End when nothing is left to do, instead of waiting for more.")
@json_option
@click.pass_context
@command_says_errors
def work(context: click.Context, device: str | None, until_empty: bool, as_json: bool) -> None:
    """Take jobs, one after another, until stopped by Ctrl-C or SIGTERM.

    Any number of workers may run, on any machine that reaches the database and the videos. A job that is
    stopped goes back into the queue; one that fails is set aside until `orofacial retry`. Each job done is one line.
    """
    connect_command(context)
    from pipeline.work.installed import check_installed_device, said_not_installed
    from pipeline.work.worker import JobWorker

    check_installed_device(device)  # type: ignore[arg-type]
    _log_lines()
    for absent in said_not_installed() if device is None else ():
        logging.getLogger("orofacial").info("%s. Jobs that need it are left to other workers", absent)
    summary = JobWorker(device, until_empty=until_empty).run()  # type: ignore[arg-type]
    if as_json:
        print_json(summary)
    else:
        done = ", ".join(f"{n} {table}" for table, n in summary.computed.items() if n)
        console.print(f"computed: {done}" if done else "computed nothing")
        if summary.failed:
            errors.print(f"{len(summary.failed)} failed")
            print_next_step("orofacial status; mend the cause, then: orofacial retry")
    if until_empty and summary.stopped_by is not None:
        sys.exit(128 + summary.stopped_by)
    sys.exit(1 if summary.failed else 0)


def _log_lines() -> None:
    """Let each job be one line on stderr, with the time."""
    handler = logging.StreamHandler()
    formatter = logging.Formatter("%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S")
    formatter.converter = time.localtime
    handler.setFormatter(formatter)
    logger = logging.getLogger("orofacial")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


@click.command()
@click.argument("raw_folder", type=click.Path(path_type=Path))
@click.option(
    "--stable-after",
    "stable_after_s",
    type=click.FloatRange(min=0),
    help="Seconds without a change before a folder is taken.  [default: stable_after_s of settings.toml]",
)
@click.option("--marker", default="", help="A file that the rig writes last: a folder is taken when it is there.")
@click.option(
    "--scan-every",
    "scan_every_s",
    type=click.FloatRange(min=1),
    default=60.0,
    show_default=True,
    help="Seconds between two looks at all folders, for changes that the file system does not tell.",
)
@json_option
@click.pass_context
@command_says_errors
def watch(
    context: click.Context,
    raw_folder: Path,
    stable_after_s: float | None,
    marker: str,
    scan_every_s: float,
    as_json: bool,
) -> None:
    """Take in every session below RAW_FOLDER once it is complete, until stopped by Ctrl-C or SIGTERM.

    A session is complete when its files have not changed for a while and its videos open to their ends, or when the
    marker file is there. Beside this, workers compute: orofacial work.

    With --json, one JSON object a line for each session that was ingested, corrected or refused.
    """
    settings = connect_command(context)
    from ingest.watching import watch_raw_folder as watch_folder
    from pipeline.database import connection as database
    from pipeline.work.stopping import Stop

    stop = Stop()
    with stop.listening():
        if raw_folder.is_dir() and not as_json:
            console.print(f"watching {raw_folder}; stop with Ctrl-C", markup=False)
        while not stop.requested:
            try:
                for outcome in watch_folder(
                    raw_folder,
                    layout=settings.recording_layout,
                    stable_after_s=settings.stable_after_s if stable_after_s is None else stable_after_s,
                    marker=marker,
                    rig_time_zone=settings.rig_time_zone,
                    accept_damaged_videos=settings.accept_damaged_videos,
                    scan_every_s=scan_every_s,
                    stopped=lambda: stop.requested is not None,
                ):
                    _tell(outcome, as_json)
            except Exception as error:
                if not database.is_connection_lost(error):
                    raise
                errors.print("the database was lost; connecting again")
                stop.wait(5)
                with contextlib.suppress(Exception):  # the next pass tries again
                    database.reconnect()


def _tell(outcome: SessionOutcome, as_json: bool) -> None:
    """Print what became of a folder."""
    now = datetime.now()
    if not as_json:
        out = errors if outcome.status == "refused" else console
        out.print(f"{now:%Y-%m-%d %H:%M:%S} {outcome.status}: {outcome.message}", markup=False)
    elif outcome.status in {"ingested", "corrected", "refused"}:
        print_json_line({"time": f"{now:%Y-%m-%dT%H:%M:%S}", **asdict(outcome)})


@click.command()
@click.option("--table", help="Only jobs of this table, such as PoseEstimation.")
@click.option("--mouse", help="Only jobs of this mouse.")
@json_option
@click.pass_context
@command_says_errors
def retry(context: click.Context, table: str | None, mouse: str | None, as_json: bool) -> None:
    """Try failed jobs again: those that ended in an error, and those that their workers died with."""
    connect_command(context)
    from compute.errors import OrofacialError
    from compute.text import count_text
    from pipeline.work.jobs import TABLES, retry_failed_jobs
    from schemas.subject import Mouse

    if mouse is not None and not Mouse & {"mouse_id": mouse}:
        raise OrofacialError(
            f"no mouse {mouse!r}; there are {', '.join(sorted(Mouse.to_arrays('mouse_id'))) or 'none'}"
        )
    tables = tuple(one for one in TABLES if table is None or one.__name__ == table)
    if not tables:
        raise OrofacialError(f"no table {table!r}; there are {', '.join(one.__name__ for one in TABLES)}")
    if mouse is not None:
        tables = tuple(one for one in tables if "mouse_id" in one.primary_key)
    n = retry_failed_jobs(tables, {} if mouse is None else {"mouse_id": mouse})
    if as_json:
        print_json({"n_jobs": n})
        return
    console.print(f"{count_text(n, 'job')} back in the queue" if n else "no failed job fits; see 'orofacial status'")
    if n:
        print_next_step("a worker takes them; without one: orofacial populate")
