"""`Tracks`: where every node was in every frame of one video. The one type that flows through the project."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.errors import TracksError
from compute.extras import import_extra
from compute.frame_times import usual_frame_interval_s
from compute.json_text import json_text
from compute.tracks.point_columns import POINT_COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa
    import xarray as xr

FORMAT_VERSION = 1
"""Version of the Arrow and Parquet layout written by `Tracks.to_arrow`."""


@dataclass(frozen=True, eq=False)
class Tracks:
    """Positions of all nodes of a skeleton in all frames of one video.

    Arrays are converted to the types below and are then read-only: a filter returns new tracks.

    Parameters
    ----------
    position : array, shape (frame, node, 2), float32
        x and y in pixels of the full video frame; the center of the upper left pixel is (0, 0).
        NaN (always in both) where the node was not found.
    score : array, shape (frame, node), float32
        The estimator's score; SLEAP's are peak values of the confidence map and may exceed 1.
        0 where the node was not found; NaN where a person placed the point, which is the most trusted kind.
    time : array, shape (frame,), float64
        Time of each frame in seconds, strictly increasing.
    nodes : sequence of str
        Names of the nodes, unique, in the order of the arrays.
    sd : array, shape (frame, node, 2), float32, optional
        Posterior standard deviation of x and y in pixels, from a filter that knows it. NaN where position is. It
        covers noise that changes from frame to frame, not what the network does wrong in all frames alike (most of its
        error on mice that it has not seen): that is part of `interval_half_width`.
    rejected : array, shape (frame, node), bool, optional
        True where a filter took the estimator's point for a wrong placement and did not use it.
    filled : array, shape (frame, node), bool, optional
        True where a filter gives a position at a frame where it used no point of the estimator: there was none, or it
        was rejected. A rejected point with a position is both rejected and filled; one in a gap that is too long to be
        filled has no position and is not filled.
    spread : array, shape (frame, node), float32, optional
        Of an ensemble: the distance in pixels between two of its members, the median over all pairs of those that
        found the node. NaN where fewer than two did. A filter leaves it as it is.
    lasting_spread : array, shape (frame, node), float32, optional
        Of an ensemble: the same for a while and beyond the usual offsets between members, see
        `compute.tracks.disputed_points`.
    interval_half_width : array, shape (frame, node), float32, optional
        Half-width in pixels of the interval that holds the true x, and y, with 95 % probability, by labeled frames that
        the network has not seen, see `compute.calibration`. NaN where no such frames say it, and where position is.
    attributes : mapping, optional
        What made these tracks (model, filter, parameters): values that JSON can hold.

    Raises
    ------
    TracksError
        If shapes disagree, node names repeat, a position is infinite or only half NaN,
        or time does not increase.

    Examples
    --------
    >>> tracks = Tracks(position=[[[1, 2]], [[np.nan, np.nan]]], score=[[0.9], [0]], time=[0, 0.01], nodes=["jaw_tip"])
    >>> tracks.n_frames, tracks.nodes, tracks.found.tolist()
    (2, ('jaw_tip',), [[True], [False]])
    """

    position: NDArray[np.float32]
    score: NDArray[np.float32]
    time: NDArray[np.float64]
    nodes: tuple[str, ...]
    sd: NDArray[np.float32] | None = None
    rejected: NDArray[np.bool_] | None = None
    filled: NDArray[np.bool_] | None = None
    spread: NDArray[np.float32] | None = None
    lasting_spread: NDArray[np.float32] | None = None
    interval_half_width: NDArray[np.float32] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.nodes, str):
            raise TracksError(f"nodes must be a sequence of names, not the one string {self.nodes!r}")
        nodes = tuple(self.nodes)
        time = _frozen(self.time, np.float64)
        n_frames, n_nodes = (time.size, len(nodes))
        if time.ndim != 1:
            raise TracksError(f"time has shape {time.shape}, expected (frame,)")
        if len(set(nodes)) != n_nodes or not all(isinstance(node, str) and node for node in nodes):
            raise TracksError(f"nodes must be unique, non-empty names, got {list(nodes)}")
        shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
            "position": (np.float32, (n_frames, n_nodes, 2)),
            "score": (np.float32, (n_frames, n_nodes)),
            **{name: (POINT_COLUMNS[name].dtype, POINT_COLUMNS[name].shape(n_frames, n_nodes)) for name in self.given},
        }
        for name, (dtype, shape) in shapes.items():
            array = _frozen(getattr(self, name), dtype)
            if array.shape != shape:
                raise TracksError(
                    f"{name} has shape {array.shape}, expected {shape} for {n_frames} times and {n_nodes} nodes"
                )
            object.__setattr__(self, name, array)
        if np.isinf(self.position).any():
            raise TracksError("position holds infinite values; a node that was not found is NaN")
        if (np.isnan(self.position[..., 0]) != np.isnan(self.position[..., 1])).any():
            raise TracksError("position is NaN in only one of x and y; a node that was not found is NaN in both")
        if not np.isfinite(time).all() or (np.diff(time) <= 0).any():
            raise TracksError("time must be finite and strictly increasing, in seconds")
        object.__setattr__(self, "time", time)
        object.__setattr__(self, "nodes", nodes)
        object.__setattr__(self, "attributes", dict(self.attributes))

    @property
    def given(self) -> tuple[str, ...]:
        """Those of `POINT_COLUMNS` that these tracks have."""
        return tuple(name for name in POINT_COLUMNS if getattr(self, name) is not None)

    @property
    def n_frames(self) -> int:
        """Number of frames, the same as the video's."""
        return int(self.time.size)

    @property
    def fps(self) -> float | None:
        """Mean frame rate (Hz) by the times; None with less than two frames."""
        return None if self.n_frames < 2 else float((self.n_frames - 1) / (self.time[-1] - self.time[0]))

    @cached_property
    def frame_interval_s(self) -> float:
        """Usual time between frames in seconds, see `compute.frame_times.usual_frame_interval_s`."""
        return usual_frame_interval_s(self.time)

    @property
    def found(self) -> NDArray[np.bool_]:
        """True where there is a position, shape (frame, node)."""
        return ~np.isnan(self.position[..., 0])

    def node_index(self, node: str) -> int:
        """Index of a node by its name.

        Raises
        ------
        TracksError
            If there is no such node; the message lists those there are.
        """
        try:
            return self.nodes.index(node)
        except ValueError:
            raise TracksError(f"no node {node!r}; there are {', '.join(self.nodes)}") from None

    def select(self, nodes: Sequence[str]) -> Tracks:
        """The same tracks with only these nodes, in this order."""
        index = [self.node_index(node) for node in nodes]
        optional = {name: getattr(self, name)[:, index] for name in self.given}
        return replace(
            self, position=self.position[:, index], score=self.score[:, index], nodes=tuple(nodes), **optional
        )

    def part(self, start: int, stop: int) -> Tracks:
        """Only the frames from start to stop - 1."""
        names = ("position", "score", "time", *self.given)
        return replace(self, **{name: getattr(self, name)[start:stop] for name in names})

    def to_xarray(self, individual: str = "mouse") -> xr.Dataset:
        """As a dataset with the layout of the `movement` package.

        Parameters
        ----------
        individual : str
            Name of the one individual.

        Returns
        -------
        xarray.Dataset
            ``position`` (time, space, keypoints, individuals) in px and ``confidence`` (time, keypoints, individuals);
            ``sd``, ``rejected``, ``filled``, ``spread``, ``lasting_spread`` and ``interval_half_width`` likewise where
            there are any.

        Raises
        ------
        NotInstalledError
            If xarray is not installed.
        """
        xr = import_extra("xarray", "xarray")
        spatial = ("time", "space", "keypoints", "individuals")
        scalar = ("time", "keypoints", "individuals")
        variables: dict[str, tuple[tuple[str, ...], NDArray[Any]]] = {
            "position": (spatial, self.position.transpose(0, 2, 1)[..., None]),
            "confidence": (scalar, self.score[..., None]),
        }
        for name in self.given:
            values = getattr(self, name)[..., None]
            is_spatial = POINT_COLUMNS[name].of_axes
            variables[name] = (spatial, values.transpose(0, 2, 1, 3)) if is_spatial else (scalar, values)
        return xr.Dataset(
            variables,
            coords={
                "time": self.time,
                "space": ["x", "y"],
                "keypoints": list(self.nodes),
                "individuals": [individual],
            },
            attrs={
                "ds_type": "poses",
                "time_unit": "seconds",
                "source_software": str(self.attributes.get("estimator", "unknown")),
                **({} if self.fps is None else {"fps": self.fps}),  # netCDF holds no None
                "attributes": json_text(self.attributes),
            },
        )

    @classmethod
    def from_xarray(cls, dataset: xr.Dataset) -> Tracks:
        """From a dataset with `movement`'s layout and one individual; the inverse of `to_xarray`.

        Raises
        ------
        TracksError
            If the dataset holds more than one individual.
        """
        if dataset.sizes["individuals"] != 1:
            raise TracksError(f"the dataset holds {dataset.sizes['individuals']} individuals, expected one mouse")
        one = dataset.isel(individuals=0).transpose("time", "keypoints", "space")
        return cls(
            position=one["position"].values,
            score=one["confidence"].values,
            time=one["time"].values,
            nodes=tuple(str(node) for node in one["keypoints"].values),
            **{name: one[name].values for name in POINT_COLUMNS if name in one},
            attributes=json.loads(dataset.attrs.get("attributes", "{}")),
        )

    def to_arrow(self, key: Mapping[str, Any] | None = None) -> pa.Table:
        """As an Arrow table with one row a frame.

        Columns are ``time_s`` and, for each node, ``<node>_x``, ``<node>_y`` (px) and ``<node>_score``, then
        ``<node>_xsd``, ``<node>_ysd`` (px), ``<node>_rejected`` and ``<node>_filled`` where a filter gave them, and
        ``<node>_spread`` and ``<node>_lastingspread`` (px) of an ensemble, ``<node>_halfwidth`` (px) for
        `interval_half_width`.
        A suffix holds no second underscore, so that no two nodes can claim one column. NaN becomes null, which SQL and
        data frames take for missing.
        The schema's metadata explains the file by itself: nodes, units, fps, number of frames, format version,
        attributes, and the key of the row that it belongs to, if one is given.
        """
        import pyarrow as pa

        given = [POINT_COLUMNS[name] for name in self.given]
        columns: dict[str, NDArray[Any]] = {"time_s": self.time}
        for index, node in enumerate(self.nodes):
            columns[f"{node}_x"] = self.position[:, index, 0]
            columns[f"{node}_y"] = self.position[:, index, 1]
            columns[f"{node}_score"] = self.score[:, index]
            for one in given:
                planes = one.planes(getattr(self, one.name))
                columns |= {f"{node}_{end}": plane[:, index] for end, plane in zip(one.suffixes, planes, strict=True)}
        metadata = {
            "format": "orofacial tracks",
            "format_version": FORMAT_VERSION,
            "nodes": list(self.nodes),
            "n_frames": self.n_frames,
            "fps": self.fps,
            "units": {"time_s": "s", "x": "px", "y": "px"}
            | {end: one.unit for one in POINT_COLUMNS.values() if one.unit for end in one.suffixes},
            "attributes": dict(self.attributes),
            "key": {name: value if isinstance(value, int) else str(value) for name, value in (key or {}).items()},
        }
        arrays = [pa.array(np.ascontiguousarray(column), from_pandas=True) for column in columns.values()]
        return pa.table(arrays, names=list(columns)).replace_schema_metadata({"orofacial": json_text(metadata)})

    @classmethod
    def from_arrow(cls, table: pa.Table) -> Tracks:
        """From an Arrow table made by `to_arrow`, the inverse of it.

        A table with only some nodes' columns gives tracks of those nodes.

        Raises
        ------
        TracksError
            If the table is not one of `to_arrow`'s, or of a newer format version.
        """
        metadata = read_tracks_metadata(table.schema)
        nodes = [node for node in metadata["nodes"] if f"{node}_x" in table.column_names]

        def planes(*suffixes: str) -> list[NDArray[Any]]:
            return [np.column_stack([table[f"{node}_{suffix}"].to_numpy() for node in nodes]) for suffix in suffixes]

        if not nodes:
            empty = np.empty((table.num_rows, 0), np.float32)
            return cls(
                np.empty((table.num_rows, 0, 2), np.float32),
                empty,
                table["time_s"].to_numpy(),
                (),
                attributes=metadata["attributes"],
            )
        there = [one for one in POINT_COLUMNS.values() if f"{nodes[0]}_{one.suffixes[0]}" in table.column_names]
        return cls(
            position=np.stack(planes("x", "y"), axis=-1),
            score=planes("score")[0],
            time=table["time_s"].to_numpy(),
            nodes=tuple(nodes),
            **{one.name: one.from_planes(planes(*one.suffixes)) for one in there},
            attributes=metadata["attributes"],
        )


def read_tracks_metadata(schema: pa.Schema) -> dict[str, Any]:
    """What `Tracks.to_arrow` noted in a schema.

    Raises
    ------
    TracksError
        If the schema is not one of `to_arrow`'s, or of a newer format version.
    """
    raw = (schema.metadata or {}).get(b"orofacial")
    try:
        metadata: dict[str, Any] = json.loads(raw or b"")
        version = metadata["format_version"]
    except (ValueError, TypeError, KeyError):
        raise TracksError("the table has no 'orofacial' metadata: it was not written by orofacial") from None
    check_tracks_format_version(version)
    return metadata


def check_tracks_format_version(version: int) -> None:
    """Refuse what a newer orofacial wrote.

    Raises
    ------
    TracksError
        If the version is newer than `FORMAT_VERSION`.
    """
    if version > FORMAT_VERSION:
        raise TracksError(
            f"the table has format version {version}, this orofacial reads up to {FORMAT_VERSION}; update orofacial"
        )


def _frozen(values: ArrayLike, dtype: Any) -> NDArray[Any]:
    """A read-only array of this type; copies when the input could still be changed by somebody else."""
    array = np.asarray(values)
    if array.dtype != dtype or array.flags.writeable:
        array = array.astype(dtype)
    array.flags.writeable = False
    return array
