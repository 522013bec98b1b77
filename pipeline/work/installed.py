"""Which jobs a worker can do here: whether what they need is installed, and whether their estimator wants a GPU.

A job runs the estimator of its model or training configuration. Jobs of an estimator that is not installed here are
left to other workers, and so are jobs that import another package that is missing.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import datajoint as dj

from compute import estimators
from compute.errors import NotInstalledError
from compute.estimators import Device
from schemas.model import Model, TrainingConfig
from schemas.tables import computed_tables


def only_installed(jobs: Any, table: dj.Computed | type[dj.Computed], device: Device | None = None) -> Any:
    """Jobs, or keys, of a table whose estimator is installed here and wants this device (None: any).

    None of a table where another package that its jobs import is missing.
    """
    if table.resources.missing() is not None:
        return jobs.restrict(False)
    return _without(jobs, table, [*_absent(table), *_of_other_devices(table, device)])


def installed_jobs_by_device(table: type[dj.Computed]) -> dict[str, Counter[Device]]:
    """Number of a table's jobs by the device that their estimator wants.

    Returns
    -------
    dict
        ``pending``: jobs that wait and whose estimator is installed here; ``reserved``: jobs that workers have.
    """
    kinds, absent = estimators.registered_estimators(), estimators.estimators_not_installed()
    counts: dict[str, Counter[Device]] = {"pending": Counter(), "reserved": Counter()}
    jobs = (table.jobs & [{"status": status} for status in counts]).proj("status")
    named = jobs.join(_owner(table).proj("estimator"), semantic_check=False)
    for row in dj.U("status", "estimator").aggr(named, n="count(*)").to_dicts():
        if row["status"] == "reserved" or row["estimator"] not in absent:
            kind = kinds.get(row["estimator"])  # of one that is not known here: its jobs fail and say so
            counts[row["status"]].update(dict.fromkeys([kind.device] if kind else ["gpu", "cpu"], row["n"]))
    return counts


def left_not_installed(tables: tuple[type[dj.Computed], ...], restriction: dict[str, Any]) -> dict[str, int]:
    """Number of pending jobs that lack their estimator or a package here, by table; tables without any are left out."""
    counts = {}
    for table in tables:
        absent = _absent(table)
        if table.resources.missing() is not None:
            counts[table.__name__] = len(table.jobs.pending & restriction)
        elif absent:
            pending = (table.jobs.pending & restriction).restrict((_owner(table) & absent).proj(), semantic_check=False)
            counts[table.__name__] = len(pending)
    return {name: count for name, count in counts.items() if count}


def describe_not_installed(counts: dict[str, int]) -> str:
    """What `left_not_installed` counted, for people; empty where nothing is left.

    Examples
    --------
    >>> describe_not_installed({})
    ''
    """
    if not counts:
        return ""
    jobs = ", ".join(f"{count} {table}" for table, count in counts.items())
    return f"left to other workers: {jobs}. {'. '.join(said_not_installed())}"


def said_not_installed() -> list[str]:
    """What jobs need and is not installed here: a sentence each that says what to install."""
    packages = [missing for table in computed_tables() if (missing := table.resources.missing()) is not None]
    return [*estimators.estimators_not_installed().values(), *packages]


def check_installed_device(device: Device | None) -> None:
    """Refuse a worker for a GPU where an estimator that wants one is missing: only an estimator's jobs want a GPU.

    Raises
    ------
    NotInstalledError
        If one is missing.
    """
    wanting = [
        said
        for name, said in estimators.estimators_not_installed().items()
        if estimators.registered_estimator(name).device == "gpu"
    ]
    if device == "gpu" and wanting:
        raise NotInstalledError(". ".join(wanting))


def _without(jobs: Any, table: dj.Computed | type[dj.Computed], kinds: list[dict[str, str]]) -> Any:
    """Jobs without those of some estimators; one restriction of the query, whatever the number of jobs."""
    return jobs.restrict((_owner(table) - kinds).proj(), semantic_check=False) if kinds else jobs


def _of_other_devices(table: dj.Computed | type[dj.Computed], device: Device | None) -> list[dict[str, str]]:
    """Restriction to the estimators that a table's jobs may run and that want another device than this."""
    if not table.resources.estimator or device is None:
        return []
    return [{"estimator": name} for name, kind in estimators.registered_estimators().items() if kind.device != device]


def _absent(table: dj.Computed | type[dj.Computed]) -> list[dict[str, str]]:
    """Restriction to the estimators that a table's jobs may want and that are not installed; empty: all can be done."""
    return [{"estimator": name} for name in estimators.estimators_not_installed()] if table.resources.estimator else []


def _owner(table: dj.Computed | type[dj.Computed]) -> type[dj.Manual]:
    """The table that names the estimator of each of a table's jobs."""
    return Model if "model_id" in table.primary_key else TrainingConfig
