"""The benchmarks' scripts: each explains itself, and prints its JSON as the last line. Nothing measured is tested."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(path.name for path in (ROOT / "benchmarks").glob("*.py") if "--json" in path.read_text())


def run(script: str, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / script), *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done


def last_line(script: str, *words: object) -> Any:
    return json.loads(run(script, "--json", *words).stdout.splitlines()[-1])


@pytest.mark.parametrize("script", SCRIPTS)
def test_it_explains_itself(script: str) -> None:
    assert "--json" in run(script, "--help").stdout


@pytest.mark.slow
def test_estimation_ends_with_its_numbers() -> None:
    found = last_line("estimation.py", "--frames", 20, "--rounds", 1)
    assert set(found) >= {"overhead_fraction", "cpu_overhead_fraction", "frames_per_second"}


@pytest.mark.slow
def test_faults_ends_with_what_was_lost_in_each_database() -> None:
    found = last_line("faults.py", "--database", "postgresql", "--seconds", 1, "--jobs", 8, "--workers", 1)
    assert list(found) == ["postgresql"]
    counts = found["postgresql"]
    assert (counts["jobs"], counts["lost"], counts["doubled"], counts["stuck"]) == (8, 0, 0, 0)
