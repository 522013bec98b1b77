"""Packages that come with an extra of this project, and the message where one is missing.

The extra ``formats`` has the large packages that few files need: sleap-io (labels, SLEAP's ``.slp``), PyTables
(DeepLabCut's HDF5) and xarray.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from types import ModuleType

from compute.errors import NotInstalledError

FORMATS = "formats"
"""The extra for the files of other programs."""


def describe_missing(what: str, modules: Sequence[str], extra: str) -> str | None:
    """Which modules are not installed here and how to install them, in one sentence; None if all are there.

    Parameters
    ----------
    what : str
        What needs them, for people.
    modules : sequence of str
        Names that are imported.
    extra : str
        The extra of this project that installs them; empty: none does.

    Examples
    --------
    >>> describe_missing("estimator strange", ["json", "no_such_module"], "strange")
    "estimator strange is not installed here (no_such_module): pip install 'orofacial[strange]'"
    """
    absent = [module for module in modules if importlib.util.find_spec(module) is None]
    if not absent:
        return None
    target = f"'orofacial[{extra}]'" if extra else " ".join(absent)
    return f"{what} is not installed here ({', '.join(absent)}): pip install {target}"


def import_extra(module: str, what: str, extra: str = FORMATS) -> ModuleType:
    """Import a module of an extra.

    Raises
    ------
    NotInstalledError
        If it is not installed; the message says which extra has it.
    """
    missing = describe_missing(what, [module], extra)
    if missing is not None:
        raise NotInstalledError(missing)
    return importlib.import_module(module)


def import_sleap_io() -> ModuleType:
    """Import sleap-io, which labels and ``.slp`` need.

    Raises
    ------
    NotInstalledError
        If it is not installed.
    """
    return import_extra("sleap_io", "sleap-io, which reads and writes labels and .slp,")


def import_pytables() -> ModuleType:
    """Import PyTables, with which pandas reads and writes DeepLabCut's HDF5.

    Raises
    ------
    NotInstalledError
        If it is not installed.
    """
    return import_extra("tables", "PyTables, which reads and writes DeepLabCut's HDF5,")
