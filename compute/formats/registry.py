"""What a file format is, and the list of them: each module of this package registers its own.

The modules import pynwb, h5py, pandas or pyarrow inside their functions, so that the list is there at once.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compute.errors import ExportError
from compute.formats.portable import PortableTrack

_registered: dict[str, Format] = {}


@dataclass(frozen=True)
class Format:
    """A file format. A module of `compute.formats` makes one and gives it to `register_format`.

    Parameters
    ----------
    name : str
        As the command line has it.
    ending : str
        Ending of the files that are written.
    text : str
        What it is and what it is for, for people.
    write : callable
        ``write(path, track)``. Where `a_session` holds: ``write(path, tracks)``. Where `takes_row` holds it has the
        keyword ``row``.
    read : callable
        ``read(path, *, fps=None, name=None)`` gives a `PortableTrack`; `name` chooses where a file holds several: a
        PoseEstimation, an animal, a network, a video.
    about : callable
        ``about(path)`` gives what the file says beside the arrays: `PortableTrack.about` of each of its tracks, parsed.
        The tracks are not read.
    suffixes : tuple of str, optional
        Suffixes (in lower case) that files of the format have, whoever wrote them; else that of `ending`.
    is_one : callable, optional
        ``is_one(path)`` says whether a file with one of the suffixes is of this format. Needed where formats share a
        suffix.
    a_session : bool
        A file holds all tracks of a session; else a file holds one track.
    takes_row : bool
        The key of the track's row stands in the file as columns.
    finish : callable, optional
        ``finish(folder, metadata)`` is called after files were written to a folder; `metadata` has what each column of
        metadata means.
    """

    name: str
    ending: str
    text: str
    write: Callable[..., None]
    read: Callable[..., PortableTrack]
    about: Callable[[Path], list[dict[str, Any]]]
    suffixes: tuple[str, ...] = ()
    is_one: Callable[[Path], bool] = lambda path: True
    a_session: bool = False
    takes_row: bool = False
    finish: Callable[[Path, Mapping[str, str]], None] | None = None

    def fits(self, path: Path) -> bool:
        """Whether a file that is there is of this format.

        Raises
        ------
        ExportError
            If it cannot be read, where the content decides.
        """
        return path.suffix.lower() in (self.suffixes or (Path(f"file{self.ending}").suffix,)) and self.is_one(path)


def register_format(one: Format) -> Format:
    """Add a format to the list.

    Raises
    ------
    ExportError
        If another format has the same name or ending.
    """
    for other in _registered.values():
        if other.name == one.name or other.ending == one.ending:
            raise ExportError(f"two formats are called {one.name} ({one.ending}): {other.text}; {one.text}")
    _registered[one.name] = one
    return one


def all_formats() -> dict[str, Format]:
    """The formats of all modules of `compute.formats`, by name."""
    package = importlib.import_module("compute.formats")
    for module in pkgutil.iter_modules(package.__path__, "compute.formats."):
        importlib.import_module(module.name)
    return dict(sorted(_registered.items()))
