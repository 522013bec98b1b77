"""Robust Kalman smoother: constant velocity, real time steps, fitted noise, wrong placements left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.errors import FilterError
from compute.filters.kalman_fit import Noise, first_noise, fit_noise, noise_of_bandwidth
from compute.filters.kalman_points import Points
from compute.filters.result import filtered, require_positive, within_gap_limit
from compute.filters.score_noise import DEFAULT_SCORE_EXPONENT
from compute.tracks import Tracks

_FIT_FRAMES, _FIT_PIECES = 8192, 32
"""Noise is fitted on this many frames, in pieces spread over the video: more would not make it better."""

_MAXIMAL_FITS, _MAXIMAL_ROUNDS = 4, 6
_STABLE_FRACTION = 1e-5
"""A gate has come to rest when fewer than this fraction of all points change their state."""

Array = NDArray[Any]


def kalman(
    tracks: Tracks,
    *,
    process_noise_px2_per_s3: float | None = None,
    measurement_sd_px: float | None = None,
    minimum_bandwidth_hz: float | None = 2.5,
    max_gap_s: float | None = 0.1,
    score_exponent: float | None = None,
    gate_probability: float | None = 1e-3,
    rigid_groups: Sequence[Sequence[str]] | None = None,
) -> Tracks:
    """Posterior mean of each node's path, given all points that are no wrong placements.

    White-noise acceleration (Bar-Shalom, Li and Kirubarajan 2001, section 6.2.2) with a Kalman filter forward and the
    smoother of Rauch, Tung and Striebel (1965, doi:10.2514/3.3166) backward, for x and y of each node by itself.
    Missing points are skipped; the variance of a point is ``measurement_sd_px**2 / score_weight(score)``.

    Wrong placements are found in two steps: points far from a wide running median, the nearer the less their score
    looks like that of such points; then every point against what the smoother says without it, again and again until
    none changes sides. A person's point is always used.

    Parameters
    ----------
    tracks : Tracks
        Tracks with NaN where a node was not found; frames may be at irregular times.
    process_noise_px2_per_s3 : float or None
        Density of the noise that drives the velocity (px²/s³). None: by maximum likelihood, for each coordinate of
        each node.
    measurement_sd_px : float or None
        Standard deviation (px) of a point with score 1. None: by maximum likelihood.
    minimum_bandwidth_hz : float or None
        Movement up to this frequency is kept however small it is: a lower limit of the fitted process noise. Without
        it (None) the likelihood takes a rhythm that stays below the noise, such as breathing, for noise.
    max_gap_s : float or None
        The longest gap, from point to point in seconds, that is filled; None for any. After a longer one the filter
        starts afresh. The two ends are never extrapolated.
    score_exponent : float or None
        How the precision of a point falls with its score, see `compute.filters.score_noise`. None: as the model's
        labeled frames say, where a pipeline knows them, else 2.
    gate_probability : float or None
        Probability that a good point of average score is taken for a wrong placement. None: no point is.
    rigid_groups : sequence of sequence of str, or None
        Groups of three or more nodes that keep their distances. A node far from where the others of its group say it
        should be is a wrong placement however long it stays there.

    Returns
    -------
    Tracks
        With ``sd`` (px) of the posterior, ``rejected`` where there was a wrong placement, ``filled`` where no point
        was used, and in ``attributes["filter"]["fitted"]`` of each node both noises (x, y) and the log likelihood.
        NaN before the first used point, after the last, and in gaps longer than `max_gap_s`.

    Raises
    ------
    FilterError
        If a parameter is outside its range, or a group names an unknown node or fewer than three.
    """
    given = {
        "process_noise_px2_per_s3": process_noise_px2_per_s3,
        "measurement_sd_px": measurement_sd_px,
        "minimum_bandwidth_hz": minimum_bandwidth_hz,
        "max_gap_s": max_gap_s,
        "gate_probability": gate_probability,
    }
    require_positive("kalman", **given)
    exponent = DEFAULT_SCORE_EXPONENT if score_exponent is None else score_exponent
    groups = [list(group) for group in rigid_groups or ()]
    given |= {"score_exponent": exponent, "rigid_groups": groups or None}  # type: ignore[dict-item]
    points = Points.of(tracks, max_gap_s=max_gap_s, score_exponent=exponent, gate_probability=gate_probability)
    for group in groups:
        points.bar_misplaced(_indices(tracks, group))
    noise = _fit(points, process_noise_px2_per_s3, measurement_sd_px, minimum_bandwidth_hz or 0.0)
    mean, variance, log_likelihood = _smooth_until_stable(points, noise)
    used = points.used
    allowed = within_gap_limit(used, tracks.time, max_gap_s)
    if not allowed.all():
        hidden = np.repeat(~allowed, 2, axis=1)
        mean[hidden], variance[hidden] = np.nan, np.nan
    return filtered(
        tracks,
        "kalman",
        given,
        _describe(tracks, noise, log_likelihood),
        position=mean.reshape(tracks.position.shape),
        sd=np.sqrt(variance, out=variance).reshape(tracks.position.shape),
        rejected=points.rejected,
        filled=allowed & ~used,
    )


def _indices(tracks: Tracks, group: list[str]) -> NDArray[np.int_]:
    unknown = [node for node in group if node not in tracks.nodes]
    if unknown or len(set(group)) < 3:
        raise FilterError(
            f"kalman: rigid group {', '.join(group)}: expected three or more of the nodes {', '.join(tracks.nodes)}"
        )
    return np.array([tracks.node_index(node) for node in group])


def _fit(
    points: Points, process_noise: float | None, measurement_sd: float | None, minimum_bandwidth_hz: float
) -> Noise:
    """Noise of each channel, given or by maximum likelihood on pieces of the video, which are gated on the way."""
    sample = points.take(_frames_to_fit(points.n_frames))
    noise = first_noise(sample.position, sample.used, sample.effective_weight(), sample.dt)
    if process_noise is not None:
        noise = Noise(np.full_like(noise.q, process_noise), noise.r)
    if measurement_sd is not None:
        noise = Noise(noise.q, np.full_like(noise.r, measurement_sd**2))
    free = (process_noise is None, measurement_sd is None)
    if not any(free) or not sample.used.any():
        return noise
    for _ in range(_MAXIMAL_FITS):
        noise = fit_noise(sample.position, sample.effective_weight(), sample.dt, noise, free=free)
        if free[0]:
            interval = float(np.median(sample.dt[1:])) if sample.n_frames > 1 else 1.0
            noise = Noise(np.maximum(noise.q, noise_of_bandwidth(minimum_bandwidth_hz, noise.r, interval)), noise.r)
        sample.smooth(noise)
        if sample.judge(noise) <= _STABLE_FRACTION * sample.state.size:
            break
    return noise


def _frames_to_fit(n_frames: int) -> NDArray[np.int_]:
    """All frames of a short video, else pieces spread evenly over it."""
    if n_frames <= 2 * _FIT_FRAMES:
        return np.arange(n_frames)
    length = _FIT_FRAMES // _FIT_PIECES
    starts = np.linspace(0, n_frames - length, _FIT_PIECES).astype(np.int_)
    return (starts[:, None] + np.arange(length)).ravel()


def _smooth_until_stable(points: Points, noise: Noise) -> tuple[Array, Array, Array]:
    """Smooth and judge until no point changes sides (or a few times); mean, variance, log likelihood of the last."""
    for _ in range(_MAXIMAL_ROUNDS):
        mean, variance, log_likelihood = points.smooth(noise)
        if points.judge(noise) <= _STABLE_FRACTION * points.state.size:
            break
    return mean, variance, log_likelihood


def _describe(tracks: Tracks, noise: Noise, log_likelihood: Array) -> dict[str, Any]:
    """What was found out about each node, as JSON can hold it."""
    return {
        node: {
            "process_noise_px2_per_s3": noise.q[2 * index : 2 * index + 2].tolist(),
            "measurement_sd_px": np.sqrt(noise.r[2 * index : 2 * index + 2]).tolist(),
            "log_likelihood": float(log_likelihood[2 * index : 2 * index + 2].sum()),
        }
        for index, node in enumerate(tracks.nodes)
    }
