"""Single frames that stand out of their neighbours: a rule that knows no filter, gate or score."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_WINDOW_FRAMES = 3
_USUAL_FRACTION = 0.9
_TIMES_USUAL = 4.0
_PASSES = 2
_FEWEST_FRAMES = 10


def spike_mask(series: Array) -> NDArray[np.bool_]:
    """Frames farther from the median of three than four times what a tenth of all frames exceed.

    What compares filters asks this, and not the gate of one of them: a gate that takes a fast movement for wrong
    placements would hide from the comparison what its own filter lost. A movement in more than a tenth of the frames is
    never a spike, since it is itself what is usual; so fewer wrong placements are found in tracks with fast movement.

    Parameters
    ----------
    series : array, shape (frame, ...)
        A coordinate or a distance (px); NaN where it is not known.

    Returns
    -------
    array, same shape, bool
        Where nothing is known: False.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(0, 1, 100)
    >>> noise[40] += 30
    >>> np.flatnonzero(spike_mask(noise))
    array([40])
    """
    columns = series.reshape(len(series), -1)
    spikes = np.zeros(columns.shape, np.bool_)
    for index, column in enumerate(columns.T):
        spikes[:, index] = _of_column(column.astype(np.float64))
    return spikes.reshape(series.shape)


def _of_column(column: Array) -> NDArray[np.bool_]:
    from scipy.ndimage import median_filter

    spikes = np.zeros(column.size, np.bool_)
    limit = None
    for _ in range(_PASSES):
        # Of the frames that are left, so that a spike beside a gap or another spike has neighbours too.
        known = np.flatnonzero(~np.isnan(column) & ~spikes)
        if known.size < _FEWEST_FRAMES:
            break
        away = np.abs(column[known] - median_filter(column[known], _WINDOW_FRAMES, mode="nearest"))
        limit = _TIMES_USUAL * np.quantile(away, _USUAL_FRACTION) if limit is None else limit
        spikes[known[away > limit]] = True
    return spikes
