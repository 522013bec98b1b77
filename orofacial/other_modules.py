"""Find out, before anything is imported, whether another module has the name of one of this project's packages."""

from __future__ import annotations

import importlib.util
import os
import sys

PACKAGES = ("compute", "schemas", "ingest", "pipeline")
"""The project's other top-level packages, which lie beside this one."""

_ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


def refuse_other_modules() -> None:
    """Refuse to go on with somebody else's module in the place of one of `PACKAGES`.

    Raises
    ------
    ImportError
        If Python finds, or has imported, another module under one of these names. The message has each one's path, and
        says what to do.
    """
    found = {name: path for name in PACKAGES if (path := _found(name)) != os.path.join(_ROOT, name)}
    if not found:
        return
    lines = [f"    {name}: {path}{' (imported already)' * (name in sys.modules)}" for name, path in found.items()]
    raise ImportError(
        f"orofacial cannot be imported: {' and '.join(found)} {'is' if len(found) == 1 else 'are'} another module, and"
        f" not orofacial's own package in {_ROOT}:\n"
        + "\n".join(lines)
        + "\nA file or folder of your own: rename it, or start Python in another folder. An installed package:"
        " uninstall it, or give orofacial an environment of its own. Then restart Python."
    )


def _found(name: str) -> str:
    """Path of the package or module that an import of this name gives; its own path if it is a module of one file."""
    module = sys.modules.get(name)
    if module is None:
        spec = importlib.util.find_spec(name)
        path, folders = (spec.origin, spec.submodule_search_locations) if spec is not None else (None, None)
    else:
        path, folders = getattr(module, "__file__", None), getattr(module, "__path__", None)
    path = path or next(iter(folders or ()), None)
    if path is None:
        return "a module without a file" if module is not None else "not found"
    folder, file = os.path.split(os.path.realpath(path))
    return folder if file == "__init__.py" else os.path.join(folder, file)
