"""How much of a real movement a filter keeps: power, amplitude and lag in the movement's frequency band."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, correlate, correlation_lags, hilbert, sosfiltfilt, welch

from compute.errors import TracksError
from compute.measures.movement_gain import movement_gain
from compute.measures.spikes import spike_mask

Array = NDArray[Any]

_SEGMENT_S = 2.0
"""Length of Welch's segments: a frequency resolution of 0.5 Hz."""
_SLOWEST_HZ = 1.0
"""Slower movement passes every filter, so it does not distinguish them."""
_BAND_FRACTION = 0.1
"""The band ends where the power of an octave falls below this fraction of its peak."""
_PEAK_OVER_FLOOR = 4.0
"""A movement's peak exceeds the white noise by at least this factor."""
_NOISE_FROM = 2 / 3
"""Above this fraction of the highest frequency there is only noise: the harmonics of licking are below."""
_MINIMUM_KNOWN = 0.5
"""Fraction of frames that must be known on both sides."""
_LARGEST_ERROR = 0.05
"""Power kept with a larger standard error is not known."""


@dataclass(frozen=True)
class MovementKept:
    """A filtered distance beside the unfiltered one.

    Parameters
    ----------
    band_low_hz, band_high_hz : float or None
        The band of the movement; None where nothing stands out of the noise, or too little is known.
    power_kept : float or None
        Power of the movement in the filtered distance over the true one, noise in neither: 1 keeps all, 0 none. None
        where its standard error is above 0.05: there is too little movement, or it hardly stands out of the noise.
    noise_kept : float or None
        Power in the upper third of all frequencies, where there is nothing but noise, over that of the unfiltered
        distance without its spikes; None where the band reaches into it.
    lag_s : float or None
        How much later the movement comes (s); negative: earlier.
    bout_amplitude_kept : float or None
        Amplitude of a bout of movement over that of the same bout unfiltered, without its spikes: the median bout.
        None without bouts.
    n_bouts : int
        Number of bouts.
    """

    band_low_hz: float | None
    band_high_hz: float | None
    power_kept: float | None
    noise_kept: float | None
    lag_s: float | None
    bout_amplitude_kept: float | None
    n_bouts: int


NOTHING_MOVES = MovementKept(None, None, None, None, None, None, 0)


def movement_kept(
    raw: Array, filtered: Array, *, fps: float, band_hz: tuple[float, float] | None = None
) -> MovementKept:
    """Compare a filtered distance with the unfiltered one.

    No filter, and no filter's gate, has made what the filtered distance is compared with: the unfiltered one without
    single frames that stand out (`compute.measures.spikes`). The power that is kept is the square of the filter's gain
    where movement stands out, see `compute.measures.movement_gain`: noise does not change it, also if it lasts for some
    frames. Some wrong placements stay in the unfiltered distance (of 2 % at each node, or where movement is as fast and
    large as they are), and a filter that takes them out seems to keep up to 0.06 less.

    Parameters
    ----------
    raw : array, shape (frame,)
        Unfiltered distance (px); NaN where it is not known.
    filtered : array, shape (frame,)
        Filtered distance (px); NaN where it is not known. Only frames count that both know.
    fps : float
        Frames a second.
    band_hz : (float, float), optional
        The band of the movement (Hz). Without it, it is found in the unfiltered distance, see `movement_band_hz`.

    Returns
    -------
    MovementKept

    Raises
    ------
    TracksError
        If the lengths differ, or the band is not within 0 and half of `fps`.
    """
    if raw.shape != filtered.shape:
        raise TracksError(f"distances have shapes {raw.shape} and {filtered.shape}, expected the same")
    if band_hz is not None and not 0 < band_hz[0] < band_hz[1] < fps / 2:
        raise TracksError(
            f"the band is {band_hz[0]} to {band_hz[1]} Hz, expected a rising one above 0 and below {fps / 2:g} Hz,"
            " half of the frame rate"
        )
    reference = np.where(spike_mask(raw), np.nan, raw)
    band = movement_band_hz(raw, fps=fps) if band_hz is None else band_hz
    pair = _bridged(reference, filtered)
    if band is None or pair is None or pair.shape[1] < 2 * _SEGMENT_S * fps:
        return NOTHING_MOVES
    frequency, power = welch(pair, fps, nperseg=round(_SEGMENT_S * fps))
    above = _noise_frequencies(frequency)
    moving = _band_pass(pair, band, fps)
    bout_amplitude, n_bouts = _bout_amplitude_kept(moving, band, fps)
    return MovementKept(
        band_low_hz=float(band[0]),
        band_high_hz=float(band[1]),
        power_kept=_power_kept(pair, band, fps),
        noise_kept=_ratio(power[:, above]) if band[1] < frequency[above][0] else None,
        lag_s=_lag_s(moving, band, fps),
        bout_amplitude_kept=bout_amplitude,
        n_bouts=n_bouts,
    )


def _power_kept(pair: Array, band: tuple[float, float], fps: float) -> float | None:
    """Square of the gain; None where it is not known well."""
    found = movement_gain(pair[0], pair[1], fps=fps, band_hz=band)
    if found is None or 2 * found[0] * found[1] > _LARGEST_ERROR:
        return None
    return found[0] ** 2


def movement_band_hz(distance: Array, *, fps: float) -> tuple[float, float] | None:
    """The band of frequencies of the strongest rhythm in a distance, without its spikes.

    From Welch's spectrum: white noise has the median power of the upper third of frequencies; of what stands above it
    from 1 Hz on, the strongest octave is the movement, and the band ends on either side where the power of an octave
    is a tenth of that.

    Parameters
    ----------
    distance : array, shape (frame,)
        In px; NaN where it is not known.
    fps : float
        Frames a second.

    Returns
    -------
    (float, float) or None
        Lowest and highest frequency (Hz); None where no frequency stands out of the noise by a factor of 4.
    """
    reference = np.where(spike_mask(distance), np.nan, distance)
    pair = _bridged(reference, reference)
    if pair is None or pair.shape[1] < 2 * _SEGMENT_S * fps:
        return None
    frequency, power = welch(pair[0], fps, nperseg=round(_SEGMENT_S * fps))
    return _find_band(frequency, power)


def _find_band(frequency: Array, power: Array) -> tuple[float, float] | None:
    floor = np.median(power[_noise_frequencies(frequency)])
    octave = np.where(frequency >= _SLOWEST_HZ, frequency * (power - floor), 0)
    octave[_noise_frequencies(frequency)] = 0
    peak = int(np.argmax(octave))
    if power[peak] <= _PEAK_OVER_FLOOR * floor or octave[peak] <= 0:
        return None
    strong = octave >= _BAND_FRACTION * octave[peak]
    low = peak - int(np.argmin(strong[peak::-1])) + 1
    high = peak + int(np.argmin(strong[peak:])) - 1
    return float(frequency[low]), float(frequency[max(high, low + 1)])


def _noise_frequencies(frequency: Array) -> Array:
    return np.asarray(frequency > _NOISE_FROM * frequency[-1])


def _bridged(reference: Array, filtered: Array) -> Array | None:
    """Both series from the first to the last frame that both know, with lines where one does not; or None."""
    pair = np.stack([reference, filtered]).astype(np.float64)
    known = np.flatnonzero(~np.isnan(pair).any(axis=0))
    if known.size < 2 or known.size < _MINIMUM_KNOWN * reference.size:
        return None
    frames = np.arange(known[0], known[-1] + 1)
    return np.stack([np.interp(frames, known, series[known]) for series in pair])


def _band_pass(pair: Array, band: tuple[float, float], fps: float) -> Array:
    """Both series in the band only, without shifting them."""
    centered = pair - pair.mean(axis=1, keepdims=True)
    return np.asarray(sosfiltfilt(butter(2, band, btype="bandpass", fs=fps, output="sos"), centered, axis=1))


def _ratio(power: Array) -> float | None:
    reference, filtered = power.sum(axis=1)
    return float(filtered / reference) if reference > 0 else None


def _lag_s(moving: Array, band: tuple[float, float], fps: float) -> float | None:
    """Lag of the greatest cross-correlation, between frames by a parabola, within half a cycle of the movement."""
    if not moving.any(axis=1).all():
        return None
    correlation = correlate(moving[1], moving[0], mode="same", method="fft")
    lags = correlation_lags(moving.shape[1], moving.shape[1], mode="same")
    near = np.flatnonzero(np.abs(lags) <= fps / sum(band))
    best = near[np.argmax(correlation[near])]
    if not 0 < best < lags.size - 1:
        return None
    before, here, after = correlation[best - 1 : best + 2]
    return float(lags[best] + (before - after) / (2 * (before - 2 * here + after))) / fps


def _bout_amplitude_kept(moving: Array, band: tuple[float, float], fps: float) -> tuple[float | None, int]:
    """Amplitude over the reference's in the median bout, and the number of bouts.

    A bout is a run of frames, a cycle or longer, in which the reference's amplitude is above half of what it exceeds
    in a twentieth of the time.
    """
    amplitude = np.abs(hilbert(moving[0]))
    in_bout = amplitude > np.quantile(amplitude, 0.95) / 2
    edges = np.flatnonzero(np.diff(np.r_[False, in_bout, False].astype(np.int8))).reshape(-1, 2)
    cycle = 2 * fps / sum(band)
    ratios = [
        np.sqrt(np.mean(moving[1, start:stop] ** 2) / np.mean(moving[0, start:stop] ** 2))
        for start, stop in edges
        if stop - start >= cycle
    ]
    return (float(np.median(ratios)) if ratios else None), len(ratios)
