"""A colour for every filter method of a lab, however many there are, and no two alike."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

import numpy as np
from matplotlib.colors import to_hex, to_rgb
from numpy.typing import NDArray

from compute.filters import registered_filters

REJECTED_COLOR = "#B0004D"
_TAKEN = ("#FFFFFF", "#000000", REJECTED_COLOR)
"""Paper, the truth, and crosses."""


def method_colors(methods: Iterable[str]) -> dict[str, str]:
    """A colour for each filter method.

    A filter's own colour stands in its registration. Methods that a lab added get, in the order of their names, the
    colour that is farthest from all others as people see them. So give all methods of a lab, and a method has the same
    colour in every picture.

    Parameters
    ----------
    methods : iterable of str
        Names of filter methods; one twice counts once.

    Examples
    --------
    >>> method_colors(["raw", "kalman"])
    {'raw': '#999999', 'kalman': '#0072B2'}
    >>> len(set(method_colors(f"method{number}" for number in range(30)).values()))
    30
    """
    names = list(dict.fromkeys(methods))
    own = {method: color for one in registered_filters().values() for method, color in one.colors.items()}
    chosen: dict[str, str] = {}
    for name in names:
        default = re.sub(r"_v\d+$", "", name)  # a default method of a newer version, see `FilterMethod.contents`
        if default in own and own[default] not in (*_TAKEN, *chosen.values()):
            chosen[name] = own[default]
    for name in sorted(set(names) - set(chosen)):
        chosen[name] = _farthest((*_TAKEN, *chosen.values()), len(names))
    return {name: chosen[name] for name in names}


def _farthest(taken: Iterable[str], n_methods: int) -> str:
    """Of a grid of colours that can be seen on paper, the one that is farthest from all that are taken."""
    levels = np.linspace(0, 0.95, 5 + int(np.cbrt(n_methods)))  # many more colours than methods
    candidates = np.array(list(itertools.product(levels, repeat=3)))
    seen = _as_seen(candidates)
    apart = np.linalg.norm(seen[:, None] - _as_seen(np.array([to_rgb(color) for color in taken])), axis=-1).min(axis=1)
    apart[seen[:, 0] > 85] = 0  # too light for a thin line
    return str(to_hex(candidates[int(np.argmax(apart))])).upper()


def _as_seen(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIE L*a*b* of sRGB colours (IEC 61966-2-1, D65), shape (colour, 3): distances in it are as people see them."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _XYZ.T / (0.95047, 1.0, 1.08883)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=-1)


_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
