"""The embedded server, used by real processes that leave, crash and are killed."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg2
import pytest

from compute.errors import DatabaseError
from pipeline.database.embedded import EmbeddedServer

REPOSITORY = Path(__file__).parents[3]
USER_PROGRAM = """
import atexit, signal, sys
from pathlib import Path
from pipeline.database.embedded import EmbeddedServer
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
server = EmbeddedServer(Path(sys.argv[1]))
server.enter()
atexit.register(server.leave)
print(server.socket_folder, flush=True)
sys.stdin.read()
"""


class UserProcess:
    """Another process that uses the server until it is told to leave."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER_PROGRAM, str(folder)],
            **{"cwd": REPOSITORY, "env": {**os.environ, "PYTHONPATH": str(REPOSITORY)}},
            **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True},
            start_new_session=True,
        )

    def wait_until_connected(self) -> Path:
        line = self.process.stdout.readline().strip()
        assert line, self.process.stderr.read()
        return Path(line)

    def leave(self) -> None:
        _, errors = self.process.communicate()
        assert self.process.returncode == 0, errors

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def user_process():
    users = []

    def start(folder: Path) -> UserProcess:
        users.append(UserProcess(folder))
        return users[-1]

    yield start
    for user in users:
        if user.process.poll() is None:
            user.kill()


@pytest.fixture
def server(tmp_path):
    server = EmbeddedServer(tmp_path / "data" / "database")
    yield server
    server.leave()
    if server.cluster.exists() and (server.cluster / "postmaster.pid").exists():
        server.enter()  # a test that failed with killed users: the last one who leaves cleans up
        server.leave()


def execute(socket_folder: Path, statement: str) -> list[tuple]:
    connection = psycopg2.connect(host=str(socket_folder), port=5432, user="postgres", dbname="postgres")
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def server_process(server: EmbeddedServer) -> psutil.Process:
    return psutil.Process(int((server.cluster / "postmaster.pid").read_text().split()[0]))


def is_gone(process: psutil.Process) -> bool:
    # A container without an init keeps ended processes as zombies.
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_rows_survive_leaving_and_entering(server):
    server.enter()
    execute(server.socket_folder, "CREATE TABLE mice AS SELECT 7 AS mouse")
    server.leave()
    server.enter()
    assert execute(server.socket_folder, "SELECT mouse FROM mice") == [(7,)]


def test_only_the_owner_can_read_and_no_folder_above_is_opened(server):
    data_folder = server.folder.parent
    data_folder.mkdir(mode=0o700)
    server.enter()
    for folder in (server.folder, server.cluster, data_folder):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in server.folder.iterdir())


def test_listens_on_no_tcp_port(server):
    server.enter()
    connections = server_process(server).net_connections(kind="inet")  # it alone listens, for all its children
    assert [connection for connection in connections if connection.status == psutil.CONN_LISTEN] == []
    assert execute(server.socket_folder, "SHOW listen_addresses") == [("",)]


def test_last_user_stops_the_server(server, user_process):
    first, second = user_process(server.folder), user_process(server.folder)
    first.wait_until_connected()
    socket_folder = second.wait_until_connected()
    process = server_process(server)
    first.leave()
    assert execute(socket_folder, "SELECT 1") == [(1,)]
    second.leave()
    assert is_gone(process)
    assert not (server.cluster / "postmaster.pid").exists()


def test_three_first_users_at_once(server, user_process):
    users = [user_process(server.folder) for _ in range(3)]
    socket_folders = {user.wait_until_connected() for user in users}
    assert len(socket_folders) == 1
    process = server_process(server)
    for user in users:
        user.leave()
    assert is_gone(process)


def test_killed_user_does_not_keep_the_server_up(server, user_process):
    killed = user_process(server.folder)
    killed.wait_until_connected()
    process = server_process(server)
    killed.kill()
    server.enter()
    assert server_process(server) == process
    server.leave()
    assert is_gone(process)


@pytest.mark.parametrize("reused", [False, True], ids=["pid unused", "pid now of another program"])
def test_killed_server_recovers_what_was_committed(server, user_process, reused):
    user = user_process(server.folder)
    socket_folder = user.wait_until_connected()
    execute(socket_folder, "CREATE TABLE mice AS SELECT 7 AS mouse")
    process = server_process(server)
    for victim in [process, *process.children(recursive=True)]:
        victim.kill()
    user.kill()
    other = None
    if reused:
        other = subprocess.Popen(["sleep", "60"], user=server.cluster.stat().st_uid if os.geteuid() == 0 else None)
        for file in (server.cluster / "postmaster.pid", Path(socket_folder) / ".s.PGSQL.5432.lock"):
            file.write_text("\n".join([str(other.pid), *file.read_text().split("\n")[1:]]))
    server.enter()
    assert execute(server.socket_folder, "SELECT mouse FROM mice") == [(7,)]
    if other is not None:
        assert other.poll() is None
        other.kill()
        other.wait()


def test_killed_postmaster_with_a_backend_at_work(server):
    server.enter()
    connection = psycopg2.connect(host=str(server.socket_folder), port=5432, user="postgres", dbname="postgres")
    process = server_process(server)
    process.kill()
    newcomer = EmbeddedServer(server.folder)
    newcomer.enter()
    assert server_process(server) != process
    assert execute(newcomer.socket_folder, "SELECT 1") == [(1,)]
    connection.close()
    newcomer.leave()


def test_interrupt_of_the_terminal_reaches_no_server(server, user_process):
    starter = user_process(server.folder)
    starter.wait_until_connected()
    server.enter()
    process = server_process(server)
    os.killpg(starter.process.pid, signal.SIGINT)
    starter.process.communicate()
    assert starter.process.returncode != 0
    assert server_process(server) == process
    assert execute(server.socket_folder, "SELECT 1") == [(1,)]


def test_a_forked_child_does_not_stop_its_parents_server(server):
    server.enter()
    child = os.fork()
    if child == 0:
        server.leave()
        os._exit(0)
    os.waitpid(child, 0)
    assert execute(server.socket_folder, "SELECT 1") == [(1,)]


@pytest.mark.parametrize("name", ["deep/" * 30, 'mouse\'s "data", 5:30 $HOME `x` ü'], ids=["long", "odd"])
def test_any_path(tmp_path, name):
    server = EmbeddedServer(tmp_path / name / "database")
    server.enter()
    assert execute(server.socket_folder, "SELECT 1") == [(1,)]
    assert server.socket_folder.stat().st_mode & 0o777 == 0o700
    server.leave()
    assert not server.socket_folder.exists()


@pytest.mark.parametrize("name", ["data", "deep/" * 30], ids=["socket in the cluster", "socket below /tmp"])
def test_a_copy_of_a_running_database_leaves_the_original_alone(tmp_path, name):
    """The copied postmaster.pid names the original's socket."""
    server = EmbeddedServer(tmp_path / name / "database")
    server.enter()
    execute(server.socket_folder, "CREATE TABLE mice AS SELECT 7 AS mouse")
    copy = EmbeddedServer(tmp_path / "copied" / "database")
    subprocess.run(["cp", "-r", tmp_path / name, tmp_path / "copied"], check=True)
    copy.enter()
    execute(copy.socket_folder, "UPDATE mice SET mouse = 8")
    assert execute(server.socket_folder, "SELECT mouse FROM mice") == [(7,)]
    assert execute(copy.socket_folder, "SELECT mouse FROM mice") == [(8,)]
    copy.leave()
    assert execute(server.socket_folder, "SELECT mouse FROM mice") == [(7,)]
    server.leave()
    assert server.cluster.exists()


def test_the_last_user_under_another_name_of_the_folder_keeps_the_files(server, user_process):
    first = user_process(server.folder)
    first.wait_until_connected()
    link = server.folder.parent.with_name("link")
    link.symlink_to(server.folder.parent)
    second = EmbeddedServer(link / "database")
    second.enter()
    first.leave()
    second.leave()
    assert (server.cluster / "PG_VERSION").exists()


def test_a_copy_that_lost_rights_and_owner(server, tmp_path):
    server.enter()
    execute(server.socket_folder, "CREATE TABLE mice AS SELECT 7 AS mouse")
    server.leave()
    copy = EmbeddedServer(tmp_path / "copy" / "database")
    copy.folder.parent.mkdir()
    subprocess.run(["cp", "-r", "--no-preserve=mode,ownership", server.folder, copy.folder], check=True)
    copy.cluster.chmod(0o777)
    copy.enter()
    assert execute(copy.socket_folder, "SELECT mouse FROM mice") == [(7,)]
    assert copy.cluster.stat().st_mode & 0o777 == 0o700
    copy.leave()


def test_database_of_another_version(server):
    server.enter()
    server.leave()
    (server.cluster / "PG_VERSION").write_text("12\n")
    with pytest.raises(DatabaseError, match=r"made by PostgreSQL 12.*Install"):
        server.enter()


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(DatabaseError, match=r"data/database.*Name another data folder"):
        EmbeddedServer(tmp_path / "data" / "database").enter()


def test_no_room_for_the_files_leaves_nothing_half_made(server):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000000, 1000000))\n"
    failed = subprocess.run(
        [sys.executable, "-c", limit + USER_PROGRAM, str(server.folder)],
        **{"env": {**os.environ, "PYTHONPATH": str(REPOSITORY)}, "capture_output": True, "text": True},
    )
    assert failed.returncode != 0
    assert "DatabaseError" in failed.stderr and "initdb failed" in failed.stderr and "MB free" in failed.stderr
    assert not server.cluster.exists()
    server.enter()
    assert execute(server.socket_folder, "SELECT 1") == [(1,)]


def test_another_machine_uses_it(server):
    server.folder.mkdir(parents=True)
    with (server.folder / "users.lock").open("w") as lock:
        lock.write("rig-2")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_SH)
        with pytest.raises(DatabaseError, match="machine rig-2"):
            server.enter()
    server.enter()


def test_folder_deleted_while_in_use(server):
    server.enter()
    process = server_process(server)
    shutil.rmtree(server.folder)
    server.leave()
    process.terminate()
    deadline = time.monotonic() + 10
    while not is_gone(process) and time.monotonic() < deadline:
        time.sleep(0.05)
