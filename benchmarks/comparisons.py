"""Are the numbers that compare filters right? Movement kept, intervals over mice and the choice of a filter.

    .venv/bin/python benchmarks/comparisons.py      # tables; --json for one object

Movement kept: on the motions, noises and rates of `filter_grid.py`, what is reported against the truth. Intervals: how
often they cover the truth of simulated studies. Choice: rank correlation of candidates by hidden points and by truth.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from filter_grid import MOTIONS, N_NODES, NOISES, RATES_HZ, GridTracks, simulate_cell
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from scipy.signal import butter, sosfiltfilt
from scipy.stats import spearmanr

from compute.comparison.filter_choice import CANDIDATES, filter_choice_error_px
from compute.comparison.intervals import Interval, interval_of_geometric_mean, interval_of_mean, interval_of_ratio
from compute.filters import apply_filter
from compute.filters.gate import gated
from compute.measures.lasting_noise import LASTING_FROM, noise_correlation
from compute.measures.movement import movement_kept

Array = NDArray[Any]

COMPARED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("raw", {}),
    ("median", {}),
    ("gaussian", {}),
    ("gaussian", {"sigma_s": 0.05, "gated": True}),
    ("savitzky_golay", {"gated": True}),
    ("one_euro", {"gated": True}),
    ("kalman", {}),
)
STILL = ("rest", "drift")
"""Motions without any in a band: where noise lasts, it may be taken for one."""
CHOICE_RATES_HZ = (30.0, 100.0)


def power_kept_rows(motion: str, noise: str, fps: float, seed: int) -> list[dict[str, Any]]:
    """Movement kept of each filter and node (its y) of a cell, as reported and as it is."""
    cell = simulate_cell(motion, noise, fps, seed)
    rows = []
    for name, parameters in COMPARED:
        result = apply_filter(cell.tracks, name, parameters)
        for node in range(len(cell.tracks.nodes)):
            raw, filtered = (one.position[:, node, 1].astype(np.float64) for one in (cell.tracks, result))
            kept = movement_kept(raw, filtered, fps=fps)
            if kept.band_low_hz is None or kept.band_high_hz is None:
                continue
            band = (kept.band_low_hz, kept.band_high_hz)
            is_still = motion in STILL
            truth, lacking = cell.truth[:, node, 1], cell.wrong[:, node] | np.isnan(raw)
            true = 0.0 if is_still else true_power_kept(truth, filtered, lacking, band, fps, kept.lag_s or 0.0)
            rows.append({"filter": name, "parameters": parameters, "reported": kept.power_kept, "true": true})
    return rows


def true_power_kept(
    truth: Array, filtered: Array, lacking: Array, band_hz: tuple[float, float], fps: float, lag_s: float
) -> float:
    """Square of the gain on the true movement in a band, when the filter's lag is taken off.

    Of frames without a missing point or wrong placement near them: points that the raw track and the filter have.
    """
    sos = butter(2, band_hz, btype="bandpass", fs=fps, output="sos")
    moving = sosfiltfilt(sos, truth - truth.mean())
    near = binary_dilation(lacking, iterations=max(1, round(0.03 * fps)))
    gains = [_slope(np.roll(filtered, -lag), truth, moving, ~near) for lag in np.arange(-2, 3) + round(lag_s * fps)]
    best = int(np.clip(np.argmax(gains), 1, len(gains) - 2))
    before, here, after = gains[best - 1 : best + 2]
    bend = before - 2 * here + after
    peak = here - (before - after) ** 2 / (8 * bend) if bend < 0 and lag_s > 0.5 / fps else gains[2]
    return float(max(0.0, peak) ** 2)


def _slope(filtered: Array, truth: Array, moving: Array, counted: Array) -> float:
    """Covariance of a filtered and of the true coordinate with what moves, the first over the second."""
    known = counted & ~np.isnan(filtered)
    moves = moving[known] - moving[known].mean()
    return float(np.dot(filtered[known], moves) / np.dot(truth[known], moves))


def movement_summary(
    seed: int, *, motions: Iterable[str] = MOTIONS, noises: Iterable[str] = NOISES, rates: Iterable[float] = RATES_HZ
) -> dict[str, Any]:
    """Error of the movement kept over all cells, nodes and filters with movement, and how often it is known."""
    cells = [(motion, noise, fps) for fps in rates for motion in motions for noise in noises]
    rows = [{"cell": list(cell), **row} for cell in cells for row in power_kept_rows(*cell, seed)]
    still = [row for row in rows if row["cell"][0] in STILL]
    moving = [row for row in rows if row["cell"][0] not in STILL]
    n_moving = sum(cell[0] not in STILL for cell in cells) * N_NODES * len(COMPARED)
    n_still = len(cells) * N_NODES * len(COMPARED) - n_moving
    known = [row for row in moving if row["reported"] is not None]
    errors = np.array([row["reported"] - row["true"] for row in known])
    worst = [known[index] for index in np.argsort(-np.abs(errors))[:10]]
    return {
        "movement_kept_error": float(np.mean(np.abs(errors))),
        "movement_kept_error_p95": float(np.quantile(np.abs(errors), 0.95)),
        "movement_kept_bias": float(np.mean(errors)),
        "movement_kept_known": len(known) / max(1, n_moving),
        "movement_kept_of_what_is_still": sum(row["reported"] is not None for row in still) / max(1, n_still),
        "movement_kept_worst": worst,
    }


def interval_coverage(n_studies: int = 4000, mice: Iterable[int] = range(3, 12)) -> dict[tuple[str, int], float]:
    """Fraction of simulated studies whose interval covers the truth, by kind of value and number of mice.

    Values of mice are lognormal (alike and differing by factors) or gamma; a ratio is of as many mice in one group and
    of 8 in the other, whose spreads differ. A lag is normal.
    """
    gamma = float(np.exp(np.log(np.random.default_rng(1).gamma(4.0, size=10**6)).mean()))
    kinds: dict[str, tuple[float, Callable[[np.random.Generator, int], Interval]]] = {
        "alike": (1.0, lambda rng, n: interval_of_geometric_mean(np.exp(rng.normal(0, 0.2, n)).tolist())),
        "differing": (1.0, lambda rng, n: interval_of_geometric_mean(np.exp(rng.normal(0, 0.8, n)).tolist())),
        "gamma": (gamma, lambda rng, n: interval_of_geometric_mean(rng.gamma(4.0, size=n).tolist())),
        "lag": (0.0, lambda rng, n: interval_of_mean(rng.normal(0, 5, n).tolist())),
        "ratio, few mice differ more": (1.0, lambda rng, n: _ratio(rng, n, 0.6, 0.2)),
        "ratio, few mice differ less": (1.0, lambda rng, n: _ratio(rng, n, 0.2, 0.6)),
        "ratio, alike": (1.0, lambda rng, n: _ratio(rng, n, 0.4, 0.4)),
    }
    found = {}
    for kind, (truth, study) in kinds.items():
        for n_mice in mice:
            rng = np.random.default_rng([n_mice, len(kind)])
            intervals = [study(rng, n_mice) for _ in range(n_studies)]
            found[kind, n_mice] = float(
                np.mean(
                    [one.low is not None and one.high is not None and one.low <= truth <= one.high for one in intervals]
                )
            )
    return found


def _ratio(rng: np.random.Generator, n_mice: int, sd: float, sd_of_others: float) -> Interval:
    above, below = np.exp(rng.normal(0, sd, n_mice)), np.exp(rng.normal(0, sd_of_others, 8))
    return interval_of_ratio(above.tolist(), below.tolist())


def choice_rows(motion: str, noise: str, fps: float, seed: int) -> list[dict[str, Any]]:
    """Rank correlation of the candidates' errors, by hidden points and by the truth, of each node of a cell."""
    cell = simulate_cell(motion, noise, fps, seed)
    hidden = filter_choice_error_px(cell.tracks)
    true = true_errors(cell)
    correlations = noise_correlation(cell.tracks)
    return [
        {
            "cell": [motion, noise, fps],
            "rank_correlation": float(spearmanr(hidden[:, node], true[:, node]).statistic),
            "over_best": float(true[np.argmin(hidden[:, node]), node] / true[:, node].min()),
            "noise_correlation": float(correlations[node]),
            "chooses": bool(correlations[node] < LASTING_FROM),
        }
        for node in range(len(cell.tracks.nodes))
        if np.isfinite(hidden[:, node]).all()
    ]


def true_errors(cell: GridTracks) -> Array:
    """Root mean square error of each candidate and node, at the points that are no wrong placements."""
    clean = gated(cell.tracks)
    results = [apply_filter(cell.tracks if name == "kalman" else clean, name, values) for name, values in CANDIDATES]
    where = np.logical_and.reduce([one.found for one in results]) & cell.tracks.found & ~cell.wrong
    squares = [np.where(where, ((one.position - cell.truth) ** 2).sum(axis=-1), np.nan) for one in results]
    return np.sqrt(np.nanmean(squares, axis=1))


def choice_summary(
    seed: int, *, motions: Iterable[str] = MOTIONS, noises: Iterable[str] = NOISES, rates: Any = CHOICE_RATES_HZ
) -> dict[str, Any]:
    """Rank correlations over nodes for which a filter is chosen, and how many these are."""
    rows = [
        row for fps in rates for motion in motions for noise in noises for row in choice_rows(motion, noise, fps, seed)
    ]
    chosen = [row for row in rows if row["chooses"]]
    lasting = [row for row in rows if row["cell"][1] == "correlated over 30 ms"]

    def median(found: list[dict[str, Any]], name: str) -> float:
        return float(np.median([row[name] for row in found])) if found else float("nan")

    return {
        "choice_rank_correlation": median(chosen, "rank_correlation"),
        "choice_rank_correlation_worst": min((row["rank_correlation"] for row in chosen), default=float("nan")),
        "choice_over_best": median(chosen, "over_best"),
        "choice_made": len(chosen) / len(rows),
        "choice_made_where_noise_lasts": sum(row["chooses"] for row in lasting) / max(1, len(lasting)),
        "choice_rank_correlation_where_noise_lasts": median(lasting, "rank_correlation"),
        "choice_cells": rows,
    }


def summary(seed: int = 0, *, movement_rates: Iterable[float] = RATES_HZ) -> dict[str, Any]:
    """The numbers that stand for the comparisons."""
    coverage = interval_coverage()
    result = {"interval_coverage_mice": min(coverage.values())}
    result["interval_coverage_worst_of"] = list(min(coverage, key=lambda key: coverage[key]))  # type: ignore[assignment]
    return result | movement_summary(seed, rates=movement_rates) | choice_summary(seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one object instead of lines")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rates", type=float, nargs="+", default=list(RATES_HZ), help="Hz, of the movement kept")
    arguments = parser.parse_args()
    result = summary(arguments.seed, movement_rates=arguments.rates)
    if arguments.json:
        print(json.dumps(result))
        return
    print_lines(result)


def print_lines(result: dict[str, Any]) -> None:
    """One number a line, and the worst of the movement kept."""
    for name, value in result.items():
        if isinstance(value, float):
            print(f"{name:44s} {value:8.3f}")
    for row in result["movement_kept_worst"]:
        print(f"  {row['cell']} {row['filter']} {row['parameters']}: {row['reported']:.2f}, true {row['true']:.2f}")


if __name__ == "__main__":
    main()
