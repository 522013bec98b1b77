"""Prepare a lab's database server: schemas, tables, roles, and what each role may do. Doing it again changes nothing.

It works on PostgreSQL and MySQL alike. Passwords of the roles come from ``OROFACIAL_<ROLE>_PASSWORD`` or from
``.secrets/<role>.password``; where there is neither, one is made and kept there (see `pipeline.database.passwords`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from compute.errors import DatabaseError
from pipeline.database import connection as database
from pipeline.database.datajoint_setup import datajoint_requires_tls, import_datajoint
from pipeline.database.passwords import hide_password, passwords_folder, read_password, write_new_password
from pipeline.database.upgrade import UpgradedDatabase, upgrade_database
from pipeline.settings import Settings

BACKENDS = {"postgresql": "postgresql", "postgres": "postgresql", "mysql": "mysql", "mariadb": "mysql"}
_MAINTENANCE_DATABASE = "postgres"
_LONGEST_USER_NAME = 32  # of MySQL


@dataclass(frozen=True)
class ServerAddress:
    """Address of a server, and the user to connect as: ``postgresql://user@host:port/database`` or ``mysql://user@host``."""

    backend: str
    host: str
    port: int
    user: str
    database: str | None

    @classmethod
    def parse(cls, url: str) -> ServerAddress:
        """Read an address.

        Raises
        ------
        DatabaseError
            If it is none, or has a password in it, which every user of the machine could read in the list of processes.

        Examples
        --------
        >>> ServerAddress.parse("postgresql://postgres@db.lab/orofacial").port
        5432
        """
        try:
            parts = urlsplit(url)
        except ValueError:  # a bracket that does not close
            parts = urlsplit("")
        if parts.password is not None:
            raise DatabaseError(
                "the server's address has a password in it, where every user of this machine can see it. Change that"
                " password, and give the new one in DJ_PASS or in .secrets/database.password"
            )
        backend = BACKENDS.get(parts.scheme)
        try:
            port, wrong = parts.port, ""
        except ValueError:
            port, wrong = None, "its port is no number up to 65535"
        if backend is None:
            wrong = f"it begins with {parts.scheme or 'nothing'}://"
        elif not parts.hostname or not parts.username:
            wrong = "it names no host" if not parts.hostname else "it names no user"
        if backend is None or not parts.hostname or not parts.username or wrong:
            raise DatabaseError(
                f"{url!r} is no server's address: {wrong}; expected postgresql://USER@HOST:PORT/DATABASE or"
                " mysql://USER@HOST:PORT"
            )
        name = unquote(parts.path.strip("/")) or None
        default_port = 5432 if backend == "postgresql" else 3306
        return cls(backend, parts.hostname, port or default_port, unquote(parts.username), name)


@dataclass(frozen=True)
class PreparedServerRole:
    """A role on the server.

    Attributes
    ----------
    role : str
        reader, ingester, worker or admin.
    user : str
        Its name on the server.
    password_from : str
        The environment variable or file that the password is in; never the password.
    n_granted, n_revoked : int
        Privileges that were missing, and that were too many.
    """

    role: str
    user: str
    password_from: str
    n_granted: int
    n_revoked: int


@dataclass(frozen=True)
class PreparedServer:
    """Result of `prepare_server`."""

    address: ServerAddress
    schemas: list[str]
    n_tables: int
    roles: list[PreparedServerRole]
    upgrade: UpgradedDatabase


def prepare_server(
    settings: Settings, address: ServerAddress, *, on_step: Callable[[str], None] = lambda step: None
) -> PreparedServer:
    """Make the schemas, tables and roles that are missing, and set what each role may do.

    Parameters
    ----------
    settings : Settings
        The schemas' prefix is also the roles'.
    address : ServerAddress
        The user must be allowed to create databases and roles, such as ``postgres`` or ``root``.
    on_step : callable
        Told what comes next.

    Raises
    ------
    DatabaseError
        If the server cannot be reached or refuses something. What was made stays; run it again.
    """
    import_datajoint()  # quietly, before the tables import it
    from pipeline.database.roles import GRANTERS, ROLES

    too_long = [role for role in ROLES if len(settings.schema_prefix + role) > _LONGEST_USER_NAME]
    if too_long:
        raise DatabaseError(
            f"schema_prefix {settings.schema_prefix!r} is too long for a role {too_long[0]!r} beside it, names on MySQL"
            f" end at {_LONGEST_USER_NAME} characters; choose a shorter one"
        )
    on_step(f"connecting to {address.user}@{address.host}:{address.port}")
    _point_datajoint_at(address)
    try:
        if address.backend == "postgresql" and address.database:
            _create_database(settings, address)
        connection = database.open_connection(settings)
        on_step("schemas and tables")
        done = upgrade_database(settings, on_step=on_step)
        tables = _tables(settings, connection)
        on_step("roles and what they may do")
        roles = []
        for role in ROLES:
            user, (password, source) = settings.schema_prefix + role, _password(role)
            granter = GRANTERS[address.backend](connection, user)
            granter.create(password, tls_required=datajoint_requires_tls(settings))
            roles.append(PreparedServerRole(role, user, source, *granter.grant(role, tables)))
    except DatabaseError:
        raise
    except Exception as error:  # psycopg2's, pymysql's and DataJoint's have no common base
        found = hide_password(" ".join(str(part) for part in error.args) or type(error).__name__).strip()
        raise DatabaseError(
            f"{address.user}@{address.host}:{address.port} could not be prepared: {found}. Connect as a user who may"
            " create schemas and roles, then run it again: what is there already stays"
        ) from None
    return PreparedServer(address, sorted({schema for schema, _ in tables}), len(tables), roles, done)


def _password(role: str) -> tuple[str, str]:
    """A role's password, and where it is."""
    variable, file_name = f"OROFACIAL_{role.upper()}_PASSWORD", f"{role}.password"
    password = read_password(variable, file_name)
    source = variable if os.environ.get(variable) else str(passwords_folder() / file_name)
    return password or write_new_password(file_name), source


def _point_datajoint_at(address: ServerAddress, database_name: str | None = None) -> None:
    """Let DataJoint connect to that address as that user, and create tables even if the configuration forbids it."""
    dj = import_datajoint()
    database.close_connection()
    dj.config.database = dj.config.database.model_copy(
        update={
            "backend": address.backend,
            "host": address.host,
            "port": address.port,
            "user": address.user,
            "password": SecretStr(read_password("DJ_PASS", "database.password") or ""),
            "name": database_name or address.database,
            "create_tables": True,
        }
    )


def _create_database(settings: Settings, address: ServerAddress) -> None:
    """Create the PostgreSQL database if it is missing."""
    _point_datajoint_at(address, _MAINTENANCE_DATABASE)
    connection = database.open_connection(settings)
    if not connection.query("SELECT 1 FROM pg_database WHERE datname = %s", args=(address.database,)).fetchall():
        connection.query(f"CREATE DATABASE {connection.adapter.quote_identifier(address.database)}")
    _point_datajoint_at(address)


def _tables(settings: Settings, connection: Any) -> list[tuple[str, str]]:
    """Schema and name of every table, job tables too."""
    import schemas

    names = schemas.table_schema_names(settings.schema_prefix)
    listed = ", ".join("%s" for _ in names)
    query = "SELECT table_schema, table_name FROM information_schema.tables"
    rows = connection.query(f"{query} WHERE table_schema IN ({listed}) ORDER BY 1, 2", args=names).fetchall()
    return [(str(schema), str(name)) for schema, name in rows]
