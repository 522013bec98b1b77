"""SLEAP: train a model, and find the nodes in videos with it, on sleap-nn's Python interface.

`ESTIMATOR` is the contract of `compute.estimators`. The functions and classes below do the same directly; they are
imported with the first use of one, since they take a second.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from compute.estimators.sleap.kind import SleapKind

if TYPE_CHECKING:
    from compute.estimators.sleap.bundle import SleapBundle, import_bundle, read_bundle
    from compute.estimators.sleap.estimator import SleapEstimator, estimate_with_sleap, load_sleap_estimator
    from compute.estimators.sleap.training import SleapTrainingSettings, train_with_sleap

__all__ = [
    "ESTIMATOR",
    "SleapBundle",
    "SleapEstimator",
    "SleapTrainingSettings",
    "estimate_with_sleap",
    "import_bundle",
    "load_sleap_estimator",
    "read_bundle",
    "train_with_sleap",
]

ESTIMATOR = SleapKind()

_MODULES = {
    "bundle": ("SleapBundle", "import_bundle", "read_bundle"),
    "estimator": ("SleapEstimator", "estimate_with_sleap", "load_sleap_estimator"),
    "training": ("SleapTrainingSettings", "train_with_sleap"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
