"""What a file that stands there already says it holds, so that another choice is not taken for the same one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from compute.errors import ExportError
from compute.formats.registry import Format

Contents = dict[tuple[str, str, str], frozenset[str]]
"""Nodes of each track, and the span of time if it is only a part, by camera, model and filter."""


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
        return {_key(said["provenance"]): _said(said) for said in one.about(path)}
    except (OSError, KeyError, ValueError, TypeError, pa.ArrowException, ExportError):
        return None


def track_contents(nodes: Iterable[str], time_span_s: Sequence[float | None] | None) -> frozenset[str]:
    """What one track holds: its nodes, and the span of time if it is only a part; None or infinite at an open end.

    Examples
    --------
    >>> sorted(track_contents(["jaw_tip"], (5, None)))
    ['frames from 5 s on', 'jaw_tip']
    """
    if time_span_s is None:
        return frozenset(nodes)
    start_s, end_s = (None if time_s is None or math.isinf(time_s) else time_s for time_s in time_span_s)
    ends = [f"from {start_s:g} s on"] if start_s is not None else []
    ends += [f"before {end_s:g} s"] if end_s is not None else []
    return frozenset(nodes) | {f"frames {' and '.join(ends)}"}


def _said(about: dict[str, Any]) -> frozenset[str]:
    return track_contents(about["nodes"], about["provenance"].get("time_span_s"))


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
