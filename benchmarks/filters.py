"""Accuracy and speed of every filter against other libraries and the truth, on the same simulated tracks.

    make peers                                  # once: an environment with the other libraries
    .venv/bin/python benchmarks/filters.py      # a table; --json for one object

100,000 frames x 7 nodes at 100 Hz, noise 1 px, 2 % wrong placements of 40 px, 3 % missing; one thread. Numbers are
medians over seeds (accuracy) or repeats (speed). Other libraries' accuracy and speed are measured on fewer frames.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from comparisons import print_lines as print_comparisons
from comparisons import summary as comparison_summary
from filter_grid import print_tables as print_grid
from filter_grid import run_grid, summary
from filter_peers import MEASUREMENT_SD, PROCESS_NOISE
from numpy.typing import NDArray
from simulated_tracks import MOTIONS, NODES, RIGID, SimulatedTracks, simulate_motion, simulate_tracks

from compute.filters import apply_filter
from compute.filters.gate import gate_out
from compute.filters.kalman import kalman
from compute.filters.kalman.kernels import PRIOR, smoothing_kernel
from compute.measures.distances import distance_px, distance_variance_px2
from compute.tracks import Tracks

SIGMAS_S = (0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08)
KALMAN_PEERS = ("simdkalman", "statsmodels", "eks_fixed")
"""Of these the fastest counts: each with parameters that are given, though ours fits its own."""
PEERS = {"filterpy": 3000, "pykalman": 1000, "simdkalman": 30_000, "statsmodels": 30_000, "eks_fixed": 30_000}
PEERS |= {"eks_optimised": 3000, "movement_median": 30_000, "movement_savgol": 30_000}
"""Frames that each library is given: as many as it can do in some seconds."""
N_TABLE = 30_000


def rmse(tracks: Tracks, truth: NDArray[Any], where: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Root mean square error of each coordinate of each node (px), shape (node, 2), over some points."""
    square = np.where(where[..., None], (tracks.position - truth) ** 2, np.nan)
    return np.asarray(np.sqrt(np.nanmean(square, axis=0)))


def overall(errors: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(errors**2)))


def accuracy(seed: int, n_frames: int) -> dict[str, float]:
    """What the robust Kalman smoother achieves with one seed."""
    simulated = simulate_tracks(seed, n_frames)
    tracks, truth = simulated.tracks, simulated.truth
    result = kalman(tracks)
    oracle = kalman(gate_out(tracks, simulated.wrong), gate_probability=None)
    gated = gate_out(tracks, result.rejected)
    gaussians = [apply_filter(gated, "gaussian", {"sigma_s": sigma, "max_gap_s": None}) for sigma in SIGMAS_S]
    where = np.logical_and.reduce([one.found for one in (result, oracle, *gaussians)])
    errors = rmse(result, truth, where)
    # Two that are chosen with the truth: the best width for all, and the best for each coordinate of each node.
    best_gaussian = np.min([rmse(one, truth, where) for one in gaussians], axis=0)
    one_gaussian = min(overall(rmse(one, truth, where)) for one in gaussians)
    inside = np.abs(result.position - truth)[where] < 1.959964 * result.sd[where]
    return {
        "rmse_px": overall(errors),
        "rmse_over_oracle": overall(errors) / overall(rmse(oracle, truth, where)),
        "rmse_over_best_gaussian": overall(errors) / one_gaussian,
        "rmse_over_gaussian_of_each_coordinate": overall(errors) / overall(best_gaussian),
        "coverage_95": float(np.mean(inside)),
        **variance_biases(simulated, result),
    }


def variance_biases(simulated: SimulatedTracks, result: Tracks) -> dict[str, float]:
    """Relative bias of the variance of rigid distances, averaged over pairs whose true variance is above 0.05 px²."""
    biases = []
    truth = Tracks(simulated.truth, simulated.tracks.score * 0 + 1, simulated.tracks.time, NODES)
    for index, node_a in enumerate(RIGID):
        for node_b in RIGID[index + 1 :]:
            true = distance_px(truth, node_a, node_b).var()
            if true < 0.05:
                continue
            corrected = distance_variance_px2(simulated.tracks, result, node_a, node_b)
            plain = np.nanvar(distance_px(result, node_a, node_b))
            raw = np.nanvar(distance_px(simulated.tracks, node_a, node_b))
            biases.append([corrected / true - 1, plain / true - 1, raw / true - 1])
    names = ("variance_bias", "variance_bias_uncorrected", "variance_bias_raw")
    return dict(zip(names, np.mean(biases, axis=0).tolist(), strict=True))


def recalls(seed: int, n_frames: int) -> dict[str, float]:
    """How many wrong placements are found when they last: five frames with low scores, fifty with good ones."""
    bursts = simulate_tracks(seed, n_frames, wrong_length=5)
    rejected = kalman(bursts.tracks).rejected
    lasting = simulate_tracks(seed, n_frames, wrong_length=50, wrong_score=0.8, only_rigid=True)
    misplaced = kalman(lasting.tracks, rigid_groups=[RIGID]).rejected
    return {
        "burst_recall": float(np.mean(rejected[bursts.wrong])),
        "burst_false": float(np.mean(rejected[~bursts.wrong & bursts.tracks.found])),
        "misplacement_recall": float(np.mean(misplaced[lasting.wrong])),
        "misplacement_false": float(np.mean(misplaced[~lasting.wrong & lasting.tracks.found])),
    }


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    work()  # compiles
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def kernel_arrays(tracks: Tracks) -> tuple[NDArray[Any], ...]:
    """What the kernel takes for filterpy's model: every point weighs the same."""
    position = tracks.position.reshape(tracks.n_frames, -1).astype(np.float64)
    weight = tracks.found.astype(np.float32)
    weight[tracks.found.argmax(axis=0), range(weight.shape[1])] *= -1
    n_channels = position.shape[1]
    return (
        position,
        weight,
        np.diff(tracks.time, prepend=tracks.time[0]),
        np.full((1, n_channels), PROCESS_NOISE),
        np.full(n_channels, MEASUREMENT_SD**2),
    )


def run_kernel(tracks: Tracks) -> Callable[[], NDArray[np.float64]]:
    arrays = kernel_arrays(tracks)
    mean, variance = np.empty_like(arrays[0]), np.empty_like(arrays[0])

    def work() -> NDArray[np.float64]:
        smoothing_kernel(*arrays, PRIOR, 128, mean, variance)
        return mean

    return work


def speed(n_frames: int, repeats: int) -> dict[str, float]:
    """Frames x nodes a second, and the time for an hour of two cameras."""
    tracks = simulate_tracks(0, n_frames).tracks
    n_points = tracks.score.size
    hour = [simulate_tracks(camera, 360_000).tracks for camera in (1, 2)]
    return {
        "kernel_rate": n_points / median_seconds(run_kernel(tracks), repeats),
        "full_rate": n_points / median_seconds(partial(kalman, tracks), repeats),
        "two_camera_hour_s": median_seconds(lambda: [kalman(one) for one in hour], max(3, repeats // 2)),
    }


def run_peers(python: Path, simulated: SimulatedTracks, repeats: int) -> dict[str, dict[str, float]]:
    """Each library in its own process: error, rate, and for filterpy the largest difference from our kernel."""
    rows = {}
    for name, n_frames in PEERS.items():
        tracks = first_frames(simulated.tracks, n_frames)
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "in.npz", Path(folder) / "out.npy"
            np.savez(source, position=tracks.position, score=tracks.score)
            script = Path(__file__).with_name("filter_peers.py")
            command = [str(python), "-W", "ignore", str(script), name, str(source), str(target), str(repeats)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"{name} failed:\n{done.stderr}")
            output = np.load(target)
        seconds = json.loads(done.stdout.splitlines()[-1])["seconds"]
        truth = simulated.truth[:n_frames]
        rows[name] = {
            "rmse_px": float(np.sqrt(np.nanmean((output - truth) ** 2))),
            "rate": tracks.score.size / seconds,
        }
        if name == "filterpy":
            ours = run_kernel(tracks)().reshape(output.shape)
            start = tracks.found.argmax(axis=0)
            after = np.arange(n_frames)[:, None] >= start
            rows[name]["largest_difference_px"] = float(np.abs(ours - output)[after].max())
    return rows


def first_frames(tracks: Tracks, n_frames: int) -> Tracks:
    return Tracks(tracks.position[:n_frames], tracks.score[:n_frames], tracks.time[:n_frames], tracks.nodes)


def own_filters(simulated: SimulatedTracks, repeats: int) -> dict[str, dict[str, float]]:
    """Every filter here, with its defaults and what else one would try."""
    tracks = first_frames(simulated.tracks, N_TABLE)
    truth = simulated.truth[:N_TABLE]
    given = {"process_noise_px2_per_s3": PROCESS_NOISE, "measurement_sd_px": MEASUREMENT_SD, "score_exponent": 0.0}
    tried: dict[str, tuple[str, dict[str, Any]]] = {
        "interpolate": ("interpolate", {}),
        "median": ("median", {}),
        "gaussian": ("gaussian", {}),
        "gaussian, gated": ("gaussian", {"gated": True}),
        "savitzky_golay, gated": ("savitzky_golay", {"gated": True}),
        "one_euro, gated": ("one_euro", {"gated": True}),
        "kalman, given noise, no gate": ("kalman", {**given, "gate_probability": None}),
        "kalman, one noise a video": ("kalman", {"noise_window_s": None}),
        "kalman": ("kalman", {}),
    }
    rows = {}
    for label, (name, parameters) in tried.items():
        work = partial(apply_filter, tracks, name, parameters)
        result = work()
        rows[label] = {
            "rmse_px": overall(rmse(result, truth, result.found)),
            "rate": tracks.score.size / median_seconds(work, repeats),
        }
    return rows


FASTEST_HZ = (25.0, 40.0)
"""Values of ``maximum_bandwidth_hz`` that the movements are filtered with: the default, and a higher one."""


def motions(n_seeds: int) -> dict[str, dict[str, float]]:
    """RMSE (px) of the Kalman smoother on single movements at 250 Hz, by its largest bandwidth."""
    rows = {}
    for motion in MOTIONS:
        errors = []
        for seed in range(n_seeds):
            tracks, truth = simulate_motion(motion, seed)
            results = [kalman(tracks, maximum_bandwidth_hz=fastest) for fastest in FASTEST_HZ]
            where = np.logical_and.reduce([one.found for one in results])
            errors.append([overall(rmse(one, truth, where)) for one in results])
        found = np.median(errors, axis=0).tolist()
        rows[motion] = {f"maximum {hz:g} Hz": error for hz, error in zip(FASTEST_HZ, found, strict=True)}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one object instead of tables")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--peers-python", type=Path, default=Path(".venv-peers/bin/python"))
    arguments = parser.parse_args()
    if not arguments.peers_python.exists():
        raise SystemExit(f"{arguments.peers_python} is missing: run 'make peers' first, or name it with --peers-python")
    one = [accuracy(seed, arguments.frames) | recalls(seed, arguments.frames) for seed in range(arguments.seeds)]
    result: dict[str, Any] = {name: float(np.median([row[name] for row in one])) for name in one[0]}
    # A bias is what is left of an average: single tracks are off by some percent either way.
    result["variance_bias"] = float(np.mean([row["variance_bias"] for row in one]))
    result |= speed(arguments.frames, arguments.repeats)
    simulated = simulate_tracks(0, N_TABLE)
    peers = run_peers(arguments.peers_python, simulated, max(1, arguments.repeats // 3))
    result["speed_over_filterpy"] = result["kernel_rate"] / peers["filterpy"]["rate"]
    result["filterpy_largest_difference_px"] = peers["filterpy"]["largest_difference_px"]
    fastest = max(KALMAN_PEERS, key=lambda name: peers[name]["rate"])
    result["fastest_peer"] = fastest
    result["speed_over_fastest_peer"] = result["full_rate"] / peers[fastest]["rate"]
    result["filters"] = own_filters(simulated, max(3, arguments.repeats // 2)) | peers
    result["motions"] = motions(arguments.seeds)
    grid = run_grid()
    result |= summary(grid)
    result |= comparison_summary()
    result["machine"] = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    if arguments.json:
        print(json.dumps(result))
        return
    print_tables(result, arguments)
    print_grid(grid)
    print_comparisons(result)


def print_tables(result: dict[str, Any], arguments: argparse.Namespace) -> None:
    print(f"{arguments.frames} frames x {len(NODES)} nodes, {arguments.seeds} seeds; {result['machine']}\n")
    for name, value in result.items():
        if isinstance(value, float):
            print(f"{name:32s} {value:12.4g}")
    print(f"\n{'on the first ' + str(N_TABLE) + ' frames (or fewer)':36s} {'RMSE px':>8s} {'frames x nodes / s':>20s}")
    for name, row in result["filters"].items():
        print(f"{name:36s} {row['rmse_px']:8.3f} {row['rate']:20,.0f}")
    print(f"\n{'RMSE px by largest bandwidth, 250 Hz':36s}" + "".join(f"{hz:>8g} Hz" for hz in FASTEST_HZ))
    for motion, errors in result["motions"].items():
        print(f"{motion:36s}" + "".join(f"{error:11.3f}" for error in errors.values()))


if __name__ == "__main__":
    main()
