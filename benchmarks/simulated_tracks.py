"""Tracks of a simulated face whose truth, wrong placements and noise are known, in any number of frames, in a second.

The 3-D simulation (`compute.simulated_mouse`) renders pictures; filters are measured on longer tracks than one would
render.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from compute.tracks import Tracks

NODES = (
    "left_snout_tip",
    "right_snout_tip",
    "top_snout_tip",
    "bottom_snout_tip",
    "center_snout_tip",
    "jaw_tip",
    "left_whisker_pad",
)
RIGID = NODES[:5]
# Places on the head at rest: x and y in the picture and depth, in px.
REST = np.array([[-13, 2, 4], [13, 2, 4], [0, -9, 8], [0, 9, 8], [0, 0, 14], [0, 45, 0], [-40, 12, -12]], float)
FPS = 100.0


@dataclass(frozen=True)
class SimulatedTracks:
    """Tracks with what is true about them.

    Attributes
    ----------
    tracks : Tracks
        Points with noise, wrong placements and gaps, and scores.
    truth : array, shape (frame, node, 2)
        True positions (px).
    wrong : array, shape (frame, node), bool
        Wrong placements that were planted and not lost in a gap.
    """

    tracks: Tracks
    truth: NDArray[np.float64]
    wrong: NDArray[np.bool_]


def simulate_tracks(
    seed: int,
    n_frames: int = 100_000,
    *,
    noise_px: float = 1.0,
    wrong_fraction: float = 0.02,
    wrong_px: float = 40.0,
    wrong_length: float = 1.0,
    wrong_score: float = 0.45,
    missing_fraction: float = 0.03,
    only_rigid: bool = False,
) -> SimulatedTracks:
    """Simulate tracks at 100 Hz.

    Parameters
    ----------
    seed : int
        The same seed gives the same tracks.
    n_frames : int
        Number of frames.
    noise_px : float
        Standard deviation of a good point, in x and y each.
    wrong_fraction : float
        Fraction of points that are wrong placements.
    wrong_px : float
        Standard deviation of a wrong placement's distance from the truth, in x and y each.
    wrong_length : float
        Frames that a wrong placement lasts, at one distance from the truth: the mean of a geometric distribution, or
        exactly as many if above 20.
    wrong_score : float
        Mean score of wrong placements (standard deviation 0.15); good points have 0.8 (0.1).
    missing_fraction : float
        Fraction of points that are lost, half of them one by one, half in runs of five.
    only_rigid : bool
        Misplace only nodes of the rigid group, one at a time.
    """
    rng = np.random.default_rng(seed)
    truth = _true_positions(rng, n_frames)
    shift = _wrong_shifts(rng, n_frames, wrong_fraction, wrong_px, wrong_length, only_rigid)
    wrong = shift.any(axis=-1)
    missing = rng.random(wrong.shape) < missing_fraction / 2
    starts = rng.random(wrong.shape) < missing_fraction / 10
    for length in range(5):
        missing[length:] |= starts[: n_frames - length]
    score = np.where(wrong, rng.normal(wrong_score, 0.15, wrong.shape), rng.normal(0.8, 0.1, wrong.shape))
    position = truth + shift + rng.normal(0, noise_px, truth.shape)
    position[missing] = np.nan
    tracks = Tracks(position, np.where(missing, 0, np.maximum(score, 0.01)), np.arange(n_frames) / FPS, NODES)
    return SimulatedTracks(tracks, truth, wrong & ~missing)


def roll_head(
    simulated: SimulatedTracks, roll_deg: float, *, fraction: float = 0.1, seed: int = 0
) -> tuple[SimulatedTracks, NDArray[np.float64]]:
    """Turn the head in the picture, about the middle of the snout, in bouts.

    Parameters
    ----------
    simulated : SimulatedTracks
        Tracks of `simulate_tracks`.
    roll_deg : float
        The angle that is reached.
    fraction : float
        Fraction of frames in which the head is turned at all.
    seed : int
        When it turns.

    Returns
    -------
    simulated : SimulatedTracks
        Everything turned, errors too.
    roll_rad : array, shape (frame,)
        Angle of each frame.
    """
    level = wander(np.random.default_rng([seed, 1]), simulated.tracks.n_frames, FPS, 1, 1.0)
    roll_rad = np.deg2rad(roll_deg) * np.clip((level - np.quantile(level, 1 - fraction)) * 4, 0, 1)
    cosine, sine = np.cos(roll_rad)[:, None], np.sin(roll_rad)[:, None]
    middle = simulated.truth[:, NODES.index("center_snout_tip")].mean(axis=0)

    def turn(position: NDArray[np.floating]) -> NDArray[np.float64]:
        x, y = np.moveaxis(position - middle, -1, 0)
        return np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=-1) + middle

    tracks = replace(simulated.tracks, position=turn(simulated.tracks.position))
    return SimulatedTracks(tracks, turn(simulated.truth), simulated.wrong), roll_rad


MOTIONS = {
    "rest": None,
    "jaw in bouts, 4-8 Hz": (14.0, 4.0, 8.0),
    "whisking in bouts, 8-12 Hz": (6.0, 8.0, 12.0),
    "chewing in bouts, 12 Hz": (10.0, 11.5, 12.5),
    "licks in bouts, 6-8 Hz": (25.0, 6.0, 8.0),
    "swaying always, 3 Hz": (20.0, 3.0, 3.0),
    "chewing always, 12 Hz": (10.0, 12.0, 12.0),
}
"""Movements of one node in y: amplitude (px) and band (Hz). Licks are short: the third power of half a sine."""


def simulate_motion(
    motion: str, seed: int, n_frames: int = 20_000, *, fps: float = 250.0, noise_px: float = 1.0
) -> tuple[Tracks, NDArray[np.float64]]:
    """Simulate three nodes that make one of `MOTIONS`: noise, 2 % wrong placements of 40 px, 3 % missing points.

    Returns
    -------
    tracks : Tracks
        Points and scores.
    truth : array, shape (frame, node, 2)
        True positions (px).
    """
    rng = np.random.default_rng(seed)
    truth = np.stack([_moving_node(rng, motion, n_frames, fps) for _ in range(3)], axis=1)
    wrong = rng.random(truth.shape[:2]) < 0.02
    position = truth + rng.normal(0, noise_px, truth.shape)
    position += np.where(wrong[..., None], rng.normal(0, 40, truth.shape), 0)
    missing = rng.random(wrong.shape) < 0.03
    score = np.where(wrong, rng.normal(0.45, 0.15, wrong.shape), rng.normal(0.8, 0.1, wrong.shape))
    position[missing] = np.nan
    score = np.where(missing, 0, np.maximum(score, 0.01))
    return Tracks(position, score, np.arange(n_frames) / fps, ["a", "b", "c"]), truth


def _moving_node(rng: np.random.Generator, motion: str, n_frames: int, fps: float) -> NDArray[np.float64]:
    """A node that drifts and makes a movement in y, shape (frame, 2)."""
    drift = np.stack([wander(rng, n_frames, fps, 4, 2.0), wander(rng, n_frames, fps, 3, 2.0)], axis=-1) + 150
    amplitude, low_hz, high_hz = MOTIONS[motion] or (0.0, 1.0, 1.0)
    if "always" in motion:
        drift[:, 1] += amplitude * np.sin(2 * np.pi * low_hz * np.arange(n_frames) / fps)
        return drift
    frequency = np.clip((low_hz + high_hz) / 2 + wander(rng, n_frames, fps, 1, 0.5), low_hz, high_hz)
    phase = 2 * np.pi * np.cumsum(frequency) / fps
    wave = np.maximum(np.sin(phase), 0) ** 3 if "licks" in motion else (1 - np.cos(phase)) / 2
    level = wander(rng, n_frames, fps, 1, 0.6)
    drift[:, 1] += amplitude * np.clip((level - np.quantile(level, 0.6)) * 2, 0, 1) * wave
    return drift


def wander(rng: np.random.Generator, n_frames: int, fps: float, sd: float, seconds: float) -> NDArray[np.float64]:
    """A damped spring that is pushed at random: a Gaussian process with Matern's covariance of order 3/2."""
    frequency = 2 * np.pi * np.fft.rfftfreq(n_frames, 1 / fps) * seconds
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(n_frames)) / (1 + frequency**2), n_frames)
    return np.asarray(sd * noise / noise.std())


def _true_positions(rng: np.random.Generator, n_frames: int) -> NDArray[np.float64]:
    """A head that drifts, breathes and turns; a jaw that opens in bouts of 4-8 Hz; a pad that whisks at 8-12 Hz."""
    time = np.arange(n_frames) / FPS

    def own_wander(sd: float, seconds: float) -> NDArray[np.float64]:
        return wander(rng, n_frames, FPS, sd, seconds)

    def bouts(low_hz: float, high_hz: float, share: float) -> NDArray[np.float64]:
        phase = 2 * np.pi * np.cumsum(np.clip((low_hz + high_hz) / 2 + own_wander(1, 0.5), low_hz, high_hz)) / FPS
        level = own_wander(1, 0.6)
        return np.clip((level - np.quantile(level, 1 - share)) * 2, 0, 1) * (1 - np.cos(phase)) / 2

    yaw, pitch = own_wander(0.07, 0.4), own_wander(0.05, 0.4) + 0.01 * np.sin(2 * np.pi * 2.5 * time)
    head = np.stack([own_wander(4, 2.0), own_wander(3, 2.0) + 0.3 * np.sin(2 * np.pi * 2.5 * time)], axis=-1)
    x, y, depth = REST.T
    position = np.stack([x + yaw[:, None] * depth, y + pitch[:, None] * depth], axis=-1)
    # Turning towards and away from the camera also makes the face narrower.
    position[..., 0] *= (1 - 0.5 * (0.25 + yaw[:, None]) ** 2) / (1 - 0.5 * 0.25**2)
    position += head[:, None] + 150
    position[:, NODES.index("jaw_tip"), 1] += 14 * bouts(4, 8, 0.4)
    position[:, NODES.index("left_whisker_pad"), 0] += 6 * bouts(8, 12, 0.5)
    return position


def _wrong_shifts(
    rng: np.random.Generator, n_frames: int, fraction: float, sd_px: float, mean_length: float, only_rigid: bool
) -> NDArray[np.float64]:
    """Distance of each point from where it should be, 0 for good ones, shape (frame, node, 2)."""
    shift = np.zeros((n_frames, len(NODES), 2))
    nodes = range(len(RIGID) if only_rigid else len(NODES))
    for node in nodes:
        n_runs = round(fraction * n_frames / mean_length / (len(nodes) if only_rigid else 1))
        starts = rng.integers(0, n_frames, n_runs)
        lengths = np.full(n_runs, round(mean_length)) if mean_length > 20 else rng.geometric(1 / mean_length, n_runs)
        for start, length in zip(starts, lengths, strict=True):
            if only_rigid and shift[start : start + length].any():
                continue
            shift[start : start + length, node] = rng.normal(0, sd_px, 2)
    return shift
