"""Quality of an estimator's raw tracks, for each node, without ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compute.errors import TracksError
from compute.tracks import Tracks
from compute.tracks.disputed_points import disputed_points
from compute.tracks.frame_holes import frame_hole_mask

_MAD_TO_SD = 1.4826
"""Median absolute deviation of normal values times this is their standard deviation."""


@dataclass(frozen=True)
class NodeQuality:
    """Quality of one node's raw track over a whole video.

    Parameters
    ----------
    node : str
        Name of the node.
    fraction_found : float or None
        Fraction of all frames in which it has a position; None for a video without frames.
    n_jumps : int
        Moves from one frame to the next that are too large to be its own (see `quality_jumps`).
    score_p05, score_p25, score_p50, score_p75, score_p95 : float or None
        Quantiles of the score over the frames in which it was found; points that a person placed (NaN) are left out.
        None where no point has a score.
    fraction_outside : float or None
        Fraction of all frames in which its position is outside the picture; None for a video without frames.
    n_disputed : int or None
        Points at which the members of an ensemble disagree (see `compute.tracks.disputed_points`); None if the tracks
        are of no ensemble.
    """

    node: str
    fraction_found: float | None
    n_jumps: int
    score_p05: float | None
    score_p25: float | None
    score_p50: float | None
    score_p75: float | None
    score_p95: float | None
    fraction_outside: float | None
    n_disputed: int | None = None


def track_quality(
    tracks: Tracks, *, width_px: int, height_px: int, jump_mads: float = 10.0, jump_floor_px: float = 5.0
) -> list[NodeQuality]:
    """Quality of each node of raw tracks.

    Parameters
    ----------
    tracks : Tracks
        An estimator's tracks, unfiltered.
    width_px, height_px : int
        Size of the picture. It reaches from -0.5 to size - 0.5, as (0, 0) is the center of the first pixel.
    jump_mads, jump_floor_px : float
        What counts as a jump; see `quality_jumps`.

    Returns
    -------
    list of NodeQuality
        In the order of the tracks' nodes.

    Raises
    ------
    TracksError
        If the picture's size is not above 0.
    """
    if width_px <= 0 or height_px <= 0:
        raise TracksError(f"the picture's size is {width_px} x {height_px} px, expected both above 0")
    found = tracks.found
    n_jumps = quality_jumps(tracks, jump_mads=jump_mads, jump_floor_px=jump_floor_px).sum(axis=0)
    with np.errstate(invalid="ignore"):
        inside = ((tracks.position >= -0.5) & (tracks.position < np.array([width_px, height_px]) - 0.5)).all(axis=-1)
    outside = found & ~inside
    n_disputed = None if tracks.lasting_spread is None else disputed_points(tracks).sum(axis=0)
    return [
        NodeQuality(
            node=node,
            fraction_found=_fraction(found[:, index]),
            n_jumps=int(n_jumps[index]),
            **_score_quantiles(tracks.score[found[:, index], index]),
            fraction_outside=_fraction(outside[:, index]),
            n_disputed=None if n_disputed is None else int(n_disputed[index]),
        )
        for index, node in enumerate(tracks.nodes)
    ]


def quality_jumps(tracks: Tracks, *, jump_mads: float = 10.0, jump_floor_px: float = 5.0) -> NDArray[np.bool_]:
    """Where a node arrives by a jump.

    A jump is a move from the frame before that is longer than the median of the node's moves by more than
    ``jump_mads`` robust standard deviations (1.4826 times the median absolute deviation), and longer than a floor.
    A wrong placement that lasts one frame makes two: to it and back.

    Parameters
    ----------
    tracks : Tracks
        Any tracks.
    jump_mads : float
        Robust standard deviations; 10 is far outside the node's own movement.
    jump_floor_px : float
        A move up to this many pixels is never a jump, even for a node at rest.

    Returns
    -------
    array, shape (frame, node), bool
        False in the first frame, where there is no position in the frame or the one before it, and after a hole in
        time.
    """
    mask = np.zeros(tracks.score.shape, np.bool_)
    difference = np.diff(tracks.position.astype(np.float64), axis=0)
    move = np.hypot(difference[..., 0], difference[..., 1])
    move[frame_hole_mask(tracks)] = np.nan  # the way there was not filmed
    for node in range(len(tracks.nodes)):
        known = move[~np.isnan(move[:, node]), node]
        if known.size:
            middle = np.median(known)
            sd = _MAD_TO_SD * np.median(np.abs(known - middle))
            with np.errstate(invalid="ignore"):
                mask[1:, node] = move[:, node] > max(middle + jump_mads * sd, jump_floor_px)
    return mask


def _fraction(mask: NDArray[np.bool_]) -> float | None:
    """Fraction of True; None of nothing."""
    return float(mask.mean()) if mask.size else None


def _score_quantiles(score: NDArray[np.float32]) -> dict[str, float | None]:
    """Quantiles of the scores that are not NaN, by field name."""
    percents = (5, 25, 50, 75, 95)
    known = score[~np.isnan(score)]
    values = np.percentile(known.astype(np.float64), percents).tolist() if known.size else [None] * len(percents)
    return {f"score_p{percent:02d}": value for percent, value in zip(percents, values, strict=True)}
