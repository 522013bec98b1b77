"""Variance of a coordinate per mouse by DuckDB, Spark and Dask, over a simulated store of 1,000 short sessions.

    nice .venv/bin/python benchmarks/manifest_readers.py FOLDER [--json] [--sessions 1000] [--frames 500] [--rounds 3]

The store is built in FOLDER on the embedded database (benchmarks/query_store.py), and reused if it is there. Spark and
Dask run the scripts of docs/beyond_one_machine.md as they stand there, on this machine, in the environment of
`make engines`; DuckDB is `orofacial sql`. Each is a process from its start to its answer on disk, and all answers are
compared. The figures are medians over the rounds, in which the engines take turns.

duckdb_s, spark_s, dask_s   seconds for all sessions
duckdb_ten_s ...            the same for the ten sessions of one mouse: mostly the engine's own start
manifest_s, manifest_ten_s  `orofacial tracks --manifest`, which Spark and Dask need first
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
from query_store import build

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv-engines" / "bin" / "python"
PAGE = ROOT / "docs" / "beyond_one_machine.md"
STATEMENT = "select mouse_id, var_samp(jaw_tip_y) as variance_px2 from tracks group by 1 order by 1"
ENGINES = ("duckdb", "spark", "dask")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    build(folder, arguments.sessions, arguments.frames, lambda text: print(text, file=sys.stderr))
    for name, text in re.findall(r"^cat > (\S+\.py) <<'END'\n(.*?)^END$", PAGE.read_text("utf-8"), re.M | re.S):
        (folder / name).write_text(text)
    result = {**measure(folder, arguments.rounds), "sessions": arguments.sessions, "frames": arguments.frames}
    result |= {"machine": f"{platform.machine()}, {os.cpu_count()} cores", "load": os.getloadavg()[1]}
    if arguments.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:<16} {value:.4g}" if isinstance(value, float) else f"{name:<16} {value}")


def measure(folder: Path, n_rounds: int) -> dict[str, float]:
    seconds: dict[str, list[float]] = {}
    for _ in range(n_rounds):
        for end, question in (("_ten", ("--mouse", "mouse000")), ("", ())):
            said = run(folder, "orofacial", "tracks", *question, "--manifest", "-o", "files.parquet")
            seconds.setdefault(f"manifest{end}_s", []).append(said)
            commands = (("orofacial", "sql", STATEMENT, *question, "-o", "duckdb.csv"), *SCRIPTS)
            for engine, command in zip(ENGINES, commands, strict=True):
                seconds.setdefault(f"{engine}{end}_s", []).append(run(folder, *command))
            expected, *others = (pd.read_csv(folder / f"{engine}.csv", index_col="mouse_id") for engine in ENGINES)
            for other in others:
                pd.testing.assert_frame_equal(other, expected, rtol=1e-9)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


SCRIPTS = ((str(PYTHON), "variance_spark.py"), (str(PYTHON), "variance_dask.py"))


def run(folder: Path, *words: str) -> float:
    """Seconds that a command takes."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"OROFACIAL_DATA_FOLDER": str(folder), "PYSPARK_PYTHON": str(PYTHON), "PATH": path}
    started = time.perf_counter()
    subprocess.run(words, cwd=folder, env={**os.environ, **own}, check=True, stdout=sys.stderr)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
