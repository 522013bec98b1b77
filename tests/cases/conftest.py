"""Cases that concern rows run on both kinds of database, those that concern times in three time zones too."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from servers import MariaDB

from pipeline.database.connection import close_connection
from pipeline.database.datajoint_setup import import_datajoint
from pipeline.lab import connect_lab
from pipeline.settings import Settings

ZONES = ("America/Los_Angeles", "Asia/Tokyo", "Europe/Berlin")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What asks for `database` runs on both; in every zone on PostgreSQL, and in one on MariaDB."""
    if "machine_zone" in metafunc.fixturenames:
        pairs = [("postgresql", zone) for zone in ZONES]
        on_mariadb = pytest.param("mariadb", ZONES[0], marks=pytest.mark.slow)
        metafunc.parametrize(("database", "machine_zone"), [*pairs, on_mariadb], indirect=True, scope="module")
    elif "database" in metafunc.fixturenames:
        on_mariadb = pytest.param("mariadb", marks=pytest.mark.slow)
        metafunc.parametrize("database", ["postgresql", on_mariadb], indirect=True, scope="module")


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """One server for all cases."""
    if not MariaDB.is_installed():
        pytest.fail("these tests need MariaDB's server: apt-get install mariadb-server")
    server = MariaDB()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def database(
    request: pytest.FixtureRequest, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Connected and activated: the embedded PostgreSQL, or MariaDB as a lab configures it."""
    if request.param == "postgresql":
        yield connect_lab(settings=settings).settings
        return
    server: MariaDB = request.getfixturevalue("mariadb")
    close_connection()
    dj = import_datajoint()
    before = dj.config.database
    where = {"backend": "mysql", "host": "127.0.0.1", "port": server.port, "use_tls": False}
    user = {"user": server.user, "password": SecretStr(server.password)}
    dj.config.database = before.model_copy(update={**where, **user})
    own = Settings(data_folder=tmp_path_factory.mktemp("mariadb"), schema_prefix=settings.schema_prefix)
    lab = connect_lab(settings=own)
    assert lab.connection.adapter.backend == "mysql"
    yield lab.settings
    close_connection()
    dj.config.database = before


@pytest.fixture(scope="module")
def machine_zone(request: pytest.FixtureRequest) -> Iterator[str]:
    """The time zone of this machine."""
    patched = pytest.MonkeyPatch()
    patched.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    patched.undo()
    time.tzset()
