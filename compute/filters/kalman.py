"""Robust Kalman smoother: noise by maximum likelihood, wrong placements found from both sides in time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from compute.filters import gating, kalman_fit, score_noise
from compute.filters.kalman_fit import Noise, Tables
from compute.filters.result import filtered, frame_interval_s, require_positive, within_gap_limit
from compute.tracks import Tracks

PRIOR_POSITION_SD_PX = 100.0
PRIOR_VELOCITY_SD_PX_PER_S = 2000.0


def kalman(
    tracks: Tracks,
    *,
    process_noise_px2_per_s3: float | None = None,
    measurement_sd_px: float | None = None,
    score_calibration: Sequence[Sequence[float]] | None = None,
    gate_probability: float | None = 1e-4,
    mask_window_s: float = 0.5,
    rigid_nodes: Sequence[str] | None = None,
    max_gap_s: float | None = 0.1,
) -> Tracks:
    """Robust Kalman smoother (work in progress)."""
    import os
    import time

    dbg = os.environ.get("DBG")
    T = time.process_time
    t0 = T()
    require_positive(
        "kalman",
        process_noise_px2_per_s3=process_noise_px2_per_s3,
        measurement_sd_px=measurement_sd_px,
        max_gap_s=max_gap_s,
    )
    n_frames, n_nodes = tracks.score.shape
    points = kalman_fit.points_of(tracks, max_gap_s)
    t1 = T()
    weight = score_noise.weight_table(score_calibration or [])
    gated = gate_probability is not None and n_frames > 2
    threshold = np.full(weight.size, np.inf, np.float32)
    if gated:
        half = max(2, round(mask_window_s / frame_interval_s(tracks) / 2))
        deviation = np.empty(points.state.shape, np.float32)
        gating.wide_deviation(points.position, points.state, half, deviation)
        t2 = T()
        frames = kalman_fit.frames_to_fit(n_frames)
        threshold, odds = kalman_fit.first_thresholds(
            points.take(frames), deviation[frames] > 2 * 2.5**2, gate_probability
        )
        t3 = T()
        bad = (deviation > 2 * 2.5**2) | (odds[points.level] > 1.7)
        points.state[bad & (points.state == gating.USED)] = gating.REJECTED
        t4 = T()
        if dbg:
            print(
                "points",
                t1 - t0,
                "wide",
                t2 - t1,
                "thr",
                t3 - t2,
                "mask",
                t4 - t3,
                "rejected",
                (points.state == gating.REJECTED).mean(0),
            )
    tables = Tables(weight, threshold)
    q = np.full(2 * n_nodes, 1e5 if process_noise_px2_per_s3 is None else process_noise_px2_per_s3, np.float64)
    r = np.full(2 * n_nodes, 1.0 if measurement_sd_px is None else measurement_sd_px**2, np.float64)
    noise = Noise(q, r)
    free = (process_noise_px2_per_s3 is None, measurement_sd_px is None)
    t5 = T()
    steps = 0
    if any(free):
        noise, steps = kalman_fit.fit_noise(points.take(kalman_fit.frames_to_fit(n_frames)), noise, tables, free, gated)
    t6 = T()
    if gated:
        mean, variance, sums = kalman_fit.gate_until_stable(points, noise, tables)
    else:
        mean, variance = np.empty(points.position.shape, np.float32), np.empty(points.position.shape, np.float32)
        sums = kalman_fit.smooth_points(points, noise, tables.weight, mean, variance)
    t7 = T()
    if dbg:
        print("fit", t6 - t5, steps, "gate", t7 - t6)
    used = np.isin(points.state, (gating.USED, gating.PERSON, gating.TAKEN_BACK))
    allowed = within_gap_limit(used, tracks.time, max_gap_s)
    mean[~np.repeat(allowed, 2, axis=1)] = np.nan
    variance[np.isnan(mean)] = np.nan
    parameters = {
        "process_noise_px2_per_s3": process_noise_px2_per_s3,
        "measurement_sd_px": measurement_sd_px,
        "score_calibration": score_calibration,
        "gate_probability": gate_probability,
        "mask_window_s": mask_window_s,
        "rigid_nodes": rigid_nodes,
        "max_gap_s": max_gap_s,
    }
    fitted = {
        node: {
            "process_noise_px2_per_s3": noise.q[2 * i : 2 * i + 2].tolist(),
            "measurement_sd_px": np.sqrt(noise.r[2 * i : 2 * i + 2]).tolist(),
            "log_likelihood": float(sums[0, 2 * i : 2 * i + 2].sum()),
        }
        for i, node in enumerate(tracks.nodes)
    }
    result = filtered(
        tracks,
        "kalman",
        parameters,
        fitted,
        position=mean.reshape(tracks.position.shape),
        sd=np.sqrt(np.maximum(variance, 0)).reshape(tracks.position.shape),
        rejected=(points.state == gating.REJECTED) | (points.state == gating.BARRED),
        filled=~used & allowed,
    )
    if dbg:
        print("finish", T() - t7, "total", T() - t0)
    return result
