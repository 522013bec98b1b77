"""Time of this project's code around sleap-nn: pose estimation of a video against bare `predict_streaming`.

    .venv/bin/python benchmarks/estimation.py [--json] [--frames 1000] [--rounds 5]

Both run the same tiny model over the same simulated video, in turn, with the same batches, the same refinement window
and the same memory format, on one thread. Both decode the video: the bare one with sleap-io, ours as `PoseEstimation`
does, which also makes `Tracks`. `overhead_fraction` is the median over the rounds of (ours - bare) / ours; it is
negative where ours is faster. `cpu_overhead_fraction` is the same in processor time, all threads together, which other
processes on the machine disturb less.
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compute.estimators import sleap
from compute.estimators.sleap.estimator import refinement_window
from compute.estimators.sleap.runtime import sleap_nn_runtime, use_runtime_memory_format
from compute.labels import write_package
from compute.simulated_mouse.anatomy import EDGES, NODES
from compute.simulated_mouse.simulation import render_simulation, simulate_mouse, simulate_session
from compute.video import read_video_luma, write_video

CONFIG = {
    "filters": 8,
    "max_stride": 32,
    "output_stride": 4,
    "scale": 0.5,
    "sigma": 1.5,
    "epochs": 1,
    "patience_epochs": 0,
}
"""The demo's model: how well it is trained does not change the time that it takes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="orofacial-") as folder:
        result = measure(Path(folder), arguments.frames, arguments.rounds)
    if arguments.json:
        print(json.dumps(result))
    else:
        print(f"{platform.machine()}, {os.cpu_count()} cores, one thread, medians of {arguments.rounds} rounds")
        for name, value in result.items():
            print(f"{name:<24} {value:.3f}")


def measure(folder: Path, n_frames: int, n_rounds: int) -> dict[str, float]:
    session = simulate_session(simulate_mouse(1), seed=1, n_frames=n_frames)
    video = folder / "side.mp4"
    write_video(video, render_simulation(session, "side"), session.fps)
    frames = np.stack(list(read_video_luma(video)))
    labeled = slice(0, 12)
    sources = [(str(video), index) for index in range(12)]
    write_package(
        folder / "labels.pkg.slp", frames[labeled], session.position_px["side"][labeled], NODES, EDGES, sources
    )
    sleap.train_with_sleap(folder / "labels.pkg.slp", CONFIG, seed=0, bundle_folder=folder / "bundle")
    estimator = sleap.load_sleap_estimator(folder / "bundle")
    bare = make_bare(folder / "bundle", estimator, video)
    pairs = paired_seconds(lambda: estimator.estimate(video), bare, n_rounds)
    ours_s, bare_s = np.median(pairs, axis=0)
    overhead, cpu_overhead = np.median((pairs[:, 0] - pairs[:, 1]) / pairs[:, 0], axis=0)
    return {
        "overhead_fraction": float(overhead),
        "cpu_overhead_fraction": float(cpu_overhead),
        "frames_per_second": n_frames / float(ours_s[0]),
        "bare_frames_per_second": n_frames / float(bare_s[0]),
    }


def make_bare(bundle: Path, estimator: sleap.SleapEstimator, video: Path) -> Callable[[], None]:
    """sleap-nn's own loop over a video file, read by sleap-io."""
    import sleap_io as sio

    with sleap_nn_runtime(1):
        from sleap_nn.inference.predictor import Predictor

        predictor = Predictor.from_model_paths(
            [str(bundle)],
            device=estimator.device,
            batch_size=estimator.batch_size,
            peak_threshold=0.0,
            integral_patch_size=refinement_window(estimator.bundle.sigma),
        )
        use_runtime_memory_format(predictor.layer.backend.model)

    def run() -> None:
        with sleap_nn_runtime(1):
            for _ in predictor.predict_streaming(sio.load_video(str(video))):
                pass

    return run


def paired_seconds(ours: Callable[[], object], bare: Callable[[], object], n_rounds: int) -> NDArray[np.float64]:
    """Seconds of clock and of processor, shape (round, ours or bare, clock or processor); who is first alternates."""
    pairs = np.empty((n_rounds, 2, 2))
    for function in (ours, bare):  # warm up
        function()
    for index in range(n_rounds):
        for which in (0, 1) if index % 2 else (1, 0):
            started = np.array([time.perf_counter(), time.process_time()])
            (ours, bare)[which]()
            pairs[index, which] = np.array([time.perf_counter(), time.process_time()]) - started
    return pairs


if __name__ == "__main__":
    main()
