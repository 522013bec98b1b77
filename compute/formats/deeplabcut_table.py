"""The tables that DeepLabCut and Lightning Pose write beside a video, as they stand in the file: CSV and HDF5.

Both have a header of three levels (scorer, bodyparts, coords), or of four with ``individuals``, and a row a frame. The
first column is the number of the frame: rows may be missing, and their order says nothing.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.errors import ExportError

KEY = "df_with_missing"
"""DeepLabCut's name of the table in its HDF5 files."""

COORDS = ("x", "y", "likelihood")

_LEVELS = ("scorer", "individuals", "bodyparts", "coords")
_OPTIONAL_LEVEL = "individuals"

_FAILURES = (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, csv.Error)
"""What the readers raise for a file that is no such table; PyTables' errors are RuntimeErrors."""


@dataclass(frozen=True)
class DeepLabCutTable:
    """Poses of one animal as a file has them.

    Parameters
    ----------
    scorer : str
        The network that made them.
    nodes : tuple of str
        Body parts, in the order of the file.
    frame_index : array, shape (row,), int64
        Frame number of each row, from 0; unique, in any order.
    position : array, shape (row, node, 2), float32
        In px; NaN where the file has no number.
    score : array, shape (row, node), float32
        The likelihood; NaN where the file has none.
    """

    scorer: str
    nodes: tuple[str, ...]
    frame_index: NDArray[np.int64]
    position: NDArray[np.float32]
    score: NDArray[np.float32]


@dataclass(frozen=True)
class DeepLabCutHeader:
    """Names of the columns of a table, level by level, without the column of frame numbers."""

    levels: dict[str, tuple[str, ...]]

    @property
    def is_of_poses(self) -> bool:
        """Whether these are poses of a network: x, y and likelihood, which labels of a person do not have."""
        return {"scorer", "bodyparts", "coords"} <= set(self.levels) and set(COORDS) <= set(self.levels["coords"])


def read_deeplabcut_header(path: Path) -> DeepLabCutHeader | None:
    """Names of a file's columns; None if it is no such table. Of an HDF5 file nothing but the header is read."""
    try:
        if path.suffix.lower() == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                return _csv_header(csv.reader(file))
        if path.suffix.lower() in (".h5", ".hdf5"):
            import pandas as pd

            return _hdf5_header(pd.read_hdf(path, key=KEY, start=0, stop=0))
    except _FAILURES:
        return None
    return None


def read_deeplabcut_table(path: Path, content: bytes | None = None) -> DeepLabCutTable:
    """Read the poses of one animal from a CSV or HDF5 file.

    Parameters
    ----------
    path : Path
        The file; its ending says which of the two it is.
    content : bytes, optional
        The file's bytes, if they have been read already.

    Raises
    ------
    ExportError
        If it is no such table or is damaged, holds labels of a person, poses of several animals or of several networks,
        a point with only one of x and y, or a frame twice.
    """
    content = path.read_bytes() if content is None else content
    try:
        header, frame_index, values = _read_csv(content) if path.suffix.lower() == ".csv" else _read_hdf5(path, content)
    except _FAILURES as error:
        raise ExportError(
            f"{path} cannot be read as a table of DeepLabCut or Lightning Pose ({error or 'it is too short'})"
        ) from error
    if not header.is_of_poses:
        raise ExportError(
            f"{path} holds no likelihoods, so it is no network's output; labels of a person come in with"
            " 'orofacial labels import'"
        )
    for level, what in (("scorer", "networks"), (_OPTIONAL_LEVEL, "animals")):
        names = list(dict.fromkeys(header.levels.get(level, ())))
        if len(names) > 1:
            raise ExportError(f"{path} holds poses of several {what} ({', '.join(names)}); expected one")
    if not len(values):
        raise ExportError(f"{path} holds no frame; estimate the video again")
    nodes, columns = _columns(path, header)
    points = values[:, columns].astype(np.float32).reshape(len(values), len(nodes), len(COORDS))
    _check_points(path, nodes, frame_index, points)
    return DeepLabCutTable(header.levels["scorer"][0], nodes, frame_index, points[..., :2], points[..., 2])


def _columns(path: Path, header: DeepLabCutHeader) -> tuple[tuple[str, ...], list[int]]:
    """Body parts, and the columns of x, y and likelihood of each; other columns of a file are left out."""
    places: dict[tuple[str, str], int] = {}
    for index, column in enumerate(zip(header.levels["bodyparts"], header.levels["coords"], strict=True)):
        if column in places:
            raise ExportError(f"{path} has two columns for {column[1]} of {column[0]}; expected one")
        places[column] = index
    nodes = tuple(dict.fromkeys(header.levels["bodyparts"]))
    wanted = [(node, coord) for node in nodes for coord in COORDS]
    missing = [f"{coord} of {node}" for node, coord in wanted if (node, coord) not in places]
    if missing:
        raise ExportError(f"{path} has no column for {', '.join(missing)}")
    return nodes, [places[column] for column in wanted]


def _check_points(
    path: Path, nodes: tuple[str, ...], frame_index: NDArray[np.int64], points: NDArray[np.float32]
) -> None:
    numbers, counts = np.unique(frame_index, return_counts=True)
    if (counts > 1).any():
        raise ExportError(f"{path} has frame {numbers[counts > 1][0]} more than once; expected each frame in one row")
    half = np.isnan(points[..., 0]) != np.isnan(points[..., 1])
    for wrong, what in ((half, "only one of x and y"), (np.isinf(points).any(axis=-1), "an infinite number")):
        if wrong.any():
            row, node = np.argwhere(wrong)[0]
            raise ExportError(f"{path}: frame {frame_index[row]} has {what} for {nodes[node]}")


def _csv_header(reader: Iterable[list[str]]) -> DeepLabCutHeader:
    levels: dict[str, tuple[str, ...]] = {}
    for row in reader:
        level = row[0].strip().lower() if row else ""
        if level not in _LEVELS:
            raise ValueError(f"its header has {level!r} where one of {', '.join(_LEVELS)} was expected")
        levels[level] = tuple(row[1:])
        if level == _LEVELS[-1]:
            break
    return _checked(levels)


def _checked(levels: dict[str, tuple[str, ...]]) -> DeepLabCutHeader:
    missing = [level for level in _LEVELS if level not in levels and level != _OPTIONAL_LEVEL]
    if missing:
        raise ValueError(f"its header has no line {', '.join(missing)}")
    if len({len(names) for names in levels.values()}) != 1 or not levels["coords"]:
        raise ValueError("the lines of its header have different numbers of columns, or none")
    return DeepLabCutHeader(levels)


def _read_csv(content: bytes) -> tuple[DeepLabCutHeader, NDArray[np.int64], NDArray[np.float64]]:
    reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    header = _csv_header(reader)
    width = len(header.levels["coords"]) + 1
    numbers, rows = [], []
    for row in reader:
        if len(row) != width:
            raise ValueError(f"line {reader.line_num} has {len(row)} cells, expected {width}: it may have been cut off")
        numbers.append(row[0])
        rows.append([float(cell) if cell else np.nan for cell in row[1:]])
    return header, _frame_numbers(numbers), np.array(rows, np.float64).reshape(len(rows), width - 1)


def _read_hdf5(path: Path, content: bytes) -> tuple[DeepLabCutHeader, NDArray[np.int64], NDArray[np.float64]]:
    import pandas as pd

    # From memory: what is read is what was hashed, whatever happens to the file meanwhile.
    options: dict[str, Any] = {"driver": "H5FD_CORE", "driver_core_backing_store": 0, "driver_core_image": content}
    with pd.HDFStore(path.name, mode="r", **options) as store:
        frame = store[KEY]
    return _hdf5_header(frame), _frame_numbers(list(frame.index)), frame.to_numpy(np.float64)


def _hdf5_header(frame: Any) -> DeepLabCutHeader:
    names = [str(name) for name in frame.columns.names]
    return _checked({name: tuple(map(str, frame.columns.get_level_values(name))) for name in names if name in _LEVELS})


def _frame_numbers(cells: Sequence[Any]) -> NDArray[np.int64]:
    """Numbers of the frames; labels of a person have names of images there."""
    numbers = np.array([float(cell) for cell in cells], np.float64)
    wrong = ~((numbers >= 0) & (numbers == np.round(numbers)))
    if wrong.any():
        raise ValueError(f"{cells[int(np.argmax(wrong))]!r} is no number of a frame")
    return numbers.astype(np.int64)
