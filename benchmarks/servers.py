"""Database servers for benchmarks and tests: each in a folder of its own, started, killed and started again.

Loaded by its path from tests (``importlib`` or ``sys.path``), since nothing here is part of the installed packages.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pymysql

from pipeline.embedded import EmbeddedServer


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
    """MariaDB from the system's package, on a Unix socket only."""

    name = "mariadb"

    def __init__(self, data_folder: Path) -> None:
        self.folder = data_folder / "mariadb"
        self.socket = self.folder / "socket"
        self.process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        self.environment = {
            **{"DJ_BACKEND": "mysql", "DJ_HOST": "127.0.0.1", "DJ_PORT": str(self.port)},
            **{"DJ_USER": "lab", "DJ_PASS": "lab", "DJ_USE_TLS": "false"},
        }

    def start(self) -> None:
        self.folder.mkdir(parents=True)
        if os.geteuid() == 0:
            shutil.chown(self.folder, "mysql")
            for parent in self.folder.parents:
                if parent != Path("/") and not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o011)
        subprocess.run(
            [
                *("mariadb-install-db", "--no-defaults", f"--datadir={self.folder / 'data'}", f"--user={_user()}"),
                *("--auth-root-authentication-method=normal", "--skip-test-db"),
            ],
            check=True,
            capture_output=True,
        )
        self._launch()
        with pymysql.connect(unix_socket=str(self.socket), user="root") as connection, connection.cursor() as cursor:
            cursor.execute("CREATE USER 'lab'@'%' IDENTIFIED BY 'lab'")
            cursor.execute("GRANT ALL PRIVILEGES ON *.* TO 'lab'@'%'")

    def restart(self) -> None:
        """Kill it as a power cut would, and start it again."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        time.sleep(1)
        self._launch()

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()

    def cut_statement(self, connection_id: int) -> str:
        return f"KILL {connection_id}"

    def _launch(self) -> None:
        self.process = subprocess.Popen(
            [
                *("mariadbd", "--no-defaults", f"--user={_user()}", f"--datadir={self.folder / 'data'}"),
                *(f"--socket={self.socket}", f"--port={self.port}", "--bind-address=127.0.0.1"),
                *(f"--pid-file={self.folder / 'pid'}", f"--log-error={self.folder / 'error.log'}"),
            ],
            env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"},
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


def _user() -> str:
    return "mysql" if os.geteuid() == 0 else os.environ.get("USER", "mysql")


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
