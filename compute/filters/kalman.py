"""Kalman filter with Rauch-Tung-Striebel smoothing: constant velocity, real time steps, all nodes at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from compute.filters.kalman_kernels import smooth
from compute.filters.result import filtered, require_positive, within_gap_limit
from compute.tracks import Tracks

PRIOR_POSITION_SD_PX = 100.0
"""Uncertainty of the position around the first point; that point alone says where the node is."""
PRIOR_VELOCITY_SD_PX_PER_S = 2000.0
"""Uncertainty of the velocity at the first point, around standing still."""

MINIMUM_WEIGHT = 0.05
"""Weight of a point whose score is 0: not nothing, since the estimator did place it."""
PERSON_WEIGHT = 4.0
"""Weight of a point that a person placed."""

_PROCESS_NOISE_LIMITS = (1e-2, 1e10)
_MEASUREMENT_VARIANCE_LIMITS = (1e-6, 1e6)

Array = NDArray[Any]


def kalman(
    tracks: Tracks,
    *,
    process_noise_px2_per_s3: float | None = None,
    measurement_sd_px: float | None = None,
    max_gap_s: float | None = 0.1,
) -> Tracks:
    """Posterior mean of each node's path, given all of its points, if its velocity is a random walk.

    White-noise acceleration (Bar-Shalom, Li and Kirubarajan 2001, section 6.2.2) with a Kalman filter forward and the
    smoother of Rauch, Tung and Striebel (1965, doi:10.2514/3.3166) backward, for x and y of each node by itself.
    Missing points are skipped; the variance of a point is ``measurement_sd_px**2 / score_weight(score)``.

    Parameters
    ----------
    tracks : Tracks
        Tracks with NaN where a node was not found; frames may be at irregular times.
    process_noise_px2_per_s3 : float or None
        Density of the noise that drives the velocity (px²/s³). None: by maximum likelihood, for each coordinate of
        each node.
    measurement_sd_px : float or None
        Standard deviation (px) of a point with score 1. None: by maximum likelihood.
    max_gap_s : float or None
        The longest gap, from point to point in seconds, that is filled; None for any. After a longer one the filter
        starts afresh. The two ends are never extrapolated.

    Returns
    -------
    Tracks
        With ``sd`` (px) of the posterior, ``filled`` where there was no point, and in
        ``attributes["filter"]["fitted"]`` of each node both noises (x, y) and the log likelihood.
        NaN before the first point, after the last, and in gaps longer than `max_gap_s`.

    Raises
    ------
    FilterError
        If a parameter is not above 0.
    """
    given = {
        "process_noise_px2_per_s3": process_noise_px2_per_s3,
        "measurement_sd_px": measurement_sd_px,
        "max_gap_s": max_gap_s,
    }
    require_positive("kalman", **given)
    allowed = within_gap_limit(tracks.found, tracks.time, max_gap_s)
    position = np.ascontiguousarray(tracks.position).reshape(tracks.n_frames, 2 * len(tracks.nodes))
    weight = signed_weight(tracks, allowed)
    dt = np.diff(tracks.time, prepend=tracks.time[:1])
    q, r = _noises(position, weight, dt, process_noise_px2_per_s3, measurement_sd_px)
    mean, variance = np.empty(position.shape), np.empty(position.shape)
    sums = smooth(position, weight, dt, q, r, _prior(), mean, variance)
    for array in (mean, variance):
        array[~np.repeat(allowed, 2, axis=1)] = np.nan
    return filtered(
        tracks,
        "kalman",
        given,
        _describe(tracks, q, r, sums[0]),
        position=mean.reshape(tracks.position.shape),
        sd=np.sqrt(variance).reshape(tracks.position.shape),
        filled=allowed & ~tracks.found,
    )


def score_weight(score: Array) -> Array:
    """How much a point counts: its score squared, between `MINIMUM_WEIGHT` and 1; NaN is a person's point.

    SLEAP's score is the peak of the confidence map, which falls as the map's blob moves off its grid or spreads, so
    that the standard deviation is taken as inverse to it. A score above 1 says no more than 1.
    """
    weight = np.clip(np.asarray(score, np.float64), 0, 1) ** 2
    return np.where(np.isnan(score), PERSON_WEIGHT, np.maximum(weight, MINIMUM_WEIGHT))


def signed_weight(tracks: Tracks, allowed: Array) -> Array:
    """Weights as the kernel takes them, shape (frame, node): 0 where missing, negative where the filter starts afresh.

    It starts at the first point, and at the first after a gap that is not filled.
    """
    weight = np.where(tracks.found, score_weight(tracks.score), 0.0)
    before = np.vstack([np.zeros((1, len(tracks.nodes)), bool), allowed[:-1]])
    starts = tracks.found & ~before
    return np.where(starts, -weight, weight)


def _prior() -> Array:
    return np.array([PRIOR_POSITION_SD_PX**2, PRIOR_VELOCITY_SD_PX_PER_S**2])


def _noises(
    position: Array, weight: Array, dt: Array, process_noise: float | None, measurement_sd: float | None
) -> tuple[Array, Array]:
    """Process noise (px²/s³) and measurement variance (px²) of each channel, given or by maximum likelihood.

    All channels are fitted at once: the likelihood is a sum over channels, and the kernel gives its exact gradient.
    """
    n_channels = position.shape[1]
    q = np.full(n_channels, 1e4 if process_noise is None else process_noise, np.float64)
    r = np.full(n_channels, 1.0 if measurement_sd is None else measurement_sd**2, np.float64)
    free = np.repeat([process_noise is None, measurement_sd is None], n_channels)
    if not free.any() or not weight.any():
        return q, r
    nothing = np.empty((0, 0))
    start = np.log(np.concatenate([q, r]))
    n_used = np.maximum(np.count_nonzero(weight), 1)

    def cost(free_values: Array) -> tuple[float, Array]:
        values = start.copy()
        values[free] = free_values
        q, r = np.exp(values[:n_channels]), np.exp(values[n_channels:])
        sums = smooth(position, weight, dt, q, r, _prior(), nothing, nothing)
        gradient = np.concatenate([q * (sums[1] - sums[2]), sums[3] - sums[4]]) / 2
        return -sums[0].sum() / n_used, -gradient[free] / n_used

    limits = np.log(np.repeat([_PROCESS_NOISE_LIMITS, _MEASUREMENT_VARIANCE_LIMITS], n_channels, axis=0))
    best = minimize(cost, start[free], jac=True, method="L-BFGS-B", bounds=limits[free], options={"ftol": 1e-10})
    start[free] = best.x
    return np.exp(start[:n_channels]), np.exp(start[n_channels:])


def _describe(tracks: Tracks, q: Array, r: Array, log_likelihood: Array) -> dict[str, Any]:
    """What was found out about each node, as JSON can hold it."""
    return {
        node: {
            "process_noise_px2_per_s3": q[2 * index : 2 * index + 2].tolist(),
            "measurement_sd_px": np.sqrt(r[2 * index : 2 * index + 2]).tolist(),
            "log_likelihood": float(log_likelihood[2 * index : 2 * index + 2].sum()),
        }
        for index, node in enumerate(tracks.nodes)
    }
