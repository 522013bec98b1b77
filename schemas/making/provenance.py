"""Provenance of a computed row: code and package versions, machine, time and duration.

Every computed table has a column ``<what>_provenance : json``, filled by the `make` itself in the insert that makes the
row. Each table has a name of its own for it, since DataJoint refuses to join tables on a column of the same name.
DataJoint's own opt-in columns do not fit: ``_prov`` is for rows that people enter, and the job metadata is written by
an update after the commit (a worker that dies between leaves it empty), knows neither host nor packages, and takes the
code version from the folder that the worker was started in.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import platform
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from compute.estimators import registered_estimators

_OWN_PACKAGES = ("sleap-io", "av", "numpy", "scipy", "numba", "datajoint")

PACKAGES = tuple(
    dict.fromkeys([*(name for kind in registered_estimators().values() for name in kind.packages), *_OWN_PACKAGES])
)
"""Packages whose version can change a number: those that the estimators name, and those that everything stands on."""

_ROOT = Path(__file__).resolve().parents[2]
_GIT_TIMEOUT_S = 5


@contextmanager
def recording_provenance() -> Iterator[dict[str, Any]]:
    """Record what runs inside the block; after it the yielded dict is ready to be inserted.

    Yields
    ------
    dict
        ``code_version``, ``python``, ``packages`` (name to version), ``host``, ``started_at`` (ISO 8601, UTC), and,
        when the block has ended, ``duration_s``.

    Examples
    --------
    >>> with recording_provenance() as record:
    ...     total = sum(range(10))
    >>> sorted(record)
    ['code_version', 'duration_s', 'host', 'packages', 'python', 'started_at']
    """
    started_at, started_s = datetime.now(UTC), time.monotonic()
    record = {**provenance_environment(), "started_at": started_at.isoformat(timespec="milliseconds")}
    yield record
    record["duration_s"] = round(time.monotonic() - started_s, 3)


@functools.cache
def provenance_environment() -> dict[str, Any]:
    """The parts that do not change while this process runs: code version, packages, Python, host."""
    return {
        "code_version": provenance_code_version(),
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name)) is not None},
        "host": platform.node(),
    }


@functools.cache
def provenance_code_version() -> str:
    """Version of this code: ``git describe`` of its checkout, else the installed package's version.

    Examples of both are ``0.1.0 cbfdf44``, ``0.1.0 cbfdf44-dirty`` (files were changed and not committed), and
    ``0.1.0``. A package that pip installed from a git address has the commit too.
    """
    version = _version("orofacial") or "unknown"
    commit = _commit_of_checkout() or _commit_of_installation()
    return f"{version} {commit}" if commit else version


def _commit_of_checkout() -> str | None:
    if not (_ROOT / ".git").exists():  # otherwise git would describe any repository that contains the environment
        return None
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--tags"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):  # a machine without git still computes
        return None
    return done.stdout.strip() or None


def _commit_of_installation() -> str | None:
    """The commit in pip's record of where it installed from (PEP 610)."""
    try:
        text = importlib.metadata.distribution("orofacial").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return None
    commit = json.loads(text).get("vcs_info", {}).get("commit_id") if text else None
    return str(commit)[:12] if commit else None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
