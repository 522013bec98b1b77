"""A lab: its settings, database, tables and stores as one object. This is how commands and people connect."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from compute.errors import DatabaseError
from pipeline.settings import Settings, SettingsError, load_settings

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from pipeline.lab_tables import LabTables
    from pipeline.query import TrackSelection
    from pipeline.work.status import Status


def connect_lab(
    data_folder: str | Path | None = None, *, settings: Settings | None = None, read_only: bool = False
) -> Lab:
    """Open a lab: read its settings, connect to its database, bind the tables, configure the stores.

    Without a database server in DataJoint's configuration the embedded database of the data folder is used, and made
    where there is none. A process has one lab at a time: opening another one closes the one before. Opening the same
    one again gives the same lab.

    Parameters
    ----------
    data_folder : str or Path, optional
        Without it ``OROFACIAL_DATA_FOLDER``, else ``~/orofacial``.
    settings : Settings, optional
        Instead of a data folder: settings as `pipeline.settings.load_settings` gives them, with the data folder and
        the prefix of the database schemas.
    read_only : bool
        Only look: no folder, database, table or row is made or changed, and an attempt is an error. The embedded
        database's server still has to run, and keeps its own books in ``database/``.

    Returns
    -------
    Lab
        Also a context manager, which closes the lab at its end.

    Raises
    ------
    SettingsError
        If the settings cannot be understood.
    DatabaseError
        If the database or a store cannot be used; if `read_only` and there is no database.

    Examples
    --------
    >>> import orofacial
    >>> with orofacial.connect() as lab:
    ...     for row, tracks in lab.tracks(mouse="mouse01", camera="lower", filter="kalman"):
    ...         print(row["mouse_id"], tracks.n_frames)
    mouse01 200
    >>> with orofacial.connect(read_only=True) as lab:
    ...     lab.tables.Mouse.insert1({"mouse_id": "mouse99"})
    Traceback (most recent call last):
    ...
    compute.errors.DatabaseError: the lab ... was opened read-only, so that nothing in it can be changed; ...
    """
    global _lab
    if settings is not None and data_folder is not None:
        raise SettingsError("both a data folder and settings were given, which name one too; give one of them")
    if settings is None:
        settings = load_settings(None if data_folder is None else Path(data_folder))
    from pipeline.database import connection as database

    connection = database.open_connection(settings, read_only=read_only)
    try:
        _activate(settings, connection)
    except BaseException as error:
        database.close_connection(f"its tables could not be used ({error})")
        raise
    if _lab is None or _lab.connection is not connection:
        _lab = Lab(settings, connection)
    _lab._n_opened += 1
    return _lab


def _activate(settings: Settings, connection: Any) -> None:
    """Bind the tables, creating what is missing unless the lab is read-only."""
    import schemas

    try:
        schemas.activate(settings.schema_prefix, connection)
    except DatabaseError as error:
        if not connection.read_only:
            raise
        raise DatabaseError(f"{error}. Nothing is made or changed in a lab that is opened read-only") from error


class Lab:
    """An open lab. Made by `connect_lab`.

    Attributes
    ----------
    settings : Settings
        With the data folder and the schemas' prefix.
    connection : datajoint.Connection
        The connection to the database.

    Notes
    -----
    The tables of ``schemas`` are those of the lab that was opened last. A question to a lab that is closed, or whose
    tables were bound to another database meanwhile, is an error: the answer would be another lab's.

    Examples
    --------
    >>> import orofacial
    >>> lab = orofacial.connect()
    >>> lab.sql("select count(*) from tracks", filter="raw").fetchall()
    [(1200,)]
    >>> lab.close()
    >>> lab.tracks()
    Traceback (most recent call last):
    ...
    compute.errors.DatabaseError: the lab ... is closed: it was closed. ...
    """

    def __init__(self, settings: Settings, connection: Any) -> None:
        self.settings = settings
        self.connection = connection
        self._n_opened = 0
        self._tables: LabTables | None = None

    @property
    def read_only(self) -> bool:
        """Whether the lab was opened read-only."""
        return bool(self.connection.read_only)

    @property
    def is_open(self) -> bool:
        """Whether the lab is open."""
        return self.connection.ended is None

    @property
    def tables(self) -> LabTables:
        """The tables, for people who know DataJoint.

        Returns
        -------
        LabTables
            Each table is an attribute. They stay this lab's: after it was closed their use is an error, also when
            another lab is open.

        Examples
        --------
        >>> import orofacial
        >>> with orofacial.connect() as lab:
        ...     (lab.tables.Session & {"mouse_id": "mouse01"}).fetch1("rig")
        'rig 1'
        """
        self._check()
        from pipeline.lab_tables import LabTables

        if self._tables is None:
            self._tables = LabTables(self.connection)
        return self._tables

    def tracks(self, **question: Any) -> TrackSelection:
        """Find filtered tracks across all animals. Nothing is read before it is asked for.

        Parameters
        ----------
        **question
            ``node``, ``time_span_s``, ``skip_broken``, ``calibrated``, ``mouse``, ``camera``, ``model``, ``sex``,
            ``genotype``, ``filter`` (default ``raw``), ``date``, ``held_out``, ``quality``, ``restriction``: see
            `pipeline.query.tracks` and `pipeline.query.Question`.

        Returns
        -------
        TrackSelection
            Iterating gives each track's row (a dict) and its `Tracks`; also ``to_xarray``, ``to_pandas``,
            ``to_polars``, ``to_arrow`` and ``to_duckdb``.

        Raises
        ------
        QueryError
            If the question names something that does not exist, or cannot be understood.
        DatabaseError
            If the lab is closed.

        Examples
        --------
        >>> import orofacial
        >>> with orofacial.connect() as lab:
        ...     for row, tracks in lab.tracks(node="jaw_tip", filter="kalman", held_out=True):
        ...         print(row["mouse_id"], row["camera"], tracks.position.shape)  # (frame, node, 2), in px
        mouse03 lower (200, 1, 2)
        mouse03 side (200, 1, 2)
        """
        return self._query().tracks(**question)

    def manifest(self, **question: Any) -> pa.Table:
        """The same selection as `tracks`, as a table of keys and file addresses, for other engines.

        Takes the question of `tracks`; see `pipeline.query.manifest` for the columns.

        Examples
        --------
        >>> import orofacial
        >>> with orofacial.connect() as lab:
        ...     lab.manifest(mouse="mouse01", filter="kalman").column("camera").to_pylist()
        ['lower', 'side']
        """
        return self._query().manifest(**question)

    def sql(self, statement: str, **question: Any) -> duckdb.DuckDBPyRelation:
        """Ask in SQL; the table ``tracks`` holds the tracks of all sessions that fit the question.

        Parameters
        ----------
        statement : str
            SQL as DuckDB speaks it; see `pipeline.query.sql` for the columns.
        **question
            As of `tracks`.

        Returns
        -------
        duckdb.DuckDBPyRelation
            Lazy: ``.fetchall()``, ``.df()``, ``.pl()``, ``.arrow()`` run it.

        Examples
        --------
        >>> import orofacial
        >>> with orofacial.connect() as lab:
        ...     lab.sql("select distinct mouse_id from tracks order by 1", camera="lower").fetchall()
        [('mouse01',), ('mouse02',), ('mouse03',)]
        """
        return self._query().sql(statement, **question)

    def distances(self, **question: Any) -> pa.Table:
        """Distances of node pairs, a line a track and pair.

        Takes the question of `tracks`, without ``node`` and ``time_span_s``; see `pipeline.query.distances` for the
        columns.

        Examples
        --------
        >>> import orofacial
        >>> with orofacial.connect() as lab:
        ...     lab.distances(mouse="mouse01", camera="lower", filter="raw").column("pair_kind").to_pylist()
        ['rigid']
        """
        return self._query().distances(**question)

    def qualities(self, **question: Any) -> pa.Table:
        """Quality of the raw tracks, a line a track and node.

        Takes the question of `tracks`, without ``node`` and ``time_span_s``; see `pipeline.query.qualities` for the
        columns.

        Examples
        --------
        >>> import orofacial
        >>> with orofacial.connect() as lab:
        ...     lab.qualities(mouse="mouse01", camera="lower").num_rows
        7
        """
        return self._query().qualities(**question)

    def bouts(self, node: str | None = None, **options: Any) -> pa.Table:
        """Bouts of movement, a line a bout: those in the database, or found now with other limits.

        Parameters
        ----------
        node : str, optional
            The node that moves.
        **options
            ``method`` of those in the database, or ``minimum_speed_px_per_s`` and other limits to find others now; and
            a question as of `tracks`: see `pipeline.query.bouts`.

        Returns
        -------
        pyarrow.Table
            With ``start_s``, ``end_s``, ``path_px`` and ``peak_speed_px_per_s``.

        Examples
        --------
        >>> import orofacial
        >>> with orofacial.connect() as lab:
        ...     bouts = lab.bouts("jaw_tip", minimum_speed_px_per_s=50, filter="kalman")
        ...     bouts.column_names[-4:]
        ['start_s', 'end_s', 'path_px', 'peak_speed_px_per_s']
        """
        return self._query().bouts(node, **options)

    def status(self) -> Status:
        """How far every session is, who works on what, and what failed.

        Returns
        -------
        pipeline.work.status.Status

        Examples
        --------
        >>> import orofacial
        >>> with orofacial.connect() as lab:
        ...     print(lab.status().stages["PoseEstimation"])
        6/6
        """
        self._check()
        from pipeline.work.status import status

        return status()

    def why(self, track: str | Mapping[str, Any], node: str | None = None, **question: Any) -> dict[str, Any]:
        """Everything that made one track: video, labels, model, estimation and filter.

        Parameters
        ----------
        track : str or mapping
            A session such as ``mouse01/2026-03-02_1``, or a row of `tracks`.
        node : str, optional
            Only what concerns this node.
        **question
            With a session: which of its tracks (``camera``, ``filter``, ``model``), as of `tracks`.

        Returns
        -------
        dict
            See `pipeline.why.why_chain`.

        Raises
        ------
        QueryError
            If no track of the session fits, or several do.

        Examples
        --------
        >>> import orofacial
        >>> with orofacial.connect() as lab:
        ...     why = lab.why("mouse01/2026-03-02_1", "jaw_tip", camera="lower", filter="median")
        >>> why["filter"]["filter_name"], why["model"]["training_mice"]
        ('median', ['mouse01', 'mouse02'])
        """
        query = self._query()
        from pipeline.query.selection import selection_row_name
        from pipeline.query.sessions import tracks_of_session
        from pipeline.why import why_chain

        if not isinstance(track, str):
            return why_chain(dict(track), node)
        rows = tracks_of_session(track, self.settings, **question).rows
        if len(rows) > 1:
            fits = "; ".join(selection_row_name(row) for row in rows)
            raise query.QueryError(f"{len(rows)} tracks fit: {fits}. Name one of them with camera=... or model=...")
        return why_chain(rows[0], node)

    def close(self) -> None:
        """Close the lab; DataJoint's configuration becomes what it was before. Closing twice does nothing."""
        from pipeline.database import connection as database

        if self.is_open:
            database.close_connection()

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the lab, unless it was open before the block: `connect_lab` gave the same lab twice."""
        self._n_opened -= 1
        if self._n_opened <= 0:
            self.close()

    def __repr__(self) -> str:
        state = "read-only" if self.read_only else "open"
        return f"Lab({self.connection.name}, {state if self.is_open else f'closed: {self.connection.ended}'})"

    def _query(self) -> Any:
        self._check()
        from pipeline import query

        return query

    def _check(self) -> None:
        """Refuse a lab that is closed, or whose tables are bound to another database."""
        import schemas

        self.connection.check_open()
        if not schemas.is_active(self.settings.schema_prefix, self.connection):
            raise DatabaseError(
                f"the tables of the lab {self.connection.name} were bound to another database meanwhile, by"
                " schemas.activate. To go on with this lab: lab = orofacial.connect(...)"
            )


_lab: Lab | None = None
"""The lab that this process opened last."""
