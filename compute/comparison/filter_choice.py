"""Choose a filter and its parameters for each node, without ground truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.errors import FilterError
from compute.filters import apply_filter, default_parameters, registered_filters
from compute.filters.gate import gate_out, gated
from compute.measures.lasting_noise import LASTING_FROM, noise_correlation
from compute.measures.spikes import spike_mask
from compute.tracks import Tracks

Array = NDArray[Any]

CRITERION = (
    "Some points are hidden, a tenth at a time; each filter says from the others where they are. The root mean square"
    " of its error is what counts: noise left in and movement taken out both make it larger. Points count whatever a"
    " filter's gate says of them, but for single frames far from their neighbours. Where the noise of a node lasts from"
    " frame to frame, the points beside a hidden one share its noise, and no filter is chosen."
)

_LINES = ("interpolate", {"lowest_score_fraction": None})
CANDIDATES: tuple[tuple[str, dict[str, Any]], ...] = (
    _LINES,
    *((name, dict(parameters)) for name, one in registered_filters().items() for parameters in one.candidates),
)
"""Candidate filters and parameters, all with the gate. The first is the reference."""

_BLOCK_S, _LONGEST_S = 10.0, 240.0
_HIDDEN, _ROUNDS = 0.1, 3
_MINIMUM_POINTS = 30
_KALMAN = CANDIDATES.index(("kalman", {"minimum_bandwidth_hz": default_parameters("kalman")["minimum_bandwidth_hz"]}))
"""The candidate that is the Kalman smoother as it is by default."""


@dataclass(frozen=True)
class FilterChoice:
    """The filter chosen for one node, or that none is.

    Parameters
    ----------
    node : str
        The node.
    filter : str
        The filter; the Kalman smoother where none was chosen.
    parameters : dict
        All its parameters; the default ones where none was chosen.
    is_chosen : bool
        False: its noise lasts from frame to frame, or it never rests, so that hidden points say nothing of filters.
    noise_correlation : float or None
        Correlation of its noise from one frame to the next, see `compute.measures.lasting_noise.noise_correlation`:
        mean over videos. From 0.07 on none is chosen; None: there is too little rest to say, and none is chosen.
    n_videos : int
        Number of videos used.
    chosen_on_px, error_px : float
        Its error at hidden points, in the part of the videos that it was chosen on and in the other part.
    lines_px, kalman_px : float
        Error in the other part of straight lines between the points, and of the Kalman smoother as it is by default.
    """

    node: str
    filter: str
    parameters: dict[str, Any]
    is_chosen: bool
    noise_correlation: float | None
    n_videos: int
    chosen_on_px: float
    error_px: float
    lines_px: float
    kalman_px: float


def filter_choices(videos: Iterable[Tracks]) -> list[FilterChoice]:
    """For each node the candidate with the smallest error at hidden points, where that says something.

    The middle four minutes of a video (all of a shorter one) are cut into blocks of 10 s, or six where it is short.
    Filters are chosen on the even blocks, and their errors reported on the odd ones. A video is weighted by the
    logarithm of a candidate's error over that of straight lines, so that a video with large errors has no more weight
    than others.

    Parameters
    ----------
    videos : iterable of Tracks
        The estimator's tracks; a node may be in several of them.

    Returns
    -------
    list of FilterChoice
        In the order in which the nodes first appear.

    Raises
    ------
    FilterError
        If no node has 30 points to hide in both parts of any video.
    """
    errors: dict[str, list[Array]] = {}
    correlations: dict[str, list[float]] = {}
    for tracks in videos:
        middle = _middle(tracks)
        even = _even_blocks(middle.time)
        parts = [filter_choice_error_px(gate_out(middle, middle.found & ~part[:, None])) for part in (even, ~even)]
        for index, (node, correlation) in enumerate(zip(tracks.nodes, noise_correlation(middle), strict=True)):
            found = np.stack([part[:, index] for part in parts])
            if np.isfinite(found).all() and (found > 0).all():
                errors.setdefault(node, []).append(found)
                correlations.setdefault(node, []).append(float(correlation))
    if not errors:
        raise FilterError(
            f"no node has {_MINIMUM_POINTS} points to hide in both halves of any video; choose on longer videos"
        )
    return [_best(node, np.stack(found), correlations[node]) for node, found in errors.items()]


def chosen_node_filters(choices: Iterable[FilterChoice]) -> dict[str, Mapping[str, Any]]:
    """The choices as `compute.filters.per_node` takes them, which gives other nodes the Kalman smoother."""
    return {
        choice.node: {"filter": choice.filter, "parameters": choice.parameters}
        for choice in choices
        if choice.is_chosen
    }


def filter_choice_error_px(tracks: Tracks) -> Array:
    """Error of each candidate at points that it did not see.

    Parameters
    ----------
    tracks : Tracks
        An estimator's tracks.

    Returns
    -------
    array, shape (candidate, node)
        Root mean square of the distance (px) between hidden points and where each candidate puts them, over points
        for which all candidates have a position, but for spikes (`compute.measures.spikes`); NaN with fewer than 30.
    """
    rng = np.random.default_rng(0)
    total = np.zeros((len(CANDIDATES), len(tracks.nodes)))
    count = np.zeros(len(tracks.nodes), np.int64)
    usual = tracks.found & ~spike_mask(tracks.position).any(axis=-1)
    for _ in range(_ROUNDS):
        hidden = tracks.found & (rng.random(tracks.found.shape) < _HIDDEN)
        rest = gate_out(tracks, hidden)
        gated_rest = gated(rest)
        squared = np.stack(
            [
                ((result.position - tracks.position).astype(np.float64) ** 2).sum(-1)
                for name, parameters in CANDIDATES
                for result in [apply_filter(rest if name == "kalman" else gated_rest, name, parameters)]
            ]
        )
        counted = hidden & usual & ~np.isnan(squared).any(axis=0)
        total += np.where(counted, squared, 0).sum(axis=1)
        count += counted.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count >= _MINIMUM_POINTS, np.sqrt(total / count), np.nan)


def _middle(tracks: Tracks) -> Tracks:
    """The middle of a long video."""
    if not tracks.n_frames or tracks.time[-1] - tracks.time[0] <= _LONGEST_S:
        return tracks
    center = (tracks.time[0] + tracks.time[-1]) / 2
    kept = np.abs(tracks.time - center) <= _LONGEST_S / 2
    return Tracks(
        tracks.position[kept], tracks.score[kept], tracks.time[kept], tracks.nodes, attributes=tracks.attributes
    )


def _even_blocks(time: Array) -> Array:
    """True in every second block, shape (frame,)."""
    if time.size < 2:
        return np.ones(time.size, np.bool_)
    block_s = min(_BLOCK_S, (time[-1] - time[0]) / 6)
    return np.asarray(((time - time[0]) // block_s) % 2 == 0)


def _best(node: str, errors: Array, correlations: list[float]) -> FilterChoice:
    """The best candidate of one node, from errors of shape (video, part, candidate)."""
    known = [one for one in correlations if np.isfinite(one)]
    correlation = float(np.mean(known)) if known else None
    is_chosen = correlation is not None and correlation < LASTING_FROM
    relative = np.log(errors / errors[:, :, :1]).mean(axis=0)
    best = int(np.argmin(relative[0])) if is_chosen else _KALMAN
    name, parameters = CANDIDATES[best]
    whole = {**default_parameters(name), **parameters}
    if "gated" in whole:
        whole["gated"] = True
    typical = np.exp(np.log(errors).mean(axis=0))  # (part, candidate)
    return FilterChoice(
        node=node,
        filter=name,
        parameters=whole,
        is_chosen=is_chosen,
        noise_correlation=correlation,
        n_videos=len(errors),
        chosen_on_px=float(typical[0, best]),
        error_px=float(typical[1, best]),
        lines_px=float(typical[1, 0]),
        kalman_px=float(typical[1, _KALMAN]),
    )
