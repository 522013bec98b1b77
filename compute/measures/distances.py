"""Distance between two nodes over time: constant across a rigid snout, changing where the mouse moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compute.errors import TracksError
from compute.tracks import Tracks


@dataclass(frozen=True)
class DistanceSummary:
    """A distance over a whole video.

    Parameters
    ----------
    mean_px : float or None
        Mean over the frames in which both nodes have a position, in pixels; None where there is no such frame.
    variance_px2 : float or None
        Variance over those frames (divided by their number minus 1) in px²; None with fewer than two.
    mean_mm, variance_mm2 : float or None
        The same in mm and mm²; None without a scale.
    fraction_missing : float or None
        Fraction of all frames in which one of the nodes has no position; None for a video without frames.
    """

    mean_px: float | None
    variance_px2: float | None
    mean_mm: float | None
    variance_mm2: float | None
    fraction_missing: float | None


def distance_px(tracks: Tracks, node_a: str, node_b: str) -> NDArray[np.float64]:
    """Distance of two nodes in each frame.

    Parameters
    ----------
    tracks : Tracks
        Tracks that hold both nodes.
    node_a, node_b : str
        Names of the nodes.

    Returns
    -------
    array, shape (frame,), float64
        In pixels; NaN where one of the nodes has no position.

    Raises
    ------
    TracksError
        If there is no such node.

    Examples
    --------
    >>> tracks = Tracks(position=[[[0, 0], [3, 4]]], score=[[1, 1]], time=[0], nodes=["left", "right"])
    >>> distance_px(tracks, "left", "right")
    array([5.])
    """
    position = tracks.position[:, [tracks.node_index(node_a), tracks.node_index(node_b)]].astype(np.float64)
    difference = position[:, 1] - position[:, 0]
    return np.hypot(difference[:, 0], difference[:, 1])


def distance_mm(tracks: Tracks, node_a: str, node_b: str, *, px_per_mm: float) -> NDArray[np.float64]:
    """Distance of two nodes in each frame, in mm; as `distance_px`, divided by the scale.

    Raises
    ------
    TracksError
        If there is no such node, or the scale is not above 0.
    """
    return distance_px(tracks, node_a, node_b) / _checked_scale(px_per_mm)


def summarize_distances(distance_px: NDArray[np.float64], *, px_per_mm: float | None = None) -> DistanceSummary:
    """Mean, variance and missing fraction of a distance.

    Parameters
    ----------
    distance_px : array, shape (frame,)
        Distance in pixels, NaN where it is not known.
    px_per_mm : float, optional
        Pixels per mm in the plane of the two nodes.

    Raises
    ------
    TracksError
        If the scale is not above 0.

    Examples
    --------
    >>> summarize_distances(np.array([4.0, np.nan, 6.0, 5.0]), px_per_mm=10)
    DistanceSummary(mean_px=5.0, variance_px2=1.0, mean_mm=0.5, variance_mm2=0.01, fraction_missing=0.25)
    """
    known = distance_px[~np.isnan(distance_px)]
    mean = float(known.mean()) if known.size else None
    variance = float(known.var(ddof=1)) if known.size > 1 else None
    scale = None if px_per_mm is None else _checked_scale(px_per_mm)
    return DistanceSummary(
        mean_px=mean,
        variance_px2=variance,
        mean_mm=None if scale is None or mean is None else mean / scale,
        variance_mm2=None if scale is None or variance is None else variance / scale**2,
        fraction_missing=1 - known.size / distance_px.size if distance_px.size else None,
    )


def common_variances_px2(
    first_px: NDArray[np.float64], second_px: NDArray[np.float64]
) -> tuple[float | None, float | None]:
    """Variances of two distances over the frames in which both are known.

    A filter that drops the frames in which it is unsure would otherwise look less noisy than one that mends them.

    Parameters
    ----------
    first_px, second_px : array, shape (frame,)
        Distances in pixels, NaN where they are not known.

    Returns
    -------
    tuple of two floats or None
        In px²; None with fewer than two such frames.

    Raises
    ------
    TracksError
        If the frames differ in number.

    Examples
    --------
    >>> common_variances_px2(np.array([4.0, 6.0, 90.0, 5.0]), np.array([5.0, 5.0, np.nan, 5.0]))
    (1.0, 0.0)
    """
    if first_px.shape != second_px.shape:
        raise TracksError(f"distances have shapes {first_px.shape} and {second_px.shape}, expected the same")
    common = ~np.isnan(first_px) & ~np.isnan(second_px)
    if np.count_nonzero(common) < 2:
        return None, None
    first, second = (float(distance[common].var(ddof=1)) for distance in (first_px, second_px))
    return first, second


def _checked_scale(px_per_mm: float) -> float:
    """The scale, or an error if it cannot be one."""
    if not np.isfinite(px_per_mm) or px_per_mm <= 0:
        raise TracksError(f"px_per_mm is {px_per_mm}, expected a number above 0 (pixels per mm)")
    return float(px_per_mm)


def distance_variance_px2(raw: Tracks, filtered: Tracks, node_a: str, node_b: str) -> float | None:
    """Variance of the true distance of two nodes, corrected for the points' noise and for the filter's smoothing.

    The variance of a filtered distance still contains the part of the noise that passed the filter, which can be a
    multiple of the true variance of a rigid distance. The covariance of raw and filtered distance contains the noise
    once, by the weight that a point has in its own filtered value; and that weight times the point's variance is the
    filter's posterior variance. So the covariance less the mean posterior variance along the line of the two nodes is
    left, whatever the filter's strength, as long as the distance itself changes slowly for the filter (it is a
    covariance penalty, Efron 2004, doi:10.1198/016214504000000692, equation 2.9).

    It does not cover two cases. Noise that lasts for frames counts as movement: of 1 px and 30 ms it adds about 1.7 px²
    (`compute.measures.lasting_noise.noise_correlation` sees such noise). Of a distance that changes fast for the filter
    a part is missing: 6 % for licks, 21 % for chewing at 12 Hz that never rests.

    Parameters
    ----------
    raw, filtered : Tracks
        Of one video; `filtered` is the output of a filter that gives ``sd`` (the Kalman smoother).
    node_a, node_b : str
        The pair.

    Returns
    -------
    float or None
        In px²; it can be a little below 0 for a distance that does not change. None without ``sd``, or with fewer than
        two frames in which the filter used both points.
    """
    if filtered.sd is None:
        return None
    pair = [filtered.node_index(node_a), filtered.node_index(node_b)]
    used = raw.found[:, pair] & filtered.found[:, pair]
    for left_out in (filtered.rejected, filtered.filled):
        used &= True if left_out is None else ~left_out[:, pair]
    frames = used.all(axis=1)
    if np.count_nonzero(frames) < 2:
        return None
    ends = filtered.position[frames][:, pair].astype(np.float64)
    across = ends[:, 1] - ends[:, 0]
    length = np.hypot(across[:, 0], across[:, 1])
    direction = across / np.maximum(length, np.finfo(float).tiny)[:, None]
    spread = (filtered.sd[frames][:, pair].astype(np.float64) ** 2).sum(axis=1)
    points = distance_px(raw, node_a, node_b)[frames]
    return float(np.cov(points, length)[0, 1] - (direction**2 * spread).sum(axis=1).mean())
