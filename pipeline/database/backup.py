"""Copies of the embedded database: its files, taken while the server is stopped.

They need no program to be restored but ``cp``: PostgreSQL starts from them as it would have started from the original.
"""

from __future__ import annotations

import filecmp
import os
import shlex
import shutil
import subprocess
from datetime import datetime
from pathlib import Path

from compute.errors import DatabaseError
from compute.processes import process_name


def back_up(database_folder: Path, backups_folder: Path, name: str) -> Path:
    """Copy the files of a stopped database, and compare the copy with them.

    Parameters
    ----------
    database_folder : Path
        Folder of `pipeline.database.embedded.EmbeddedServer`.
    backups_folder : Path
        Where backups lie; created for its owner only.
    name : str
        Start of the backup's name; the time follows.

    Returns
    -------
    Path
        Folder of the copy.

    Raises
    ------
    DatabaseError
        If there is no room for the copy, or it cannot be written or differs.
    """
    cluster = database_folder / "cluster"
    target = backups_folder / f"{name}_{datetime.now():%Y-%m-%d_%H-%M-%S}"
    unfinished = target.with_name(f"{target.name}.{process_name()}.part")
    try:
        backups_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        size = sum(path.stat().st_size for path in _files(cluster))
        free = shutil.disk_usage(backups_folder).free
        if size > free:
            raise DatabaseError(
                f"{backups_folder}: no room for a backup of the database ({size / 1e6:.0f} MB,"
                f" {free / 1e6:.0f} MB free). Free some space, then try again; nothing was changed"
            )
        # The owner stays: as root, the server's files belong to another user.
        done = subprocess.run(["cp", "-a", str(cluster), str(unfinished)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise OSError(done.stderr.strip())
        for path in _files(cluster):
            if not filecmp.cmp(path, unfinished / path.relative_to(cluster), shallow=False):
                raise OSError(f"{path.relative_to(cluster)} is not the same in the copy")
        os.sync()
        unfinished.rename(target)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise DatabaseError(f"{target}: the database could not be backed up ({error}). Nothing was changed") from error
    return target


def how_to_restore_backup(backup: Path, database_folder: Path) -> str:
    """Commands that put a backup in the place of the database, which is kept beside it."""
    cluster = database_folder / "cluster"
    move = f"mv {shlex.quote(str(cluster))} {shlex.quote(f'{cluster}.upgraded')}"
    return f"{move} && cp -a {shlex.quote(str(backup))} {shlex.quote(str(cluster))}"


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
