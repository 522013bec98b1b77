"""The JSON file beside a file whose format has no place for times or provenance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from compute.errors import ExportError
from compute.files import whole_file
from compute.formats.portable import KeptBeside, PortableTrack
from compute.json_text import json_text


def sidecar_path(path: Path) -> Path:
    """The JSON beside a file whose format has no place for times or provenance."""
    return path.with_name(path.name + ".json")


def read_sidecar(path: Path) -> dict[str, Any] | None:
    """What `write_sidecar` wrote for a file, or None.

    Raises
    ------
    ExportError
        If it is no JSON.
    """
    sidecar = sidecar_path(path)
    if not sidecar.exists():
        return None
    try:
        said: dict[str, Any] = json.loads(sidecar.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ExportError(f"{sidecar} is no valid JSON ({error}); export {path.name} again") from error
    return said


def read_sidecar_times(path: Path) -> KeptBeside | None:
    """What `write_sidecar` wrote for a file, with the times of its frames; None if there is no sidecar.

    Raises
    ------
    ExportError
        If it is no JSON, or holds no times.
    """
    said = read_sidecar(path)
    if said is None:
        return None
    if "time_s" not in said:
        raise ExportError(f"{sidecar_path(path)} holds no times of the frames; export {path.name} again")
    return KeptBeside(np.array(said["time_s"], np.float64), json_text(said))


def about_in_sidecar(path: Path) -> list[dict[str, Any]]:
    """What `write_sidecar` wrote: `PortableTrack.about` of the one track, parsed.

    Raises
    ------
    ExportError
        If there is none, or it is no JSON.
    """
    said = read_sidecar(path)
    if said is None:
        raise ExportError(f"{path} has no {path.name}.json beside it, which says what the file holds; copy it too")
    return [said]


def write_sidecar(path: Path, track: PortableTrack, **more: Any) -> None:
    """Write `PortableTrack.about`, and more, beside a file; whole or not at all."""
    sidecar = sidecar_path(path)
    with whole_file(sidecar, ExportError) as temporary:
        temporary.write_text(json_text({**json.loads(track.about()), **more}), encoding="utf-8")
