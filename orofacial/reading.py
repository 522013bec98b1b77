"""Read one file, whichever program wrote it, without a database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import h5py  # type: ignore[import-untyped]

from compute import formats
from compute.formats import ExportError
from compute.formats.deeplabcut_table import read_deeplabcut_header
from compute.tracks import Tracks

if TYPE_CHECKING:
    import sleap_io as sio

_LABELS = ".slp and .pkg.slp of SLEAP, .csv of DeepLabCut and Lightning Pose"

_PLACED_BY_A_PERSON, _PREDICTED = 0, 1
"""SLEAP's types of instances."""


def read(file: str | Path, *, fps: float | None = None, name: str | None = None) -> Tracks | sio.Labels:
    """Read a file of tracks, or of labeled frames. What it holds is found out by looking.

    Parameters
    ----------
    file : str or Path
        Tracks in any format of `compute.formats.FORMATS`: of this project, SLEAP, DeepLabCut, Lightning Pose, or NWB
        with ndx-pose. Labels: a ``.slp`` whose points were all placed by a person, a ``.pkg.slp`` with such points, or
        a ``.csv`` without likelihoods.
    fps : float, optional
        Frames a second (Hz), for tracks of another program that hold no times.
    name : str, optional
        Which of several that a file holds: a PoseEstimation of NWB, an animal (track, individual), a network (scorer),
        or a video.

    Returns
    -------
    Tracks or sleap_io.Labels
        Tracks of one animal; NaN where a node was not found. Or the frames that a person labeled, with one instance
        each. `compute.formats.read` gives what a file of tracks says beside them (edges, video, provenance),
        `compute.labels` what labels hold as arrays.

    Raises
    ------
    ExportError
        If the file is missing, unreadable or in no known format, or if it holds no times and no `fps` is given.
    LabelsError
        If it holds labels that cannot be used, such as of several animals.

    Examples
    --------
    >>> import tempfile
    >>> import orofacial
    >>> tracks = Tracks(position=[[[1.5, 2]], [[3, 4]]], score=[[0.9], [0.8]], time=[0, 0.01], nodes=["jaw_tip"])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "mouse01.analysis.h5"
    ...     formats.write("analysis", file, formats.PortableTrack(tracks))
    ...     orofacial.read(file).position.shape  # (frame, node, 2), in px
    (2, 1, 2)
    """
    path = Path(file)
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise ExportError(f"{path} {found}; expected a file that can be read here: {_readable()}")
    if _holds_labels(path):
        from compute.labels import read_labels

        return read_labels(path)
    try:
        formats.format_of(path)
    except ExportError as error:
        raise ExportError(f"{error}. What can be read: {_readable()}") from error
    return formats.read(path, fps=fps, name=name).tracks


def _readable() -> str:
    listed = [f"{one.ending} ({one.text})" for one in formats.FORMATS.values()]
    return f"tracks: {'; '.join(listed)}; labeled frames: {_LABELS}"


def _holds_labels(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix == ".slp":
        return _is_labeled_slp(path)
    return suffix == ".csv" and _is_labeled_csv(path)


def _is_labeled_slp(path: Path) -> bool:
    """Whether a person placed points, and nothing was predicted or the images are in the file."""
    try:
        with h5py.File(path, "r") as file:
            types = set(file["instances"]["instance_type"].tolist())
    except (OSError, KeyError, ValueError) as error:
        raise ExportError(f"{path} cannot be read as a .slp file ({error}); export or copy it again") from error
    is_package = path.name.lower().endswith(".pkg.slp")
    return _PLACED_BY_A_PERSON in types and (is_package or _PREDICTED not in types)


def _is_labeled_csv(path: Path) -> bool:
    """Whether it is a table of DeepLabCut's layout that gives no likelihoods."""
    header = read_deeplabcut_header(path)
    return header is not None and "likelihood" not in header.levels["coords"]
