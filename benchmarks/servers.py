"""Database servers for benchmarks and tests: each in a folder of its own, started, killed and started again.

No part of the installed packages: pytest and the benchmarks find it on their path.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pymysql

from pipeline.database.embedded import EmbeddedServer

_SYSTEM_USER = "mysql"  # made by Debian's package


class PostgreSQL:
    """The embedded PostgreSQL of a data folder, as every worker starts it by itself."""

    name = "postgresql"

    def __init__(self, data_folder: Path) -> None:
        self.server = EmbeddedServer(data_folder / "database")
        self.environment: dict[str, str] = {}

    def start(self) -> None:
        self.server.enter()

    def restart(self) -> None:
        """Kill it as a power cut would, and start it again."""
        pid = int((self.server.cluster / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        time.sleep(1)
        self.server.restart_if_gone()

    def stop(self) -> None:
        self.server.leave()

    def cut_statement(self, connection_id: int) -> str:
        return f"SELECT pg_terminate_backend({connection_id})"


class MariaDB:
    """MariaDB from the system's package, on the loopback interface.

    Its folder is its own and no test's or benchmark's, so that its system user may enter it: those of pytest are closed
    to other users, and closed again by every pytest that starts.

    Parameters
    ----------
    password : str
        Of the user ``lab``, who may do everything.
    """

    name = "mariadb"
    user = "lab"

    @staticmethod
    def is_installed() -> bool:
        """Whether the system's package is there."""
        return shutil.which("mariadbd", path=_path()) is not None

    def __init__(self, password: str = "lab") -> None:
        # Under /tmp, which everybody can enter, and short enough for a socket's path.
        self.folder = Path(tempfile.mkdtemp(prefix="orofacial-mariadb-", dir="/tmp"))
        self.socket = self.folder / "socket"
        self.process: subprocess.Popen[bytes] | None = None
        self.password = password
        self.port = _free_port()
        self.options: tuple[str, ...] = ()
        self.environment = {
            **{"DJ_BACKEND": "mysql", "DJ_HOST": "127.0.0.1", "DJ_PORT": str(self.port)},
            **{"DJ_USER": self.user, "DJ_PASS": password, "DJ_USE_TLS": "false"},
        }

    def start(self, *options: str) -> None:
        """Make an empty server and start it, with options of mariadbd beside those that it needs."""
        self.options = options
        if os.geteuid() == 0:
            shutil.chown(self.folder, _SYSTEM_USER)
        subprocess.run(
            [
                *("mariadb-install-db", "--no-defaults", f"--datadir={self.folder / 'data'}", *_as_user()),
                *("--auth-root-authentication-method=normal", "--skip-test-db"),
            ],
            check=True,
            capture_output=True,
        )
        self._launch()
        with pymysql.connect(unix_socket=str(self.socket), user="root") as connection, connection.cursor() as cursor:
            cursor.execute("SET sql_log_off = 1")  # a general log holds no password
            cursor.execute(f"CREATE USER '{self.user}'@'%%' IDENTIFIED BY %s", (self.password,))
            cursor.execute(f"GRANT ALL PRIVILEGES ON *.* TO '{self.user}'@'%' WITH GRANT OPTION")

    def restart(self) -> None:
        """Kill it as a power cut would, and start it again."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        time.sleep(1)
        self._launch()

    def stop(self) -> None:
        """End it, and remove its folder."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
        shutil.rmtree(self.folder)

    def cut_statement(self, connection_id: int) -> str:
        return f"KILL {connection_id}"

    def _launch(self) -> None:
        self.process = subprocess.Popen(
            [
                *("mariadbd", "--no-defaults", f"--datadir={self.folder / 'data'}", *_as_user(), *self.options),
                *(f"--socket={self.socket}", f"--port={self.port}", "--bind-address=127.0.0.1"),
                *(f"--pid-file={self.folder / 'pid'}", f"--log-error={self.folder / 'error.log'}"),
            ],
            env={**os.environ, "PATH": _path()},
            start_new_session=True,
        )
        deadline = time.monotonic() + 120
        while True:
            try:
                pymysql.connect(unix_socket=str(self.socket), user="root").close()
                return
            except pymysql.OperationalError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.05)


def _path() -> str:
    """Where programs are looked for: Debian puts servers where only root looks."""
    return f"{os.environ.get('PATH', '')}:/usr/sbin"


def _as_user() -> list[str]:
    """MariaDB does not run as root; who is another user runs it as that."""
    return [f"--user={_SYSTEM_USER}"] if os.geteuid() == 0 else []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
