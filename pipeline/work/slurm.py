"""The parts of Slurm that this project needs: list jobs, and submit workers.

Only ``sbatch`` and ``squeue`` are used: ``sacct`` needs an accounting database that not every cluster has.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from compute.errors import OrofacialError
from pipeline.settings import WorkerSettings

# A job in any other state has no process that could still insert something. COMPLETING is not among these: its
# processes were killed, and on a node that died it can stay in that state for days.
ALIVE_STATES = frozenset({"RUNNING", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING", "STAGE_OUT"})
# A job that is COMPLETING may be one that is requeued, and still holds its node: it counts.
_ENDED_STATES = frozenset({"COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED"})
_FIELDS = ("JobID", "State", "RestartCnt", "Name", "Comment")
_TIMEOUT_S = 60


class SlurmError(OrofacialError):
    """Slurm's programs could not be used."""


@dataclass(frozen=True)
class SlurmJob:
    """A job in Slurm's queue.

    Attributes
    ----------
    job_id : int
        What the job itself has in ``SLURM_JOB_ID``; one per array task once it runs.
    state : str
        Slurm's long name of the state.
    n_restarts : int
        How often it was requeued; what the job has in ``SLURM_RESTART_COUNT``.
    name, comment : str
        As given to sbatch.
    """

    job_id: int
    state: str
    n_restarts: int
    name: str
    comment: str

    @property
    def is_alive(self) -> bool:
        """Whether its processes may still be there."""
        return self.state in ALIVE_STATES

    @property
    def is_to_come(self) -> bool:
        """Whether it runs, waits, or still holds its node."""
        return self.state not in _ENDED_STATES


def is_slurm_available() -> bool:
    """Whether this machine can submit jobs."""
    return shutil.which("sbatch") is not None and shutil.which("squeue") is not None


def slurm_queue(name: str | None = None) -> list[SlurmJob]:
    """Jobs that wait or run, each task of an array by itself.

    Parameters
    ----------
    name : str, optional
        Only this user's jobs with this name; without it, all users' jobs.

    Raises
    ------
    SlurmError
        If Slurm does not answer, which is not the same as an empty queue.
    """
    mine = [] if name is None else ["--me", f"--name={name}"]
    output = _run(["squeue", "--noheader", "--array", *mine, "-O", ",".join(f"{field}:|" for field in _FIELDS)])
    jobs = []
    for line in output.splitlines():
        job_id, state, n_restarts, job_name, comment = line.strip().split("|", 4)
        jobs.append(SlurmJob(int(job_id), state, int(n_restarts), job_name, comment.removesuffix("|")))
    return jobs


def submit_to_slurm(
    command: list[str], n: int, *, name: str, comment: str, limits: WorkerSettings, log_folder: Path, folder: Path
) -> str:
    """Submit an array of workers; return the array's job id.

    A worker is requeued when its node dies. At the time limit, at scancel and at preemption Slurm sends it SIGTERM, and
    ``KillWait`` seconds later SIGKILL: time enough to put a job back. The worker replaces the script's shell, which
    would not pass the signal on.

    Raises
    ------
    SlurmError
        If Slurm refuses, with its own reason.
    """
    options = {
        "--array": f"1-{n}",
        "--job-name": name,
        "--comment": comment,
        "--partition": limits.partition,
        "--gres": limits.gres,
        "--mem": limits.memory,
        "--time": limits.time_limit,
        "--cpus-per-task": str(limits.n_cpus),
        "--chdir": str(folder),
        "--output": str(log_folder / "slurm-%A_%a.log"),
        "--open-mode": "append",
    }
    arguments = [f"{option}={value}" for option, value in options.items() if value]
    script = f"#!/bin/bash\nexec {shlex.join(command)}\n"
    return _run(
        ["sbatch", "--parsable", "--requeue", *arguments, *limits.sbatch_options], standard_input=script
    ).partition(";")[0]


def _run(command: list[str], standard_input: str = "") -> str:
    try:
        done = subprocess.run(command, input=standard_input, capture_output=True, text=True, timeout=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SlurmError(f"{command[0]} cannot be used ({error}); see whether Slurm works: sinfo") from error
    if done.returncode != 0:
        raise SlurmError(
            f"{command[0]} refused: {' '.join(done.stderr.split()) or 'no reason given'}. Correct the limits in"
            " settings.toml, or see whether Slurm works: sinfo"
        )
    return done.stdout.strip()
