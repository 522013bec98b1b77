"""Database servers as a lab has them: a port on this machine, an administrator with a password, a log of everything."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pymysql
import pytest

from pipeline.embedded import EmbeddedServer

REPOSITORY = Path(__file__).parents[2]
ADMINISTRATOR_PASSWORD = "of-the-l4b's administrator"


@dataclass
class LabServer:
    """A running server.

    Attributes
    ----------
    backend : {"postgresql", "mysql"}
    port : int
        On 127.0.0.1.
    administrator, password : str
        A user who may do everything.
    log : Path
        Every statement that the server was sent.
    """

    backend: str
    port: int
    administrator: str
    log: Path
    password: str = ADMINISTRATOR_PASSWORD

    @property
    def url(self) -> str:
        database = "/orofacial" if self.backend == "postgresql" else ""
        return f"{self.backend}://{self.administrator}@127.0.0.1:{self.port}{database}"

    def variables(self, user: str, password: str) -> dict[str, str]:
        """DataJoint's variables for a user of this server."""
        name = {"DJ_DATABASE_NAME": "orofacial"} if self.backend == "postgresql" else {}
        return {
            **{"DJ_BACKEND": self.backend, "DJ_HOST": "127.0.0.1", "DJ_PORT": str(self.port), **name},
            **{"DJ_USER": user, "DJ_PASS": password, "DJ_CREATE_TABLES": "false"},
        }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class DebianServer(EmbeddedServer):
    """PostgreSQL from Debian's package: the embedded one is built without TLS."""

    def _programs(self) -> Path:
        folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if not folders:
            pytest.fail("this test needs PostgreSQL's server: apt-get install postgresql")
        return folders[-1]


def start_postgresql(
    folder: Path, *options: str, kind: type[EmbeddedServer] = EmbeddedServer, access: str = "host"
) -> tuple[LabServer, EmbeddedServer]:
    """Start PostgreSQL with a password on a port."""
    server = kind(folder / "database")
    server.enter()
    connection = psycopg2.connect(host=str(server.socket_folder), user="postgres", dbname="postgres")
    connection.autocommit = True
    connection.cursor().execute("CREATE ROLE lab LOGIN SUPERUSER PASSWORD %s", (ADMINISTRATOR_PASSWORD,))
    connection.close()
    server.leave()
    (server.cluster / "pg_hba.conf").write_text(f"{access} all all 127.0.0.1/32 scram-sha-256\n")
    port = free_port()
    started = ["-h 127.0.0.1", f"-p {port}", "-k ''", "-c log_statement=all", *options]
    server._run("pg_ctl", "start", "-w", "-l", "lab.log", "-o", " ".join(started))
    return LabServer("postgresql", port, "lab", server.folder / "lab.log"), server


def start_mariadb(folder: Path, *options: str) -> tuple[LabServer, subprocess.Popen[bytes]]:
    """Start MariaDB with a password on a port."""
    if shutil.which("mariadbd") is None and not Path("/usr/sbin/mariadbd").exists():
        pytest.fail("these tests need MariaDB's server: apt-get install mariadb-server")
    user = "mysql" if os.geteuid() == 0 else os.environ["USER"]
    if os.geteuid() == 0:
        for parent in (folder, *folder.parents):
            if parent.stat().st_uid == 0 and parent != Path("/") and not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)
        shutil.chown(folder, "mysql")
    data, log, port = folder / "data", folder / "general.log", free_port()
    subprocess.run(
        [
            *("mariadb-install-db", "--no-defaults", f"--datadir={data}", f"--user={user}"),
            *("--auth-root-authentication-method=normal", "--skip-test-db"),
        ],
        check=True,
        capture_output=True,
    )
    process = subprocess.Popen(
        [
            *("/usr/sbin/mariadbd", "--no-defaults", f"--user={user}", f"--datadir={data}", f"--port={port}"),
            *("--bind-address=127.0.0.1", f"--socket={folder / 's'}", f"--pid-file={folder / 'pid'}"),
            *("--general-log", f"--general-log-file={log}", f"--log-error={folder / 'error.log'}", *options),
        ]
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            connection = pymysql.connect(unix_socket=str(folder / "s"), user="root")
            break
        except pymysql.OperationalError:
            if time.monotonic() > deadline or process.poll() is not None:
                raise
            time.sleep(0.05)
    with connection.cursor() as cursor:
        cursor.execute("SET sql_log_off = 1")
        cursor.execute("CREATE USER 'lab'@'%%' IDENTIFIED BY %s", (ADMINISTRATOR_PASSWORD,))
        cursor.execute("GRANT ALL PRIVILEGES ON *.* TO 'lab'@'%' WITH GRANT OPTION")
    connection.close()
    return LabServer("mysql", port, "lab", log), process


@pytest.fixture(scope="module", params=["postgresql", pytest.param("mysql", marks=pytest.mark.slow)])
def lab_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """A lab's server: PostgreSQL, then MariaDB."""
    folder = tmp_path_factory.mktemp("server")
    if request.param == "postgresql":
        server, embedded = start_postgresql(folder)
        yield server
        embedded._run("pg_ctl", "stop", "-w", "-m", "fast")
    else:
        server, process = start_mariadb(folder)
        yield server
        process.terminate()
        process.wait()


@pytest.fixture
def lab_postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """A lab's PostgreSQL of the test's own."""
    server, embedded = start_postgresql(tmp_path_factory.mktemp("server"))
    yield server
    embedded._run("pg_ctl", "stop", "-w", "-m", "fast")


@pytest.fixture
def debian_postgresql(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Start Debian's PostgreSQL with options and access rules of the test's; return its port."""
    stops = []

    def start(password: str, access_rules: str, *options: str) -> int:
        server = DebianServer(tmp_path / "database")
        server.enter()
        connection = psycopg2.connect(host=str(server.socket_folder), user="postgres", dbname="postgres")
        connection.autocommit = True
        connection.cursor().execute("ALTER ROLE postgres PASSWORD %s", (password,))
        connection.close()
        server.leave()
        (server.cluster / "pg_hba.conf").write_text(access_rules)
        port = free_port()
        arguments = [f"-h 127.0.0.1 -p {port}", *options]
        server._run("pg_ctl", "start", "-w", "-l", "lab.log", "-o", " ".join(arguments))
        stops.append(server)
        return port

    yield start
    for server in stops:
        server._run("pg_ctl", "stop", "-w", "-m", "fast")


@pytest.fixture(params=["postgresql", "mysql"])
def tls_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[LabServer, Path, Path]]:
    """A server with a certificate, and the certificates of the authority that signed it and of another."""
    authority, other = make_authority(tmp_path, "lab"), make_authority(tmp_path, "other")
    key, certificate = make_certificate(tmp_path, "lab")
    if request.param == "postgresql":
        server, embedded = start_postgresql(
            tmp_path,
            *("-c ssl=on", f"-c ssl_cert_file={certificate}", f"-c ssl_key_file={key}"),
            kind=DebianServer,
            access="hostssl",
        )
        yield server, authority, other
        embedded._run("pg_ctl", "stop", "-w", "-m", "fast")
    else:
        server, process = start_mariadb(tmp_path, f"--ssl-cert={certificate}", f"--ssl-key={key}")
        yield server, authority, other
        process.terminate()
        process.wait()


def make_authority(folder: Path, name: str) -> Path:
    """Make a certificate authority."""
    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name} authority"),
        *("-keyout", folder / f"{name}.ca.key", "-out", folder / f"{name}.ca.pem"),
    )
    return folder / f"{name}.ca.pem"


def make_certificate(folder: Path, authority: str) -> tuple[Path, Path]:
    """Make a key and a certificate for 127.0.0.1, readable by the servers' users only."""
    key, request, certificate = folder / "server.key", folder / "server.csr", folder / "server.pem"
    extension = folder / "extension"
    extension.write_text("subjectAltName = IP:127.0.0.1\n")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", key, "-out", request)
    openssl(
        *("x509", "-req", "-in", request, "-days", "2", "-extfile", extension, "-out", certificate),
        *("-CA", folder / f"{authority}.ca.pem", "-CAkey", folder / f"{authority}.ca.key", "-CAcreateserial"),
    )
    key.chmod(0o640)
    if os.geteuid() == 0:  # root's key may be read by its group, and by MariaDB only if that is its own
        with contextlib.suppress(LookupError):
            shutil.chown(key, group="mysql")
    return key, certificate


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="session")
def run_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program, or the command `orofacial`, in a process, a folder and an environment of its own."""
    return _run_python


def _run_python(
    program: str, folder: Path, *arguments: object, expect: int | None = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DJ_", "OROFACIAL_"))}
    done = subprocess.run(
        [
            sys.executable,
            *(["-m", "pipeline.cli"] if program == "orofacial" else ["-c", program]),
            *map(str, arguments),
        ],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(REPOSITORY), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert expect is None or done.returncode == expect, done.stdout + done.stderr
    return done
