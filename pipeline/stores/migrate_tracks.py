"""Arrays of tracks in a column of another table become `<tracks@tracks>`; the old rows stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import datajoint as dj
import numpy as np

from compute.errors import DatabaseError, TracksError
from compute.tracks import Tracks
from schemas.stored.publishing import published_or_removed


@dataclass
class TracksMigration:
    """Result of a migration.

    Attributes
    ----------
    table : str
        The new table, beside the old one.
    n_migrated, n_known : int
        Rows that were migrated now, and before.
    refused : list of str
        Rows that do not hold tracks, and why.
    """

    table: str
    n_migrated: int = 0
    n_known: int = 0
    refused: list[str] = field(default_factory=list)


def migrate_tracks(
    schema_name: str,
    table_name: str,
    column: str,
    *,
    nodes: Sequence[str],
    fps: float,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TracksMigration:
    """Copy a column of arrays (``<blob>``, ``<npy@...>``, ``<array@...>``) into a table of `<tracks@tracks>`.

    The new table is named after the old one, with ``Tracks`` behind it, in the same schema, and has its primary key.
    Each file is read back and compared before its row is inserted. Nothing of the old table is altered; once all is
    well a person may drop its column. Doing it again goes on where it was.

    Parameters
    ----------
    schema_name, table_name, column : str
        Where the arrays are, such as ``lab_pose``, ``Pose``, ``points``.
    nodes : sequence of str
        Names of the nodes, in the order of the arrays.
    fps : float
        Frame rate (Hz): time is frame index / fps.
    progress : callable
        Called with the number of rows done and of all.

    Returns
    -------
    Migration
        Rows whose arrays are no tracks are listed, and the others go on.

    Raises
    ------
    DatabaseError
        If there is no such schema, table or column.
    """
    if not (np.isfinite(fps) and fps > 0):
        raise TracksError(f"fps is {fps}; expected the camera's frame rate in Hz, such as 100")
    old = _find(schema_name, table_name, column)
    new = _declare(schema_name, table_name, old)
    result = TracksMigration(new.__name__, n_known=len(new()))
    missing = (old - new.proj()).keys(order_by="KEY")
    for done, key in enumerate(missing):
        progress(done, len(missing))
        try:
            tracks = _as_tracks((old & key).fetch1(column), nodes, fps)
        except TracksError as error:
            result.refused.append(f"{key}: {error}")
            continue
        # The file goes if it is not what was written, and so does the row.
        with new.connection.transaction, published_or_removed():
            new.insert1({**key, "tracks": tracks})
            _compare((new & key).fetch1("tracks").tracks(), tracks, key)
        result.n_migrated += 1
    progress(len(missing), len(missing))
    return result


def _find(schema_name: str, table_name: str, column: str) -> Any:
    try:
        module = dj.VirtualModule("old", schema_name, connection=dj.conn())
    except dj.errors.DataJointError as error:
        raise DatabaseError(f"no schema {schema_name!r} in the database ({error})") from None
    members: dict[str, Any] = vars(module)
    tables = {name: one for name, one in members.items() if isinstance(one, type) and issubclass(one, dj.Table)}
    if table_name not in tables:
        names = ", ".join(sorted(tables)) or "none"
        raise DatabaseError(f"no table {table_name!r} in {schema_name}; there are {names}")
    table: Any = tables[table_name]
    if column not in table.heading.secondary_attributes:
        names = ", ".join(table.heading.secondary_attributes)
        raise DatabaseError(f"no column {column!r} in {schema_name}.{table_name}; there are {names}")
    return table


def _declare(schema_name: str, table_name: str, old: Any) -> Any:
    schema = dj.Schema(schema_name, connection=dj.conn())
    definition = f"-> {table_name}\n---\ntracks : <tracks@tracks>  # of {table_name}, migrated"
    new = type(f"{table_name}Tracks", (dj.Manual,), {"definition": definition})
    return schema(new, context={table_name: old})


def _as_tracks(array: Any, nodes: Sequence[str], fps: float) -> Tracks:
    """Tracks of an array of shape (frame, node, 2 or 3): x, y in px, and the score if there is one."""
    values = np.asarray(array)
    if values.ndim != 3 or values.shape[1] != len(nodes) or values.shape[2] not in (2, 3):
        raise TracksError(
            f"the array has shape {values.shape}; expected (frame, {len(nodes)}, 2) with x and y of each node,"
            f" or (frame, {len(nodes)}, 3) with the score behind them"
        )
    if not np.issubdtype(values.dtype, np.number):
        raise TracksError(f"the array holds {values.dtype}, expected numbers")
    position = values[..., :2].astype(np.float32)
    is_missing = np.isnan(position).any(axis=-1)
    if (np.isnan(position).all(axis=-1) != is_missing).any():
        raise TracksError("a position is NaN in only one of x and y")
    # An array without scores does not say who placed the points: NaN would claim a person did.
    score = values[..., 2].astype(np.float32) if values.shape[2] == 3 else np.ones(is_missing.shape, np.float32)
    score = np.where(is_missing, np.float32(0), score)
    attributes = {"migrated": True, "has_scores": values.shape[2] == 3}
    return Tracks(position, score, np.arange(len(values)) / fps, tuple(nodes), attributes=attributes)


def _compare(found: Tracks, expected: Tracks, key: dict[str, Any]) -> None:
    for name in ("position", "score", "time"):
        if not np.array_equal(getattr(found, name), getattr(expected, name), equal_nan=True):
            raise DatabaseError(f"{key}: the store gave back another {name} than was written; see 'orofacial doctor'")
