"""What a job of a computed table needs of a machine.

A computed table has the class attribute `resources`. One that every session goes through has also ``is_stage = True``:
then it is a column of `orofacial status`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from compute.estimators import Device, EstimatorKind, registered_estimators
from compute.extras import FORMATS, describe_missing

__all__ = ["Device", "Resources"]


@dataclass(frozen=True)
class Resources:
    """What one job needs; the class attribute `resources` of every computed table.

    Attributes
    ----------
    device : {"gpu", "cpu"}
        Which workers take it, where no estimator runs.
    memory_gb : float
        (GB) main memory of the process at its largest; where an estimator runs and states more, it is that.
    estimator : callable, optional
        Which estimators such jobs run: takes an `EstimatorKind`, gives a bool. Each job runs that of its model or
        training configuration, which says whether it wants a GPU, and whose package not every machine has. A job that
        wants a GPU also runs on a CPU, slowly, for a worker that takes everything.
    modules : tuple of str
        Modules of the extra ``formats`` that every such job imports. Where one is missing, jobs are left to others.
    """

    device: Device = "cpu"
    memory_gb: float = 1.0
    estimator: Callable[[EstimatorKind], bool] | None = None
    modules: tuple[str, ...] = ()

    def missing(self) -> str | None:
        """Which of `modules` are not installed here and how to install them; None if all are there."""
        return describe_missing("a package", self.modules, FORMATS)

    def memory_on(self, device: Device) -> float:
        """(GB) the most that a job which wants this device needs; 0: no job wants it."""
        if self.estimator is None:
            return self.memory_gb if self.device == device else 0.0
        kinds = [kind for kind in registered_estimators().values() if kind.device == device and self.estimator(kind)]
        return max((max(kind.memory_gb, self.memory_gb) for kind in kinds), default=0.0)
