"""Gating: leave out wrong placements before a filter that would be drawn towards them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from compute.filters.kalman import kalman
from compute.filters.registry import SCORE_EXPONENT_ATTRIBUTE
from compute.tracks import Tracks


def gated(tracks: Tracks) -> Tracks:
    """The tracks without the wrong placements that the Kalman smoother's gate finds, with its default parameters.

    There is one gate in this project. A filter with the keyword ``gated=True`` starts from these tracks, so that two
    filters on the same gated points differ only in how they smooth.

    Parameters
    ----------
    tracks : Tracks
        An estimator's tracks. Their attribute ``score_exponent``, where there is one, is the gate's.

    Returns
    -------
    Tracks
        A wrong placement is NaN with score 0, and True in ``rejected``.
    """
    rejected = kalman(tracks, score_exponent=tracks.attributes.get(SCORE_EXPONENT_ATTRIBUTE)).rejected
    assert rejected is not None  # for the type checker: the smoother always says
    return gate_out(tracks, rejected)


def gate_out(tracks: Tracks, rejected: np.ndarray) -> Tracks:
    """The tracks without some points, which are marked as rejected.

    Parameters
    ----------
    tracks : Tracks
        Any tracks.
    rejected : array, shape (frame, node), bool
        The points to leave out.
    """
    return replace(
        tracks,
        position=np.where(rejected[..., None], np.float32(np.nan), tracks.position),
        score=np.where(rejected, np.float32(0), tracks.score),
        rejected=rejected,
    )


def gated_if(tracks: Tracks, is_gated: bool) -> Tracks:
    """What a filter with the keyword ``gated`` works on: the tracks, or the gated ones."""
    return gated(tracks) if is_gated else tracks
