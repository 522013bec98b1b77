"""Does the noise of a node last for some frames? Seen where the node is quiet, without any filter."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.measures.spikes import spike_mask
from compute.tracks import Tracks

Array = NDArray[Any]

_STRETCH_FRAMES = 12
_DEGREE = 2
"""Within a stretch movement is a polynomial of this degree."""
_QUIET_FRACTION = 0.4
_FEWEST_STRETCHES = 8
_NOTHING_PX2 = 1e-6
LASTING_FROM = 0.07
"""Noise whose correlation from one frame to the next exceeds this is said to last."""


def noise_correlation(tracks: Tracks) -> NDArray[np.float64]:
    """Correlation of each node's noise from one frame to the next, at rest.

    Of stretches of 12 frames without a gap or a spike a parabola is taken off, and the two fifths in which least is
    left are looked at. What white noise would have there is subtracted, so it gives 0 (at most 0.05 in a minute);
    noise that lasts for 30 ms gives 0.05 to 0.2 at 30 Hz, and 0.15 and more from 100 Hz on. A node that never rests
    cannot be told from one whose noise lasts.

    Parameters
    ----------
    tracks : Tracks
        An estimator's tracks.

    Returns
    -------
    array, shape (node,)
        About 0 for white noise, at most about 1; 1 where nothing changes at all (points on a coarse grid). NaN with
        fewer than 8 quiet stretches.
    """
    residual, white = _whitener()
    position = np.where(spike_mask(tracks.position), np.nan, tracks.position.astype(np.float64))
    n_stretches = len(position) // _STRETCH_FRAMES
    stretches = position[: n_stretches * _STRETCH_FRAMES].reshape(n_stretches, _STRETCH_FRAMES, -1, 2)
    found = np.full(len(tracks.nodes), np.nan)
    for node in range(len(tracks.nodes)):
        whole = stretches[:, :, node][~np.isnan(stretches[:, :, node]).any(axis=(1, 2))]
        n_quiet = int(_QUIET_FRACTION * len(whole))
        if n_quiet < _FEWEST_STRETCHES:
            continue
        left = np.einsum("fg,sga->sfa", residual, whole - whole.mean(axis=1, keepdims=True))
        power = (left**2).sum(axis=(1, 2))
        quiet = np.argsort(power, kind="stable")[:n_quiet]
        total = power[quiet].sum()
        following = (left[quiet, 1:] * left[quiet, :-1]).sum()
        found[node] = 1.0 if total < _NOTHING_PX2 * n_quiet else following / total - white
    return found


def _whitener() -> tuple[Array, float]:
    """What takes a polynomial off a stretch, and the correlation of neighbours that it leaves of white noise."""
    powers = np.vander(np.linspace(-1, 1, _STRETCH_FRAMES), _DEGREE + 1)
    basis, _ = np.linalg.qr(powers)
    residual = np.eye(_STRETCH_FRAMES) - basis @ basis.T
    return residual, float(np.trace(residual, offset=1) / np.trace(residual))
