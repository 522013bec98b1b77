"""Robust Kalman smoother: constant velocity, real time steps, fitted noise, wrong placements left out.

Read on from here downwards; no module calls one above it:

`far_points`     wrong placements that are told before anything is smoothed
`rigid_groups`   wrong placements that nodes which keep their distances tell
`jumps`          jumps that a node makes again and again, which are no wrong placements
`kept_movement`  movement that was taken away, and coordinates for which smoothing does not help
`points`         how much each point counts, which are used, and what the smoother says of them
`noise`          the noise of the points and of the movement
`noise_floor`    the least and the most noise that points can have
`kernels`        the Kalman filter and smoother, compiled
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.errors import FilterError
from compute.filters.gaps import within_gap_limit
from compute.filters.kalman.far_points import reject_far_points
from compute.filters.kalman.jumps import learn_jumps
from compute.filters.kalman.kept_movement import give_back_movement
from compute.filters.kalman.kernels import PRIOR, smoothing_kernel
from compute.filters.kalman.noise import Noise, NoiseFit, noise_segment_frames
from compute.filters.kalman.noise_floor import noise_limits_px2
from compute.filters.kalman.points import KalmanPoints
from compute.filters.kalman.rigid_groups import bar_far_points_of_group
from compute.filters.parameter_rules import (
    Exponent,
    Flag,
    GapSeconds,
    Hertz,
    NodePairs,
    Pixels,
    Probability,
    ProcessNoise,
    RigidGroups,
    Seconds,
)
from compute.filters.registry import register_filter
from compute.filters.result import filter_result
from compute.filters.score_noise import DEFAULT_SCORE_EXPONENT
from compute.tracks import Tracks
from compute.tracks.lasting_wrong import lasting_wrong_points

_FITS, _FITS_OF_ONE_NOISE = 3, 12
"""Steps towards the likeliest noise: few where each window has one of its own, which starts near it."""

_FASTEST_OF_RATE = 2.0
"""Times the frame rate: with the process noise of such a bandwidth the smoother follows every point."""

_MAXIMAL_ROUNDS = 4
_STABLE_FRACTION = 1e-4
"""A gate has come to rest when fewer than this fraction of all points change their state."""

Array = NDArray[Any]


@register_filter(
    version=2,
    lag="symmetric",
    color="#0072B2",
    in_every_lab=True,
    rising=("minimum_bandwidth_hz", "maximum_bandwidth_hz"),
    candidates=(
        {"minimum_bandwidth_hz": 0.5},
        {"minimum_bandwidth_hz": 2.5},
        {"minimum_bandwidth_hz": 5.0},
        {"minimum_bandwidth_hz": 10.0},
    ),
)
def kalman(
    tracks: Tracks,
    *,
    process_noise_px2_per_s3: ProcessNoise | None = None,
    measurement_sd_px: Pixels | None = None,
    noise_window_s: Seconds | None = 0.3,
    minimum_bandwidth_hz: Hertz = 2.5,
    maximum_bandwidth_hz: Hertz | None = None,
    max_gap_s: GapSeconds | None = 0.1,
    score_exponent: Exponent | None = None,
    gate_probability: Probability | None = 1e-3,
    gate_minimum_px: Pixels = 2.5,
    rigid_groups: RigidGroups | None = None,
    same_x: NodePairs | None = None,
    same_y: NodePairs | None = None,
    pose_shape: Flag = False,
) -> Tracks:
    """Posterior mean of each node's path, given all points that are no wrong placements.

    White-noise acceleration (Bar-Shalom, Li and Kirubarajan 2001, section 6.2.2) with a Kalman filter forward and the
    smoother of Rauch, Tung and Striebel (1965, doi:10.2514/3.3166) backward, for x and y of each node by itself.
    Missing points are skipped; the variance of a point is ``measurement_sd_px**2 / score_weight(score)``.

    Wrong placements are found in two steps. First those that last (`compute.tracks.lasting_wrong`) are barred: points
    at which the members of an ensemble disagree and, if asked for, at which two views do, or that do not fit the pose.
    Points far from a wide running median are rejected; the allowed distance shrinks for scores typical of wrong points.
    Then every point is compared with what the smoother says without it, again until (almost) no point changes state.
    One that lies where most points before or after it lie is a step's, and one as far away as the node often jumps
    (`compute.filters.kalman.jumps`) is movement too. A person's point is always used.

    Smoothing must not make a track worse. The fitted noise of points is at most what no movement explains
    (`compute.filters.kalman.noise_floor`), a coordinate for which smoothing cannot be shown to help keeps its points,
    and around a step positions are drawn to the points (`compute.filters.kalman.kept_movement`).

    Parameters
    ----------
    tracks : Tracks
        Tracks with NaN where a node was not found; frames may be at irregular times.
    process_noise_px2_per_s3 : float or None
        Density of the noise that drives the velocity (px²/s³). None: by maximum likelihood, for each coordinate of
        each node and each window of the video.
    measurement_sd_px : float or None
        Standard deviation (px) of a point with score 1. None: by maximum likelihood, one for the whole video.
    noise_window_s : float or None
        Length in seconds of the windows that have a process noise each, so that bouts of movement are followed and
        rest is smoothed. None: one process noise for the whole video.
    minimum_bandwidth_hz, maximum_bandwidth_hz : float, float or None
        Limits of the fitted process noise. Movement up to the first frequency is kept however small it is; otherwise
        the fit treats small rhythms (breathing) as noise. Movement above the second is not followed. None: whatever
        the frame rate shows is followed.
    max_gap_s : float or None
        The longest gap, from point to point in seconds, that is filled; None for any. After a longer one the filter
        starts afresh. The two ends are never extrapolated.
    score_exponent : float or None
        How the precision of a point falls with its score, see `compute.filters.score_noise`. None: as the model's
        labeled frames say, where a pipeline knows them, else 2.
    gate_probability : float or None
        Probability that a good point of average score is taken for a wrong placement. None: no point is.
    gate_minimum_px : float
        A point nearer than this to where it should be is never a wrong placement, however quiet the track is: a
        network's errors have long tails, and those of a pixel or two are noise. An unlikely point that is so near is
        used, but hardly counts.
    rigid_groups : sequence of sequence of str, or None
        Groups of three or more nodes that keep their distances. A node far from where the others of its group say it
        should be is a wrong placement however long it stays there.
    same_x, same_y : sequence of pairs of str, or None
        Nodes that are one place seen in two views of the picture which share that axis, such as a mirror's. Where the
        views contradict each other for a while, both points are wrong placements, see `compute.tracks.two_views`.
    pose_shape : bool
        Whether points that do not fit the rest of the pose for a while are wrong placements, see
        `compute.tracks.pose_shape`. All that finds lasting ones takes 1 % of usual points together.

    Returns
    -------
    Tracks
        With ``sd`` (px) of the posterior, ``rejected`` where there was a wrong placement, ``filled`` where a position
        stands although no point was used, and in ``attributes["filter"]["fitted"]`` of each node, x and y, the
        measurement noise, the process noise (quantiles over the windows), whether it was smoothed, and the log
        likelihood. A ``note`` names nodes that were not.
        NaN before the first used point, after the last, and in gaps longer than `max_gap_s`.

    Raises
    ------
    FilterError
        If a parameter is outside its range, a group or a pair names an unknown node, or a group fewer than three.
    """
    exponent = DEFAULT_SCORE_EXPONENT if score_exponent is None else score_exponent
    groups = [list(group) for group in rigid_groups or ()]
    x_pairs, y_pairs = (_known_pairs(tracks, pairs or ()) for pairs in (same_x, same_y))
    points = KalmanPoints.of(tracks, max_gap_s=max_gap_s, score_exponent=exponent, gate_minimum_px=gate_minimum_px)
    if gate_probability is not None and points.used.any():
        points.bar(
            lasting_wrong_points(
                tracks, same_x=x_pairs, same_y=y_pairs, pose_shape=pose_shape, minimum_px=gate_minimum_px
            )
        )
        reject_far_points(points, gate_probability)
    for group in groups:
        bar_far_points_of_group(points, _indices(tracks, group))
    if gate_probability is not None:
        learn_jumps(points)
    interval_s, weight = tracks.frame_interval_s, points.effective_weight()
    fit = NoiseFit(
        process_noise_px2_per_s3=process_noise_px2_per_s3,
        measurement_sd_px=measurement_sd_px,
        bandwidth_hz=(
            minimum_bandwidth_hz,
            max(minimum_bandwidth_hz, maximum_bandwidth_hz or _FASTEST_OF_RATE / interval_s),
        ),
        segment_frames=noise_segment_frames(noise_window_s or 1.0, interval_s),
        windowed=noise_window_s is not None,
        interval_s=interval_s,
        noise_limits_px2=noise_limits_px2(points.position, weight),
    )
    mean, variance, log_likelihood, noise = _smooth_until_stable(points, fit, weight)
    smoothed = np.ones(noise.r.size, np.bool_)
    if not fit.is_given:
        smoothed = give_back_movement(points, noise.r, mean, variance)
    used = points.used
    allowed = within_gap_limit(used, tracks.time, max_gap_s)
    if not allowed.all():
        hidden = np.repeat(~allowed, 2, axis=1)
        mean[hidden], variance[hidden] = np.nan, np.nan
    sd = np.sqrt(np.maximum(variance, 0, out=variance), out=variance)  # rounding goes below 0
    mean.flags.writeable = sd.flags.writeable = False  # so that the tracks take them without a copy
    return filter_result(
        tracks,
        "kalman",
        {
            "process_noise_px2_per_s3": process_noise_px2_per_s3,
            "measurement_sd_px": measurement_sd_px,
            "noise_window_s": noise_window_s,
            "minimum_bandwidth_hz": minimum_bandwidth_hz,
            "maximum_bandwidth_hz": maximum_bandwidth_hz,
            "max_gap_s": max_gap_s,
            "gate_probability": gate_probability,
            "gate_minimum_px": gate_minimum_px,
            "score_exponent": exponent,
            "rigid_groups": groups or None,
            "same_x": x_pairs or None,
            "same_y": y_pairs or None,
            "pose_shape": pose_shape,
        },
        _describe(points, tracks.nodes, noise, log_likelihood, smoothed),
        _note_on_points_as_they_were(points, tracks.nodes, smoothed),
        position=mean.reshape(tracks.position.shape),
        sd=sd.reshape(tracks.position.shape),
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


def _known_pairs(tracks: Tracks, pairs: Sequence[Sequence[str]]) -> list[list[str]]:
    """Pairs of nodes as lists; refused if there is no such node."""
    for pair in pairs:
        unknown = [node for node in pair if node not in tracks.nodes]
        if unknown:
            raise FilterError(f"kalman: pair {', '.join(pair)}: expected two of the nodes {', '.join(tracks.nodes)}")
    return [list(pair) for pair in pairs]


def _smooth_until_stable(points: KalmanPoints, fit: NoiseFit, weight: Array) -> tuple[Array, Array, Array, Noise]:
    """Smooth, judge the points and improve the noise, until neither changes much; it begins with these weights.

    Mean, variance and log likelihood are of the points that are used and the noise that is returned.
    """
    if not points.used.any():
        nothing = np.full_like(points.position, np.nan)
        n_channels = points.position.shape[1]
        return nothing, nothing.copy(), np.zeros(n_channels), Noise(np.ones((1, n_channels)), np.ones(n_channels))
    noise = fit.first(points.position, weight)
    n_fits = 0 if fit.is_given else _FITS if fit.windowed else _FITS_OF_ONE_NOISE
    mean, variance = np.empty_like(points.position), np.empty_like(points.position)
    for step in range(n_fits + _MAXIMAL_ROUNDS):
        sums, slopes = smoothing_kernel(
            points.position, weight, points.dt, noise.q, noise.r, PRIOR, fit.segment_frames, mean, variance
        )
        judged_before = points.state.copy()
        n_changed = points.judge(noise.r, mean, variance)
        if step >= n_fits and n_changed <= _STABLE_FRACTION * points.state.size:
            break
        if step < n_fits:
            noise = fit.better(noise, sums, slopes)
        weight = points.effective_weight()
    points.state = judged_before
    return mean, variance, sums[0], noise


def _note_on_points_as_they_were(points: KalmanPoints, nodes: Sequence[str], smoothed: NDArray[np.bool_]) -> str | None:
    """Which nodes have their points as they were, if any has."""
    if smoothed.all():
        return None
    found, is_smoothed = np.asarray(points.used.any(axis=0)), np.asarray(smoothed.reshape(-1, 2).any(axis=1))
    names = [node for index, node in enumerate(nodes) if found[index] and not is_smoothed[index]]
    if not names:
        return None
    return f"{', '.join(names)}: points are not smoothed, since smoothing cannot be shown to help"


def _describe(
    points: KalmanPoints, nodes: Sequence[str], noise: Noise, log_likelihood: Array, smoothed: NDArray[np.bool_]
) -> dict[str, Any]:
    """What was found out about each node, as JSON can hold it; None for a node without a point to use."""
    found = [bool(points.used[:, index].any()) for index in range(len(nodes))]
    q_quantiles = np.percentile(noise.q, (10, 50, 90), axis=0)
    fitted: dict[str, Any] = {}
    for index, node in enumerate(nodes):
        channels = slice(2 * index, 2 * index + 2)
        quantiles = q_quantiles[:, channels]
        fitted[node] = None
        if found[index]:
            fitted[node] = {
                "process_noise_px2_per_s3": dict(zip(("p10", "p50", "p90"), quantiles.tolist(), strict=True)),
                "measurement_sd_px": np.sqrt(noise.r[channels]).tolist(),
                "smoothed": smoothed[channels].tolist(),
                "log_likelihood": float(log_likelihood[channels].sum()),
            }
    return fitted
