"""Ensembles of real networks, against the Ensemble Kalman Smoother and with planted wrong placements.

`filters_on_real.py` runs this with the rest.

`ensemble_over_eks`: error of this project's ensemble (median of the members, then `kalman`) over that of the other
library on the same members. The truth is unknown: the reference is the median of seeds that are no members, whose own
error is part of both. Where `kalman` leaves a point out, the median of the members stands in its place, so that nothing
is gained by leaving out what is difficult. `typical_over_eks` is the same of the median error, which wrong placements
do not decide.

`sustained_recall_seeds`: so many members that they move the median are displaced by the same distance, in the same
direction, for half a second (at most a tenth of the video): the worst that can happen to an ensemble but that all are
wrong. Which fraction of these points has a larger lasting spread than 99 % of the node's points in the undisturbed
tracks: the recall at 1 % false alarms, at the distance at which it is lowest; `recall_from_10_px` leaves 6 px out.
`recall_as_set` is what `disputed_points` finds, which knows no undisturbed tracks, and `false_alarms` what it finds in
these. `usual_px` is that limit of 99 %, the median over nodes: what is near it cannot be found. All are of the worst of
a recording's cameras. `filters_on_real.py --planted` measures only these, without the other library.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compute.estimators.ensemble import median_tracks
from compute.filters.kalman import kalman
from compute.tracks import Tracks
from compute.tracks.disputed_points import FALSE_ALARMS, disputed_points

DISPLACED_PX = (6.0, 10.0, 20.0, 40.0)
_DISPLACED_S = 0.5
_MOST_DISPLACED = 0.1
_N_PLACES = 12
"""Times at which each node is displaced, each in a track of its own."""

Array = NDArray[np.float64]


def folds(seeds: Sequence[Tracks]) -> list[tuple[list[Tracks], Array]]:
    """Each ensemble of more than half of the seeds that follow each other, and the median of the other seeds."""
    n, found = len(seeds), []
    for start in range(n):
        order = [seeds[(start + step) % n] for step in range(n)]
        members, others = order[: n // 2 + 1], order[n // 2 + 1 :]
        found.append((members, np.median([one.position for one in others], axis=0).astype(np.float64)))
    return found


def ensemble_position(members: Sequence[Tracks]) -> tuple[Array, Array]:
    """Where this project says that the nodes are: the members' median, and it after the smoother."""
    median = median_tracks(members)
    smoothed = kalman(median)
    return median.position, np.where(smoothed.found[..., None], smoothed.position, median.position)


def eks_positions(python: Path, ensembles: Sequence[Sequence[Tracks]]) -> Array:
    """Where the other library says that they are, shape (ensemble, frame, node, 2)."""
    script = Path(__file__).with_name("filter_peers.py")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "tracks.npz", Path(folder) / "smoothed.npy"
        position = np.array([[one.position for one in members] for members in ensembles])
        score = np.array([[one.score for one in members] for members in ensembles])
        np.savez(source, position=position, score=score)
        command = [str(python), "-W", "ignore", str(script), "eks_members", str(source), str(target), "1"]
        subprocess.run(command, check=True, capture_output=True)
        return np.asarray(np.load(target), np.float64)


def squares_of_ensembles(seeds: Sequence[Tracks], peers_python: Path) -> dict[str, float]:
    """Sums over all ensembles of a recording: of the squared errors of all points (px2), and of median errors (px)."""
    found = folds(seeds)
    theirs = eks_positions(peers_python, [members for members, _ in found])
    sums: dict[str, float] = defaultdict(float)
    for (members, reference), eks in zip(found, theirs, strict=True):
        median, smoothed = ensemble_position(members)
        ours = {"member": members[0].position, "median": median, "ensemble": smoothed, "eks": eks}
        for name, position in ours.items():
            square = np.sum((position - reference) ** 2, axis=-1)
            sums[name] += float(square.sum())
            sums[f"{name}_typical"] += float(np.median(np.sqrt(square)))
    return dict(sums)


def displaced(seeds: Sequence[Tracks], distance_px: float, place: int) -> tuple[Tracks, NDArray[np.bool_]]:
    """The ensemble of seeds of which more than half are wrong for a while, and where it is so."""
    rng = np.random.default_rng([place, round(distance_px)])
    first = seeds[0]
    n_frames, n_nodes = first.score.shape
    length = min(round(_DISPLACED_S / first.frame_interval_s), round(_MOST_DISPLACED * n_frames))
    wrong = np.zeros(first.score.shape, np.bool_)
    shift = np.zeros(first.position.shape)
    for node in range(n_nodes):
        start, angle = rng.integers(n_frames - length), rng.uniform(0, 2 * np.pi)
        wrong[start : start + length, node] = True
        shift[start : start + length, node] = distance_px * np.array([np.cos(angle), np.sin(angle)])
    those = rng.permutation(len(seeds))[: len(seeds) // 2 + 1]
    moved = [replace(one, position=one.position + shift) if index in those else one for index, one in enumerate(seeds)]
    return median_tracks(moved), wrong


def measure_displaced(seeds: Sequence[Tracks]) -> dict[str, float]:
    """Fraction of the displaced points that are found, the worst of all distances, and of the undisturbed ones."""
    undisturbed = median_tracks(seeds)
    limit_px = np.nanquantile(_lasting_spread(undisturbed), 1 - FALSE_ALARMS, axis=0)
    recalls = []
    for distance_px in DISPLACED_PX:
        found = np.zeros(2)
        for place in range(_N_PLACES):
            tracks, wrong = displaced(seeds, distance_px, place)
            found += [
                (one & wrong).sum() / wrong.sum()
                for one in (_lasting_spread(tracks) > limit_px, disputed_points(tracks))
            ]
        recalls.append(found / _N_PLACES)
    recall, as_set = np.min(recalls, axis=0).tolist()
    return {
        "recall": recall,
        "recall_from_10_px": float(np.min(recalls[1:], axis=0)[0]),
        "as_set": as_set,
        "false_alarms": float(disputed_points(undisturbed).mean()),
        "usual_px": float(np.median(limit_px)),
    }


def _lasting_spread(tracks: Tracks) -> NDArray[np.float32]:
    assert tracks.lasting_spread is not None
    return tracks.lasting_spread


def measure_planted(recordings: dict[str, dict[str, list[Tracks]]]) -> dict[str, float]:
    """What is found of planted wrong placements, by recording: the worst of its cameras."""
    result: dict[str, float] = {}
    for name, cameras in recordings.items():
        planted = [measure_displaced(seeds) for seeds in cameras.values()]
        result[f"{name}_recall_seeds"] = min(one["recall"] for one in planted)
        result[f"{name}_recall_from_10_px"] = min(one["recall_from_10_px"] for one in planted)
        result[f"{name}_recall_as_set"] = min(one["as_set"] for one in planted)
        result[f"{name}_false_alarms"] = max(one["false_alarms"] for one in planted)
        result[f"{name}_usual_px"] = max(one["usual_px"] for one in planted)
    return result | {"sustained_recall_seeds": min(result[f"{name}_recall_seeds"] for name in recordings)}


def measure_ensembles(recordings: dict[str, dict[str, list[Tracks]]], peers_python: Path) -> dict[str, float]:
    """The numbers of all recordings, by name, each with the seeds of each of its cameras."""
    result: dict[str, float] = {}
    for name, cameras in recordings.items():
        parts = [squares_of_ensembles(seeds, peers_python) for seeds in cameras.values()]
        total = {key: sum(part[key] for part in parts) for key in parts[0]}
        result[f"{name}_ensemble_over_eks"] = (total["ensemble"] / total["eks"]) ** 0.5
        result[f"{name}_typical_over_eks"] = total["ensemble_typical"] / total["eks_typical"]
        result[f"{name}_ensemble_over_member"] = (total["ensemble"] / total["member"]) ** 0.5
        result[f"{name}_median_over_member"] = (total["median"] / total["member"]) ** 0.5
    worst = max(result[f"{name}_ensemble_over_eks"] for name in recordings)
    return result | {"ensemble_over_eks": worst} | measure_planted(recordings)
