"""Connections of real processes to the embedded database, and to a server that plays the lab's."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest

from pipeline.database.embedded import EmbeddedServer

REPOSITORY = Path(__file__).parents[3]
PASSWORD = "s3cret-of-the-lab"
PRELUDE = """
from pathlib import Path
from compute.errors import DatabaseError
from pipeline.database import connection as database
from pipeline.settings import load_settings
settings = load_settings()
"""
TABLE = """
connection = database.open_connection(settings)
import datajoint as dj
import numpy as np
schema = dj.Schema("orofacial_test")
@schema
class Recording(dj.Manual):
    definition = '''
    recording : int32
    ---
    trace : <npy@tracks>
    '''
"""


@pytest.fixture
def run(run_command, tmp_path):
    """Run a program in a process, an environment and a folder of its own; return what it printed."""

    def run(program: str, expect_success: bool = True, **environment: str) -> str:
        own = {"OROFACIAL_DATA_FOLDER": str(tmp_path / "data")}
        done = run_command(program=PRELUDE + program, folder=tmp_path, **{**own, **environment})
        if expect_success:
            assert done.returncode == 0 and done.stderr == "", done.stderr
            return done.stdout
        assert done.returncode != 0
        return done.stderr

    return run


@pytest.fixture(scope="module")
def lab_server(tmp_path_factory):
    """A PostgreSQL server on a TCP port with a password, as a lab would have it; its DataJoint variables."""
    server = EmbeddedServer(tmp_path_factory.mktemp("lab") / "database")
    server.enter()
    connection = psycopg2.connect(host=str(server.socket_folder), user="postgres", dbname="postgres")
    connection.autocommit = True
    connection.cursor().execute(f"CREATE ROLE lab LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
    connection.close()
    server.leave()
    with (server.cluster / "pg_hba.conf").open("w") as file:
        file.write("host all all 127.0.0.1/32 scram-sha-256\n")
    port = free_port()
    server._run("pg_ctl", "start", "-w", "-l", "lab.log", "-o", f"-h 127.0.0.1 -p {port} -k ''")
    yield {
        **{"DJ_HOST": "127.0.0.1", "DJ_PORT": str(port), "DJ_BACKEND": "postgresql"},
        **{"DJ_USER": "lab", "DJ_PASS": PASSWORD},
    }
    server._run("pg_ctl", "stop", "-w", "-m", "fast")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_rows_and_stored_arrays_survive_the_process(run, tmp_path):
    assert run(TABLE + "Recording.insert1((1, np.arange(3.0)))\nassert dj.conn() is connection") == ""
    shown = run(TABLE + "print(np.asarray(Recording.fetch1('trace')).tolist())\nprint(dj.config.stores['default'])")
    assert shown.split("\n")[:2] == ["[0.0, 1.0, 2.0]", "tracks"]
    assert [path.suffix for path in (tmp_path / "data/store/tracks").rglob("*") if path.is_file()] == [".npy"]
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert not (tmp_path / "data/database/cluster/postmaster.pid").exists()


def test_reconnect_and_another_data_folder_in_one_process(run):
    run("""
first = database.open_connection(settings)
assert database.open_connection(settings) is first
other = load_settings(Path("other"))
second = database.open_connection(other)
assert second is not first and second.is_connected and not first.is_connected
assert second.query("SHOW data_directory").fetchone()[0] == str(other.data_folder / "database" / "cluster")
assert not database.server_is_configured()
database.close_connection()
database.close_connection()
import datajoint
assert datajoint.config.database.host == "localhost" and not datajoint.config.stores
assert database.open_connection(settings).is_connected
""")


@pytest.mark.slow
def test_processes_that_start_together_make_the_tables_once(tmp_path):
    environment = {**os.environ, "OROFACIAL_DATA_FOLDER": str(tmp_path / "data"), "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "pipeline.cli", "work", "--cpu", "--until-empty"]
    options = {
        "cwd": tmp_path,
        "env": environment,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
    }
    started = [subprocess.Popen(command, **options) for _ in range(4)]
    said = [process.communicate(timeout=120)[0] for process in started]
    assert [process.returncode for process in started] == [0] * 4, said


def test_tables_of_an_older_version_are_named(run):
    run(
        """
connection = database.open_connection(settings)
import schemas
schemas.activate("old_", connection)
table = schemas.track.TrackQuality.Node.full_table_name
connection.query(f"ALTER TABLE {table} RENAME COLUMN n_jumps TO jumps")
database.close_connection()
try:
    schemas.activate("old_", database.open_connection(settings))
except DatabaseError as error:
    assert "TrackQuality.Node in schema old_track has no column n_jumps" in str(error), error
else:
    raise AssertionError("an older table was taken")
database.open_connection(settings).query(f"ALTER TABLE {table} RENAME COLUMN jumps TO n_jumps")
schemas.activate("old_", database.open_connection(settings))
assert not schemas.track.TrackQuality.Node()
"""
    )


def test_connect_again_after_the_server_was_killed(run):
    run("""
import os, signal
connection = database.open_connection(settings)
(backend,) = connection.query("SELECT pg_backend_pid()").fetchone()
postmaster = int((settings.data_folder / "database/cluster/postmaster.pid").read_text().split()[0])
for process_id in (postmaster, backend):
    os.kill(process_id, signal.SIGKILL)
assert database.open_connection(settings).query("SELECT 1").fetchone() == (1,)
""")


def test_describe_the_embedded_database(run, tmp_path):
    status = run("""
for _ in range(2):
    status = database.describe_connection(settings)
    assert status.reachable and 0 < status.latency_ms and status.error is None
print(status.kind, status.backend, status.address, status.version)
""")
    assert status.startswith(f"embedded postgresql {tmp_path / 'data/database'} PostgreSQL ")


def test_describe_a_database_that_cannot_start(run, tmp_path):
    (tmp_path / "data").write_text("a file")
    shown = run("status = database.describe_connection(settings); print(status.kind, status.reachable, status.error)")
    assert shown.startswith("embedded False ") and str(tmp_path / "data") in shown


def test_server_in_the_environment(run, lab_server, tmp_path):
    shown = run(
        """
connection = database.open_connection(settings)
print(connection.query("SHOW port").fetchone()[0])
print(database.describe_connection(settings))
""",
        **lab_server,
    )
    port = lab_server["DJ_PORT"]
    assert shown.startswith(port + "\n") and f"lab@127.0.0.1:{port}" in shown and "kind='server'" in shown
    assert PASSWORD not in shown
    assert not (tmp_path / "data/database").exists()


def test_server_and_store_in_datajoint_files(run, lab_server, tmp_path):
    database = {"host": "127.0.0.1", "port": int(lab_server["DJ_PORT"]), "backend": "postgresql"}
    stores = {"default": "models", "tracks": {"protocol": "file", "location": str(tmp_path / "elsewhere")}}
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "datajoint.json").write_text(json.dumps({"database": database, "stores": stores}))
    (tmp_path / ".secrets").mkdir()
    (tmp_path / ".secrets/database.user").write_text("lab")
    (tmp_path / ".secrets/database.password").write_text(PASSWORD)
    shown = run(
        TABLE
        + """
Recording.insert1((1, np.arange(3.0)))
print(connection.query("SHOW port").fetchone()[0], dj.config.stores["default"])
print(dj.config.stores["models"]["location"])
schema.drop(prompt=False)
"""
    )
    assert shown.split() == [lab_server["DJ_PORT"], "models", str(tmp_path / "data/store/models")]
    assert list((tmp_path / "elsewhere").rglob("*.npy"))
    assert not (tmp_path / "data/store/tracks").exists()


def test_configuration_without_a_server_means_embedded(run, tmp_path):
    (tmp_path / "datajoint.json").write_text(json.dumps({"display": {"limit": 5}}))
    assert run("print(database.describe_connection(settings).kind)", DJ_LOG_LEVEL="ERROR") == "embedded\n"


def test_wrong_password_is_not_repeated(run, lab_server):
    error = run(
        "database.open_connection(settings)", expect_success=False, **{**lab_server, "DJ_PASS": "wrong-passw0rd"}
    )
    last = error.strip().splitlines()[-1]
    assert last.startswith("compute.errors.DatabaseError: No connection to the postgresql server lab@127.0.0.1")
    assert "DJ_PASS" in last and "authentication failed" in last
    assert "wrong-passw0rd" not in error and PASSWORD not in error


@pytest.mark.parametrize("backend", ["postgresql", "mysql"])
def test_no_server_there(run, backend):
    server = {"DJ_HOST": "127.0.0.1", "DJ_PORT": str(free_port()), "DJ_USER": "lab", "DJ_PASS": PASSWORD}
    shown = run("print(database.describe_connection(settings).error)", **server, DJ_BACKEND=backend)
    assert f"No connection to the {backend} server lab@127.0.0.1:{server['DJ_PORT']}" in shown
    assert "refused" in shown and "Check that the server runs" in shown and PASSWORD not in shown


def test_host_without_user(run):
    error = run("database.open_connection(settings)", expect_success=False, DJ_HOST="db.lab")
    assert "DatabaseError" in error and "db.lab" in error and "DJ_USER" in error


@pytest.mark.parametrize("text", ["{", '{"database": {"host": "db.lab", "backend": "postgres"}}'])
def test_broken_datajoint_file_is_no_reason_for_another_database(run, tmp_path, text):
    (tmp_path / "datajoint.json").write_text(text)
    error = run("database.open_connection(settings)", expect_success=False)
    assert f"DatabaseError: {tmp_path / 'datajoint.json'}: DataJoint's configuration cannot be used" in error
    assert not (tmp_path / "data").exists()


def test_broken_datajoint_variable(run):
    error = run("database.open_connection(settings)", expect_success=False, DJ_PORT="first")
    assert "DatabaseError: DataJoint's environment variables" in error and "DJ_PORT" in error
