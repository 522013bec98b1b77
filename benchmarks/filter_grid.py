"""Is the Kalman smoother ever worse than none? Ten motions x eight noises x four frame rates, whose truth is known.

    .venv/bin/python benchmarks/filter_grid.py      # tables of the ratios; --json for one object

60 s of three nodes, 2 % wrong placements of 40 px, 3 % missing. A number is an RMSE over the RMSE of the estimator's
points, both on the same points: those that are no wrong placements. So 1 is "as good as no filter and no wrong
placements". What becomes of the wrong placements themselves stands beside it (`wrong_found`, `false_rejections`).
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter
from simulated_tracks import wander

from compute.filters import apply_filter
from compute.filters.gate import gate_out
from compute.filters.kalman import kalman
from compute.tracks import Tracks

Array = NDArray[np.float64]

RATES_HZ = (30.0, 100.0, 250.0, 500.0)
DURATION_S = 60.0
N_NODES = 3
MOTIONS = (
    "rest",
    "drift",
    "sway 3 Hz",
    "jaw in bouts, 4-8 Hz",
    "chewing 12 Hz, harmonics",
    "whisking in bouts, 20 Hz",
    "licks in bouts, 6 Hz",
    "steps",
    "jumps of 15-45 ms",
    "strides",
)
NOISES = (
    "1 px",
    "0.3 px",
    "correlated over 30 ms",
    "long tails",
    "grid of 2 px",
    "grid of 4 px",
    "follows the score",
    "score says nothing",
)
SIMPLE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("median", {}),
    ("savitzky_golay", {}),
    ("one_euro", {}),
    *(("gaussian", {"sigma_s": sigma_s}) for sigma_s in (0.005, 0.01, 0.02, 0.05)),
)
"""The best of these is chosen with the truth, each with and without the gate."""


@dataclass(frozen=True)
class GridTracks:
    """Tracks of one cell of the grid.

    Attributes
    ----------
    tracks : Tracks
        What an estimator gives.
    truth : array, shape (frame, node, 2)
        True positions (px).
    wrong : array, shape (frame, node), bool
        Wrong placements.
    """

    tracks: Tracks
    truth: Array
    wrong: NDArray[np.bool_]


def simulate_cell(motion: str, noise: str, fps: float, seed: int) -> GridTracks:
    """Simulate three nodes that make one of `MOTIONS`, seen with one of `NOISES`."""
    rng = np.random.default_rng([MOTIONS.index(motion), NOISES.index(noise), int(fps), seed])
    n_frames = round(DURATION_S * fps)
    truth = np.stack([_path(rng, motion, n_frames, fps) for _ in range(N_NODES)], axis=1)
    wrong = rng.random(truth.shape[:2]) < 0.02
    position, score = _seen(rng, truth, noise, fps)
    position += np.where(wrong[..., None], rng.normal(0, 40, truth.shape), 0)
    if noise != "score says nothing":
        score = np.where(wrong, np.clip(rng.normal(0.45, 0.15, wrong.shape), 0.01, 1), score)
    missing = rng.random(wrong.shape) < 0.03
    position[missing] = np.nan
    tracks = Tracks(position, np.where(missing, 0, score), np.arange(n_frames) / fps, [f"n{i}" for i in range(N_NODES)])
    return GridTracks(tracks, truth, wrong & ~missing)


def _seen(rng: np.random.Generator, truth: Array, noise: str, fps: float) -> tuple[Array, Array]:
    """Points of an estimator that places none wrong, and their scores."""
    score = np.clip(rng.normal(0.8, 0.1, truth.shape[:2]), 0.05, 1)
    white = rng.normal(0, 1, truth.shape)
    if noise.startswith("grid"):
        step = float(noise.split()[2])
        return np.round((truth + 0.3 * white) / step) * step, score
    if noise == "correlated over 30 ms":
        keep = np.exp(-1 / (0.03 * fps))
        return truth + lfilter([np.sqrt(1 - keep**2)], [1, -keep], white, axis=0), score
    if noise == "long tails":
        return truth + rng.standard_t(3, truth.shape) / np.sqrt(3), score
    if noise == "follows the score":
        return truth + 0.8 * white / score[..., None], score
    return truth + (0.3 if noise == "0.3 px" else 1.0) * white, score


def _path(rng: np.random.Generator, motion: str, n_frames: int, fps: float) -> Array:
    """True positions of a node, shape (frame, 2)."""
    if motion == "rest":
        return np.tile(rng.uniform(100, 200, 2), (n_frames, 1))
    path = np.stack([wander(rng, n_frames, fps, sd, 2.0) for sd in (4, 3)], axis=-1) + 150
    time = np.arange(n_frames) / fps
    along = 0.0 * time
    if motion == "sway 3 Hz":
        along = 10 * np.sin(2 * np.pi * 3 * time)
    elif motion.startswith("chewing"):
        phase = 2 * np.pi * np.cumsum(12 + wander(rng, n_frames, fps, 0.5, 1.0)) / fps
        along = 8 * np.sin(phase) + 3 * np.sin(2 * phase + 1) + 1.5 * np.sin(3 * phase + 2)
    elif "in bouts" in motion:
        low_hz, high_hz, height_px = {"jaw": (4, 8, 14), "whisking": (18, 22, 8), "licks": (5.5, 6.5, 25)}[
            motion.split()[0]
        ]
        frequency = np.clip((low_hz + high_hz) / 2 + wander(rng, n_frames, fps, 1, 0.5), low_hz, high_hz)
        phase = 2 * np.pi * np.cumsum(frequency) / fps
        wave = np.maximum(np.sin(phase), 0) ** 3 if "licks" in motion else (1 - np.cos(phase)) / 2
        level = wander(rng, n_frames, fps, 1, 0.6)
        along = height_px * np.clip((level - np.quantile(level, 0.6)) * 2, 0, 1) * wave
    elif motion == "steps":
        along = _jumps(rng, time, 0.5, (0, 0))
    elif motion == "jumps of 15-45 ms":
        along = _jumps(rng, time, 0.5, (0.015, 0.045))
    elif motion == "strides":
        along = _strides(rng, time)
    path[:, 1] += along
    return path


def _jumps(rng: np.random.Generator, time: Array, every_s: float, lasting_s: tuple[float, float]) -> Array:
    """Moves to random places within 20 px, about every so many seconds, as a raised cosine in time."""
    starts = np.cumsum(rng.exponential(every_s, int(2 * time[-1] / every_s) + 10))
    lasting = rng.uniform(*lasting_s, starts.size) + 1e-9
    along, place = np.zeros_like(time), 0.0
    for start, lasts in zip(starts[starts < time[-1]], lasting, strict=False):
        goal = rng.uniform(-20, 20)
        along += (goal - place) * (1 - np.cos(np.pi * np.clip((time - start) / lasts, 0, 1))) / 2
        place = goal
    return along


def _strides(rng: np.random.Generator, time: Array) -> Array:
    """A paw in bouts of walking: carried back with the ground, then swung forward by 40 px in 60 to 100 ms."""
    along, now = np.zeros_like(time), 0.5
    while now < time[-1]:
        for _ in range(rng.integers(3, 12)):
            stance, swing = rng.uniform(0.12, 0.3), rng.uniform(0.06, 0.1)
            back = np.clip((time - now) / stance, 0, 1)
            forward = (1 - np.cos(np.pi * np.clip((time - now - stance) / swing, 0, 1))) / 2
            along += 40 * (forward - back)
            now += stance + swing
        now += rng.exponential(1.5)
    return along


def error(tracks: Tracks, cell: GridTracks, where: NDArray[np.bool_]) -> float:
    """RMSE (px) on some points."""
    return float(np.sqrt(np.mean((tracks.position - cell.truth)[where] ** 2)))


def measure(cell: GridTracks, with_simple: bool = True) -> dict[str, float]:
    """Ratios of one cell."""
    raw = cell.tracks
    result = kalman(raw)
    good = raw.found & ~cell.wrong
    # A position that a filter lacks at a point of the estimator is as bad as the gap rules make it: not counted.
    where = good & result.found
    row = {
        "over_raw": error(result, cell, where) / error(raw, cell, where),
        "lacks": float(np.mean(~result.found[good])),
        "wrong_found": float(np.mean(result.rejected[cell.wrong])),
        "false_rejections": float(np.mean(result.rejected[good])),
    }
    if with_simple:
        gated = gate_out(raw, result.rejected)
        simple = [apply_filter(one, name, values) for one in (raw, gated) for name, values in SIMPLE]
        errors = []
        for one in simple:
            both = where & one.found
            errors.append(error(one, cell, both) / error(raw, cell, both))
        row["over_best_simple"] = row["over_raw"] / min(min(errors), 1.0)
    return row


def run_grid(
    seed: int = 0, *, motions: Any = MOTIONS, noises: Any = NOISES, rates: Any = RATES_HZ, with_simple: bool = True
) -> dict[tuple[str, str, float], dict[str, float]]:
    """Ratios of each motion, noise and rate."""
    return {
        (motion, noise, fps): measure(simulate_cell(motion, noise, fps, seed), with_simple)
        for fps in rates
        for motion in motions
        for noise in noises
    }


def summary(cells: dict[tuple[str, str, float], dict[str, float]]) -> dict[str, Any]:
    """The numbers that stand for the grid."""

    def mean(fps: float) -> float:
        return float(np.exp(np.mean([np.log(row["over_raw"]) for key, row in cells.items() if key[2] == fps])))

    worst = max(cells, key=lambda key: cells[key]["over_raw"])
    simple = max(cells, key=lambda key: cells[key].get("over_best_simple", 0))
    rates = sorted({key[2] for key in cells})
    result: dict[str, Any] = {
        "worst_over_raw": cells[worst]["over_raw"],
        "worst_cell": list(worst),
        "over_raw_above_1.05": sum(row["over_raw"] > 1.05 for row in cells.values()) / len(cells),
        "worst_over_best_simple": cells[simple].get("over_best_simple", float("nan")),
        "worst_cell_of_simple": list(simple),
        "over_best_simple_above_1.5": sum(row.get("over_best_simple", 0) > 1.5 for row in cells.values()) / len(cells),
    }
    for fps in rates:
        result["mean_over_raw" + ("" if fps == 100 else f"_{fps:g}")] = mean(fps)
    for name in ("wrong_found", "false_rejections"):
        result[f"grid_{name}"] = float(np.mean([row[name] for row in cells.values()]))
    return result


def print_tables(cells: dict[tuple[str, str, float], dict[str, float]]) -> None:
    """One table a rate: RMSE over raw of each motion and noise."""
    for fps in sorted({key[2] for key in cells}):
        noises = list(dict.fromkeys(key[1] for key in cells))
        print(f"\n{f'RMSE over raw, {fps:g} Hz':26s}" + "".join(f"{noise[:12]:>13s}" for noise in noises))
        for motion in dict.fromkeys(key[0] for key in cells):
            row = [cells[motion, noise, fps]["over_raw"] for noise in noises]
            print(f"{motion:26s}" + "".join(f"{value:13.2f}" for value in row))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one object instead of tables")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    cells = run_grid(arguments.seed)
    if arguments.json:
        print(json.dumps(summary(cells)))
        return
    print_tables(cells)
    for name, value in summary(cells).items():
        print(f"{name:32s} {value if isinstance(value, list) else format(value, '.4g')}")


if __name__ == "__main__":
    main()
