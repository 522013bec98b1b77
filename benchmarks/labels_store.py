"""Bytes that the labels store takes when a set of labels is imported again and again, with one label changed each time.

    python benchmarks/labels_store.py [--json] [--images 200] [--imports 7]

package_bytes   size of one package that is imported, with its images
stored_bytes    size of the files of the labels store after the first import, and after the last
import_s        duration of the first import, and the mean of the others
fetch_s         getting the last set with its images from the store
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
for _name in [name for name in os.environ if name.startswith(("DJ_", "OROFACIAL_"))]:
    del os.environ[_name]

import numpy as np

from compute.labels import write_package
from pipeline.database.connection import close_connection
from pipeline.lab import connect_lab
from pipeline.settings import Settings


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--imports", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="orofacial-labels-") as folder:
        os.chdir(folder)
        result = measure(Path(folder), options.images, options.imports)
        close_connection()
        os.chdir(ROOT)
    print(json.dumps(result) if options.json else "\n".join(f"{name:16}{value}" for name, value in result.items()))


def measure(folder: Path, n_images: int, n_imports: int) -> dict[str, Any]:
    """Import a set of random images, which cannot be compressed, with ever more points moved."""
    settings: Settings = connect_lab(settings=Settings(data_folder=folder / "data")).settings
    from ingest.labels import import_labels
    from schemas import label_images

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n_images, 250, 260), np.uint8)
    position = rng.uniform(5, 240, (n_images, 7, 2))
    nodes = [f"node {index}" for index in range(7)]
    sources = [("/raw/mouse01/2026-03-02_1/side.mp4", index) for index in range(n_images)]
    stored, durations_s = [], []
    for number in range(n_imports):
        position[number % n_images, 0] += 1
        package = folder / f"{number}.pkg.slp"
        write_package(package, images, position, nodes, [], sources)
        started = time.perf_counter()
        labels_id = import_labels(package, camera="side").labels_id
        durations_s.append(time.perf_counter() - started)
        stored.append(sum(path.stat().st_size for path in settings.labels_store.rglob("*") if path.is_file()))
    started = time.perf_counter()
    with label_images.fetch_labels_package(labels_id):
        fetch_s = time.perf_counter() - started
    return {
        "package_bytes": package.stat().st_size,
        "stored_bytes": (stored[0], stored[-1]),
        "import_s": (round(durations_s[0], 2), round(float(np.mean(durations_s[1:])), 2)),
        "fetch_s": round(fetch_s, 3),
    }


if __name__ == "__main__":
    main()
