"""Passwords come from the environment or from files in ``.secrets/``, and never appear in messages.

Where DataJoint looks is where this looks: ``.secrets/`` beside ``datajoint.json``, else ``/run/secrets/datajoint/``
(where a container finds its secrets). With neither, it is ``.secrets/`` in the current folder.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from compute.errors import DatabaseError

GENERATED_SUFFIX = "-Aa1"  # some servers ask for each kind of character
_SHORTEST_TO_HIDE = 4  # hiding shorter ones would damage messages


def passwords_folder() -> Path:
    """Folder of the password files; it need not exist."""
    from pipeline.database.datajoint_setup import import_datajoint

    dj = import_datajoint()
    found: Path | None = dj.settings.find_secrets_dir(dj.settings.find_config_file())
    return found if found is not None else Path.cwd() / dj.settings.SECRETS_DIRNAME


def read_password(variable: str, file_name: str) -> str | None:
    """A password: the environment variable, else the file in the secrets folder, else None.

    Raises
    ------
    DatabaseError
        If the file is there and cannot be read.
    """
    if os.environ.get(variable):
        return os.environ[variable]
    file = passwords_folder() / file_name
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DatabaseError(
            f"{file}: the password cannot be read ({error}); make it a text file that you can read"
        ) from None


def write_new_password(file_name: str) -> str:
    """Make a random password and write it into the secrets folder, readable by its owner only.

    Raises
    ------
    DatabaseError
        If the file cannot be written.
    """
    password = secrets.token_urlsafe(24) + GENERATED_SUFFIX
    folder = passwords_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(folder / file_name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(password + "\n")
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise DatabaseError(
            f"{folder / file_name}: the new password cannot be kept there ({error.strerror}); make the folder writable,"
            " or give the password in the environment"
        ) from None
    return password


def hide_password(text: str) -> str:
    """The text with ``***`` for every password that this process knows."""
    for password in _known():
        text = text.replace(password, "***")
    return text


def _known() -> list[str]:
    """Passwords in the environment, in DataJoint's configuration and in the secrets folder, longest first."""
    import sys

    found = {value for name, value in os.environ.items() if name == "DJ_PASS" or name.endswith("_PASSWORD")}
    if "datajoint" in sys.modules:
        config = sys.modules["datajoint"].config
        found.add(config["database.password"] or "")
        stores = [store for store in config.stores.values() if isinstance(store, dict)]
        found |= {str(store[name]) for store in stores for name in ("secret_key", "token") if store.get(name)}
        folder = passwords_folder()
        for file in folder.glob("*.password") if folder.is_dir() else ():
            if os.access(file, os.R_OK):
                found.add(file.read_text(encoding="utf-8", errors="replace").strip())
    return sorted((word for word in found if len(word) >= _SHORTEST_TO_HIDE), key=len, reverse=True)
