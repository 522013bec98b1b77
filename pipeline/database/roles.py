"""The four roles on a lab's server, and their privileges on each table.

======== =====================================================================================================
reader   reads every table
ingester reads, and adds and corrects what people bring: mice, sessions, videos, labels, models, pairs; deploys models
worker   reads, and adds what is computed; takes and gives back jobs
admin    owns the schemas: everything, but only there; the version of the database is written by nobody else
======== =====================================================================================================

A role's name on the server begins with the schemas' prefix (``orofacial_reader``), so that several pipelines share one.
Tables are told apart by DataJoint's names: ``__computed``, ``#lookup``, ``~~jobs``.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from typing import Any, Literal

import psycopg2.extensions

from schemas.calibration import TrackCalibration
from schemas.evaluation import LabeledVideo, ModelEvaluation
from schemas.labels import LabeledFrames
from schemas.metric import DistanceMetrics, FilterComparison, LabelError, NodePair
from schemas.model import DeployedModel, Model, TrainingConfig, TrainingTask
from schemas.pose import PoseFile
from schemas.session import Camera, Session, Video
from schemas.subject import Mouse
from schemas.worker import Crash, DatabaseVersion, Worker

Role = Literal["reader", "ingester", "worker", "admin"]
ROLES: tuple[Role, ...] = ("reader", "ingester", "worker", "admin")

# REFERENCES lets a role see a table's primary key in information_schema, where DataJoint looks for it: PostgreSQL, and
# newer MariaDB, hide keys from who may only select. It allows nothing else to a role that cannot create tables.
_EVERYONE = frozenset({"SELECT", "REFERENCES"})
# Names and values may be corrected (what they were is kept in Correction); importing again adds what was not known.
# Mice that were told wrongly for a model are taken away (what was is kept in TrainingMiceCorrection).
_INGESTER_UPDATES: tuple[Any, ...] = (Mouse, Session, Video, NodePair, Camera, LabeledFrames.Source, Model, PoseFile)
# On MySQL, `insert(skip_duplicates=True)` is an update that changes nothing.
_INGESTER_SKIPS_DUPLICATES: tuple[Any, ...] = (TrainingConfig, TrainingTask, DeployedModel)
# Distances in mm depend on the scale: a correction deletes them. What was computed of labels and models goes when more
# becomes known of them, and is computed anew.
_INGESTER_DELETES: tuple[Any, ...] = (
    DeployedModel,
    DistanceMetrics,
    FilterComparison,
    LabelError,
    Model.Mouse,
    *(Mouse, Camera),  # two mice that are one, cameras that are exchanged; a foreign key refuses those that are in use
    *(TrackCalibration, TrackCalibration.Node),
    *(LabeledVideo, LabeledVideo.Frame),
    *(ModelEvaluation, ModelEvaluation.Frame, ModelEvaluation.Node),
)
# A training makes a model; a worker registers files of poses that have come.
_WORKER_INSERTS: tuple[Any, ...] = (Model, Model.Mouse, Model.Frame, PoseFile)
_WORKERS_OWN: tuple[Any, ...] = (Worker, Crash)
_ADMINS_OWN: tuple[Any, ...] = (DatabaseVersion,)


def role_privileges(role: Role, table_name: str, backend: str) -> frozenset[str]:
    """What a role may do to a table.

    Parameters
    ----------
    role : {"reader", "ingester", "worker"}
        The admin owns every table and needs no grant.
    table_name : str
        As it is called in the database, such as ``__pose_estimation`` or ``~~pose_estimation``.
    backend : {"postgresql", "mysql"}
        The kind of server.

    Examples
    --------
    >>> sorted(role_privileges("reader", "session", "postgresql"))
    ['REFERENCES', 'SELECT']
    >>> sorted(role_privileges("worker", "~~pose_estimation", "postgresql"))
    ['DELETE', 'INSERT', 'REFERENCES', 'SELECT', 'UPDATE']
    """
    granted = set(_EVERYONE)
    if role == "worker":
        if table_name.startswith("~~") or _is_one_of(table_name, _WORKERS_OWN):
            granted |= {"INSERT", "UPDATE", "DELETE"}
        elif table_name.startswith("_") or _is_one_of(table_name, _WORKER_INSERTS):
            granted.add("INSERT")
    if (
        role == "ingester"
        and re.match(r"#?[a-z]", table_name)
        and not _is_one_of(table_name, _WORKERS_OWN + _ADMINS_OWN)
    ):
        granted.add("INSERT")
        if _is_one_of(table_name, _INGESTER_UPDATES):
            granted.add("UPDATE")
        if backend == "mysql" and _is_one_of(table_name, _INGESTER_SKIPS_DUPLICATES):
            granted.add("UPDATE")
    if role == "ingester" and (table_name.startswith("~~") or _is_one_of(table_name, (Crash,))):
        granted |= {"UPDATE", "DELETE"}  # jobs follow a corrected name
    if role == "ingester" and _is_one_of(table_name, _INGESTER_DELETES):
        granted.add("DELETE")
    return frozenset(granted)


def _is_one_of(table_name: str, tables: tuple[Any, ...]) -> bool:
    return any(table.table_name == table_name for table in tables)


class RoleGranter(ABC):
    """Makes one user on the server, and gives it exactly what its role may do.

    Statements go through the driver itself: DataJoint would write them into its log, passwords included.

    Parameters
    ----------
    connection : datajoint.Connection
        Of a user who may create users.
    user : str
        The user's name on the server.
    """

    backend: str

    def __init__(self, connection: Any, user: str) -> None:
        self._driver = connection._conn
        self._quote = connection.adapter.quote_identifier
        self._user = user

    @abstractmethod
    def create(self, password: str, *, tls_required: bool) -> None:
        """Make the user if it is missing, and set its password."""

    @abstractmethod
    def _own(self, tables: list[tuple[str, str]]) -> None:
        """Give the user everything in the schemas of these tables."""

    @abstractmethod
    def _enter(self, tables: list[tuple[str, str]]) -> None:
        """Let the user into the schemas of these tables."""

    @property
    @abstractmethod
    def _grantee(self) -> tuple[str, str]:
        """The user as it is written in a statement, and as it stands in information_schema."""

    def grant(self, role: Role, tables: list[tuple[str, str]]) -> tuple[int, int]:
        """Grant what is missing, revoke what is too much; return how many privileges that were."""
        if role == "admin":
            self._own(tables)
            return 0, 0
        self._enter(tables)
        held = self._held()
        n_granted = n_revoked = 0
        for schema, name in tables:
            wanted, has = role_privileges(role, name, self.backend), held.get((schema, name), set())
            table = f"{self._quote(schema)}.{self._quote(name)}"
            if wanted - has:
                self._run(f"GRANT {', '.join(sorted(wanted - has))} ON {table} TO {self._grantee[0]}")
            if has - wanted:
                self._run(f"REVOKE {', '.join(sorted(has - wanted))} ON {table} FROM {self._grantee[0]}")
            n_granted, n_revoked = n_granted + len(wanted - has), n_revoked + len(has - wanted)
        return n_granted, n_revoked

    def _held(self) -> dict[tuple[str, str], set[str]]:
        """The user's privileges, by schema and table."""
        query = "SELECT table_schema, table_name, privilege_type FROM information_schema.table_privileges"
        held: dict[tuple[str, str], set[str]] = {}
        for schema, name, privilege in self._run(f"{query} WHERE grantee = %s", self._grantee[1]):
            held.setdefault((schema, name), set()).add(privilege)
        return held

    def _run(self, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
        with self._driver.cursor() as cursor:
            cursor.execute(statement, arguments or None)
            return list(cursor.fetchall()) if cursor.description else []


class _PostgreSQLGranter(RoleGranter):
    backend = "postgresql"

    def create(self, password: str, *, tls_required: bool) -> None:
        """Make the role; the server is told a hash, so that no log of its own can hold the password.

        Whether a connection must be encrypted is said in PostgreSQL's ``pg_hba.conf``, not by role.
        """
        if not self._run("SELECT 1 FROM pg_roles WHERE rolname = %s", self._user):
            self._run(f"CREATE ROLE {self._quote(self._user)}")
        scope = self._driver
        verifier = psycopg2.extensions.encrypt_password(password, self._user, scope, "scram-sha-256")
        self._run(f"ALTER ROLE {self._quote(self._user)} LOGIN PASSWORD %s", verifier)

    def _own(self, tables: list[tuple[str, str]]) -> None:
        """Make the role the owner: only an owner may alter and drop."""
        user = self._quote(self._user)
        self._run(f"GRANT {user} TO CURRENT_USER")
        (database,) = self._run("SELECT current_database()")[0]
        self._run(f"GRANT CONNECT, CREATE ON DATABASE {self._quote(database)} TO {user}")
        for schema in sorted({schema for schema, _ in tables}):
            self._run(f"ALTER SCHEMA {self._quote(schema)} OWNER TO {user}")
            for (name,) in self._run(
                "SELECT typname FROM pg_type WHERE typnamespace = %s::regnamespace AND typtype = 'e'",
                self._quote(schema),
            ):
                self._run(f"ALTER TYPE {self._quote(schema)}.{self._quote(name)} OWNER TO {user}")
        for schema, name in tables:
            self._run(f"ALTER TABLE {self._quote(schema)}.{self._quote(name)} OWNER TO {user}")

    def _enter(self, tables: list[tuple[str, str]]) -> None:
        (database,) = self._run("SELECT current_database()")[0]
        self._run(f"GRANT CONNECT ON DATABASE {self._quote(database)} TO {self._grantee[0]}")
        for schema in sorted({schema for schema, _ in tables}):
            self._run(f"GRANT USAGE ON SCHEMA {self._quote(schema)} TO {self._grantee[0]}")

    @property
    def _grantee(self) -> tuple[str, str]:
        return self._quote(self._user), self._user


class _MySQLGranter(RoleGranter):
    backend = "mysql"

    def create(self, password: str, *, tls_required: bool) -> None:
        """Make the user, for any host of the lab; it must encrypt if that is required."""
        (version,) = self._run("SELECT version()")[0]
        if "MariaDB" in version:  # it does not hide passwords in its log; a hash it takes as it is
            digest = hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()
            identified, secret = "IDENTIFIED BY PASSWORD %s", f"*{digest}"
        else:
            identified, secret = "IDENTIFIED BY %s", password
        require = "REQUIRE SSL" if tls_required else "REQUIRE NONE"
        user = self._grantee[0].replace("%", "%%")
        self._run(f"CREATE USER IF NOT EXISTS {user} {identified} {require}", secret)
        self._run(f"ALTER USER {user} {identified} {require}", secret)

    def _own(self, tables: list[tuple[str, str]]) -> None:
        for schema in sorted({schema for schema, _ in tables}):
            self._run(f"GRANT ALL PRIVILEGES ON {self._quote(schema)}.* TO {self._grantee[0]}")

    def _enter(self, tables: list[tuple[str, str]]) -> None:
        """MySQL has no key to a schema but the privileges on its tables."""

    @property
    def _grantee(self) -> tuple[str, str]:
        return f"'{self._user}'@'%'", f"'{self._user}'@'%'"


GRANTERS: dict[str, type[RoleGranter]] = {"postgresql": _PostgreSQLGranter, "mysql": _MySQLGranter}
"""For each of DataJoint's backends."""
