"""Sphinx's configuration: the pages, README.md among them, and the reference of all public modules.

`make docs` builds docs/_build/html. The source folder is the project's own, so that the pages' links to each other work
on a code host and here.
"""

import sys
import types
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

ROOMS = [name for name in ("orofacial", "compute", "schemas", "ingest", "pipeline") if (ROOT / name).is_dir()]

project = "orofacial"
root_doc = "docs/index"
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docker/README.md", "docs/**"]
exclude_patterns = ["docs/_build/**", "docs/reference/*/modules.rst"]

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.apidoc"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}

default_role = "py:obj"  # `name` in a docstring is a name of Python
nitpicky = False
myst_heading_anchors = 3
autosummary_generate = False
apidoc_module_first = True
apidoc_automodule_options = {"members", "show-inheritance"}
autodoc_default_options = {"ignore-module-all": True}  # what a package collects is documented where it is defined
apidoc_separate_modules = True
apidoc_modules = [{"path": ROOT / room, "destination": f"docs/reference/{room}"} for room in ROOMS]
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc's sections say them, with shapes and units
numpydoc_show_class_members = False

html_theme = "alabaster"
html_title = "orofacial"
html_theme_options = {"page_width": "1100px", "sidebar_width": "240px", "description": "from videos to distances"}


def _add_definition(app: Any, what: str, name: str, item: Any, options: Any, lines: list[str]) -> None:
    """Show a table's columns below its docstring, as DataJoint reads them."""
    definition = vars(item).get("definition") if what == "class" else None
    if isinstance(definition, str):
        lines += ["", ".. code-block:: text", "", *(f"   {line}" for line in definition.strip().splitlines()), ""]


def _skip_aliases(app: Any, what: str, name: str, item: Any, skip: bool, options: Any) -> bool | None:
    """Leave out names of types such as ``Owner = tuple[str, int, int]``, which Sphinx takes for classes."""
    return True if isinstance(item, types.GenericAlias) else None


def _add_metadata(app: Any, page: str, source: list[str]) -> None:
    """Show everything that session.toml may say, from the declarations of its columns."""
    from ingest.session_files import session_file_table

    source[0] = source[0].replace("<!-- everything that session.toml may say -->\n", session_file_table())


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _add_metadata)
    app.connect("autodoc-skip-member", _skip_aliases)
    app.connect("autodoc-process-docstring", _add_definition)
