"""A lab's rows from the embedded database to a server or back; the stores' files stay where they are.

The old database keeps its rows and is marked, before the first one is copied: every orofacial refuses it from then on.
What fails takes the mark away; after a killed process the move is run again, or undone.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import schemas
from compute.errors import DatabaseError
from pipeline.database import connection as database
from pipeline.database.datajoint_setup import import_datajoint
from pipeline.database.embedded import locked
from pipeline.database.saved_rows import SavedRows, load_rows, rows_of_one_moment, save_rows
from pipeline.database.server import PreparedServer, ServerAddress, prepare_server
from pipeline.database.table_rows import lab_tables
from pipeline.settings import Settings
from pipeline.stores.collection import StoredFile
from pipeline.stores.lab_backup import find_files, rows_references
from schemas.migrations.steps import newest_step
from schemas.migrations.upgrade import refuse_while_workers_run
from schemas.migrations.version import MOVED_VERSION, mark_moved, read_columns, read_version

_FOLDER_NAME = "move.part"


@dataclass(frozen=True)
class MovedLab:
    """Result of `move_lab`.

    Attributes
    ----------
    moved_from : str
        The old database for people; it is left in place, marked.
    rows : SavedRows
        What was moved, and read back.
    files : list of StoredFile
        What the rows point at; these files stay where they are.
    lost_files : list of str
        What rows point at, and the store does not have.
    server : PreparedServer or None
        The new one; None for the embedded database.
    """

    moved_from: str
    rows: SavedRows
    files: list[StoredFile]
    lost_files: list[str]
    server: PreparedServer | None


def move_lab(
    settings: Settings, target: ServerAddress | None, *, on_step: Callable[[str], None] = lambda step: None
) -> MovedLab:
    """Move the lab that is configured to a server, or to the embedded database of its data folder (None).

    Raises
    ------
    DatabaseError
        If workers or other processes use the lab, the new database is not empty, or a row is not read back the same.
        The lab is then where it was.
    """
    dj = import_datajoint()
    database.close_connection()
    if not {"host", "user"} & dj.config.database.model_fields_set:
        database.forget_server()  # a password alone (DJ_PASS) is that of the new server
    configured = dj.config.database
    on_server = database.server_is_configured()
    if target is None and not on_server:
        raise DatabaseError(
            f"the lab of {settings.data_folder} is in the embedded database already; to move one from a server, run"
            " this where its datajoint.json is"
        )
    settings.data_folder.mkdir(parents=True, exist_ok=True)
    with locked(settings.data_folder / "move.lock"):
        connection = _open_old(settings)
        moved_from = connection.name
        if not on_server:
            with database.embedded_server_stopped():
                on_step("nobody else uses the embedded database")
        mark_moved(connection, settings.schema_prefix, True)
        folder = settings.data_folder / _FOLDER_NAME
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            on_step("rows of all tables")
            with rows_of_one_moment(connection, settings.schema_prefix) as (tables, statements):
                rows = save_rows(connection, settings.schema_prefix, tables, statements, folder)
                pointed_at = rows_references(connection, settings.schema_prefix, tables)
            files, lost = find_files(pointed_at)
            server = _turn_to(settings, target, on_step)
            on_step(f"{rows.n_rows} rows")
            load_rows(database.open_connection(settings), settings.schema_prefix, folder, rows)
        except BaseException:
            database.close_connection()
            dj.config.database = configured
            mark_moved(database.open_connection(settings), settings.schema_prefix, False)
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return MovedLab(moved_from, rows, files, lost, server)


def undo_move(settings: Settings) -> bool:
    """Take the mark of a moved lab away from the database that is configured; False if it had none.

    Raises
    ------
    DatabaseError
        If there is no lab.
    """
    connection = database.open_connection(settings)
    lab_tables(connection, settings.schema_prefix)
    return mark_moved(connection, settings.schema_prefix, False)


def _open_old(settings: Settings) -> Any:
    """The connection to the lab that is to be moved, once nothing speaks against it; a mark of before is gone."""
    connection = database.open_connection(settings)
    lab_tables(connection, settings.schema_prefix)
    mark_moved(connection, settings.schema_prefix, False)
    schemas.activate(settings.schema_prefix, connection)
    refuse_while_workers_run(settings.schema_prefix, connection)
    return connection


def _turn_to(settings: Settings, target: ServerAddress | None, on_step: Callable[[str], None]) -> PreparedServer | None:
    """Let this process connect to the new database: a server that is prepared, or an embedded one."""
    if target is not None:
        return prepare_server(settings, target, on_step=on_step)
    database.forget_server()
    folder = settings.data_folder / database.DATABASE_FOLDER_NAME
    if folder.exists() and _is_marked(settings):
        database.close_connection()
        aside = folder.with_name(f"{folder.name}.moved_{datetime.now():%Y-%m-%d_%H-%M-%S}")
        on_step(f"the embedded database that was moved before is kept as {aside}")
        folder.rename(aside)
    return None


def _is_marked(settings: Settings) -> bool:
    connection = database.open_connection(settings)
    columns = read_columns(connection, schemas.table_schema_names(settings.schema_prefix))
    return (read_version(connection, settings.schema_prefix, columns) or newest_step()) == MOVED_VERSION
