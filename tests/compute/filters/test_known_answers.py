"""One known answer of every filter that registers itself; a filter without one fails here."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import scipy.signal

from compute.filters import apply_filter, registered_filters
from compute.filters.kalman.kernels import PRIOR
from compute.tracks import Tracks

NAN = np.nan
FPS = 100
X = np.array([3.0, 4.0, 9.0, 4.5, 5.0, 5.5, 7.0, 6.0])
"""Positions of a node that moves along x, px."""


@dataclass(frozen=True)
class Answer:
    """What a filter must give.

    Attributes
    ----------
    expected : array, shape (frame,)
        x of the node (px), computed here in another way.
    parameters : dict
        The filter's.
    x : array, shape (frame,)
        What the estimator gave.
    """

    expected: Any
    parameters: dict[str, Any] = field(default_factory=dict)
    x: Any = field(default_factory=lambda: X)


def weighted_means(x, sigma_frames):
    offsets = np.arange(x.size)[:, None] - np.arange(x.size)
    weights = np.where(np.abs(offsets) <= int(4 * sigma_frames + 0.5), np.exp(-(offsets**2) / (2 * sigma_frames**2)), 0)
    return weights @ x / weights.sum(axis=1)


def low_passed(x, cutoff_hz, beta, speed_cutoff_hz):
    """Algorithm 1 of Casiez et al. 2012."""
    values, speed = [x[0]], 0.0
    for new in x[1:]:
        weight = 1 / (1 + FPS / (2 * np.pi * speed_cutoff_hz))
        speed = weight * (new - values[-1]) * FPS + (1 - weight) * speed
        weight = 1 / (1 + FPS / (2 * np.pi * (cutoff_hz + beta * abs(speed))))
        values.append(weight * new + (1 - weight) * values[-1])
    return np.array(values)


def posterior_mean(x, q, sd):
    """Gaussian process regression with the covariance of integrated white-noise acceleration, in one dense solve."""
    time = np.arange(x.size) / FPS
    s, t = np.minimum(time[:, None], time), np.maximum(time[:, None], time)
    covariance = PRIOR[0] + PRIOR[1] * s * t + q * (s**3 / 3 + s**2 * (t - s) / 2)
    return x[0] + covariance @ np.linalg.solve(covariance + sd**2 * np.eye(x.size), x - x[0])


ANSWERS = {
    "raw": Answer(X),
    "interpolate": Answer([3, 4, 6.5, 9, 9.5, 10], x=np.array([3, 4, NAN, 9, NAN, 10])),
    "median": Answer([3.5, 4, 4.5, 5, 5, 5.5, 6, 6.5], {"window_s": 3 / FPS}),
    "gaussian": Answer(weighted_means(X, 1.5), {"sigma_s": 1.5 / FPS}),
    "savitzky_golay": Answer(scipy.signal.savgol_filter(X, 5, 2), {"window_s": 5 / FPS, "polynomial_order": 2}),
    "one_euro": Answer(low_passed(X, 4.0, 0.1, 10.0)),
    "kalman": Answer(
        posterior_mean(X, 2e4, 0.8),
        {"process_noise_px2_per_s3": 2e4, "measurement_sd_px": 0.8, "gate_probability": None},
    ),
    "per_node": Answer(
        [3.5, 4, 4.5, 5, 5, 5.5, 6, 6.5],
        {"filters": {"jaw_tip": {"filter": "median", "parameters": {"window_s": 3 / FPS}}}},
    ),
}


def test_every_filter_has_a_known_answer():
    assert set(ANSWERS) == set(registered_filters())


@pytest.mark.parametrize("name", ANSWERS)
def test_a_filter_gives_the_known_answer(name):
    answer = ANSWERS[name]
    position = np.stack([answer.x, -2 * answer.x], axis=-1)[:, None]
    score = np.where(np.isnan(answer.x), 0, 1)[:, None]
    result = apply_filter(Tracks(position, score, np.arange(answer.x.size) / FPS, ["jaw_tip"]), name, answer.parameters)
    np.testing.assert_allclose(result.position[:, 0, 0], answer.expected, rtol=1e-5)
    if name != "one_euro":  # its cutoff depends on the speed, so it is not linear
        np.testing.assert_allclose(result.position[:, 0, 1], -2 * np.asarray(answer.expected), rtol=1e-5)
