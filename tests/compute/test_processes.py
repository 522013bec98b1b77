"""A process has a name by which others know whether it still runs."""

from __future__ import annotations

import os
import platform
import subprocess

from compute.processes import process_name, process_runs


def test_a_process_has_a_name_by_which_one_knows_whether_it_runs() -> None:
    assert process_runs(process_name())
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert process_runs(f"{platform.node()}-{ended.pid}-1") is False
    assert process_runs(f"{platform.node()}-{os.getpid()}-1") is False  # another process had the number before
    assert process_runs("some-other-machine-1-1") is None
