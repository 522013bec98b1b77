"""Wrong placements that a rigid group tells while the head rolls in the picture.

    .venv/bin/python benchmarks/rigid_groups.py      # a table; --json for one object

100,000 frames at 100 Hz of a face four times as large as in `filters.py`, noise 1 px, 2 % of the points of the snout's
five nodes misplaced with good scores for 50 frames. The head rolls in a tenth of the time. Means over seeds.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from simulated_tracks import NODES, RIGID, SimulatedTracks, roll_head, simulate_tracks

from compute.filters.kalman import kalman

ROLL_DEG = 20.0
GROUPS = {"five nodes": RIGID, "four nodes": RIGID[:4], "three nodes": (*RIGID[:2], RIGID[4])}


def large_face(seed: int, n_frames: int) -> SimulatedTracks:
    """Tracks of a face of four times as many pixels, with as much noise in px."""
    small = simulate_tracks(
        seed, n_frames, noise_px=0.25, wrong_px=10, wrong_length=50, wrong_score=0.8, only_rigid=True
    )
    tracks = replace(small.tracks, position=4 * small.tracks.position)
    return SimulatedTracks(tracks, 4 * small.truth, small.wrong)


def measure_roll(
    roll_deg: float = ROLL_DEG, group: tuple[str, ...] = RIGID, *, n_seeds: int = 3, n_frames: int = 100_000
) -> dict[str, float]:
    """What the group does while the head rolls.

    Returns
    -------
    dict
        ``rigid_false``: share of the group's good points that are barred because of it while the head is turned;
        ``rigid_recall``: share of its wrong placements that are found, at all times.
    """
    rows = []
    for seed in range(100, 100 + n_seeds):
        simulated, roll_rad = roll_head(large_face(seed, n_frames), roll_deg, seed=seed)
        nodes = [NODES.index(node) for node in group]
        results = [kalman(simulated.tracks, rigid_groups=groups) for groups in (None, [group])]
        alone, together = (np.asarray(one.rejected)[:, nodes] for one in results)
        wrong, found = simulated.wrong[:, nodes], simulated.tracks.found[:, nodes]
        turned = (roll_rad != 0) if roll_deg else np.ones(n_frames, np.bool_)
        good = ~wrong & found & turned[:, None]
        rows.append([np.mean((together & ~alone)[good]), np.mean(together[wrong])])
    false, recall = np.mean(rows, axis=0).tolist()
    return {"rigid_false": false, "rigid_recall": recall}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one object instead of a table")
    arguments = parser.parse_args()
    if arguments.json:
        print(json.dumps(measure_roll()))
        return
    print(f"{'group':12s} {'roll':>6s} {'rigid_false':>12s} {'rigid_recall':>13s}")
    for name, group in GROUPS.items():
        for roll_deg in (0.0, ROLL_DEG, 90.0):
            row = measure_roll(roll_deg, group)
            print(f"{name:12s} {roll_deg:4.0f} ° {row['rigid_false']:12.5f} {row['rigid_recall']:13.4f}")


if __name__ == "__main__":
    main()
