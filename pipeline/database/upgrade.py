"""Upgrade the database that is configured: the embedded one after a backup, a lab's server in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compute.errors import DatabaseError
from pipeline.database import connection as database
from pipeline.database.backup import back_up, how_to_restore_backup
from pipeline.database.datajoint_setup import import_datajoint
from pipeline.database.embedded import locked
from pipeline.settings import Settings

BACKUPS_FOLDER_NAME = "backups"


@dataclass(frozen=True)
class UpgradedDatabase:
    """What `upgrade_database` did.

    Attributes
    ----------
    version_before, version_after : int
        Versions of the database.
    steps : tuple of str
        What each step changed; empty if there was nothing to do.
    notes : tuple of str
        What else there is to know, such as jobs that are tried again.
    backup : Path or None
        Copy of the database from before; None on a lab's server, or if there was nothing to do.
    how_to_go_back : str or None
        Commands that put the backup back, once nobody uses the database.
    """

    version_before: int
    version_after: int
    steps: tuple[str, ...]
    notes: tuple[str, ...] = ()
    backup: Path | None = None
    how_to_go_back: str | None = None


def planned_upgrade(settings: Settings) -> UpgradedDatabase:
    """What `upgrade_database` would do; nothing is changed."""
    connection = database.open_connection(settings)
    from schemas.migrations.upgrade import plan_tables_upgrade

    plan = plan_tables_upgrade(settings.schema_prefix, connection)
    return UpgradedDatabase(plan.version_before, plan.version_after, plan.steps)


def upgrade_database(settings: Settings, *, on_step: Callable[[str], None] = lambda step: None) -> UpgradedDatabase:
    """Upgrade the database, and bind the tables. One process at a time; others wait, and find it done.

    Parameters
    ----------
    settings : Settings
        The data folder and the schemas' prefix.
    on_step : callable
        Told what comes next.

    Raises
    ------
    DatabaseError
        If workers or, for the embedded database, any other processes use the database; if this user may not upgrade it;
        if a newer version of orofacial made it; if the backup cannot be made; or if a step fails, and then the database
        is as it was before.
    """
    if database.server_is_configured():
        if not import_datajoint().config.database.create_tables:
            raise DatabaseError(
                "the database is a lab's server, whose tables are not changed from here (create_tables is false in"
                " DataJoint's configuration). Its administrator runs: orofacial db init --server URL"
            )
        return _upgrade(settings, None, on_step)
    database.close_connection()  # who waits for the lock must not hold the server, which is stopped for the backup
    folder = settings.data_folder / database.DATABASE_FOLDER_NAME
    if not folder.exists():
        return _upgrade(settings, None, on_step)  # makes a new one
    with locked(folder / "upgrade.lock"):
        backup = _back_up_if_old(settings, on_step)
        return _upgrade(settings, backup, on_step)


def _back_up_if_old(settings: Settings, on_step: Callable[[str], None]) -> Path | None:
    connection = database.open_connection(settings)
    from schemas.migrations.upgrade import plan_tables_upgrade, refuse_while_workers_run

    plan = plan_tables_upgrade(settings.schema_prefix, connection)
    if not plan.steps:
        return None
    refuse_while_workers_run(settings.schema_prefix, connection)
    on_step("backup of the database")
    with database.embedded_server_stopped() as folder:
        backups = settings.data_folder / BACKUPS_FOLDER_NAME
        return back_up(folder, backups, f"database_version_{plan.version_before}")


def _upgrade(settings: Settings, backup: Path | None, on_step: Callable[[str], None]) -> UpgradedDatabase:
    connection: Any = database.open_connection(settings)
    import schemas
    from schemas.migrations.upgrade import upgrade_tables

    done = upgrade_tables(settings.schema_prefix, connection, on_step=on_step)
    schemas.activate(settings.schema_prefix, connection)  # also creates the tables that are new
    back = how_to_restore_backup(backup, settings.data_folder / database.DATABASE_FOLDER_NAME) if backup else None
    return UpgradedDatabase(done.version_before, done.version_after, done.steps, done.notes, backup, back)
