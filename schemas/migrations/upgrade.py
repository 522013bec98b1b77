"""The steps that a database lacks, all of them or none.

On PostgreSQL they run in one transaction. MySQL commits with every statement that changes a table: there, all tables
are copied first, and put back when a step fails; after a killed process the next upgrade does that (see
`schemas.migrations.saved_copy`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import schemas
from compute.errors import DatabaseError
from schemas.binding import bind_tables, create_schemas, unbind_tables
from schemas.making.locks import holding_lock, is_lock_held
from schemas.migrations.database import MigratedDatabase
from schemas.migrations.saved_copy import SavedCopy
from schemas.migrations.steps import MigrationStep, migration_steps_after, newest_step
from schemas.migrations.version import read_columns, read_version, refuse_newer_version, write_version
from schemas.worker import DatabaseVersion, Worker, worker_lock_name

_WAIT_FOR_TABLES = "60s"
_HEARTBEAT_IS_FRESH_S = 120


class MigrationError(DatabaseError):
    """A step that failed. The database is as it was before the first one."""


@dataclass(frozen=True)
class TablesUpgrade:
    """What an upgrade did, or would do.

    Attributes
    ----------
    version_before, version_after : int
        Versions of the database.
    steps : tuple of str
        What each step changes.
    notes : tuple of str
        What else there is to know, such as jobs that are tried again.
    """

    version_before: int
    version_after: int
    steps: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def plan_tables_upgrade(prefix: str, connection: Any, steps: Sequence[MigrationStep] | None = None) -> TablesUpgrade:
    """What `upgrade_tables` would do; nothing is changed.

    Raises
    ------
    DatabaseError
        If a newer version of orofacial made the database.
    """
    version = _version(prefix, connection)
    if version is None:  # a new database is made whole
        return TablesUpgrade(newest_step(), newest_step())
    missing = _missing(version, steps)
    descriptions = tuple(f"{step.number}: {step.description}" for step in missing)
    return TablesUpgrade(version, missing[-1].number if missing else version, descriptions)


def upgrade_tables(
    prefix: str,
    connection: Any,
    *,
    steps: Sequence[MigrationStep] | None = None,
    on_step: Callable[[str], None] = lambda step: None,
) -> TablesUpgrade:
    """Do the steps that the database lacks; `schemas.activate` then binds the tables, and creates those that are new.

    One process at a time; others wait.

    Parameters
    ----------
    prefix : str
        Start of the schemas' names.
    connection : datajoint.Connection
        Of a user who may change tables, and on MySQL create schemas.
    steps : sequence of Step, optional
        Other steps than those of this folder.
    on_step : callable
        Told what comes next.

    Returns
    -------
    Upgrade
        Without steps if there was nothing to do.

    Raises
    ------
    MigrationError
        If a step fails: the database is as it was.
    DatabaseError
        If workers are running, or a newer version of orofacial made the database.
    """
    bound = schemas.table_schemas(prefix)
    database = MigratedDatabase(connection, prefix)
    # The lock under which tables are created: who starts meanwhile waits, and then sees the new version.
    with _no_reconnection(connection), holding_lock(connection, f"{prefix} tables"):
        copy = SavedCopy(database, list(bound))
        if database.backend == "mysql" and copy.repair(lambda: _version(prefix, connection)):
            database.notes.append("an upgrade was interrupted before; its changes were taken back first")
        plan = plan_tables_upgrade(prefix, connection, steps)
        if plan.steps:
            refuse_while_workers_run(prefix, connection)
            with _all_or_nothing(database, copy, plan):
                bind_tables(bound, connection)
                create_schemas(bound)
                for step in _missing(plan.version_before, steps):
                    on_step(f"{step.number}: {step.description}")
                    step.upgrade(database)
                database.drop_stale_jobs()
                database.create_table(DatabaseVersion)
                # The very last: on MySQL it is what tells a finished upgrade from an interrupted one.
                write_version(plan.version_after)
            unbind_tables(bound)
    return TablesUpgrade(plan.version_before, plan.version_after, plan.steps, tuple(database.notes))


def refuse_while_workers_run(prefix: str, connection: Any) -> None:
    """Refuse to change tables under workers, who would go on with what they know of them.

    A worker runs if it holds its lock on the server, or was heard of in the last minutes: it may be reconnecting.
    """
    adapter = connection.adapter
    table = adapter.make_full_table_name(f"{prefix}worker", Worker.table_name)
    fresh = f"heartbeat_at > CURRENT_TIMESTAMP - {adapter.interval_expr(_HEARTBEAT_IS_FRESH_S, 'second')}"
    rows = connection.query(f"SELECT host, pid, connection_id, {fresh} FROM {table}").fetchall()
    running = [row for row in rows if row[3] or is_lock_held(connection, worker_lock_name(table, tuple(row[:3])))]
    if running:
        hosts = ", ".join(sorted({f"{row[0]} (process {row[1]})" for row in running}))
        n = f"{len(running)} workers are" if len(running) > 1 else "1 worker is"
        raise DatabaseError(
            f"{n} running: {hosts}. Tables are not changed under them: stop them (orofacial cluster down, or Ctrl-C;"
            f" one that was killed counts for {_HEARTBEAT_IS_FRESH_S} s more), then try again"
        )


def _version(prefix: str, connection: Any) -> int | None:
    return read_version(connection, prefix, read_columns(connection, schemas.table_schema_names(prefix)))


def _missing(version: int, steps: Sequence[MigrationStep] | None) -> list[MigrationStep]:
    if steps is None:
        refuse_newer_version(version, newest_step())
        return migration_steps_after(version)
    return [step for step in steps if step.number > version]


@contextmanager
def _no_reconnection(connection: Any) -> Iterator[None]:
    """A connection that is lost must not come back by itself: without its lock, and outside of its transaction."""
    before = connection._config["database.reconnect"]
    connection._config["database.reconnect"] = False
    try:
        yield
    finally:
        connection._config["database.reconnect"] = before


@contextmanager
def _all_or_nothing(database: MigratedDatabase, copy: SavedCopy, plan: TablesUpgrade) -> Iterator[None]:
    """Keep what is done inside only if all of it is done."""
    versions = f"from version {plan.version_before} to {plan.version_after}"
    try:
        with (
            _transaction(database) if database.backend == "postgresql" else _copied(database, copy, plan.version_after)
        ):
            yield
    except _NotRestoredError as error:
        raise DatabaseError(
            f"the upgrade {versions} failed ({_text(error)}), and the tables could not be put back"
            f" ({_text(error.__cause__)}). Their copy is kept; run the upgrade again, which puts them back first"
        ) from error
    except Exception as error:
        raise MigrationError(
            f"the upgrade {versions} failed, and the database is as it was before: {_text(error)}. Go on with the"
            " orofacial of before, and report this"
        ) from error
    finally:
        unbind_tables(schemas.table_schemas(database.prefix))


class _NotRestoredError(Exception):
    """A copy that could not be put back."""


@contextmanager
def _transaction(database: MigratedDatabase) -> Iterator[None]:
    with database.connection.transaction:
        database.execute(f"SET LOCAL lock_timeout = '{_WAIT_FOR_TABLES}'")
        yield


@contextmanager
def _copied(database: MigratedDatabase, copy: SavedCopy, target: int) -> Iterator[None]:
    copy.make(target)
    try:
        yield
    except BaseException as failed:
        try:
            copy.restore()
        except Exception as error:
            raise _NotRestoredError(_text(failed)) from error
        raise
    copy.discard()


def _text(error: BaseException | None) -> str:
    return "" if error is None else " ".join(str(part) for part in error.args) or type(error).__name__
