"""Estimation on a GPU: decoding alone, the network alone, both together, and how far positions differ from the CPU's.

    .venv/bin/python benchmarks/gpu.py --json

Trains a small model on simulated frames, on the GPU, and writes a longer video of the same frame size. Without a GPU it
says so and ends with code 1.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from compute.estimators import sleap
from compute.labels import write_package
from compute.simulated_mouse.anatomy import EDGES, NODES
from compute.simulated_mouse.simulation import render, simulate_mouse, simulate_session
from compute.video import read_luma, write_video

CONFIG = {"filters": 16, "max_stride": 32, "output_stride": 4, "sigma": 1.5, "epochs": 30, "patience_epochs": 0}
WIDTH_PX, HEIGHT_PX = 640, 480


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object, as the last line")
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--device", default="cuda", help="cpu tries the script without a GPU")
    arguments = parser.parse_args()
    import torch

    if arguments.device == "cuda" and not torch.cuda.is_available():
        print("no GPU is seen here; nothing was measured", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="orofacial-") as folder:
        result = measure(Path(folder), arguments)
    if arguments.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:<28} {value}")
    return 0


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, float | str]:
    import torch

    n_rendered = min(120, arguments.frames)
    session = simulate_session(simulate_mouse(1), seed=1, n_frames=n_rendered, width=WIDTH_PX, height=HEIGHT_PX)
    rendered = list(render(session, "side"))
    video = folder / "side.mp4"
    write_video(video, itertools.islice(itertools.cycle(rendered), arguments.frames), session.fps)
    labeled = np.linspace(0, n_rendered - 1, 40).round().astype(int)
    frames = np.stack([frame for index, frame in enumerate(read_luma(video)) if index < n_rendered])
    write_package(
        folder / "labels.pkg.slp",
        frames[labeled],
        session.position_px["side"][labeled],
        NODES,
        EDGES,
        [(str(video), int(index)) for index in labeled],
    )
    training_s = seconds(
        lambda: sleap.train(folder / "labels.pkg.slp", CONFIG, seed=0, bundle_folder=folder / "bundle")
    )
    on_gpu = sleap.load(folder / "bundle", device=arguments.device, batch_size=arguments.batch_size)
    on_cpu = sleap.load(folder / "bundle", device="cpu", batch_size=8, n_threads=max(1, (os.cpu_count() or 1) // 2))
    short = folder / "short.mp4"
    write_video(short, frames[: min(100, n_rendered)], session.fps)
    ours, reference = on_gpu.estimate(short, minimum_score=0), on_cpu.estimate(short, minimum_score=0)
    difference_px = np.linalg.norm(ours.position - reference.position, axis=-1)
    truth = session.position_px["side"][: len(difference_px)]
    in_memory = [frame for frame in frames]

    def network() -> None:
        repeated = itertools.islice(itertools.cycle(in_memory), arguments.frames)
        on_gpu._predict(sleap.estimator._Batches(repeated, arguments.batch_size, arguments.frames), None)

    def decode() -> None:
        for _ in read_luma(video):
            pass

    rates = {
        name: arguments.frames / float(np.median([seconds(function) for _ in range(arguments.rounds)]))
        for name, function in (("decode", decode), ("network", network), ("end_to_end", lambda: on_gpu.estimate(video)))
    }
    cpu_rate = len(difference_px) / seconds(lambda: on_cpu.estimate(short))
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "decode_rate": rates["decode"],
        "network_rate": rates["network"],
        "end_to_end_rate": rates["end_to_end"],
        "gpu_end_to_end_over_limit": rates["end_to_end"] / min(rates["decode"], rates["network"]),
        "cpu_rate": cpu_rate,
        "training_s": training_s,
        "difference_to_cpu_median_px": float(np.nanmedian(difference_px)),
        "difference_to_cpu_largest_px": float(np.nanmax(difference_px)),
        "error_to_truth_median_px": float(np.nanmedian(np.linalg.norm(ours.position - truth, axis=-1))),
    }


def seconds(function: Callable[[], object]) -> float:
    """Seconds of clock that one call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
