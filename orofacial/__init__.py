"""One line to a lab, one line to a file.

>>> import orofacial
>>> sorted(orofacial.__all__)
['Lab', 'Tracks', 'connect', 'read']

``lab = orofacial.connect()`` opens a lab (see `pipeline.lab.connect` and `pipeline.lab.Lab`), ``orofacial.read(file)``
reads a file without one (see `orofacial.reading.read`). What they need is imported when they are used: the import of
this package alone takes milliseconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from orofacial.other_modules import refuse_other_modules

if TYPE_CHECKING:
    from compute.tracks import Tracks
    from orofacial.reading import read
    from pipeline.lab import Lab, connect

__all__ = ["Lab", "Tracks", "connect", "read"]

_MODULES = {
    "Lab": "pipeline.lab",
    "Tracks": "compute.tracks",
    "connect": "pipeline.lab",
    "read": "orofacial.reading",
}
"""Where each of these names is imported from at its first use."""

refuse_other_modules()


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'orofacial' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
