"""What a copy of a data folder (``cp -r``, another disk, another owner) lacks for PostgreSQL to start from it."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from compute.errors import DatabaseError

SHORT_SOCKET_FOLDER_PREFIX = "orofacial-"
"""Below /tmp, where the path of the cluster is too long for a socket."""

_MODES = (0o700, 0o750)
"""Permissions of the cluster's folder that PostgreSQL accepts."""


def mend_copied_cluster(cluster: Path, find_system_user: Callable[[], tuple[int, int]]) -> None:
    """Give the files of a cluster the owner and the permissions that PostgreSQL asks for; mostly they have them.

    Parameters
    ----------
    cluster : Path
        PostgreSQL's files.
    find_system_user : callable
        User and group id of whom the server runs as when a person works as root.

    Raises
    ------
    DatabaseError
        If the files belong to somebody else, or their disk keeps no permissions.
    """
    found = cluster.stat()
    # The folder itself comes last: an interrupted mending is seen, and done again.
    if os.geteuid() == 0 and found.st_uid == 0:
        user, group = find_system_user()
        for path in (*cluster.rglob("*"), cluster):
            os.chown(path, user, group, follow_symlinks=False)
    elif os.geteuid() not in (0, found.st_uid):
        raise DatabaseError(
            f"{cluster}: the database's files belong to user {found.st_uid}, and you are user {os.geteuid()};"
            f" PostgreSQL works only for their owner. Make them yours: sudo chown -R {os.geteuid()} '{cluster.parent}'"
        )
    if stat.S_IMODE(found.st_mode) in _MODES:
        return
    for path in (*cluster.rglob("*"), cluster):
        if not path.is_symlink():
            path.chmod(0o700 if path.is_dir() else 0o600)
    mode = stat.S_IMODE(cluster.stat().st_mode)
    if mode not in _MODES:
        raise DatabaseError(
            f"{cluster}: this disk keeps no permissions (found {mode:o}, PostgreSQL expects 700). Copy the data folder"
            " to a disk of Linux or macOS, and name it with OROFACIAL_DATA_FOLDER or --data-folder"
        )


def remove_short_socket_folder(socket_folder: Path) -> None:
    """Remove a socket's folder that was made below /tmp, and never another one: most lie in a cluster's own folder."""
    if socket_folder.parent == Path("/tmp") and socket_folder.name.startswith(SHORT_SOCKET_FOLDER_PREFIX):
        shutil.rmtree(socket_folder, ignore_errors=True)
