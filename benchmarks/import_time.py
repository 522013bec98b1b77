"""How long `import orofacial` takes, and what the first use of each of its names adds. Each in a process of its own.

    .venv/bin/python benchmarks/import_time.py [--runs 11] [--json]

The median over processes that follow one another. "all of Python" is a process that imports nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAMS = {
    "all of Python": "pass",
    "import orofacial": "import orofacial",
    "orofacial.Tracks": "import orofacial; orofacial.Tracks",
    "orofacial.read": "import orofacial; orofacial.read",
    "orofacial.connect": "import orofacial; orofacial.connect",
    "tables and questions": "import orofacial, pipeline.lab_tables, pipeline.query",
}
"""What is timed: a name, and the program."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=11, help="processes a program")
    parser.add_argument("--json", action="store_true", help="print only the JSON")
    arguments = parser.parse_args()
    for program in PROGRAMS.values():
        seconds_of(program)  # once unmeasured: compiled files, and the disk's cache
    times = {name: [] for name in PROGRAMS}
    for _ in range(arguments.runs):
        for name, program in PROGRAMS.items():
            times[name].append(seconds_of(program))
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    results = {
        "seconds": {name: round(median, 4) for name, median in medians.items()},
        "import_orofacial_s": round(medians["import orofacial"] - medians["all of Python"], 4),
        "import_orofacial_by_importtime_s": round(min(own_seconds() for _ in range(arguments.runs)), 4),
        "runs": arguments.runs,
    }
    if not arguments.json:
        for name, median in medians.items():
            print(f"{name:24}{1e3 * median:8.1f} ms")
    print(json.dumps(results))


def run(program: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", *options, "-c", program]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True)


def seconds_of(program: str) -> float:
    started = time.perf_counter()
    run(program)
    return time.perf_counter() - started


def own_seconds() -> float:
    """What ``python -X importtime`` says of `import orofacial`, with all that it imports."""
    said = run("import orofacial", "-X", "importtime").stderr
    line = next(line for line in said.splitlines() if line.endswith("| orofacial"))
    return int(line.split("|")[1]) / 1e6


if __name__ == "__main__":
    main()
