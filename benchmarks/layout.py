"""How long `orofacial layout test` takes to tell the files of a raw folder apart, in a flat folder and in nested ones.

    .venv/bin/python benchmarks/layout.py [--files 10000] [--json]

The files are empty: none is opened. The time is that of the whole command, with starting Python; one file in a hundred
fits nothing, and one is no recording.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

ROOT = Path(__file__).parents[1]
LAYOUTS = {
    "flat": "{mouse}_{date:%Y%m%d}_{camera}.avi",
    "nested": "{mouse}/{date}_{number}/{camera}.avi",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--json", action="store_true", help="print only the JSON")
    arguments = parser.parse_args()
    results: dict[str, object] = {"files": arguments.files}
    for name, layout in LAYOUTS.items():
        with tempfile.TemporaryDirectory() as folder:
            write_files(Path(folder), layout, arguments.files)
            seconds, counts = seconds_of(Path(folder), layout)
        results[name] = {"seconds": round(seconds, 2), **counts}
        if not arguments.json:
            print(f"{name:8}{seconds:8.2f} s  {counts}")
    print(json.dumps(results))


def write_files(folder: Path, layout: str, n_files: int) -> None:
    """Write empty files: two cameras a session, two hundred days a mouse."""
    for index in range(n_files):
        session, camera = index // 2, ("side", "lower")[index % 2]
        mouse, day = f"mouse{session // 200:03}", date(2025, 1, 1) + timedelta(days=session % 200)
        flat = "/" not in layout
        path = folder / (f"{mouse}_{day:%Y%m%d}_{camera}.avi" if flat else f"{mouse}/{day}_1/{camera}.avi")
        if index % 100 == 98:
            path = path.with_name(f"{path.stem}DLC_resnet50_labeled.mp4")
        elif index % 100 == 99:
            path = path.with_name(f"{path.stem}.mp4")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def seconds_of(folder: Path, layout: str) -> tuple[float, dict[str, int]]:
    """Seconds of one `orofacial layout test`, and how many files of each kind it found."""
    command = [sys.executable, "-m", "orofacial", "--data-folder", str(folder / "none"), "layout", "test", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    done = subprocess.run(
        [*command, "--layout", layout, "--json"], env=environment, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    if not done.stdout:
        raise RuntimeError(done.stderr)
    return seconds, json.loads(done.stdout)["counts"]


if __name__ == "__main__":
    main()
