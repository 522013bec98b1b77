"""The connection to the database: a lab's server, or with nothing configured an embedded one.

Without a host or user in DataJoint's configuration (see `pipeline.database.datajoint_setup`), `open_connection` starts
the embedded PostgreSQL in the data folder.
"""

import atexit
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from compute.errors import DatabaseError
from pipeline.database.datajoint_setup import (
    PreviousDataJointSetup,
    check_datajoint_file,
    configure_datajoint_stores,
    datajoint_quiet,
    datajoint_tls_option,
    import_datajoint,
)
from pipeline.database.embedded import PORT, SUPERUSER, EmbeddedServer
from pipeline.database.passwords import hide_password
from pipeline.settings import Settings

DATABASE_FOLDER_NAME = "database"

# The server's: shut down, killed, read only, full disk, lock wait timeout, deadlock; the client's: refused, gone, lost.
_MYSQL_LOST = {1021, 1053, 1077, 1078, 1079, 1080, 1205, 1213, 1290, 1317, 1927}
_MYSQL_LOST |= {2002, 2003, 2006, 2012, 2013, 2014, 2055}


@dataclass(frozen=True)
class ConnectionStatus:
    """Result of `describe_connection`.

    Attributes
    ----------
    kind : {"embedded", "server"}
        The data folder's own server, or one that the lab configured.
    backend : {"postgresql", "mysql"}
        The kind of database.
    address : str
        Folder of the embedded database, or user@host:port of the server. Never a password.
    version : str or None
        The server's version text; None if it was not reached.
    latency_ms : float or None
        Time of one small query (ms); None if the server was not reached.
    error : str or None
        Why the server was not reached, and what to do; None if it was.
    """

    kind: Literal["embedded", "server"]
    backend: str
    address: str
    version: str | None = None
    latency_ms: float | None = None
    error: str | None = None

    @property
    def reachable(self) -> bool:
        """Whether the database answered."""
        return self.error is None


@dataclass
class _Session:
    """Connection of this process, and DataJoint's configuration from before."""

    settings: Settings
    connection: Any
    server: EmbeddedServer | None
    previous: PreviousDataJointSetup


_session: _Session | None = None


def open_connection(settings: Settings, *, read_only: bool = False) -> Any:
    """Connect DataJoint to the database, and configure its stores. People use `pipeline.lab.connect_lab`.

    With the same settings and a connection that is alive, the same connection is returned; with others
    the old one is closed first. At the end of the process the connection is closed by itself.

    Parameters
    ----------
    settings : Settings
        See `pipeline.settings.load_settings`.
    read_only : bool
        Make no folder and no database, and let the server refuse every change.

    Returns
    -------
    pipeline.database.lab_connection.LabConnection
        Also what ``datajoint.conn()`` returns from now on.

    Raises
    ------
    DatabaseError
        If the database or a store cannot be used: what was tried, what was found, what to do.
    """
    global _session
    dj = import_datajoint()
    check_datajoint_file(dj)
    name = _name(settings)
    server = None if server_is_configured() else EmbeddedServer(settings.data_folder / DATABASE_FOLDER_NAME)
    if read_only and server is not None:
        _check_database_exists(server)
    if _session is not None:
        old = _session.connection
        is_same = _session.settings == settings and (old.name, old.read_only) == (name, read_only)
        if is_same and _is_alive(old):
            return old
        turned_to = f"this process turned to {name}{' read-only' if read_only else ''}"
        close_connection("its connection was lost" if is_same else turned_to)
    _session = _begin(dj, settings, server, name, read_only)
    atexit.register(close_connection)
    return _session.connection


def _begin(dj: Any, settings: Settings, server: EmbeddedServer | None, name: str, read_only: bool) -> _Session:
    """Start the server, configure DataJoint and connect; if something fails all is as it was before."""
    previous = PreviousDataJointSetup.of(dj)
    try:
        configure_datajoint_stores(dj, settings, create=not read_only)
        if server is not None:
            server.enter()
            dj.config.database = _embedded_configuration(previous.database, server)
        if read_only:
            dj.config.database = dj.config.database.model_copy(update={"create_tables": False})
        connection = dj.instance._singleton_connection = _open(dj, settings, name, read_only)
    except BaseException:
        previous.restore(dj)
        if server is not None:
            server.leave()
        raise
    return _Session(settings, connection, server, previous)


def close_connection(reason: str = "it was closed") -> None:
    """Close the connection, and stop the embedded server if nobody else uses it.

    DataJoint's configuration becomes what it was before `open_connection`. Without a connection nothing happens.

    Parameters
    ----------
    reason : str
        Why; told to whoever still uses the connection.
    """
    global _session
    if _session is None:
        return
    session, _session = _session, None
    atexit.unregister(close_connection)
    session.previous.restore(import_datajoint())
    try:
        session.connection.end(reason)
    finally:
        if session.server is not None:
            session.server.leave()


def is_current_connection(connection: Any) -> bool:
    """Whether this is the connection that this process has now."""
    return _session is not None and _session.connection is connection


def reconnect() -> None:
    """Open the same connection again after it was lost; an embedded server that is gone is started again.

    Raises
    ------
    Exception
        If there is no connection: one that `is_connection_lost` knows, or `DatabaseError`.
    """
    connection = import_datajoint().conn() if _session is None else _session.connection
    with contextlib.suppress(Exception):  # whatever state it is in
        connection.close()
    if _session is not None and _session.server is not None:
        _session.server.restart_if_gone()
        connection.conn_info["host"] = str(_session.server.socket_folder)  # a long path gets a new short one each time
    with datajoint_quiet():
        connection.connect()
    connection._in_transaction = False


def _check_database_exists(server: EmbeddedServer) -> None:
    if not server.cluster.exists():
        raise DatabaseError(
            f"{server.folder}: there is no database here, and none is made for a lab that is opened read-only. Check"
            " the data folder (its name, or OROFACIAL_DATA_FOLDER), or open it once without read_only=True"
        )


def _name(settings: Settings) -> str:
    """A lab for people: its data folder, or the server that is configured, and the prefix of its schemas."""
    where = _address() if server_is_configured() else settings.data_folder
    return f"{where} ({settings.schema_prefix})"


@contextlib.contextmanager
def embedded_server_stopped() -> Iterator[Path]:
    """Stop the embedded server that this process is connected to, and connect again afterwards.

    Yields
    ------
    Path
        The database's folder, its files at rest.

    Raises
    ------
    DatabaseError
        If other processes use the database.
    """
    if _session is None or _session.server is None:
        raise DatabaseError("this process has no connection to an embedded database")
    _session.connection.close()
    try:
        with _session.server.stopped():
            yield _session.server.folder
    finally:
        reconnect()


def is_connection_lost(error: BaseException | None) -> bool:
    """Whether an error is the database's or the connection's, and the same may succeed on a new connection.

    DataJoint translates some of these to LostConnectionError; psycopg2 and pymysql raise their own for a server that
    starts or stops, for a full disk or a deadlock.
    """
    import psycopg2
    import pymysql
    from datajoint.errors import LostConnectionError

    while error is not None:
        if isinstance(error, LostConnectionError | psycopg2.OperationalError | psycopg2.InterfaceError):
            return True
        if type(error) is psycopg2.DatabaseError:  # "server closed the connection unexpectedly" has no class of its own
            return True
        if isinstance(error, pymysql.err.InterfaceError | pymysql.err.InternalError):
            return True
        if isinstance(error, pymysql.OperationalError) and error.args and error.args[0] in _MYSQL_LOST:
            return True
        error = error.__cause__
    return False


def describe_connection(settings: Settings) -> ConnectionStatus:
    """Connect, and say what the database is; an unreachable one is a finding and not an error.

    Returns
    -------
    DatabaseStatus
        With ``error`` set if there is no connection.
    """
    kind: Literal["embedded", "server"] = "embedded"
    backend, address = "postgresql", str(settings.data_folder / DATABASE_FOLDER_NAME)
    try:
        if server_is_configured():
            kind, backend, address = "server", import_datajoint().config.database.backend, _address()
        connection = open_connection(settings)
        start_s = time.perf_counter()
        (version,) = connection.query("SELECT version()").fetchone()
        latency_ms = 1e3 * (time.perf_counter() - start_s)
    except DatabaseError as error:
        return ConnectionStatus(kind, backend, address, error=str(error))
    return ConnectionStatus(kind, backend, address, version=version, latency_ms=latency_ms)


def server_is_configured() -> bool:
    """Whether DataJoint's configuration names a host or user; its default host, localhost, is no name.

    Secrets can only hold user and password, so that either of them counts as well.
    """
    own = _session is not None and _session.server is not None  # then this process set the host
    database = _session.previous.database if own and _session else import_datajoint().config.database
    return bool({"host", "user", "password"} & database.model_fields_set)


def forget_server() -> None:
    """Let `open_connection` use the embedded database in this process, whatever server is configured."""
    close_connection()
    dj = import_datajoint()
    dj.config.database = dj.config.database.model_copy(update={"create_tables": True})
    dj.config.database.model_fields_set.difference_update({"host", "user", "password"})


def _embedded_configuration(database: Any, server: EmbeddedServer) -> Any:
    return database.model_copy(
        update={
            "host": str(server.socket_folder),
            "port": PORT,
            "user": SUPERUSER,
            "password": "",  # the folder's permissions are the guard
            "backend": "postgresql",
            "name": None,
            "use_tls": False,
        }
    )


def _open(dj: Any, settings: Settings, name: str, read_only: bool) -> Any:
    from pipeline.database.lab_connection import LabConnection

    database = dj.config.database
    if database.user is None:
        raise DatabaseError(
            f"DataJoint's configuration names the database server {_address()} but no user. Set DJ_USER and "
            "DJ_PASS, or put them into .secrets/ beside datajoint.json."
        )
    password = dj.config["database.password"] or ""
    try:
        with datajoint_quiet():
            where = (database.host, database.user, password, database.port, datajoint_tls_option(dj, settings))
            return LabConnection(*where, name=name, read_only=read_only)
    except Exception as error:  # psycopg2's, pymysql's and DataJoint's have no common base
        first_line = str(error).strip().partition("\n")[0]  # psycopg2 goes on with a question
        found = hide_password(first_line.rstrip("."))
        raise DatabaseError(
            f"No connection to the {database.backend} server {_address()}: {found or type(error).__name__}. "
            f"{_what_to_do(found)}"
        ) from None


def _is_alive(connection: Any) -> bool:
    """Whether the server answers; `is_connected` of DataJoint 2.3.5 is always true on PostgreSQL."""
    try:
        connection.query("SELECT 1", reconnect=False)
    except Exception:  # psycopg2's, pymysql's and DataJoint's have no common base
        return False
    return True


def _address() -> str:
    database = import_datajoint().config.database
    return f"{database.user or '(no user)'}@{database.host}:{database.port}"


def _what_to_do(found: str) -> str:
    lowered = found.lower()
    if "authentication" in lowered or "access denied" in lowered or "password" in lowered:
        return "Check user and password: DJ_USER and DJ_PASS, or .secrets/ beside datajoint.json."
    return (
        "Check that the server runs and that its address is right: --server, or DJ_HOST, DJ_PORT and DJ_BACKEND, or "
        "datajoint.json. Without any of these the embedded database is used."
    )
