"""Database servers as a lab has them: a port on this machine, an administrator with a password, a log of everything."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from servers import MariaDB

from pipeline.database.embedded import EmbeddedServer

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


@contextlib.contextmanager
def new_mariadb() -> Iterator[MariaDB]:
    """A MariaDB with a folder of its own, to be started."""
    if not MariaDB.is_installed():
        pytest.fail("these tests need MariaDB's server: apt-get install mariadb-server")
    server = MariaDB(ADMINISTRATOR_PASSWORD)
    try:
        yield server
    finally:
        server.stop()


def start_mariadb(server: MariaDB, *options: str) -> LabServer:
    """Start MariaDB with a log of everything."""
    log = server.folder / "general.log"
    server.start("--general-log", f"--general-log-file={log}", *options)
    return LabServer("mysql", server.port, server.user, log)


@pytest.fixture(scope="module", params=[pytest.param(one, marks=pytest.mark.slow) for one in ("postgresql", "mysql")])
def lab_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """A lab's server: PostgreSQL, then MariaDB."""
    if request.param == "postgresql":
        server, embedded = start_postgresql(tmp_path_factory.mktemp("server"))
        yield server
        embedded._run("pg_ctl", "stop", "-w", "-m", "fast")
    else:
        with new_mariadb() as mariadb:
            yield start_mariadb(mariadb)


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
    if request.param == "postgresql":
        key, certificate = make_certificate(tmp_path, authority)
        server, embedded = start_postgresql(
            tmp_path,
            *("-c ssl=on", f"-c ssl_cert_file={certificate}", f"-c ssl_key_file={key}"),
            kind=DebianServer,
            access="hostssl",
        )
        yield server, authority, other
        embedded._run("pg_ctl", "stop", "-w", "-m", "fast")
    else:
        with new_mariadb() as mariadb:
            key, certificate = make_certificate(mariadb.folder, authority)
            if os.geteuid() == 0:
                shutil.chown(key, group="mysql")
            yield start_mariadb(mariadb, f"--ssl-cert={certificate}", f"--ssl-key={key}"), authority, other


def make_authority(folder: Path, name: str) -> Path:
    """Make a certificate authority."""
    openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name} authority"),
        *("-keyout", folder / f"{name}.ca.key", "-out", folder / f"{name}.ca.pem"),
    )
    return folder / f"{name}.ca.pem"


def make_certificate(folder: Path, authority: Path) -> tuple[Path, Path]:
    """Make a key and a certificate for 127.0.0.1; the key's owner and group may read it."""
    key, request, certificate = folder / "server.key", folder / "server.csr", folder / "server.pem"
    extension = folder / "extension"
    extension.write_text("subjectAltName = IP:127.0.0.1\n")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", key, "-out", request)
    openssl(
        *("x509", "-req", "-in", request, "-days", "2", "-extfile", extension, "-out", certificate),
        *("-CA", authority, "-CAkey", authority.with_suffix(".key"), "-CAcreateserial"),
    )
    key.chmod(0o640)
    return key, certificate


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="session")
def run_python(run_command: Any) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program, or the command `orofacial`, in a process, a folder and an environment of its own."""

    def run(
        program: str, folder: Path, *words: object, expect: int | None = 0, **options: str
    ) -> subprocess.CompletedProcess[str]:
        text = None if program == "orofacial" else program
        done: subprocess.CompletedProcess[str] = run_command(*words, program=text, folder=folder, **options)
        assert expect is None or done.returncode == expect, done.stdout + done.stderr
        return done

    return run
