"""What a file that stands there already says it holds, so that another choice is not taken for the same one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.parquet as pq

from compute.formats import FORMATS
from compute.formats.nwb import ABOUT
from compute.formats.portable import GROUP, ExportError, read_sidecar

Contents = dict[tuple[str, str, str], frozenset[str]]
"""Nodes of each track, by camera, model and filter."""


def contents(format_name: str, path: Path) -> Contents | None:
    """What a file holds, by what was written into it beside the tracks; the tracks are not read.

    Parameters
    ----------
    format_name : str
        One of `compute.formats.FORMATS`.
    path : Path
        A file that is there.

    Returns
    -------
    dict or None
        None if the file does not say: another program wrote it, or saved it since.
    """
    try:
        return {_key(said["provenance"]): frozenset(said["nodes"]) for said in _said(FORMATS[format_name].module, path)}
    except (OSError, KeyError, ValueError, TypeError, pa.ArrowException, ExportError):
        return None


def _key(provenance: dict[str, Any]) -> tuple[str, str, str]:
    return provenance["camera"], provenance["model"]["model_id"], provenance["filter"]["filter_method"]


def _said(module: str, path: Path) -> list[dict[str, Any]]:
    """`PortableTrack.about` of each track."""
    if module == "parquet_folder":
        return [json.loads(pq.read_schema(path).metadata[b"orofacial_about"])]
    sidecar = read_sidecar(path)
    if sidecar is not None:
        return [sidecar]
    with h5py.File(path, "r") as file:
        if module != "nwb":
            return [json.loads(file[GROUP]["about"][()])]
        return [json.loads(one[()]) for name, one in file["scratch"].items() if name.startswith(ABOUT)]


def difference(held: Contents, wanted: Contents) -> str:
    """The first track in which two contents differ, for people; empty if they are the same.

    Examples
    --------
    >>> key = ("side", "0123456789abcdef", "raw")
    >>> difference({key: frozenset({"jaw_tip", "nose"})}, {key: frozenset({"jaw_tip"})})
    'of camera side, model 0123456789abcdef, raw it holds jaw_tip, nose; asked for is jaw_tip'
    """
    for key in sorted(held.keys() | wanted.keys()):
        if held.get(key) != wanted.get(key):
            camera, model_id, filter_method = key
            found, asked = (", ".join(sorted(one.get(key, ()))) or "none of it" for one in (held, wanted))
            return f"of camera {camera}, model {model_id}, {filter_method} it holds {found}; asked for is {asked}"
    return ""
