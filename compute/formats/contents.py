"""What a file that stands there already says it holds, so that another choice is not taken for the same one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compute.errors import ExportError
from compute.formats.registry import Format


@dataclass(frozen=True)
class TrackContents:
    """What a file says of one track, beside the tracks.

    Parameters
    ----------
    part : frozenset of str
        Its nodes, and the span of time if it is only a part.
    made : mapping of str to value
        The session's metadata and all that made the track, by a name such as ``mouse sex``.
    """

    part: frozenset[str]
    made: Mapping[str, Any]


Contents = dict[tuple[str, str, str], TrackContents]
"""What is said of each track, by camera, model and filter."""

_MEASURED_LATER = {("model", "error"), ("filter", "score_weight")}
"""Parts of the provenance that follow each new evaluation of the model, while the tracks stay what they are."""

_PART = {("nodes",), ("time_span_s",)}
"""Parts of the provenance that `track_part` says."""


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
        return about_contents(one.about(path))
    except (OSError, KeyError, ValueError, TypeError, pa.ArrowException, ExportError):
        return None


def about_contents(said: Iterable[Mapping[str, Any]]) -> Contents:
    """What is said by `PortableTrack.about` of each track, parsed.

    Raises
    ------
    KeyError
        If the provenance does not name camera, model and filter.
    """
    return {_key(about["provenance"]): _said(about) for about in said}


def track_part(nodes: Iterable[str], time_span_s: Sequence[float | None] | None) -> frozenset[str]:
    """What one track holds: its nodes, and the span of time if it is only a part; None or infinite at an open end.

    Examples
    --------
    >>> sorted(track_part(["jaw_tip"], (5, None)))
    ['frames from 5 s on', 'jaw_tip']
    """
    if time_span_s is None:
        return frozenset(nodes)
    start_s, end_s = (None if time_s is None or math.isinf(time_s) else time_s for time_s in time_span_s)
    ends = [f"from {start_s:g} s on"] if start_s is not None else []
    ends += [f"before {end_s:g} s"] if end_s is not None else []
    return frozenset(nodes) | {f"frames {' and '.join(ends)}"}


def _said(about: Mapping[str, Any]) -> TrackContents:
    provenance = about["provenance"]
    return TrackContents(track_part(about["nodes"], provenance.get("time_span_s")), dict(_by_name((), provenance)))


def _by_name(name: tuple[str, ...], value: Any) -> Iterator[tuple[str, Any]]:
    """Each value of nested mappings and lists by its name; what is not known is left out."""
    if name in _MEASURED_LATER or name in _PART or value is None:
        return
    if not isinstance(value, (dict, list)):
        yield " ".join(name), value
        return
    for part, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _by_name((*name, str(part)), inner)


def _key(provenance: Mapping[str, Any]) -> tuple[str, str, str]:
    return provenance["camera"], provenance["model"]["model_id"], provenance["filter"]["filter_method"]


def contents_difference(held: Contents, wanted: Contents) -> str:
    """The first thing in which two contents differ, for people; empty if they are the same.

    Examples
    --------
    >>> key, jaw = ("side", "0123456789abcdef", "raw"), frozenset({"jaw_tip"})
    >>> one = {key: TrackContents(jaw, {"mouse sex": "female"})}
    >>> contents_difference({key: TrackContents(frozenset({"jaw_tip", "nose"}), {})}, one)
    'of camera side, model 0123456789abcdef, raw it holds jaw_tip, nose; asked for is jaw_tip'
    >>> contents_difference({key: TrackContents(jaw, {})}, one)
    'of camera side, model 0123456789abcdef, raw it says mouse sex not known; the database now female'
    """
    for key in sorted(held.keys() | wanted.keys()):
        camera, model_id, filter_method = key
        track = f"of camera {camera}, model {model_id}, {filter_method}"
        has, asked = held.get(key), wanted.get(key)
        if has is None or asked is None or has.part != asked.part:
            texts = (", ".join(sorted(one.part)) if one is not None else "none of it" for one in (has, asked))
            return f"{track} it holds {next(texts)}; asked for is {next(texts)}"
        for name in sorted(has.made.keys() | asked.made.keys()):
            if has.made.get(name) != asked.made.get(name):
                said, now = (one.made.get(name, "not known") for one in (has, asked))
                return f"{track} it says {name} {said}; the database now {now}"
    return ""
