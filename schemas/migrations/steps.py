"""The steps that there are, in order."""

from __future__ import annotations

import functools
import importlib
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.migrations.database import MigratedDatabase

_FILE_NAME = re.compile(r"m(\d{4})_\w+\.py")


@dataclass(frozen=True)
class MigrationStep:
    """One change of the tables.

    Attributes
    ----------
    number : int
        The version that a database has after it.
    description : str
        One line for people.
    upgrade : callable
        Does it.
    """

    number: int
    description: str
    upgrade: Callable[[MigratedDatabase], None]


@functools.cache
def newest_step() -> int:
    """Version of the databases that this code works with: the number of the last step, 0 without any.

    It is asked at every connection, and imports no step.
    """
    return max(_file_names(), default=0)


def migration_steps_after(version: int) -> list[MigrationStep]:
    """Import the steps that a database of this version lacks, in order."""
    found = []
    for number, name in sorted(_file_names().items()):
        if number > version:
            module = importlib.import_module(f"schemas.migrations.{name}")
            found.append(MigrationStep(number, module.DESCRIPTION, module.upgrade))
    return found


def _file_names() -> dict[int, str]:
    """Name of each step's module, by number."""
    folders: list[str] = list(sys.modules[__package__].__path__)
    files = [path for folder in folders for path in Path(folder).iterdir() if _FILE_NAME.fullmatch(path.name)]
    return {int(path.stem[1:5]): path.stem for path in files}
