"""Tracks that fit a question, read on demand."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from compute.errors import DatabaseError, LeftOutWarning, OrofacialError
from compute.text import session_text
from compute.tracks import Tracks, check_tracks_format_version
from pipeline.query.checks import QueryError
from pipeline.query.chosen_models import model_text
from pipeline.query.columns import MANIFEST, TRACKS, columns_schema, tidy_columns, tidy_columns_schema
from schemas.calibration import CalibratedTracksReference
from schemas.stored.fetching import TracksReference

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    import xarray as xr


@dataclass(frozen=True)
class LeftOut:
    """Tracks that were left out because their file could not be read."""

    row: dict[str, Any]
    reason: str

    def __str__(self) -> str:
        return f"{selection_row_name(self.row)}: {self.reason}"


@dataclass(frozen=True)
class TrackSelection:
    """Filtered tracks that fit a question. Nothing is read before it is asked for.

    Attributes
    ----------
    rows : list of dict
        For each track its keys (``mouse_id``, ``session_date``, ``session_number``, ``camera``, ``model_id``,
        ``filter_method``), ``model_name``, and ``held_out``: whether the mouse was kept from the model's
        training; None: not known.
    nodes : tuple of str, optional
        The nodes asked for; None means all of each skeleton.
    references : list of TracksReference
        For each track where it is, its nodes and number of frames.
    details : list of dict
        For each track what is known of its mouse, session, video and model.
    time_span_s : tuple of two floats, optional
        Only frames with start <= time < end (s); infinite at an open end.
    skip_broken : bool
        Leave out what cannot be read, instead of failing.
    left_out : list of LeftOut
        What was left out so far.
    """

    rows: list[dict[str, Any]]
    nodes: tuple[str, ...] | None
    references: list[TracksReference]
    details: list[dict[str, Any]]
    time_span_s: tuple[float, float] | None = None
    skip_broken: bool = False
    left_out: list[LeftOut] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[dict[str, Any], Tracks]]:
        """Read one track after the other, with its row.

        Raises
        ------
        QueryError
            If a file is gone or damaged, naming the row; with `skip_broken` it is left out with a warning instead.
        """
        for row, reference in zip(self.rows, self.references, strict=True):
            try:
                tracks = reference.tracks(self.nodes, self.time_span_s)
            except DatabaseError as error:
                self._broken(row, error)
            else:
                yield row, tracks

    def readable(self, *, thoroughly: bool = False) -> TrackSelection:
        """The tracks whose files are intact: checked by their footers, or thoroughly by reading the requested part.

        Raises
        ------
        QueryError
            If a file is gone or damaged, naming the row; with `skip_broken` it is left out with a warning instead.
        """
        kept = []
        for index, (row, reference) in enumerate(zip(self.rows, self.references, strict=True)):
            try:
                reference.tracks(self.nodes, self.time_span_s) if thoroughly else reference.footer()
            except DatabaseError as error:
                self._broken(row, error)
            else:
                kept.append(index)
        return self.pick(kept)

    def broken(self) -> list[LeftOut]:
        """The tracks whose file is gone or damaged, by its footer, with why; nothing is raised or left out."""
        found = []
        for row, reference in zip(self.rows, self.references, strict=True):
            try:
                reference.footer()
            except DatabaseError as error:
                found.append(LeftOut(row, str(error)))
        return found

    def understood(self) -> TrackSelection:
        """The tracks whose format this version knows, by their rows; no file is opened.

        Raises
        ------
        QueryError
            If a newer orofacial wrote one, naming the row; with `skip_broken` it is left out with a warning instead.
        """
        kept = []
        for index, (row, reference) in enumerate(zip(self.rows, self.references, strict=True)):
            try:
                check_tracks_format_version(reference.format_version)
            except OrofacialError as error:
                self._broken(row, error)
            else:
                kept.append(index)
        return self if len(kept) == len(self) else self.pick(kept)

    def check_any(self) -> None:
        """Refuse a selection without tracks.

        Raises
        ------
        QueryError
            If nothing fits, or nothing of it can be read.
        """
        if not self.rows and self.left_out:
            n_tracks = len(self.left_out)
            what = "the only track that fits cannot" if n_tracks == 1 else f"none of the {n_tracks} tracks that fit can"
            raise QueryError(f"{what} be read; see what was left out")
        if not self.rows:
            raise QueryError("no tracks fit; 'orofacial status' shows what has been computed")

    def pick(self, indices: Sequence[int]) -> TrackSelection:
        """Only the tracks at these places."""
        return replace(
            self,
            rows=[self.rows[index] for index in indices],
            references=[self.references[index] for index in indices],
            details=[self.details[index] for index in indices],
        )

    def files(self) -> list[str]:
        """Address of each track's file: a path in a folder store, ``s3://bucket/key`` in S3.

        Raises
        ------
        QueryError
            If the tracks are calibrated, or only of a span of time: the files hold all of them, as they were before.
        """
        if any(isinstance(reference, CalibratedTracksReference) for reference in self.references):
            raise QueryError(
                "calibrated tracks are in no file: offsets are taken off when tracks are read. Ask without"
                " calibrated=True (--calibrated in a shell), or write them to a file, see to_arrow"
            )
        if self.time_span_s is not None:
            raise QueryError(
                "files hold all frames of a video, not only those of a span of time. Ask without time_span_s (--from"
                " and --to in a shell), and compare the column time_s where the files are read"
            )
        return [reference.address for reference in self.references]

    def manifest(self) -> pa.Table:
        """A line a track: key, ``held_out``, details, ``fps``, and what its file holds, see `query.manifest`.

        Raises
        ------
        QueryError
            As `files`, and if a newer orofacial wrote a file: another engine would not notice. With `skip_broken` such
            files, and those that are gone or damaged, are left out with a warning instead.
        """
        import pyarrow as pa

        selection = self._usable()
        lines = [
            {
                **row,
                **details,
                "n_frames": reference.n_frames,
                "nodes": reference.nodes,
                "file_columns": reference.columns,
                "file": file,
            }
            for row, details, reference, file in zip(
                selection.rows, selection.details, selection.references, selection.files(), strict=True
            )
        ]
        return pa.Table.from_pylist(lines, columns_schema(MANIFEST))

    def _usable(self) -> TrackSelection:
        """The tracks that any engine can read: `understood`, and intact where others are to be left out."""
        return (self.readable() if self.skip_broken else self).understood()

    def to_xarray(self) -> Iterator[tuple[dict[str, Any], xr.Dataset]]:
        """One dataset a track with `movement`'s layout, beside its row; the individual is the mouse.

        `movement`'s functions take each dataset as it is. Its attributes hold the row: the keys as text, ``held_out``
        as a number, as netCDF has neither a boolean nor None: 1 held out, 0 in the model's training, -1 not known. The
        attribute ``held_out_meanings`` says so in the file.
        """
        for row, tracks in self:
            attributes: dict[str, Any] = {name: str(value) for name, value in row.items()}
            attributes |= {"held_out": held_out_flag(row["held_out"]), "held_out_meanings": HELD_OUT_MEANINGS}
            yield row, tracks.to_xarray(individual=row["mouse_id"]).assign_attrs(attributes)

    def to_arrow(self) -> Iterator[pa.Table]:
        """One table a track, one line a frame and node.

        Columns: the row's keys, ``held_out``, the texts that are known of the mouse (``sex``, ``genotype``),
        ``frame_index``, ``time_s``, ``node``, ``x_px``, ``y_px``, ``score``, NaN where the node was not found; and
        where a filter of the selection gives them ``x_sd_px``, ``y_sd_px``, ``rejected`` and ``filled``, and
        ``spread_px`` and ``lasting_spread_px`` where one of its models is an ensemble, null in tracks of the others; in
        calibrated tracks ``interval_half_width_px``, null where it is not known. With a time span, ``frame_index``
        still counts from the video's first frame.
        """
        columns = self._columns()
        for row, details, reference in zip(self.rows, self.details, self.references, strict=True):
            try:
                tracks = reference.tracks(self.nodes, self.time_span_s)
                first = self._first_frame(reference, tracks)
            except DatabaseError as error:
                self._broken(row, error)
            else:
                yield tidy_columns({**row, **details}, tracks, first, columns)

    def to_pandas(self) -> pd.DataFrame:
        """All tracks as one pandas frame, with the columns of `to_arrow`. All of it is in memory."""
        table = self._whole()
        # A split of the same string column by track has a dictionary each.
        return table.unify_dictionaries().to_pandas()

    def to_polars(self) -> pl.DataFrame:
        """All tracks as one polars frame, with the columns of `to_arrow`. All of it is in memory.

        Raises
        ------
        QueryError
            If polars is not installed.
        """
        try:
            import polars as pl
        except ImportError:
            raise QueryError("polars is not installed; 'pip install polars', or use to_pandas") from None
        frame = pl.from_arrow(self._whole().unify_dictionaries())
        assert isinstance(frame, pl.DataFrame)  # for the type checker: a table never becomes a series
        return frame

    def to_duckdb(self) -> duckdb.DuckDBPyRelation:
        """All tracks as one DuckDB relation, a line a frame, with the columns of the table ``tracks`` of `query.sql`.

        Lazy: only the files and columns that are needed are read. ``relation.query("tracks", "select ...")`` asks it.

        Raises
        ------
        QueryError
            If the selection is empty, or a file is gone.
        """
        return self.duckdb_connection().table("tracks")

    def duckdb_connection(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection of its own, in which the view ``tracks`` holds these tracks.

        Raises
        ------
        QueryError
            If the selection is empty, a file is gone, or two nodes differ in case only, which SQL does not tell apart.
        """
        import duckdb
        import pyarrow as pa

        from pipeline.query.duckdb_view import open_duckdb_view

        selection = self._usable()
        selection.check_any()
        lines = [
            {**row, **details, "file": reference.address}
            for row, details, reference in zip(selection.rows, selection.details, selection.references, strict=True)
        ]
        keys = pa.Table.from_pylist(lines, columns_schema({**TRACKS, "file": "string"}))
        try:
            return open_duckdb_view(keys, selection.references, selection.nodes, selection.time_span_s)
        except duckdb.Error as error:
            selection.readable()  # says which file is gone
            raise QueryError(f"the tracks cannot be read as one table: {error}") from error

    def any_frame(self) -> bool:
        """Whether any track has a frame in the time span; reads times until one is found, and no positions."""
        if self.time_span_s is None:
            return True
        start_s, end_s = self.time_span_s
        for reference in self.references:
            try:
                time = reference.time
            except OrofacialError:
                return True  # reading it says why
            if ((time >= start_s) & (time < end_s)).any():
                return True
        return False

    def _whole(self) -> pa.Table:
        import pyarrow as pa

        tables = list(self.to_arrow())
        return pa.concat_tables(tables) if tables else self._columns().empty_table()

    def _columns(self) -> pa.Schema:
        return tidy_columns_schema(name for reference in self.references for name in reference.filter_columns)

    def _first_frame(self, reference: TracksReference, tracks: Tracks) -> int:
        import numpy as np

        if self.time_span_s is None or not tracks.n_frames:
            return 0
        return int(np.searchsorted(reference.time, tracks.time[0]))

    def _broken(self, row: dict[str, Any], error: OrofacialError) -> None:
        if not self.skip_broken:
            raise QueryError(
                f"{selection_row_name(row)}: {error}; skip_broken=True (--skip-broken in a shell) goes on without it"
            ) from error
        left_out = LeftOut(row, str(error))
        if left_out.row not in [other.row for other in self.left_out]:
            self.left_out.append(left_out)
            warnings.warn(f"left out {left_out}", LeftOutWarning, stacklevel=3)


HELD_OUT_MEANINGS = "1: kept from the model's training, 0: in it, -1: not known"


def held_out_flag(held_out: bool | None) -> int:
    """Whether a mouse was held out, as files without booleans hold it, see `HELD_OUT_MEANINGS`.

    Examples
    --------
    >>> [held_out_flag(one) for one in (True, False, None)]
    [1, 0, -1]
    """
    return -1 if held_out is None else int(held_out)


def selection_row_name(row: dict[str, Any]) -> str:
    """A track's row for people, such as ``mouse01/2026-03-02_1 lower, model tiny (0123), kalman``."""
    model = model_text(row) if "model_name" in row else row["model_id"]
    return f"{session_text(row)} {row['camera']}, model {model}, {row['filter_method']}"
