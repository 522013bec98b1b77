"""The Kalman smoother against filterpy, against itself on parts, and against simulated truth."""

import numpy as np
import pytest
from filterpy.kalman import KalmanFilter

from compute.errors import FilterError
from compute.filters.kalman import kalman
from compute.filters.kalman.kernels import PRIOR, smoothing_kernel
from compute.filters.score_noise import score_weight
from compute.tracks import Tracks


def simulate(rng, n_frames, n_nodes, q=2e4, sd=1.0, irregular=False):
    """Draw true positions from the filter's own model, and points with noise around them."""
    dt = rng.uniform(0.002, 0.03, n_frames) if irregular else np.full(n_frames, 0.01)
    velocity = np.zeros((n_nodes, 2))
    truth = np.empty((n_frames, n_nodes, 2))
    truth[0] = rng.uniform(100, 300, (n_nodes, 2))
    for i in range(1, n_frames):
        covariance = q * np.array([[dt[i] ** 3 / 3, dt[i] ** 2 / 2], [dt[i] ** 2 / 2, dt[i]]])
        noise = rng.multivariate_normal([0, 0], covariance, (n_nodes, 2), method="cholesky")
        truth[i] = truth[i - 1] + dt[i] * velocity + noise[..., 0]
        velocity = velocity + noise[..., 1]
    return np.cumsum(dt), truth, truth + rng.normal(0, sd, truth.shape)


def with_filterpy(tracks, node, axis, q, sd):
    """Posterior mean, variance and log likelihood by filterpy, one channel."""
    x = tracks.position[:, node, axis].astype(float)
    start = np.flatnonzero(~np.isnan(x))[0]
    model = KalmanFilter(dim_x=2, dim_z=1)
    model.H = np.array([[1.0, 0]])
    model.x = np.array([[x[start]], [0]])
    model.P = np.diag(PRIOR)
    weight = score_weight(tracks.score[:, node]).astype(np.float64)
    states, covariances, transitions, noises, log_likelihood = [], [], [], [], 0.0
    for i in range(start, x.size):
        dt = tracks.time[i] - tracks.time[i - 1] if i > start else 0.0
        transitions.append(np.array([[1, dt], [0, 1]]))
        noises.append(q * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]]))
        model.predict(F=transitions[-1], Q=noises[-1])
        if np.isnan(x[i]):
            model.update(None)
        else:
            model.update(x[i], R=sd**2 / weight[i])
            log_likelihood += model.log_likelihood
        states.append(model.x.copy())
        covariances.append(model.P.copy())
    mean, covariance, _, _ = model.rts_smoother(np.array(states), np.array(covariances), transitions, noises)
    return start, mean[:, 0, 0], covariance[:, 0, 0], log_likelihood


def hard_tracks(seed, n_frames=400, n_nodes=3):
    """Irregular time, missing points at the start, in single frames and in a run, scores of all kinds."""
    rng = np.random.default_rng(seed)
    time, _, points = simulate(rng, n_frames, n_nodes, irregular=True)
    missing = rng.random((n_frames, n_nodes)) < 0.1
    missing[:3, 0] = True
    missing[100:110] = True
    score = rng.uniform(0, 1.3, missing.shape)
    score[rng.random(missing.shape) < 0.05] = np.nan
    score[missing] = 0
    points[missing] = np.nan
    return Tracks(points, score, time, [f"node_{i}" for i in range(n_nodes)])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_agrees_with_filterpy_to_1e_9(seed):
    tracks = hard_tracks(seed)
    q, sd = 3e4, 0.8
    weight = np.where(tracks.found, score_weight(tracks.score), 0)
    start = tracks.found.argmax(axis=0)
    weight[start, range(3)] *= -1
    position = tracks.position.reshape(-1, 6)
    dt = np.diff(tracks.time, prepend=tracks.time[0])
    mean, variance = np.empty(position.shape), np.empty(position.shape)
    sums, _ = smoothing_kernel(position, weight, dt, np.full((1, 6), q), np.full(6, sd**2), PRIOR, 64, mean, variance)
    for channel in range(6):
        first, expected_mean, expected_variance, log_likelihood = with_filterpy(tracks, *divmod(channel, 2), q, sd)
        np.testing.assert_allclose(mean[first:, channel], expected_mean, rtol=0, atol=1e-9)
        np.testing.assert_allclose(variance[first:, channel], expected_variance, rtol=0, atol=1e-8)
        assert sums[0, channel] == pytest.approx(log_likelihood, rel=1e-10)


def test_the_filter_is_that_smoother_inside_the_gap_limit():
    tracks = hard_tracks(4)
    result = kalman(tracks, process_noise_px2_per_s3=3e4, measurement_sd_px=0.8, max_gap_s=None)
    for node, name in enumerate(tracks.nodes):
        first, mean, variance, log_likelihood = with_filterpy(tracks, node, 0, 3e4, 0.8)
        stop = np.flatnonzero(tracks.found[:, node])[-1] + 1
        np.testing.assert_allclose(result.position[first:stop, node, 0], mean[: stop - first], rtol=1e-6)
        np.testing.assert_allclose(result.sd[first:stop, node, 0], np.sqrt(variance[: stop - first]), rtol=1e-5)
        both = log_likelihood + with_filterpy(tracks, node, 1, 3e4, 0.8)[3]
        assert result.attributes["filter"]["fitted"][name]["log_likelihood"] == pytest.approx(both, rel=1e-9)


def test_after_a_long_gap_the_filter_knows_nothing_of_before():
    tracks = hard_tracks(5, n_nodes=1)
    position, score = tracks.position.copy(), tracks.score.copy()
    position[200:230], score[200:230] = np.nan, 0
    gapped = Tracks(position, score, tracks.time, tracks.nodes)
    late = Tracks(position[230:], score[230:], tracks.time[230:], tracks.nodes)
    fixed = {"process_noise_px2_per_s3": 2e4, "measurement_sd_px": 1.0, "max_gap_s": 0.1}
    whole, part = kalman(gapped, **fixed), kalman(late, **fixed)
    assert np.isnan(whole.position[200:230]).all() and np.isnan(whole.sd[200:230]).all()
    np.testing.assert_allclose(whole.position[230:], part.position, rtol=1e-6)
    np.testing.assert_allclose(whole.sd[230:], part.sd, rtol=1e-5)


@pytest.mark.parametrize("irregular", [False, True])
def test_maximum_likelihood_finds_the_noises_and_the_interval_covers_the_truth(irregular):
    q, sd = 2e4, 1.3
    time, truth, points = simulate(np.random.default_rng(7), 6000, 2, q=q, sd=sd, irregular=irregular)
    tracks = Tracks(points, np.ones(points.shape[:2]), time, ["left", "right"])
    result = kalman(tracks, noise_window_s=None, gate_probability=None)
    for node in result.attributes["filter"]["fitted"].values():
        np.testing.assert_allclose(node["process_noise_px2_per_s3"]["p50"], q, rtol=0.15)
        np.testing.assert_allclose(node["measurement_sd_px"], sd, rtol=0.05)
    error = result.position - truth
    assert 0.94 < np.mean(np.abs(error) < 1.96 * result.sd) < 0.96
    assert np.sqrt(np.mean(error**2)) == pytest.approx(np.sqrt(np.mean(result.sd.astype(float) ** 2)), rel=0.03)


def test_a_higher_score_and_a_persons_point_pull_more():
    x = np.zeros((41, 1, 2))
    x[20] = 1.0
    time = np.arange(41) / 100

    def pull(score_there):
        score = np.full((41, 1), 0.5)
        score[20] = score_there
        tracks = Tracks(x, score, time, ["jaw_tip"])
        return kalman(tracks, process_noise_px2_per_s3=1e4, measurement_sd_px=1.0).position[20, 0, 0]

    pulls = [pull(score) for score in (0.05, 0.3, 0.9, 1.0, np.nan)]
    assert pulls == sorted(pulls) and len(set(pulls)) == 5
    assert pull(1.0) == pull(1.6)


def test_a_parameter_outside_its_range_is_named():
    with pytest.raises(FilterError, match="kalman: measurement_sd_px is -1"):
        kalman(hard_tracks(0), measurement_sd_px=-1)


def test_the_gradient_that_the_fit_uses_is_that_of_the_likelihood():
    tracks = hard_tracks(6, n_frames=300, n_nodes=1)
    weight = np.where(tracks.found, score_weight(tracks.score), 0)
    weight[tracks.found[:, 0].argmax()] *= -1
    position, dt = tracks.position.reshape(-1, 2), np.diff(tracks.time, prepend=tracks.time[0])
    mean, variance = np.empty(position.shape), np.empty(position.shape)

    def run(log_q, log_r):
        noise = np.full((1, 2), np.exp(log_q)), np.full(2, np.exp(log_r))
        return smoothing_kernel(position, weight, dt, *noise, PRIOR, 64, mean, variance)

    q, r = 3e4, 1.3
    at = np.log([q, r])
    sums, slopes = run(*at)
    exact = q * (slopes[0] - slopes[1])[:, 0].sum() / 2, (sums[1] - sums[2])[0] / 2
    for step, slope in zip(np.eye(2) * 1e-4, exact, strict=True):
        difference = (run(*(at + step))[0][0, 0] - run(*(at - step))[0][0, 0]) / 2e-4
        assert slope == pytest.approx(difference, rel=1e-6)
