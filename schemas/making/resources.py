"""What a job of a computed table needs of a machine.

A computed table has the class attribute `resources`. One that every session goes through has also ``is_stage = True``:
then it is a column of `orofacial status`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Device = Literal["gpu", "cpu"]


@dataclass(frozen=True)
class Resources:
    """What one job needs; the class attribute `resources` of every computed table.

    Attributes
    ----------
    device : {"gpu", "cpu"}
        Which workers take it. A GPU's jobs also run on a CPU, slowly, for a worker that takes everything.
    memory_gb : float
        (GB) main memory of the process at its largest.
    estimator : bool
        Whether it runs the estimator of its model or training configuration, whose package not every machine has.
    """

    device: Device = "cpu"
    memory_gb: float = 1.0
    estimator: bool = False
