"""Check this installation: what works, what does not, and what to do."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from compute.errors import OrofacialError
from pipeline.settings import Settings

_ENOUGH_FREE_BYTES = 5 * 1024**3
_LOOKED_FOR = 50
"""Rows of each table whose files are looked for."""


@dataclass(frozen=True)
class DoctorCheck:
    """One finding; ``ok`` is None for what is not installed here and not needed by the rest."""

    name: str
    ok: bool | None
    found: str
    advice: str = ""


def doctor_checks(settings: Settings, *, load_estimators: bool = False) -> Iterator[DoctorCheck]:
    """Check everything that the pipeline needs, one after the other; a check that fails does not stop the others.

    Parameters
    ----------
    settings : Settings
        Of the lab.
    load_estimators : bool
        Also load the estimators' libraries, which takes seconds, and say what each runs on.
    """
    checks: dict[str, Callable[[Settings], DoctorCheck]] = {
        **_CHECKS,
        "estimator": partial(_check_estimators, load=load_estimators),
    }
    for name, check in checks.items():
        yield _run(name, check, settings)


def _run(name: str, check: Callable[[Settings], DoctorCheck], settings: Settings) -> DoctorCheck:
    try:
        return check(settings)
    except OrofacialError as error:
        return DoctorCheck(name, False, str(error))
    except Exception as error:  # a broken installation can fail in any way; this is reported, too
        return DoctorCheck(name, False, f"{type(error).__name__}: {error}", "install orofacial again, or report this")


def _check_database(settings: Settings) -> DoctorCheck:
    from pipeline.database.connection import describe_connection

    status = describe_connection(settings)
    if not status.reachable:
        return DoctorCheck("database", False, status.error or "not reachable")
    version = (status.version or "").split(",")[0].split(" on ")[0]
    return DoctorCheck(
        "database", True, f"{status.kind}, {version}, {status.address}, answers in {status.latency_ms:.1f} ms"
    )


def _check_tables(settings: Settings) -> DoctorCheck:
    """Compare the tables with their definitions."""
    from pipeline.database.connection import open_connection

    connection = open_connection(settings)
    from schemas.migrations.comparison import table_differences

    found = table_differences(settings.schema_prefix, connection)
    if found:
        advice = "restore the database from a backup; a table or job table that is missing is made by the next command"
        return DoctorCheck("tables", False, "; ".join(found), advice)
    return DoctorCheck("tables", True, "as defined")


def _check_filters(settings: Settings) -> DoctorCheck:
    """Check the parameters of every filter method: they were not always checked when they were inserted."""
    from pipeline.database.connection import open_connection

    connection = open_connection(settings)
    from schemas.migrations.version import read_columns
    from schemas.track import filter_row_fault, is_current_filter

    schema, table = f"{settings.schema_prefix}track", "#filter_method"
    names = ("filter_method", "filter_name", "filter_parameters", "filter_version")
    if not set(names) <= read_columns(connection, [schema]).get((schema, table), set()):
        return DoctorCheck("filters", True, "none yet")
    query = f"SELECT {', '.join(names)} FROM {connection.adapter.make_full_table_name(schema, table)} ORDER BY 1"
    rows = [dict(zip(names, row, strict=True)) for row in connection.query(query).fetchall()]
    if connection.adapter.backend == "mysql":  # PostgreSQL's driver gives JSON as Python has it
        rows = [{**row, "filter_parameters": json.loads(row["filter_parameters"])} for row in rows]
    faults = {row["filter_method"]: fault for row in rows if (fault := filter_row_fault(row)) is not None}
    if faults:
        found = "; ".join(f"filter method {method}: {fault}" for method, fault in faults.items())
        advice = "such a method makes no tracks; orofacial filter add makes one with parameters that can be"
        return DoctorCheck("filters", False, found, advice)
    older = [row["filter_method"] for row in rows if not is_current_filter(row)]
    said = f"; kept, but of an older version: {', '.join(older)}" if older else ""
    return DoctorCheck("filters", True, f"{len(rows)} filter methods with parameters that can be{said}")


def doctor_store_addresses() -> dict[str, str]:
    """Where each store lies, as DataJoint is configured now."""
    import datajoint as dj

    return {
        name: f"{spec.get('protocol', 'file')}: {'/'.join(filter(None, (spec.get('bucket'), spec.get('location'))))}"
        for name in ("tracks", "models", "labels")
        for spec in [dj.config.get_store_spec(name)]
    }


def _check_stores(settings: Settings) -> DoctorCheck:
    """Write, read back and remove a small file in each store."""
    from datajoint.hash_registry import get_store_backend

    from pipeline.database.connection import open_connection

    open_connection(settings)
    for name, address in doctor_store_addresses().items():
        backend = get_store_backend(name)
        path = "orofacial-doctor.txt"
        try:
            backend.put_buffer(b"works", path)
            if backend.get_buffer(path) != b"works":
                return DoctorCheck("stores", False, f"{name} ({address}) returns other bytes than were written")
            backend.remove(path)
        except OSError as error:
            advice = "free space, or mend the permissions of the folder"
            return DoctorCheck("stores", False, f"{name} ({address}) cannot be written: {error}", advice)
    return DoctorCheck(
        "stores", True, ", ".join(f"{name} {address}" for name, address in doctor_store_addresses().items())
    )


def _check_files(settings: Settings) -> DoctorCheck:
    """Look for files that rows point at: a store whose disk is not mounted can be written, and has none of them."""
    from pipeline.database.connection import open_connection

    connection = open_connection(settings)
    from pipeline.database.table_rows import stored_tables
    from pipeline.stores.lab_backup import find_files, rows_references

    tables = stored_tables(connection, settings.schema_prefix)
    references = rows_references(connection, settings.schema_prefix, tables, most_rows=_LOOKED_FOR)
    advice = "mount the store's disk, bring its folder back, or name the right one; orofacial restore has backups"
    try:
        _, lost = find_files(references)
    except OSError as error:
        return DoctorCheck("files", False, f"those that rows point at cannot be looked for: {error}", advice)
    if lost:
        addresses = doctor_store_addresses()
        stores = ", ".join(f"{name} ({addresses[name]})" for name in sorted({one.partition("/")[0] for one in lost}))
        found = f"of {len(references)} that rows point at, {len(lost)} are not in the store {stores}, such as {lost[0]}"
        return DoctorCheck("files", False, found, advice)
    return DoctorCheck("files", True, f"{len(references)} that rows point at are there" if references else "none yet")


def _check_video(settings: Settings) -> DoctorCheck:
    """Write a short video and decode it."""
    import numpy as np

    from compute.video import probe_video, write_video

    with tempfile.TemporaryDirectory(prefix="orofacial-") as folder:
        path = Path(folder) / "test.mp4"
        write_video(path, (np.full((64, 64), value, np.uint8) for value in range(10)), 30)
        info = probe_video(path)
    found = f"wrote and decoded {info.n_frames} frames ({info.codec})"
    return DoctorCheck("video", info.n_frames == 10, found, "" if info.n_frames == 10 else "install PyAV again")


def _check_estimators(settings: Settings, *, load: bool = False) -> DoctorCheck:
    """Every estimator that is registered: versions and device, or what to install. Only `load` imports torch."""
    from compute.estimators import estimators_not_installed, registered_estimators

    found, advice, absent = [], [], estimators_not_installed()
    for name, kind in registered_estimators().items():
        if name in absent:
            found.append(absent[name])
            continue
        versions = ", ".join(f"{package} {version}" for package, version in kind.versions().items())
        what = f"{name} ({versions})" if versions else name
        device = kind.runs_on() if load or kind.device == "cpu" else ""
        found.append(f"{what} {f'on {device}' if device else '(its device says orofacial doctor --load)'}")
        if device and kind.device == "gpu" and not device.startswith(("cuda", "mps")):
            advice.append(f"{name} works without a GPU; with one, estimation is much faster")
    if absent:
        advice.append("an estimator is needed only where models are trained, and poses estimated; all else works")
    return DoctorCheck("estimator", None if absent else True, "; ".join(found), ". ".join(advice))


def _check_disk(settings: Settings) -> DoctorCheck:
    folder = settings.data_folder
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    found = f"{free / 1024**3:.0f} GB free in {folder}"
    if free < _ENOUGH_FREE_BYTES:
        return DoctorCheck("disk", False, found, "free some space: tracks need about 6 MB for 100,000 frames")
    return DoctorCheck("disk", True, found)


_CHECKS: dict[str, Callable[[Settings], DoctorCheck]] = {
    "database": _check_database,
    "tables": _check_tables,
    "filters": _check_filters,
    "stores": _check_stores,
    "files": _check_files,
    "video": _check_video,
    "estimator": _check_estimators,
    "disk": _check_disk,
}
