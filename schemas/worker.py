"""Processes that compute, jobs whose worker died, and the version of the database."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import datajoint as dj

schema = dj.Schema()


@schema
class Worker(dj.Manual):
    """A process that takes jobs. Its key is also in the job tables, where it says who reserved a job."""

    definition = """
    host : varchar(255)
    pid : int32
    connection_id : int64  # of its first connection; it stays its name when that is lost
    ---
    process_started_s : float64  # (s) since 1970; tells it from a later process with the same id
    slurm_job_id='' : varchar(32)  # SLURM_JOB_ID; empty: not on Slurm
    slurm_restarts=0 : int32  # SLURM_RESTART_COUNT
    device : varchar(8)  # gpu, cpu, or any
    started_at=CURRENT_TIMESTAMP : datetime
    heartbeat_at=CURRENT_TIMESTAMP : datetime
    missing_since=null : datetime  # when its connection was first seen to be gone
    table_name='' : varchar(64)  # of the job that the numbers below are of
    n_done=0 : int32  # frames or epochs
    n_total=0 : int32
    steps_per_s=0 : float64  # (1/s) frames or epochs
    """


@schema
class Crash(dj.Manual):
    """A job whose worker died while working on it."""

    definition = """
    table_name : varchar(64)
    job_hash : char(32)  # of the job's primary key
    crash_number : int16  # counts from 1, until a person retries
    ---
    host : varchar(255)
    pid : int32
    crashed_at=CURRENT_TIMESTAMP : datetime
    """


@schema
class DatabaseVersion(dj.Manual):
    """Versions that the database has had since they are kept; it is of the highest (see `schemas.migrations`)."""

    definition = """
    database_version : int16  # number of the last step in schemas/migrations
    ---
    reached_at=CURRENT_TIMESTAMP : datetime
    """


def worker_lock_name(table: str, owner: tuple[str, int, int]) -> str:
    """Name of the lock that a living worker holds (see `schemas.making.locks`).

    Parameters
    ----------
    table : str
        Quoted full name of `Worker`.
    owner : tuple
        Host, pid and connection id: the worker's key.
    """
    return f"{table} {owner}"


def crashed_job_hash(key: dict[str, Any]) -> str:
    """Name of a job in `Crash`."""
    return hashlib.md5(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()
