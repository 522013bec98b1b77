"""What tracks may say of each point beside position and score: columns that only some filters and estimators give.

They are declared here once. `Tracks`, its files, queries and exports take them from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PointColumn:
    """One of these columns.

    Parameters
    ----------
    name : str
        The field of `Tracks`.
    dtype : type
        Type of its numbers.
    missing : float or bool
        What stands where there is no point.
    text : str
        What it says, for people; of x and y where `of_axes`.
    unit : str
        ``px``; empty for a yes or no.
    of_axes : bool
        Whether x and y have a number each: shape (frame, node, 2) instead of (frame, node).
    suffix : str
        Ends the columns' names in a table with a line a frame, where `name` holds an underscore: it must hold none.
    """

    name: str
    dtype: type[np.generic]
    missing: float | bool
    text: str
    unit: str = ""
    of_axes: bool = False
    suffix: str = ""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Ends of the columns' names in a table with a line a frame, such as ``xsd`` of ``jaw_tip_xsd``."""
        return (f"x{self.name}", f"y{self.name}") if self.of_axes else (self.suffix or self.name,)

    @property
    def tidy_names(self) -> tuple[str, ...]:
        """Names of the columns in a table with a line a frame and node, such as ``x_sd_px``."""
        end = f"_{self.unit}" if self.unit else ""
        return tuple(f"{start}{self.name}{end}" for start in (("x_", "y_") if self.of_axes else ("",)))

    @property
    def texts(self) -> tuple[str, ...]:
        """What each of these columns says."""
        return tuple(f"{self.text} of {axis}" for axis in "xy") if self.of_axes else (self.text,)

    def shape(self, n_frames: int, n_nodes: int) -> tuple[int, ...]:
        """Shape of the array."""
        return (n_frames, n_nodes, 2) if self.of_axes else (n_frames, n_nodes)

    def planes(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """An array of shape (frame, node) for each of `suffixes` and `tidy_names`."""
        return [values[..., 0], values[..., 1]] if self.of_axes else [values]

    def tidy_columns(self, values: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Columns of a table with a line a frame and node, by `tidy_names`."""
        return {name: plane.ravel() for name, plane in zip(self.tidy_names, self.planes(values), strict=True)}

    def from_planes(self, planes: list[NDArray[Any]]) -> NDArray[Any]:
        """The inverse of `planes`."""
        return np.stack(planes, axis=-1) if self.of_axes else planes[0]


_COLUMNS = (
    PointColumn("sd", np.float32, np.nan, "posterior standard deviation", unit="px", of_axes=True),
    PointColumn("rejected", np.bool_, False, "whether the filter took the model's point for a wrong placement"),
    PointColumn("filled", np.bool_, False, "whether the filter gives a position without a point that it used"),
    PointColumn("spread", np.float32, np.nan, "median distance between two members of the ensemble", unit="px"),
    PointColumn(
        "lasting_spread",
        np.float32,
        np.nan,
        "the same for 0.1 s, beyond the usual offsets between members",
        unit="px",
        suffix="lastingspread",
    ),
    PointColumn(
        "interval_half_width",
        np.float32,
        np.nan,
        "half-width of the 95 % interval of x and of y, by labeled frames",
        unit="px",
        suffix="halfwidth",
    ),
)

POINT_COLUMNS = {column.name: column for column in _COLUMNS}
"""Every column by its name."""
