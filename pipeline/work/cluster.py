"""Start the workers that the queue needs: on Slurm, or, where there is none, as processes of this machine.

`start_cluster_workers` is one pass without state: pending jobs are in the job tables, running workers in Slurm's queue
(or the machine's list of processes); it starts the difference. Run it from cron, or repeat it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import datajoint as dj
import psutil

from compute.errors import OrofacialError
from compute.estimators import Device
from pipeline.database import connection as database
from pipeline.database.datajoint_setup import import_datajoint
from pipeline.settings import Settings, WorkerSettings
from pipeline.work import jobs, slurm
from pipeline.work.dead_workers import release_dead_workers
from pipeline.work.installed import describe_not_installed, left_not_installed, only_installed
from pipeline.work.worker_locks import one_worker_at_a_time

DEVICES: tuple[Device, ...] = ("gpu", "cpu")


class ClusterError(OrofacialError):
    """Workers cannot be started here."""


@dataclass(frozen=True)
class WorkerClassPass:
    """Result of one pass for one class of resources.

    Attributes
    ----------
    device : {"gpu", "cpu"}
    n_pending, n_reserved : int
        Jobs that wait, and that workers have taken.
    n_workers : int
        Workers that were there before, waiting ones included.
    max_workers : int
        The limit in the settings.
    n_started : int
        Workers that this pass started (or, in a dry run, would have).
    job_id : str or None
        Slurm's array of them.
    """

    device: Device
    n_pending: int
    n_reserved: int
    n_workers: int
    max_workers: int
    n_started: int
    job_id: str | None = None


@dataclass(frozen=True)
class ClusterPass:
    """Result of one pass.

    Attributes
    ----------
    where : {"slurm", "here"}
    n_released : int
        Jobs that were taken back from workers that are gone.
    classes : list of ClassPass
    warnings : list of str
        Settings that do not go with what the tables say they need, and jobs that this installation cannot do.
    """

    where: Literal["slurm", "here"]
    n_released: int
    classes: list[WorkerClassPass]
    warnings: list[str]

    @property
    def n_started(self) -> int:
        """Workers started."""
        return sum(one.n_started for one in self.classes)


def start_cluster_workers(settings: Settings, *, dry_run: bool = False, on_slurm: bool | None = None) -> ClusterPass:
    """Take back the jobs of dead workers, look for new ones, and start the workers that are missing.

    Two passes at once wait for each other; the second finds nothing left to start.

    Parameters
    ----------
    settings : Settings
        The limits: ``gpu_workers`` and ``cpu_workers``.
    dry_run : bool
        Change nothing, only say what would be started.
    on_slurm : bool, optional
        Whether to use Slurm; without it, if this machine can.

    Raises
    ------
    ClusterError
        If the workers could not reach the database.
    SlurmError
        If Slurm does not answer or refuses.
    """
    on_slurm = slurm.is_slurm_available() if on_slurm is None else on_slurm
    if on_slurm and not database.server_is_configured():
        raise ClusterError(
            "the embedded database serves one machine only, and Slurm's workers run on others. Configure the lab's"
            " server (orofacial db init), or start workers on this machine: orofacial cluster up --here"
        )
    connection = database.open_connection(settings)
    with one_worker_at_a_time(connection, "cluster up", wait=True):
        n_released = 0
        if not dry_run:
            n_released = release_dead_workers()
            jobs.refresh_jobs()
        counts = _counts(refreshed=not dry_run)
        classes = [_start_missing(settings, device, *counts[device], dry_run, on_slurm) for device in DEVICES]
        left = describe_not_installed(left_not_installed(jobs.TABLES, {}))
    warnings = [*cluster_memory_warnings(settings), *([left] if left else [])]
    return ClusterPass("slurm" if on_slurm else "here", n_released, classes, warnings)


def cluster_memory_warnings(settings: Settings) -> list[str]:
    """Find classes of workers whose memory limit is below the needs of their tables.

    Returns
    -------
    list of str
        At most one sentence for each class; none where the cluster's default decides (an empty setting, or 0).
    """
    warnings = []
    for device in DEVICES:
        limits = _limits(settings, device)
        needs = {table: table.resources.memory_on(device) for table in jobs.tables_of_jobs(device)}
        neediest = max(needs, key=lambda table: needs[table])
        if limits.memory_gb is not None and limits.memory_gb < needs[neediest]:
            warnings.append(
                f"{device}_workers.memory is {limits.memory} ({limits.memory_gb:.3g} GB), and a job of"
                f" {neediest.__name__} needs up to {needs[neediest]:g} GB: Slurm may kill it. Raise"
                f" {device}_workers.memory in settings.toml"
            )
    return warnings


def _limits(settings: Settings, device: Device) -> WorkerSettings:
    return settings.gpu_workers if device == "gpu" else settings.cpu_workers


def _counts(*, refreshed: bool) -> dict[Device, tuple[int, int]]:
    """Pending and reserved jobs of each class; without a refresh, those that it would add count as pending."""
    counts = {device: (count.pending, count.reserved) for device, count in jobs.pending_jobs().items()}
    for device, (n_pending, n_reserved) in () if refreshed else counts.items():
        n_new = sum(len(_new_keys(table, device)) for table in jobs.tables_of_jobs(device))
        counts[device] = n_pending + n_new, n_reserved
    return counts


def _new_keys(table: Any, device: Device) -> Any:
    """Keys that a refresh would add to the table's jobs, and that a worker of this installation would take."""
    to_do = table().key_source - table().proj()
    return only_installed(to_do.restrict(dj.Not(table.jobs), semantic_check=False), table, device)


def cluster_worker_command(settings: Settings, device: Device) -> list[str]:
    """The command of one worker, which ends when nothing is left to do."""
    program = [sys.executable, "-m", "pipeline.cli", "--data-folder", str(settings.data_folder)]
    return [*program, "work", f"--{device}", "--until-empty"]


def _start_missing(
    settings: Settings, device: Device, n_pending: int, n_reserved: int, dry_run: bool, on_slurm: bool
) -> WorkerClassPass:
    """Start as many workers as there are jobs, up to the limit, less those that are there."""
    limits = _limits(settings, device)
    name, command = f"{settings.schema_prefix}{device}", cluster_worker_command(settings, device)
    n_workers = _n_slurm_workers(name) if on_slurm else len(_local_workers(command))
    n_missing = max(0, min(limits.max_workers, n_pending + n_reserved) - n_workers) if n_pending else 0
    job_id = None
    if n_missing and not dry_run:
        log_folder = settings.data_folder / "log"
        log_folder.mkdir(parents=True, exist_ok=True)
        if on_slurm:
            job_id = slurm.submit_to_slurm(
                command,
                n_missing,
                name=name,
                comment=_database_address(),
                limits=limits,
                log_folder=log_folder,
                folder=Path.cwd(),
            )
        else:
            _start_here(command, n_missing, log_folder, device)
    return WorkerClassPass(device, n_pending, n_reserved, n_workers, limits.max_workers, n_missing, job_id)


def _n_slurm_workers(name: str) -> int:
    """Our workers that run or wait; another database's have another address in their comment."""
    address = _database_address()
    return sum(job.is_to_come and job.comment == address for job in slurm.slurm_queue(name))


def _database_address() -> str:
    configured = import_datajoint().config.database
    return f"{configured.backend}://{configured.host}:{configured.port}/{configured.name or ''}"


def _local_workers(command: list[str]) -> list[int]:
    """Ids of this user's processes that run a worker's command."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.uids().real == os.getuid() and process.cmdline() == command:
                found.append(process.pid)
    return found


def _start_here(command: list[str], n: int, log_folder: Path, device: Device) -> None:
    """Start workers that keep running when this process ends or its terminal is closed."""
    for _ in range(n):
        with (log_folder / f"{device}-workers.log").open("ab") as log:
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
