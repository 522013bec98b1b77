"""Wrong placements that last, planted in real networks' tracks of a mouse seen in two views.

    .venv/bin/python benchmarks/lasting_wrong.py     # a table; --json for one object

`filters_on_real.py` runs this with the rest. Paws are seen from the side and, in a mirror, from below, and share their
x. For half a second one paw of one view is displaced in any direction, or two paws of a view change places. It is
looked for in the tracks of each single network by the two views (`compute.tracks.two_views`), by the rest of the pose
(`compute.tracks.pose_shape`) and by both (`compute.tracks.lasting_wrong`).

`sustained_recall_two_views` is the fraction of the displaced points that both find at 1 % false alarms, at 20 px, at
40 px or of swaps, whichever is lowest. A false alarm is a good point of the undisturbed tracks that is found. It is
good if both views of the paw are nearer than 3 px to the median of the other networks, and these do not contradict
themselves: in 5 % of the frames all networks place one hind paw more than 15 px apart in the two views, so one place is
wrong. `as_set` is what both find at the limits that are used, which know of no good points, and `good_found` which of
the good points these find. `others_found` is the fraction of the points of other paws that they find while one is
displaced.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from printed_numbers import print_numbers

from compute.tracks import Tracks
from compute.tracks.disputed_points import FALSE_ALARMS
from compute.tracks.lasting_wrong import lasting_wrong_points
from compute.tracks.two_views import lasting_contradiction

PAWS = ("paw1LH", "paw2LF", "paw3RF", "paw4RH")
PAIRS = [(f"{paw}_top", f"{paw}_bot") for paw in PAWS]
MEASURES: dict[str, dict[str, Any]] = {
    "views": {"same_x": PAIRS},
    "pose": {"pose_shape": True},
    "both": {"same_x": PAIRS, "pose_shape": True},
}
PLANTED = {"20_px": 20.0, "40_px": 40.0, "swap": None}
"""Displacement (px); None: two paws change places."""

_GOOD_PX, _IMPOSSIBLE_PX = 3.0, 15.0
_DISPLACED_S = 0.5
_N_TIMES = 3
"""Times at which something is planted, for each kind, in each paw of each view of each network."""

Mask = NDArray[np.bool_]


def good_points(seeds: Sequence[Tracks], index: int) -> Mask:
    """Points of one network that the others say are right, in both views."""
    others = [one.position for other, one in enumerate(seeds) if other != index]
    reference = replace(seeds[index], position=np.median(others, axis=0))
    near = np.linalg.norm(seeds[index].position - reference.position, axis=-1) < _GOOD_PX
    good = np.zeros(near.shape, np.bool_)
    for pair in PAIRS:
        nodes = [reference.node_index(node) for node in pair]
        possible = lasting_contradiction(reference, pair, 0) < _IMPOSSIBLE_PX
        good[:, nodes] = (near[:, nodes].all(axis=1) & possible)[:, None]
    return good


def planted(tracks: Tracks, kind: str, paw: int, view: int, rng: np.random.Generator) -> tuple[Tracks, Mask, Mask]:
    """The tracks with a wrong placement, where it is, and the points of other paws meanwhile."""
    length = round(_DISPLACED_S / tracks.frame_interval_s)
    start = rng.integers(tracks.n_frames - length)
    frames = slice(start, start + length)
    distance_px, position = PLANTED[kind], tracks.position.copy()
    paws = [paw] if distance_px else [paw, (paw + rng.integers(1, len(PAWS))) % len(PAWS)]
    nodes = [tracks.node_index(PAIRS[one][view]) for one in paws]
    if distance_px:
        angle = rng.uniform(0, 2 * np.pi)
        position[frames, nodes] += distance_px * np.array([np.cos(angle), np.sin(angle)])
    else:
        position[frames, nodes] = position[frames, nodes[::-1]]
    wrong, others = np.zeros((2, *tracks.score.shape), np.bool_)
    wrong[frames, nodes] = True
    others[frames, [node not in {name for one in paws for name in PAIRS[one]} for node in tracks.nodes]] = True
    return replace(tracks, position=position), wrong, others


def level_of_false_alarms(tracks: Tracks, good: Mask, keywords: dict[str, Any]) -> float:
    """The `false_alarms` at which so many good points are found, by bisection of its logarithm."""
    low, high = np.log(1e-5), np.log(0.2)
    for _ in range(12):
        middle = (low + high) / 2
        found = lasting_wrong_points(tracks, false_alarms=float(np.exp(middle)), **keywords)
        low, high = (middle, high) if found[good].mean() < FALSE_ALARMS else (low, middle)
    return float(np.exp(low))


def measure_lasting_wrong(seeds: Sequence[Tracks], first_seed: int = 0) -> dict[str, float]:
    """What is found of planted wrong placements, over all networks."""
    goods = [good_points(seeds, index) for index in range(len(seeds))]
    result: dict[str, float] = {}
    levels: dict[str, list[float]] = {}
    for name, keywords in MEASURES.items():
        found = [lasting_wrong_points(one, **keywords) for one in seeds]
        result[f"{name}_good_found"] = float(
            np.mean([one[good].mean() for one, good in zip(found, goods, strict=True)])
        )
        result[f"{name}_all_found"] = float(np.mean(found))
        levels[name] = [level_of_false_alarms(one, good, keywords) for one, good in zip(seeds, goods, strict=True)]
    others_found = []
    for kind in PLANTED:
        rows: dict[str, list[float]] = defaultdict(list)
        for index, paw, view, time in np.ndindex(len(seeds), len(PAWS), 2, _N_TIMES):
            rng = np.random.default_rng([first_seed, time, index, paw, view])
            tracks, wrong, others = planted(seeds[index], kind, paw, view, rng)
            for name, keywords in MEASURES.items():
                found = lasting_wrong_points(tracks, false_alarms=levels[name][index], **keywords)
                rows[f"{name}_recall_{kind}"].append(float(found[wrong].mean()))
            as_set = lasting_wrong_points(tracks, **MEASURES["both"])
            rows[f"as_set_{kind}"].append(float(as_set[wrong].mean()))
            others_found.append(float(as_set[others].mean()))
        result |= {key: float(np.mean(values)) for key, values in rows.items()}
    lowest = min(result[f"both_recall_{kind}"] for kind in PLANTED)
    return result | {"others_found": float(np.mean(others_found)), "sustained_recall_two_views": lowest}


def main() -> None:
    from filters_on_real import read_ensembles

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("../shared/data/ensembles/mirror-mouse"))
    parser.add_argument("--seed", type=int, default=0, help="of what is planted")
    parser.add_argument("--json", action="store_true", help="print one object instead of a table")
    arguments = parser.parse_args()
    (seeds,) = read_ensembles(arguments.folder, 250.0).values()
    result = measure_lasting_wrong(seeds, arguments.seed)
    print_numbers(result, arguments.json)


if __name__ == "__main__":
    main()
