"""One line to a lab, one line to a file.

>>> import orofacial
>>> sorted(orofacial.__all__)
['Lab', 'Tracks', 'connect', 'read']

``lab = orofacial.connect()`` opens a lab (see `pipeline.lab.connect_lab` and `pipeline.lab.Lab`),
``orofacial.read(file)`` reads a file without one (see `orofacial.reading.read`). What they need is imported when they
are used: the import of this package alone takes milliseconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from orofacial.other_modules import refuse_other_modules

if TYPE_CHECKING:
    from compute.tracks import Tracks
    from orofacial.reading import read
    from pipeline.lab import Lab
    from pipeline.lab import connect_lab as connect

__all__ = ["Lab", "Tracks", "connect", "read"]

_MODULES = {
    "Lab": ("pipeline.lab", "Lab"),
    "Tracks": ("compute.tracks", "Tracks"),
    "connect": ("pipeline.lab", "connect_lab"),
    "read": ("orofacial.reading", "read"),
}
"""Where each of these names is imported from at its first use."""

refuse_other_modules()


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'orofacial' has no attribute {name!r}; it has {', '.join(__all__)}")
    module, name_there = _MODULES[name]
    value = getattr(importlib.import_module(module), name_there)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
