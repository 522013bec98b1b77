"""`orofacial ingest`, `populate` and `status`: what happens to sessions."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from pipeline.cli.command_tools import command_says_errors, connect_command, json_option
from pipeline.terminal import console, errors, print_json, print_next_step, print_table

if TYPE_CHECKING:
    from ingest.outcomes import SessionOutcome
    from pipeline.work.status import Status, WorkerStatus

_N_RENAMED_SAID = 5


@click.command()
@click.argument("raw_folder", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Read and check everything, insert nothing.")
@click.option(
    "--stable-after",
    "stable_after_s",
    type=click.FloatRange(min=0),
    help="Seconds without a change before a folder is taken.  [default: stable_after_s of settings.toml]",
)
@json_option
@click.pass_context
@command_says_errors
def ingest(
    context: click.Context, raw_folder: Path, dry_run: bool, stable_after_s: float | None, as_json: bool
) -> None:
    """Take in every new session below RAW_FOLDER, and what the session.toml of a known one says anew.

    A session is a folder <mouse>/<date>_<number> with a video per camera, such as mouse01/2026-03-02_1/side.mp4, where
    layout in settings.toml says nothing else; 'orofacial layout test' tries one.
    """
    settings = connect_command(context)
    from ingest.sessions import ingest_sessions

    outcomes = []
    for outcome in ingest_sessions(
        raw_folder,
        layout=settings.recording_layout,
        stable_after_s=settings.stable_after_s if stable_after_s is None else stable_after_s,
        dry_run=dry_run,
        rig_time_zone=settings.rig_time_zone,
        accept_damaged_videos=settings.accept_damaged_videos,
    ):
        outcomes.append(outcome)
        if not as_json and outcome.status != "known":
            out = errors if outcome.status == "refused" else console
            out.print(f"{outcome.status}: {outcome.message}", markup=False)
    if not as_json:
        _say_renamed([outcome for outcome in outcomes if outcome.called and outcome.status == "known"])
    counts = Counter(outcome.status for outcome in outcomes)
    if as_json:
        print_json({"outcomes": outcomes, "counts": counts})
    elif set(counts) <= {"left out"}:
        errors.print(f"no session below {raw_folder}: no folder there holds a video", markup=False)
    else:
        console.print(", ".join(f"{n} {status}" for status, n in counts.items()))
        if counts["ingested"] or counts["corrected"]:
            print_next_step("orofacial populate")
    sys.exit(1 if counts["refused"] or set(counts) <= {"left out"} else 0)


def _say_renamed(outcomes: list[SessionOutcome]) -> None:
    """Say which folders have a name that was corrected in the lab; of many, the first ones."""
    for outcome in outcomes[:_N_RENAMED_SAID]:
        console.print(f"known: {outcome.message}", markup=False)
    if len(outcomes) > _N_RENAMED_SAID:
        console.print(f"known: {len(outcomes) - _N_RENAMED_SAID} more that were renamed; --json lists them")


@click.command()
@click.option("--retry-failed", is_flag=True, help="Also try jobs again that failed before.")
@json_option
@click.pass_context
@command_says_errors
def populate(context: click.Context, retry_failed: bool, as_json: bool) -> None:
    """Compute everything that can be computed, in this process. Once stopped, it continues where it was."""
    connect_command(context)
    from pipeline.cli.progress_bars import ProgressBars
    from pipeline.work import populate as work
    from pipeline.work.installed import describe_not_installed

    if retry_failed:
        work.retry_failed_jobs()
    with ProgressBars().shown() as display:
        summary = work.populate(display)
    if as_json:
        print_json(summary)
    else:
        done = ", ".join(f"{n} {table}" for table, n in summary.computed.items() if n)
        everything = not (summary.left or summary.undone)
        nothing = "nothing to compute: everything is up to date" if everything else "nothing was computed"
        console.print(f"computed: {done}" if done else nothing)
        for reason in summary.undone:
            console.print(f"not computed: {reason}", markup=False)
        if summary.left:
            errors.print(describe_not_installed(summary.left), markup=False)
        say_failures((failure["table"], failure["key"], failure["message"]) for failure in summary.failed)
        if summary.failed:
            print_next_step("mend the cause, then: orofacial retry")
        elif done:
            print_next_step("orofacial status, orofacial report -o report.html")
    sys.exit(1 if summary.failed or (summary.left and not summary.computed) else 0)


@click.command()
@click.option("--watch", is_flag=True, help="Show it again every two seconds, until Ctrl-C.")
@json_option
@click.pass_context
@command_says_errors
def status(context: click.Context, watch: bool, as_json: bool) -> None:
    """Show how far every session is, who works on what, what failed and why."""
    connect_command(context)
    from pipeline.work.status import status as read_status

    while True:
        state = read_status()
        if watch and not as_json:
            console.clear()
        if as_json:
            print_json(state)
        else:
            _show(state)
        if not watch:
            return
        time.sleep(2)


def say_failures(failures: Iterable[tuple[str, dict[str, Any], str]]) -> None:
    """Say which jobs failed, and why: those of one table that failed for the same reason in one line.

    Parameters
    ----------
    failures : iterable of (str, dict, str)
        Name of the table, key of the job and message of each.
    """
    from compute.text import count_text
    from pipeline.work.jobs import job_text

    alike: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for table, key, message in failures:
        alike.setdefault((table, message), []).append(key)
    for (table, message), (first, *others) in alike.items():
        more = f" and {count_text(len(others), 'other')}" if others else ""
        errors.print(f"failed: {table} {job_text(first)}{more}: {message}", markup=False)


def _show(state: Status) -> None:
    from compute.text import count_text

    if not state.n_sessions:
        console.print("no session yet")
        print_next_step("orofacial ingest RAW_FOLDER")
        _show_others(state)
        return
    heads = [re.sub(r"(?<=[a-z])(?=[A-Z])", "\n", stage) for stage in state.stages]  # narrow enough for a terminal
    rows = [[session, *map(str, stages.values())] for session, stages in state.sessions.items()]
    total = [f"all {count_text(state.n_sessions, 'session')}", *map(str, state.stages.values())]
    print_table(["session", *heads], [*rows, total])
    if len(rows) < state.n_sessions:
        console.print(f"shown: {len(rows)} of {count_text(state.n_sessions, 'session')}, unfinished ones only")
    _show_others(state)


def _show_others(state: Status) -> None:
    """What is not of one session: other tables, workers, failures, and what is not computed."""
    from pipeline.query.chosen_models import model_text

    for model in state.deployed:
        console.print(f"model of camera {model['camera']}: {model_text(model)}", markup=False, style="dim")
    for name, count in state.others.items():
        if count.to_do or count.running or count.failed:
            console.print(f"besides: {name} {count}, {count.to_do} to do")
    if state.workers:
        print_table(["worker", "for", "Slurm", "does", "done", "per s"], [_worker_row(one) for one in state.workers])
    say_failures((failure.table, failure.key, failure.message) for failure in state.failures)
    unevaluated = sorted({failure.key["model_id"] for failure in state.failures if failure.table == "ModelEvaluation"})
    if unevaluated:
        console.print(
            f"tracks of model {', '.join(unevaluated)} are filtered without what those labels say of its scores",
            markup=False,
        )
    for reason in state.undone:
        console.print(f"not computed: {reason}", markup=False)
    if state.failures:
        print_next_step("mend the cause, then: orofacial retry")
    counts = [*state.stages.values(), *state.others.values()]
    if not any(worker.alive for worker in state.workers) and any(count.to_do or count.running for count in counts):
        print_next_step("orofacial work, or orofacial populate")


def _worker_row(worker: WorkerStatus) -> list[object]:
    done = f"{worker.n_done}/{worker.n_total}" if worker.n_total else "-"
    rate = f"{worker.steps_per_s:.3g}" if worker.n_total else "-"
    name = f"{worker.host} {worker.pid}"
    does = worker.job or "waits"
    if not worker.alive:
        does = f"gone; the next worker puts back {worker.job}" if worker.job else "gone"
    return [name, worker.device, worker.slurm_job_id or "-", does, done, rate]
