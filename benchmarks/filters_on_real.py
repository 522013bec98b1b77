"""The Kalman smoother on real networks' tracks, of which several seeds were trained on the same frames.

    .venv/bin/python benchmarks/filters_on_real.py --demo demo    # a table; --json for one object

Ensembles of the seeds are measured by `ensembles.py`, wrong placements that last by `lasting_wrong.py`. The truth is
unknown. A track is compared with the median of the other seeds, which shares their bias; so an error is a lower bound.
Unlike in `filter_grid.py` the network's wrong placements count in its own error, as they are part of what a filter
starts from. No camera of these has a rigid group, so `rigid_groups.py` measures those on simulated heads. Where a node
really is can only be said where the truth is known: with a demo's folder (`make demo`), `held_out_mice.py` measures
intervals and offsets on its networks.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from ensembles import measure_ensembles, measure_planted
from held_out_mice import measure_held_out_mice
from lasting_wrong import measure_lasting_wrong
from printed_numbers import print_numbers
from rigid_groups import measure_roll

from compute.filters.kalman import kalman
from compute.tracks import Tracks

RECORDINGS = {"mirror": ("mirror-mouse", 250.0), "pupil": ("ibl-pupil", 60.0), "fly": ("fly", 300.0)}
"""Folder and frame rate (Hz) of each set."""

GOOD_PX = 3.0
"""A point nearer to the reference is a good one."""

FAST_FRACTION = 0.25


def read_ensembles(folder: Path, fps: float) -> dict[str, list[Tracks]]:
    """Tracks of each seed, by camera, from DeepLabCut's CSV layout."""
    found: dict[str, list[Tracks]] = defaultdict(list)
    for path in sorted(folder.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        values = np.array([row[1:] for row in rows[3:]], float).reshape(len(rows) - 3, -1, 3)
        time = np.arange(len(values)) / fps
        found[path.name.split("rng=")[0]].append(Tracks(values[..., :2], values[..., 2], time, rows[1][1::3]))
    return dict(found)


def measure(seeds: list[Tracks]) -> list[dict[str, float]]:
    """Sums of squares of each seed's track, raw and filtered, and what the gate says of it."""
    rows = []
    for index, raw in enumerate(seeds):
        others = [one.position for other, one in enumerate(seeds) if other != index]
        reference = np.median(others, axis=0)
        speed = np.linalg.norm(np.gradient(reference, axis=0), axis=-1)
        fast = speed >= np.quantile(speed, 1 - FAST_FRACTION, axis=0)
        result = kalman(raw)
        where = raw.found & result.found
        far_px = np.linalg.norm(raw.position - reference, axis=-1)
        squares = [np.sum((one.position - reference) ** 2, axis=-1) for one in (raw, result)]
        rows.append(
            {
                "raw": float(squares[0][where].sum()),
                "kalman": float(squares[1][where].sum()),
                "fast_raw": float(squares[0][where & fast].sum()),
                "fast_kalman": float(squares[1][where & fast].sum()),
                "good": float(np.sum(where & (far_px < GOOD_PX))),
                "good_rejected": float(np.sum(where & (far_px < GOOD_PX) & result.rejected)),
                "wrong": float(np.sum(where & (far_px > 5 * GOOD_PX))),
                "wrong_rejected": float(np.sum(where & (far_px > 5 * GOOD_PX) & result.rejected)),
            }
        )
    return rows


def read_recordings(folder: Path) -> dict[str, dict[str, list[Tracks]]]:
    """By name, the seeds of each camera."""
    return {name: read_ensembles(folder / subfolder, fps) for name, (subfolder, fps) in RECORDINGS.items()}


def summary(folder: Path, peers_python: Path) -> dict[str, Any]:
    """The numbers of all recordings."""
    result: dict[str, Any] = {}
    false = []
    recordings = read_recordings(folder)
    for name, cameras in recordings.items():
        rows = [row for seeds in cameras.values() for row in measure(seeds)]
        total = {key: sum(row[key] for row in rows) for key in rows[0]}
        result[f"{name}_over_raw"] = (total["kalman"] / total["raw"]) ** 0.5
        result[f"{name}_fast_over_raw"] = (total["fast_kalman"] / total["fast_raw"]) ** 0.5
        result[f"{name}_false_rejections"] = total["good_rejected"] / total["good"]
        result[f"{name}_wrong_found"] = total["wrong_rejected"] / max(total["wrong"], 1)
        false.append(result[f"{name}_false_rejections"])
    result |= {"false_rejections": max(false), **measure_roll()}
    (of_mirror,) = recordings["mirror"].values()
    result |= {f"lasting_{name}": value for name, value in measure_lasting_wrong(of_mirror).items()}
    result["sustained_recall_two_views"] = result.pop("lasting_sustained_recall_two_views")
    return result | measure_ensembles(recordings, peers_python)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("../shared/data/ensembles"))
    parser.add_argument("--peers-python", type=Path, default=Path(".venv-peers/bin/python"))
    parser.add_argument("--demo", type=Path, help="folder of a demo that was run: its networks on held-out mice too")
    parser.add_argument("--planted", action="store_true", help="only the wrong placements planted in the ensembles")
    parser.add_argument("--json", action="store_true", help="print one object instead of a table")
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        raise SystemExit(f"{arguments.folder} is missing; name the folder of the ensembles")
    if arguments.planted:
        result: dict[str, Any] = dict(measure_planted(read_recordings(arguments.folder)))
    elif not arguments.peers_python.exists():
        raise SystemExit(f"{arguments.peers_python} is missing: run 'make peers' first, or name it with --peers-python")
    else:
        result = summary(arguments.folder, arguments.peers_python)
    if arguments.demo is not None:
        result |= measure_held_out_mice(arguments.demo)
    print_numbers(result, arguments.json)


if __name__ == "__main__":
    main()
