"""What about ten labeled frames of a session say of a network there: its lasting offset, and its error around it.

A network errs on a mouse that it has not seen mostly by the same amount in all frames: it places a node a few pixels
beside where people do. No filter in time can see that, and no posterior variance covers it; labeled frames of the same
video do both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma, polygamma, stdtrit

from compute.measures.label_errors import label_offset_px
from compute.tracks import Tracks

COVERAGE = 0.95
"""Share of the true coordinates that an interval is to hold."""

MOST_DEGREES_OF_FREEDOM = 1000.0
"""From here on Student's distribution is the normal one."""

_LEAST_VARIANCE_PX2 = 1e-4
"""Of a hundredth of a pixel: no network and no person is as exact."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class NodeCalibration:
    """What labeled frames say of one node in the tracks of one video.

    Parameters
    ----------
    node : str
        Name of the node.
    n_labeled_points : int
        Labeled frames in which a person placed the node and the tracks have it.
    offset_x_px, offset_y_px : float
        Lasting error, to be taken off the track's positions; nearer to 0 than the mean of the errors, as far as that
        is uncertain.
    error_variance_px2 : float or None
        Variance of x, and of y, around the offset; that of the other nodes has a share in it. None: no node has two
        frames, nothing is known.
    degrees_of_freedom : float or None
        How well that variance is known, as of Student's distribution.
    filter_variance_px2 : float
        Mean posterior variance that the filter states in these frames; 0 if it states none.
    """

    node: str
    n_labeled_points: int
    offset_x_px: float
    offset_y_px: float
    error_variance_px2: float | None
    degrees_of_freedom: float | None
    filter_variance_px2: float

    @property
    def half_width_px(self) -> float:
        """Half-width of the 95 % interval of x, and of y, in a frame like those labeled; NaN: not known."""
        return self.expected_half_width_px(self.n_labeled_points)

    def expected_half_width_px(self, n_labeled_points: int) -> float:
        """The half-width with another number of labeled points, if they are like these; NaN: not known.

        A new frame's error varies around the offset, which is uncertain by a part of the same variance; so this is the
        interval of a new observation, ``t sqrt(s2 (1 + 1 / n))``.
        """
        if self.error_variance_px2 is None or self.degrees_of_freedom is None or n_labeled_points < 1:
            return math.nan
        added = 2 * (n_labeled_points - self.n_labeled_points)
        degrees = min(max(self.degrees_of_freedom + added, 1.0), MOST_DEGREES_OF_FREEDOM)
        return t_quantile(degrees) * math.sqrt(self.error_variance_px2 * (1 + 1 / n_labeled_points))


def t_quantile(degrees_of_freedom: float) -> float:
    """How many standard deviations an interval of `COVERAGE` reaches to each side."""
    return float(stdtrit(degrees_of_freedom, (1 + COVERAGE) / 2))


def calibrate_nodes(
    tracks: Tracks, frame_indices: Sequence[int], placed_px: ArrayLike, nodes: Sequence[str]
) -> list[NodeCalibration]:
    """Lasting offset and error of each node, from labeled frames of the same video.

    Parameters
    ----------
    tracks : Tracks
        Tracks of the video, raw or filtered. The network must not have been trained on the labeled frames: its error
        there would be smaller than elsewhere.
    frame_indices : sequence of int
        The labeled frames, spread over the video: errors in frames next to each other are alike.
    placed_px : array, shape (labeled frame, node, 2)
        Placed points (px); NaN where a node was not placed.
    nodes : sequence of str
        Their nodes.

    Returns
    -------
    list of NodeCalibration
        Of the nodes that were placed at least once where the tracks have them, in the order of `nodes`.

    Raises
    ------
    TracksError
        If a frame is not one of the video's.

    Notes
    -----
    The offset is the mean error times ``tau2 / (tau2 + s2 / n)``, where `tau2` is the variance of true offsets between
    nodes and s2 / n that of the mean (empirical Bayes: Morris, J. Am. Stat. Assoc. 78, 1983). Its interval is that of
    the mean, which is the wider one. A node's variance `s2` is drawn towards that of the other nodes, by as much as the
    nodes' variances differ no more than chance makes them (Smyth, Stat. Appl. Genet. Mol. Biol. 3, 2004, equations 1 to
    3). x and y of a node have one variance. The labeller's own error is part of it.

    Examples
    --------
    >>> tracks = Tracks(np.full((40, 2, 2), 5.0), np.ones((40, 2)), np.arange(40) / 100, ["nose", "jaw_tip"])
    >>> errors = np.tile([[[2.0, 0.0]], [[2.2, -0.2]]], (5, 1, 1))
    >>> nose, = calibrate_nodes(tracks, range(0, 40, 4), 5.0 - errors, ["nose"])
    >>> round(nose.offset_x_px, 2), round(nose.offset_y_px, 2), nose.n_labeled_points
    (2.1, -0.1, 10)
    """
    error = label_offset_px(tracks, frame_indices, placed_px, nodes)
    there = ~np.isnan(error[..., 0])
    counts = there.sum(axis=0)
    kept = np.flatnonzero(counts).tolist()
    if not kept:
        return []
    error, there, counts = error[:, kept], there[:, kept], counts[kept]
    mean = np.nansum(error, axis=0) / counts[:, None]
    degrees = 2.0 * (counts - 1)
    squares = np.nansum((error - mean) ** 2, axis=(0, 2))
    variance, known = _moderated_variance(squares, degrees)
    offset = _shrunk_offset(mean, variance, counts)
    filter_variance = _filter_variance(tracks, frame_indices, [nodes[index] for index in kept], there)
    return [
        NodeCalibration(
            node=nodes[kept[index]],
            n_labeled_points=int(counts[index]),
            offset_x_px=float(offset[index, 0]),
            offset_y_px=float(offset[index, 1]),
            error_variance_px2=None if known is None else float(variance[index]),
            degrees_of_freedom=None if known is None else float(known[index]),
            filter_variance_px2=float(filter_variance[index]),
        )
        for index in range(len(kept))
    ]


def _moderated_variance(squares: Array, degrees: Array) -> tuple[Array, Array | None]:
    """Variance of each node with a share of the others', and its degrees of freedom; infinite and None of nothing."""
    measured = degrees > 0
    if not measured.any():
        return np.full(degrees.size, np.inf), None
    variance = np.maximum(squares[measured] / degrees[measured], _LEAST_VARIANCE_PX2)
    prior, prior_degrees = _variance_prior(variance, degrees[measured])
    total = np.minimum(prior_degrees + degrees, MOST_DEGREES_OF_FREEDOM)
    own = np.zeros(degrees.size)
    own[measured] = variance
    share = degrees / (prior_degrees + degrees) if prior_degrees else measured.astype(np.float64)
    moderated = share * own + (1 - share) * prior
    return np.where(total > 0, moderated, prior), np.maximum(total, 1.0)


def _variance_prior(variance: Array, degrees: Array) -> tuple[float, float]:
    """Typical variance of the nodes, and how many degrees of freedom of a node of its own that is worth.

    Smyth (2004), section 6.2: by the mean and variance of the logarithms.
    """
    log = np.log(variance) - digamma(degrees / 2) + np.log(degrees / 2)
    if log.size < 3:
        return float(np.exp(log.mean())), 0.0
    spread = float(log.var(ddof=1) - polygamma(1, degrees / 2).mean())
    if spread <= 0:
        return float(np.exp(log.mean())), MOST_DEGREES_OF_FREEDOM
    half = _inverse_trigamma(spread)
    prior_degrees = min(2 * half, MOST_DEGREES_OF_FREEDOM)
    return float(np.exp(log.mean() + digamma(half) - np.log(half))), prior_degrees


def _inverse_trigamma(value: float) -> float:
    """The x whose trigamma is `value`, by Newton's method on 1 / trigamma, which is convex (Smyth 2004, appendix)."""
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-10 * x:
            break
    return x


def _shrunk_offset(mean: Array, variance: Array, counts: NDArray[np.int_]) -> Array:
    """Means times what they say of the true offsets, shape (node, 2)."""
    of_mean = variance / counts
    if not np.isfinite(of_mean).all():
        return np.zeros_like(mean)
    between = max(float(np.mean(mean**2 - of_mean[:, None])), 0.0)
    return np.asarray(mean * (between / (between + of_mean))[:, None])


def _filter_variance(
    tracks: Tracks, frame_indices: Sequence[int], nodes: Sequence[str], there: NDArray[np.bool_]
) -> Array:
    """Mean posterior variance of each node in the frames in which it was labeled; 0 without a posterior."""
    if tracks.sd is None:
        return np.zeros(len(nodes))
    columns = [tracks.node_index(node) for node in nodes]
    variance = tracks.sd[np.asarray(frame_indices, np.int_)][:, columns].astype(np.float64) ** 2
    return np.asarray(np.where(there, variance.mean(axis=-1), 0).sum(axis=0) / there.sum(axis=0))
