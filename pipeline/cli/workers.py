"""`orofacial work` and `retry`: processes that compute, and what to do with jobs that failed."""

from __future__ import annotations

import logging
import sys
import time

import rich_click as click

from pipeline.cli.common import connect, console, errors, json_option, next_step, print_json, says_errors


@click.command()
@click.option("--gpu", "device", flag_value="gpu", help="Only jobs that want a GPU: training and poses.")
@click.option("--cpu", "device", flag_value="cpu", help="Only jobs that want none: filters, quality, distances.")
@click.option("--until-empty", is_flag=True, help="End when nothing is left to do, instead of waiting for more.")
@json_option
@click.pass_context
@says_errors
def work(context: click.Context, device: str | None, until_empty: bool, as_json: bool) -> None:
    """Take jobs, one after another, until stopped by Ctrl-C or SIGTERM.

    As many of these as one likes may run, on any machine that reaches the database and the videos. A job that is
    stopped goes back into the queue; one that fails is set aside until `orofacial retry`. Each job done is one line.
    """
    connect(context)
    from pipeline.worker import Worker

    _log_lines()
    summary = Worker(device, until_empty=until_empty).run()  # type: ignore[arg-type]
    if as_json:
        print_json(summary)
    else:
        done = ", ".join(f"{n} {table}" for table, n in summary.computed.items() if n)
        console.print(f"computed: {done}" if done else "computed nothing")
        if summary.failed:
            errors.print(f"{len(summary.failed)} failed")
            next_step("orofacial status; mend the cause, then: orofacial retry")
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
@click.option("--table", help="Only jobs of this table, such as PoseEstimation.")
@click.option("--mouse", help="Only jobs of this mouse.")
@json_option
@click.pass_context
@says_errors
def retry(context: click.Context, table: str | None, mouse: str | None, as_json: bool) -> None:
    """Try failed jobs again: those that ended in an error, and those that their workers died with."""
    connect(context)
    from compute.errors import OrofacialError
    from pipeline.jobs import TABLES, retry_failed

    tables = tuple(one for one in TABLES if table is None or one.__name__ == table)
    if not tables:
        raise OrofacialError(f"no table {table!r}; there are {', '.join(one.__name__ for one in TABLES)}")
    if mouse is not None:
        tables = tuple(one for one in tables if "mouse_id" in one.primary_key)
    n = retry_failed(tables, {} if mouse is None else {"mouse_id": mouse})
    if as_json:
        print_json({"n_jobs": n})
        return
    console.print(f"{n} jobs back in the queue" if n else "no failed job fits; see 'orofacial status'")
    if n:
        next_step("a worker takes them; without one: orofacial populate")
