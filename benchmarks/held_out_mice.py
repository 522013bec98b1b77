"""Intervals and ten labeled frames on mice that a real network has not seen, whose truth the simulation knows.

    make demo
    .venv/bin/python benchmarks/held_out_mice.py demo    # a table; --json for one object

The demo's two networks estimate new held-out mice, which are filmed here; that takes minutes and is kept in a folder.
Labels are the truth; people's clicks (0.3 px) are part of the interval, so with them it is wider than is needed.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from printed_numbers import print_numbers

from compute.calibration.calibrated import NodeInterval, calibrated_tracks
from compute.calibration.label_offsets import calibrate_nodes
from compute.calibration.other_mice import other_mice_half_width_px
from compute.filters import apply_filter
from compute.simulated_mouse.anatomy import CAMERAS, NODES
from compute.simulated_mouse.simulation import render_simulation, simulate_mouse, simulate_session
from compute.tracks import Tracks

FIRST_SEED = 100
"""Of the mice filmed here; the demo's own have seeds below 6."""
N_MICE = 10
N_FRAMES = 500
N_LABELED = 10


def film_and_estimate(demo: Path, folder: Path, seeds: Sequence[int]) -> None:
    """Write the raw tracks and the truth of each mouse and camera, where they are missing."""
    from compute.estimators import registered_estimator
    from compute.video import write_video

    folder.mkdir(parents=True, exist_ok=True)
    cameras = json.loads((demo / "summary.json").read_text(encoding="utf-8"))["cameras"]
    for camera in CAMERAS:
        (model_id,) = (model["model_id"] for model in cameras[camera]["models"])
        (bundle,) = (path.parent for path in demo.glob(f"data/store/models/**/model_id={model_id}/*/bundle.json"))
        estimator = None
        for seed in seeds:
            path = folder / f"{seed}_{camera}.npz"
            if path.exists():
                continue
            estimator = estimator or registered_estimator("sleap").load(bundle)
            mouse = simulate_mouse(seed, held_out=True)
            session = simulate_session(mouse, seed=seed, n_frames=N_FRAMES, n_hard_bursts=N_FRAMES // 250)
            video = folder / f"{seed}_{camera}.mp4"
            write_video(video, render_simulation(session, camera), session.fps)
            tracks = estimator.estimate(video, time=session.time)
            order = [tracks.node_index(node) for node in NODES]
            truth = session.position_px[camera]
            np.savez(path, position=tracks.position[:, order], score=tracks.score[:, order], truth=truth)
            video.unlink()


def read(folder: Path, seed: int, camera: str) -> tuple[Tracks, NDArray[np.float64]]:
    """Raw tracks of a mouse, and the truth."""
    with np.load(folder / f"{seed}_{camera}.npz") as file:
        time = np.arange(len(file["truth"])) / 100
        return Tracks(file["position"], file["score"], time, NODES), file["truth"]


def measure(tracks: Tracks, truth: NDArray[np.float64], error_of_others_px: Any, n_labeled: int) -> dict[str, Any]:
    """Squared errors, half-widths, and whether the truth is inside, of each point that is not labeled."""
    labeled = np.linspace(0, tracks.n_frames - 1, n_labeled).round().astype(int)
    nodes = calibrate_nodes(tracks, labeled.tolist(), truth[labeled], NODES)
    ours = calibrated_tracks(tracks, {one.node: NodeInterval.of_session(one) for one in nodes}, {})
    widths = {node: other_mice_half_width_px(errors) for node, errors in error_of_others_px.items()}
    others = calibrated_tracks(tracks, {node: NodeInterval.of_other_mice(px) for node, px in widths.items()}, {})
    where = tracks.found.copy()
    where[labeled] = False
    speed = np.linalg.norm(np.gradient(truth, axis=0), axis=-1)
    row: dict[str, Any] = {
        "fast": (speed >= np.quantile(speed, 0.75, axis=0))[where],
        "low_score": (tracks.score <= np.quantile(tracks.score, 0.25, axis=0))[where],
    }
    for name, one in (("ours", ours), ("others", others)):
        error = one.position - truth
        assert one.interval_half_width is not None
        row[f"{name}_square"] = (error**2).mean(axis=-1)[where]
        row[f"{name}_inside"] = (np.abs(error) <= one.interval_half_width[..., None]).mean(axis=-1)[where]
        row[f"{name}_half_width"] = one.interval_half_width[where]
    return row


def summary(folder: Path, seeds: Sequence[int], filter_name: str, n_labeled: int = N_LABELED) -> dict[str, float]:
    """The numbers of all mice and both cameras."""
    by_mouse: dict[int, list[dict[str, Any]]] = {seed: [] for seed in seeds}
    for camera in CAMERAS:
        data = {seed: read(folder, seed, camera) for seed in seeds}
        filtered = {seed: apply_filter(tracks, filter_name, {}) for seed, (tracks, _) in data.items()}
        labeled = np.linspace(0, N_FRAMES - 1, n_labeled).round().astype(int)
        errors = {
            seed: np.linalg.norm(tracks.position[labeled] - truth[labeled], axis=-1)
            for seed, (tracks, truth) in data.items()
        }
        for seed in seeds:
            of_others = {
                node: [errors[other][:, index] for other in seeds if other != seed] for index, node in enumerate(NODES)
            }
            by_mouse[seed].append(measure(filtered[seed], data[seed][1], of_others, n_labeled))

    def joined(name: str, mice: Sequence[int] = seeds) -> NDArray[np.float64]:
        return np.concatenate([row[name] for mouse in mice for row in by_mouse[mouse]]).astype(np.float64)

    inside = joined("ours_inside")
    return {
        "coverage_heldout": float(inside.mean()),
        "coverage_worst_mouse": min(float(joined("ours_inside", [mouse]).mean()) for mouse in seeds),
        "coverage_hardest_quarter": min(float(inside[joined(name) > 0].mean()) for name in ("fast", "low_score")),
        "halfwidth_px": float(joined("ours_half_width").mean()),
        "halfwidth_p50_px": float(np.median(joined("ours_half_width"))),
        "error_with_10_frames": float(np.sqrt(joined("ours_square").mean() / joined("others_square").mean())),
        "coverage_no_frames": float(joined("others_inside").mean()),
        "coverage_no_frames_worst_mouse": min(float(joined("others_inside", [mouse]).mean()) for mouse in seeds),
        "halfwidth_no_frames_px": float(joined("others_half_width").mean()),
        "rmse_px": float(np.sqrt(joined("others_square").mean())),
    }


def measure_held_out_mice(
    demo: Path,
    kept: Path | None = None,
    *,
    first_seed: int = FIRST_SEED,
    filter_name: str = "kalman",
    n_labeled: int = N_LABELED,
) -> dict[str, float]:
    """Film mice, estimate them and measure."""
    seeds = range(first_seed, first_seed + N_MICE)
    folder = kept or demo / "held_out_mice"
    film_and_estimate(demo, folder, seeds)
    return summary(folder, seeds, filter_name, n_labeled)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="folder of a demo that was run")
    parser.add_argument("--kept", type=Path, help="folder of what is filmed here  [default: DEMO/held_out_mice]")
    parser.add_argument("--filter", default="kalman")
    parser.add_argument("--seed", type=int, default=FIRST_SEED, help="of the first mouse")
    parser.add_argument("--labeled", type=int, default=N_LABELED, help="labeled frames of each session")
    parser.add_argument("--json", action="store_true", help="print one object instead of a table")
    arguments = parser.parse_args()
    result = measure_held_out_mice(
        arguments.demo,
        arguments.kept,
        first_seed=arguments.seed,
        filter_name=arguments.filter,
        n_labeled=arguments.labeled,
    )
    print_numbers(result, arguments.json)


if __name__ == "__main__":
    main()
