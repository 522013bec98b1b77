"""The filters on the demo's real SLEAP tracks, whose truth the simulation knows.

    make demo
    .venv/bin/python benchmarks/filters_on_sleap.py demo    # a table; --json for one object

Errors of a network are not white noise: part of them stays for many frames (a bias of that pose, a label's habit), and
no filter in time can take it away. So beside the error itself stands the error that is left after each track's own
slow error (a running median over half a second) is taken away: what a filter can do anything about.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from compute.filters import apply_filter
from compute.filters.gate import gate_out
from compute.filters.kalman import kalman
from compute.measures.distances import distance_px, distance_variance_px2
from compute.simulated_mouse.anatomy import NODES
from compute.tracks import Tracks

WRONG_PX = 5.0
"""A point so far from the truth is a wrong placement."""
SLOW_S = 0.5
SIGMAS_S = (0.005, 0.01, 0.02, 0.03, 0.05)
RIGID = [node for node in NODES if node.endswith("snout_tip")]


def fast_part(error: NDArray[np.float64], fps: float) -> NDArray[np.float64]:
    """Errors without the part that stays for half a second, shape (frame, node, 2)."""
    filled = np.where(np.isnan(error), 0, error)
    return error - median_filter(filled, size=(int(SLOW_S * fps) | 1, 1, 1), mode="nearest")


def measure(raw: Tracks, truth: NDArray[np.float64]) -> dict[str, float]:
    fps = 1 / float(np.median(np.diff(raw.time)))
    wrong = raw.found & (np.linalg.norm(raw.position - truth, axis=-1) > WRONG_PX)
    result = kalman(raw, rigid_groups=[RIGID])
    gated = gate_out(raw, result.rejected)
    tried = {
        "raw": raw,
        "median": apply_filter(raw, "median", {}),
        "kalman": result,
        "oracle": kalman(gate_out(raw, wrong), gate_probability=None),
    }
    for sigma in SIGMAS_S:
        tried[f"gaussian {sigma:g} s"] = apply_filter(gated, "gaussian", {"sigma_s": sigma})
    where = np.logical_and.reduce([one.found for one in tried.values()])
    row: dict[str, float] = {}
    for name, one in tried.items():
        error = np.where(where[..., None], one.position - truth, np.nan)
        row[f"rmse {name}"] = float(np.sqrt(np.nanmean(error**2)))
        row[f"fast rmse {name}"] = float(np.sqrt(np.nanmean(fast_part(error, fps) ** 2)))
    inside = np.abs(result.position - truth) < 1.96 * result.sd
    row["coverage"] = float(inside[result.found].mean())
    row["wrong_fraction"] = float(wrong.sum() / raw.found.sum())
    row["recall"] = float(result.rejected[wrong].mean()) if wrong.any() else float("nan")
    row["false"] = float(result.rejected[raw.found & ~wrong].mean())
    true_tracks = Tracks(truth, np.ones(truth.shape[:2]), raw.time, raw.nodes)
    pair = ("left_snout_tip", "right_snout_tip")
    row["variance truth"] = float(distance_px(true_tracks, *pair).var(ddof=1))
    row["variance raw"] = float(np.nanvar(distance_px(raw, *pair)))
    row["variance kalman"] = float(np.nanvar(distance_px(result, *pair)))
    row["variance corrected"] = distance_variance_px2(raw, result, *pair) or float("nan")
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="folder of a demo that was run")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows: dict[str, list[dict[str, float]]] = defaultdict(list)
    for group, raw, truth in demo_tracks(arguments.demo):
        rows[group].append(measure(raw, truth))
    summary: dict[str, Any] = {
        group: {name: float(np.nanmedian([row[name] for row in found])) for name in found[0]}
        for group, found in sorted(rows.items())
    }
    if arguments.json:
        print(json.dumps(summary))
        return
    names = list(next(iter(summary.values())))
    print(f"{'median over videos':24s}" + "".join(f"{group:>20s}" for group in summary))
    for name in names:
        print(f"{name:24s}" + "".join(f"{found[name]:20.4g}" for found in summary.values()))


def demo_tracks(folder: Path) -> Any:
    """Camera and group, raw tracks, and truth of every video of a demo."""
    import schemas
    from pipeline.database.connection import open_connection
    from pipeline.settings import load_settings

    settings = load_settings(data_folder=folder / "data")
    schemas.activate(settings.schema_prefix, open_connection(settings))
    from pipeline import query

    for row, tracks in query.tracks(filter="raw"):
        group = f"{row['camera']}, {'held out' if row['held_out'] else 'in training'}"
        with np.load(folder / "lab" / "truth" / f"{row['mouse_id']}.npz") as truth:
            yield group, tracks, truth[row["camera"]]


if __name__ == "__main__":
    main()
