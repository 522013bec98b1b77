"""Ask for tracks across animals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compute.errors import OrofacialError
from compute.tracks import Tracks
from schemas.model import Model
from schemas.pose import PoseEstimation
from schemas.session import Video
from schemas.subject import Mouse
from schemas.track import FilteredTrack, FilterMethod, fetch_tracks

if TYPE_CHECKING:
    import pyarrow as pa


class QueryError(OrofacialError):
    """A question about something that the database does not hold."""


@dataclass(frozen=True)
class TrackSelection:
    """Filtered tracks that fit a question. Nothing is read before it is asked for.

    Attributes
    ----------
    rows : list of dict
        For each track its keys (``mouse_id``, ``session_date``, ``session_number``, ``camera``, ``model_id``,
        ``filter_method``) and ``held_out``: whether the mouse was kept from the model's training.
    nodes : tuple of str, optional
        The nodes asked for; None means all of each skeleton.
    """

    rows: list[dict[str, Any]]
    nodes: tuple[str, ...] | None

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[dict[str, Any], Tracks]]:
        """Read one track after the other, with its row."""
        for row in self.rows:
            yield row, fetch_tracks({name: row[name] for name in FilteredTrack.primary_key}, self.nodes)

    def to_arrow(self) -> Iterator[pa.Table]:
        """One table a track, one line a frame and node.

        Columns: the row's keys, ``held_out``, ``frame_index``, ``time_s``, ``node``, ``x_px``, ``y_px``, ``score``;
        NaN where the node was not found.
        """
        for row, tracks in self:
            yield _tidy(row, tracks)


def tracks(
    *,
    mouse: str | None = None,
    camera: str | None = None,
    node: str | Sequence[str] | None = None,
    filter: str = "raw",
    model: str | None = None,
    held_out: bool | None = None,
    restriction: Any = None,
) -> TrackSelection:
    """Find the tracks that fit, across all animals.

    Parameters
    ----------
    mouse, camera, model : str, optional
        Only of this mouse, camera or model (its id).
    node : str or sequence of str, optional
        Only these nodes; tracks whose skeleton lacks one of them are left out.
    filter : str
        Row of `FilterMethod`, such as ``raw``, ``gaussian``, ``median``, ``kalman``.
    held_out : bool, optional
        True: only mice kept from the model's training. False: only mice in its training set.
    restriction : optional
        Anything that DataJoint takes as a restriction on mouse, session, video and track, such as ``"sex='female'"``.

    Returns
    -------
    TrackSelection
        Ordered by mouse, session and camera.

    Raises
    ------
    QueryError
        If the filter, mouse or camera does not exist, or no skeleton has the node.
    """
    _check_exists(FilterMethod, "filter_method", filter)
    query = FilteredTrack.proj() * Video.proj() * Mouse & {"filter_method": filter}
    for column, value, table in (("mouse_id", mouse, Mouse), ("camera", camera, Video), ("model_id", model, Model)):
        if value is not None:
            _check_exists(table, column, value)
            query &= {column: value}
    if restriction is not None:
        query &= restriction
    nodes = None if node is None else (node,) if isinstance(node, str) else tuple(node)
    in_training = {(row["model_id"], row["mouse_id"]) for row in Model.Mouse.to_dicts()}
    rows = []
    for key in query.proj().to_dicts(order_by="mouse_id, session_date, session_number, camera, model_id"):
        row = {**key, "held_out": (key["model_id"], key["mouse_id"]) not in in_training}
        if held_out is None or row["held_out"] == held_out:
            rows.append(row)
    if nodes is not None:
        rows = _with_nodes(rows, nodes)
    return TrackSelection(rows, nodes)


def _with_nodes(rows: list[dict[str, Any]], nodes: tuple[str, ...]) -> list[dict[str, Any]]:
    """Leave out rows whose tracks lack a node."""
    videos = {(row["model_id"], row["camera"]) for row in rows}
    skeletons = dict(
        zip(*(PoseEstimation * Model.proj("skeleton_id")).to_arrays("model_id", "skeleton_id"), strict=True)
    )
    from schemas.labels import Skeleton

    known = {
        skeleton: set((Skeleton.Node & {"skeleton_id": skeleton}).to_arrays("node"))
        for skeleton in set(skeletons.values())
    }
    kept = [row for row in rows if known[skeletons[row["model_id"]]].issuperset(nodes)]
    if videos and not kept:
        names = sorted(set().union(*known.values()))
        raise QueryError(f"no skeleton has all of {', '.join(nodes)}; nodes are {', '.join(names)}")
    return kept


def _check_exists(table: Any, column: str, value: str) -> None:
    if not table & {column: value}:
        known = sorted(set(table.to_arrays(column)))
        raise QueryError(f"no {column} {value!r} in the database; known are {', '.join(known) or 'none yet'}")


def _tidy(row: dict[str, Any], tracks: Tracks) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    n_nodes = len(tracks.nodes)
    n_rows = tracks.n_frames * n_nodes
    columns: dict[str, Any] = {
        name: pa.DictionaryArray.from_arrays(np.zeros(n_rows, np.int32), [value])
        if isinstance(value, str)
        else pa.repeat(value, n_rows)
        for name, value in row.items()
    }
    columns |= {
        "frame_index": np.repeat(np.arange(tracks.n_frames), n_nodes),
        "time_s": np.repeat(tracks.time, n_nodes),
        "node": pa.DictionaryArray.from_arrays(
            np.tile(np.arange(n_nodes, dtype=np.int32), tracks.n_frames), list(tracks.nodes)
        ),
        "x_px": tracks.position[..., 0].ravel(),
        "y_px": tracks.position[..., 1].ravel(),
        "score": tracks.score.ravel(),
    }
    return pa.table(columns)
