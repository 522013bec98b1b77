"""What a file that stands there already says it holds, so that another choice is not taken for the same one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compute.errors import ExportError
from compute.formats.registry import Format

Contents = dict[tuple[str, str, str], frozenset[str]]
"""Nodes of each track, by camera, model and filter."""


def file_contents(one: Format, path: Path) -> Contents | None:
    """What a file holds, by what was written into it beside the tracks; the tracks are not read.

    Parameters
    ----------
    one : Format
        The file's format.
    path : Path
        A file that is there.

    Returns
    -------
    dict or None
        None if the file does not say: another program wrote it, or saved it since.
    """
    import pyarrow as pa

    try:
        return {_key(said["provenance"]): frozenset(said["nodes"]) for said in one.about(path)}
    except (OSError, KeyError, ValueError, TypeError, pa.ArrowException, ExportError):
        return None


def _key(provenance: dict[str, Any]) -> tuple[str, str, str]:
    return provenance["camera"], provenance["model"]["model_id"], provenance["filter"]["filter_method"]


def contents_difference(held: Contents, wanted: Contents) -> str:
    """The first track in which two contents differ, for people; empty if they are the same.

    Examples
    --------
    >>> key = ("side", "0123456789abcdef", "raw")
    >>> contents_difference({key: frozenset({"jaw_tip", "nose"})}, {key: frozenset({"jaw_tip"})})
    'of camera side, model 0123456789abcdef, raw it holds jaw_tip, nose; asked for is jaw_tip'
    """
    for key in sorted(held.keys() | wanted.keys()):
        if held.get(key) != wanted.get(key):
            camera, model_id, filter_method = key
            found, asked = (", ".join(sorted(one.get(key, ()))) or "none of it" for one in (held, wanted))
            return f"of camera {camera}, model {model_id}, {filter_method} it holds {found}; asked for is {asked}"
    return ""
