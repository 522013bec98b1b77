"""Names of processes, by which anybody knows later whether what they left may be removed."""

from __future__ import annotations

import os
import platform


def process_name() -> str:
    """Name of this process among those of all machines and times: host, number, and when it started (s).

    `process_runs` tells whether it still runs.
    """
    import psutil

    return f"{platform.node()}-{os.getpid()}-{psutil.Process().create_time():.0f}"


def process_runs(name: str) -> bool | None:
    """Whether the process of that name still runs; None, not known: it is another machine's.

    Examples
    --------
    >>> process_runs(process_name())
    True
    """
    import psutil

    host, pid, started_s = name.rsplit("-", 2)
    if host != platform.node():
        return None
    try:
        return bool(abs(psutil.Process(int(pid)).create_time() - float(started_s)) < 2)
    except psutil.NoSuchProcess:
        return False
