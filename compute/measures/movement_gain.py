"""The gain of a filter on a movement, from the filtered and the unfiltered track where the movement stands out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import stft

Array = NDArray[Any]

_CYCLES = 2.0
_SHORTEST_S, _LONGEST_S = 0.25, 2.0
"""A window has two cycles of the slowest movement, within these limits."""
_OVER_NOISE = 16.0
"""The power of a window and frequency counts if it exceeds that of white noise by this factor."""
_NOISE_FROM = 2 / 3
"""Above this fraction of the highest frequency there is only noise."""
_BLOCKS = 16
_FEWEST_WINDOWS = 2 * _BLOCKS


def movement_gain(
    unfiltered: Array, filtered: Array, *, fps: float, band_hz: tuple[float, float]
) -> tuple[float, float] | None:
    """Gain of a filter on a movement, and the gain's standard error.

    Within a short window a filter does the same to movement and to noise of one frequency, also one that smooths rest
    more than movement. So the cross-spectrum of both tracks over the power of the unfiltered one is the gain there,
    whatever the noise is, white or lasting for some frames. It is added up over the windows and frequencies in which
    movement stands out of white noise; each counts by its power, and each frequency by the modulus, so that a lag
    is no loss. A movement that a filter's gate takes out is in the unfiltered track only, and so counts as lost.

    Parameters
    ----------
    unfiltered, filtered : array, shape (frame,)
        Without NaN (px). What the gain is of is in the unfiltered track; of wrong placements that are left in it a
        filter that takes them out seems to lose movement.
    fps : float
        Frames a second.
    band_hz : (float, float)
        The band of the movement (Hz).

    Returns
    -------
    (float, float) or None
        The error is a jackknife over sixteenths of the track. None where too little stands out of the noise.
    """
    n_frames = round(fps * float(np.clip(_CYCLES / band_hz[0], _SHORTEST_S, _LONGEST_S)))
    if n_frames < 4 or unfiltered.size < _FEWEST_WINDOWS * n_frames / 2:
        return None
    frequency, _, spectra = stft(
        np.stack([unfiltered, filtered]),
        fps,
        nperseg=n_frames,
        detrend="linear",
        boundary=None,
        padded=False,
    )
    power = np.abs(spectra[0]) ** 2
    noise = np.median(power[frequency > _NOISE_FROM * frequency[-1]]) / np.log(2)
    step = frequency[1]
    inside = (frequency >= band_hz[0] - step / 2) & (frequency <= band_hz[1] + step / 2) & (frequency > 0)
    counted = np.where(power[inside] > _OVER_NOISE * noise, power[inside], 0)
    common = np.where(counted > 0, spectra[1][inside] * np.conj(spectra[0][inside]), 0)
    blocks = np.array_split(np.arange(power.shape[1]), _BLOCKS)
    above = np.stack([common[:, block].sum(axis=1) for block in blocks])
    below = np.array([counted[:, block].sum() for block in blocks])
    rest = below.sum() - below
    if (rest <= 0).any():
        return None
    without = np.abs(above.sum(axis=0) - above).sum(axis=1) / rest
    error = np.sqrt((_BLOCKS - 1) * np.mean((without - without.mean()) ** 2))
    return float(np.abs(above.sum(axis=0)).sum() / below.sum()), float(error)
