"""DataJoint, imported quietly, and its configuration read and completed: server, TLS, stores.

A lab configures its PostgreSQL or MySQL server the way DataJoint documents: ``datajoint.json`` in the
current folder or above it, ``DJ_HOST``, ``DJ_USER``, ``DJ_PASS``, ``DJ_BACKEND`` ... in the environment, ``.secrets/``,
or ``datajoint.config`` in a running Python. Stores named there win over the folders of
`pipeline.settings.Settings`.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compute.errors import DatabaseError
from pipeline.settings import Settings

DEFAULT_STORE = "tracks"

_CERTIFICATE_AUTHORITY = "PGSSLROOTCERT"
"""Where libpq looks for the certificate that a server's is checked with."""


def import_datajoint() -> Any:
    """Import DataJoint quietly, without its notes on configuration; what the user configured stays as it is.

    Raises
    ------
    DatabaseError
        If a ``DJ_*`` variable holds a value that DataJoint does not take.
    """
    if "datajoint" not in sys.modules:
        try:
            with datajoint_quiet():
                importlib.import_module("datajoint")
        except ValueError as error:
            raise DatabaseError(f"DataJoint's environment variables (DJ_*) cannot be used: {error}") from error
    return sys.modules["datajoint"]


@dataclass(frozen=True)
class PreviousDataJointSetup:
    """What DataJoint and the database's client had before a lab was opened, to be restored when it is closed."""

    database: Any
    stores: dict[str, Any]
    connection: Any
    certificate_authority: str | None

    @classmethod
    def of(cls, dj: Any) -> PreviousDataJointSetup:
        """What they have now."""
        return cls(
            dj.config.database,
            dict(dj.config.stores),
            dj.instance._singleton_connection,
            os.environ.get(_CERTIFICATE_AUTHORITY),
        )

    def restore(self, dj: Any) -> None:
        """Restore it."""
        dj.config.database, dj.config.stores = self.database, self.stores
        dj.instance._singleton_connection = self.connection
        if self.certificate_authority is None:
            os.environ.pop(_CERTIFICATE_AUTHORITY, None)
        else:
            os.environ[_CERTIFICATE_AUTHORITY] = self.certificate_authority


def check_datajoint_file(dj: Any) -> None:
    """Refuse a broken ``datajoint.json``: DataJoint warns and goes on with defaults, another database."""
    file = None if dj.config.ignore_config_file else dj.settings.find_config_file()
    if file is None:
        return
    try:
        with datajoint_quiet():
            dj.settings.Config().load(file)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DatabaseError(
            f"{file}: DataJoint's configuration cannot be used ({error}). Correct that file, or remove it to "
            "work with the embedded database."
        ) from error


def configure_datajoint_stores(dj: Any, settings: Settings, *, create: bool = True) -> None:
    """Add those of the three file stores that DataJoint's own configuration does not name; make their folders."""
    folders = {"tracks": settings.tracks_store, "models": settings.models_store, "labels": settings.labels_store}
    missing = {name: folder for name, folder in folders.items() if name not in dj.config.stores}
    for folder in (settings.data_folder, *missing.values()) if create else ():
        _make_private_folder(folder)
    own = {name: {"protocol": "file", "location": str(folder)} for name, folder in missing.items()}
    dj.config.stores = {"default": DEFAULT_STORE, **dj.config.stores, **own}
    if any(isinstance(store, dict) and store.get("protocol") == "s3" for store in dj.config.stores.values()):
        from schemas.stored.object_store import register_object_store

        register_object_store()


def _make_private_folder(folder: Path) -> None:
    """Create a folder for its owner only; one that exists keeps the permissions that a person gave it."""
    try:
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise DatabaseError(
            f"{folder}: this folder cannot be created ({error.strerror}). Name another data folder with "
            "OROFACIAL_DATA_FOLDER or --data-folder, or another store in settings.toml."
        ) from error


def datajoint_requires_tls(settings: Settings) -> bool:
    """Whether a connection without TLS is refused: ``use_tls`` of DataJoint is true, or there is a CA to check with."""
    return import_datajoint().config.database.use_tls is True or settings.database_ca is not None


def datajoint_tls_option(dj: Any, settings: Settings) -> Any:
    """DataJoint's TLS option: its own setting, except that "required" is also required on MySQL.

    DataJoint 2.3.5 passes True on to pymysql as "preferred", and has no way to name a CA for PostgreSQL: libpq takes it
    from the environment, and then checks the certificate.
    """
    if not datajoint_requires_tls(settings):
        return dj.config.database.use_tls
    if dj.config.database.backend == "postgresql":
        if settings.database_ca is not None:
            os.environ[_CERTIFICATE_AUTHORITY] = str(settings.database_ca)
        return True
    if settings.database_ca is None:
        return {"check_hostname": False, "verify_mode": "none"}
    return {"ca": str(settings.database_ca), "verify_mode": "required"}


@contextmanager
def datajoint_quiet() -> Iterator[None]:
    """Hold back DataJoint's lines on its configuration, TLS and MariaDB: what fails is raised anyway."""
    logger = logging.getLogger("datajoint")
    level, disabled = logger.level, logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        logger.setLevel(level)  # every Config() that DataJoint makes sets it to its own
