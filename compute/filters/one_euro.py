"""The one-euro filter: a low-pass whose cutoff rises with speed. Causal, made for use while filming."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from compute.filters.gaps import bridge_gaps, connecting_limit_s, within_gap_limit
from compute.filters.gate import gated_if
from compute.filters.parameter_rules import Flag, GapSeconds, Hertz, HertzPerSpeed
from compute.filters.registry import register_filter
from compute.filters.result import filter_result
from compute.tracks import Tracks

Array = NDArray[Any]


@register_filter(
    version=2,
    lag="causal",
    color="#F0C800",
    in_every_lab=True,
    candidates=(
        {"minimum_cutoff_hz": 4.0, "beta_per_px": 0.1},
        {"minimum_cutoff_hz": 8.0, "beta_per_px": 0.2},
    ),
)
def one_euro(
    tracks: Tracks,
    *,
    minimum_cutoff_hz: Hertz = 4.0,
    beta_per_px: HertzPerSpeed = 0.1,
    speed_cutoff_hz: Hertz = 10.0,
    max_gap_s: GapSeconds | None = 0.1,
    gated: Flag = False,
) -> Tracks:
    """First-order low-pass with a cutoff of ``minimum_cutoff_hz + beta_per_px * speed``, of x and of y.

    The filter of Casiez, Roussel and Vogel (2012, doi:10.1145/2207676.2208639, algorithm 1) with real time steps. It
    knows only the past, so that what moves comes late; the other filters here know both sides. It starts afresh after
    a gap longer than `max_gap_s`.

    Parameters
    ----------
    tracks : Tracks
        Tracks with NaN where a node was not found; frames may be at irregular times.
    minimum_cutoff_hz : float
        Cutoff of a node at rest: lower is smoother and later.
    beta_per_px : float
        How much the cutoff rises (Hz) with speed (px/s): higher is earlier and noisier.
    speed_cutoff_hz : float
        Cutoff of the low-pass that smooths the speed. Casiez's own 1 Hz is for a hand; a jaw licks at 4-8 Hz.
    max_gap_s : float or None
        The longest gap, from point to point in seconds, that is filled, by a straight line between the filtered
        positions; None for any. The two ends are never extrapolated.
    gated : bool
        First leave out wrong placements, see `compute.filters.gate.gated` (which does know both sides).

    Returns
    -------
    Tracks
        With ``filled`` True where a position stands although no point was used, and ``rejected`` if gated.

    Raises
    ------
    FilterError
        If a parameter is outside its range.
    """
    parameters = {
        "minimum_cutoff_hz": minimum_cutoff_hz,
        "beta_per_px": beta_per_px,
        "speed_cutoff_hz": speed_cutoff_hz,
        "max_gap_s": max_gap_s,
    }
    points = gated_if(tracks, gated)
    position = points.position.astype(np.float64).reshape(tracks.n_frames, 2 * len(tracks.nodes))
    longest = connecting_limit_s(tracks, max_gap_s)
    _low_pass(position, tracks.time, minimum_cutoff_hz, beta_per_px, speed_cutoff_hz, longest)
    allowed = within_gap_limit(points.found, tracks.time, max_gap_s)
    return filter_result(
        tracks,
        "one_euro",
        {**parameters, "gated": gated},
        position=bridge_gaps(position.reshape(tracks.position.shape), allowed, tracks.time).astype(np.float32),
        sd=None,
        rejected=points.rejected,
        filled=allowed & ~points.found,
    )


@njit(cache=True)
def _weight(cutoff_hz: float, dt: float) -> float:
    """Weight of the new value in a first-order low-pass."""
    return 1.0 / (1.0 + 1.0 / (2.0 * math.pi * cutoff_hz * dt))


@njit(cache=True)
def _low_pass(
    position: Array, time: Array, minimum_cutoff: float, beta: float, speed_cutoff: float, longest: float
) -> None:
    """Filter each channel of position (frame, channel) in place; NaN is skipped and stays."""
    for channel in range(position.shape[1]):
        before = -1
        value, speed = 0.0, 0.0
        for frame in range(position.shape[0]):
            new = position[frame, channel]
            if math.isnan(new):
                continue
            if before < 0 or time[frame] - time[before] > longest:
                value, speed = new, 0.0
            else:
                dt = time[frame] - time[before]
                speed += _weight(speed_cutoff, dt) * ((new - value) / dt - speed)
                value += _weight(minimum_cutoff + beta * abs(speed), dt) * (new - value)
            position[frame, channel] = value
            before = frame
