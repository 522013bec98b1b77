"""Other libraries' filters on the tracks of a file, one library a call: the other half of filters.py and ensembles.py.

Runs in an environment of its own (``make peers``), since some of these libraries pin what this project needs newer.
Prints one JSON object: seconds (median, the library imported and warm) and frames; writes the smoothed positions.
"""

import json
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import numpy as np

PROCESS_NOISE, MEASUREMENT_SD, FPS = 2e4, 1.0, 100.0
DT = 1 / FPS
F = np.array([[1, DT], [0, 1]])
H = np.array([[1.0, 0.0]])
Q = PROCESS_NOISE * np.array([[DT**3 / 3, DT**2 / 2], [DT**2 / 2, DT]])
R = np.array([[MEASUREMENT_SD**2]])
# What this project's kernel starts with: the first point, at rest, with these variances.
P0 = np.diag([100.0**2, 2000.0**2])


def channels(position):
    """Points of each coordinate of each node, shape (channel, frame), float64, NaN where missing."""
    return position.reshape(len(position), -1).T.astype(float)


def with_filterpy(position, score):
    from filterpy.kalman import KalmanFilter

    result = []
    for x in channels(position):
        start = np.flatnonzero(~np.isnan(x))[0]
        model = KalmanFilter(dim_x=2, dim_z=1)
        model.F, model.H, model.Q, model.R, model.P = F, H, Q, R, P0
        model.x = np.array([[x[start]], [0]])
        # The first point is an update without a step before it.
        model.update(x[start])
        first = model.x.copy(), model.P.copy()
        states, covariances, _, _ = model.batch_filter([None if np.isnan(z) else z for z in x[start + 1 :]])
        states = np.concatenate([first[0][None], states])
        covariances = np.concatenate([first[1][None], covariances])
        smoothed = model.rts_smoother(states, covariances)[0][:, 0, 0]
        result.append(np.concatenate([np.full(start, np.nan), smoothed]))
    return np.array(result)


def with_pykalman(position, score):
    from pykalman import KalmanFilter

    result = []
    for x in channels(position):
        mean = [x[np.flatnonzero(~np.isnan(x))[0]], 0]
        model = KalmanFilter(F, H, Q, R, initial_state_mean=mean, initial_state_covariance=P0)
        result.append(model.smooth(np.ma.masked_invalid(x))[0][:, 0])
    return np.array(result)


def with_simdkalman(position, score):
    import simdkalman

    x = channels(position)
    first = np.array([row[np.flatnonzero(~np.isnan(row))[0]] for row in x])
    model = simdkalman.KalmanFilter(state_transition=F, process_noise=Q, observation_model=H, observation_noise=R)
    start = np.stack([first, np.zeros(len(x))], axis=1)[..., None]
    # It has no step without prediction either: the prior is the same before every channel's first point.
    smoothed = model.smooth(x, initial_value=start, initial_covariance=P0, observations=True, states=False)
    return smoothed.observations.mean


def with_statsmodels(position, score):
    from statsmodels.tsa.statespace.kalman_smoother import KalmanSmoother

    result = []
    for x in channels(position):
        model = KalmanSmoother(k_endog=1, k_states=2)
        model.bind(x[:, None].copy())
        model["design"], model["transition"] = H, F
        model["selection"], model["state_cov"], model["obs_cov"] = np.eye(2), Q, R
        model.initialize_known(np.array([x[np.flatnonzero(~np.isnan(x))[0]], 0]), P0)
        result.append(model.smooth().smoothed_state[0])
    return np.array(result)


def ensemble(position, score):
    """Three models' tracks, as that smoother wants: the given one and two with noise and gaps filled of their own."""
    from eks.marker_array import MarkerArray

    rng = np.random.default_rng(0)
    filled = channels(position)
    frames = np.arange(filled.shape[1])
    filled = np.array([np.interp(frames, frames[~np.isnan(x)], x[~np.isnan(x)]) for x in filled])
    one = filled.T.reshape(position.shape)
    members = np.stack([one, *(one + rng.normal(0, MEASUREMENT_SD, one.shape) for _ in range(2))])
    values = np.concatenate(
        [members, np.broadcast_to(np.maximum(score, 0.05)[None, ..., None], (*members.shape[:-1], 1))], axis=-1
    )
    return MarkerArray(values[:, None], data_fields=["x", "y", "likelihood"])


def with_eks(position, score, smooth_param=None):
    from eks.singlecam_smoother import ensemble_kalman_smoother_singlecam

    names = [f"node_{index}" for index in range(position.shape[1])]
    smoothed, _ = ensemble_kalman_smoother_singlecam(ensemble(position, score), names, smooth_param=smooth_param)
    columns = [column for column in smoothed.columns if column[-1] in ("x", "y")]
    return smoothed[columns].to_numpy().T


def with_eks_members(position, score):
    """Real members' tracks, shape (ensemble, member, frame, node, 2): each ensemble smoothed by itself."""
    from eks.marker_array import MarkerArray
    from eks.singlecam_smoother import ensemble_kalman_smoother_singlecam

    names, results = [f"node_{index}" for index in range(position.shape[-2])], []
    for members, scores in zip(position, score, strict=True):
        values = np.concatenate([members, np.maximum(scores, 1e-3)[..., None]], axis=-1)[:, None]
        array = MarkerArray(values.astype(float), data_fields=["x", "y", "likelihood"])
        smoothed, _ = ensemble_kalman_smoother_singlecam(array, names)
        columns = [column for column in smoothed.columns if column[-1] in ("x", "y")]
        results.append(smoothed[columns].to_numpy().reshape(members.shape[1:]))
    return np.ravel(results)


def with_eks_fixed(position, score):
    return with_eks(position, score, smooth_param=10.0)


def with_movement_median(position, score):
    return movement(position, "rolling_filter", window=5, statistic="median", min_periods=1)


def with_movement_savgol(position, score):
    return movement(position, "savgol_filter", window=7, polyorder=2, mode="nearest")


def movement(position, name, **parameters):
    import xarray as xr
    from movement import filtering

    array = xr.DataArray(position.transpose(0, 2, 1), dims=("time", "space", "keypoints"))
    result = getattr(filtering, name)(array, **parameters)
    return result.transpose("time", "keypoints", "space").values.reshape(len(position), -1).T


PEERS = {name[len("with_") :]: function for name, function in globals().items() if name.startswith("with_")}
PEERS["eks_optimised"] = PEERS.pop("eks")


def main():
    name, source, target, repeats = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    data = np.load(source)
    position, score = data["position"], data["score"]
    smooth = PEERS[name]
    if position.ndim == 3:
        smooth(position[:500], score[:500])  # imports and compiles
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = smooth(position, score)
        seconds.append(time.perf_counter() - start)
    shape = position.shape if position.ndim == 3 else (len(position), *position.shape[2:])
    np.save(target, np.asarray(result).T.reshape(shape))
    print(json.dumps({"seconds": float(np.median(seconds)), "frames": position.shape[-3]}))


if __name__ == "__main__":
    main()
