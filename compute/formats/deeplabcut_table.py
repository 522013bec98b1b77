"""The tables that DeepLabCut and Lightning Pose write beside a video, as they stand in the file: CSV and HDF5.

Both have a header of three levels (scorer, bodyparts, coords), or of four with ``individuals``, and a row a frame. The
first column is the number of the frame: rows may be missing, and their order says nothing. Scorer and individual are
keys, too: a file may hold poses of several networks and animals.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compute.errors import ExportError
from compute.extras import import_pytables
from compute.formats.frame_rows import check_rows, frame_numbers
from compute.formats.network_scores import check_scores, least_scores
from compute.formats.one_animal import CHOOSE, choose_one, join_one_animal
from compute.formats.text_table import TextTable

KEY = "df_with_missing"
"""DeepLabCut's name of the table in its HDF5 files."""

COORDS = ("x", "y", "likelihood")

OWN_SCORER = "orofacial"
"""How the scorer of a table begins that this project wrote; only there a NaN likelihood is a person's point."""

_LEVELS = ("scorer", "individuals", "bodyparts", "coords")
_OPTIONAL_LEVEL = "individuals"

_OF_NO_ANIMAL = "single"
"""What DeepLabCut calls the individual of body parts that are there once, whatever the number of animals."""

_FAILURES = (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, ExportError)
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
        The likelihood; NaN where there is no point, and for a person's point in a table of this project's. A network's
        point without a likelihood has 0.
    assumption : str
        What stands for likelihoods that are missing, for people; empty if none is.
    place : callable
        Where the row of an index stands, for people: file and line.
    """

    scorer: str
    nodes: tuple[str, ...]
    frame_index: NDArray[np.int64]
    position: NDArray[np.float32]
    score: NDArray[np.float32]
    assumption: str
    place: Callable[[int], str]

    @property
    def is_own(self) -> bool:
        """Whether this project wrote the table."""
        return _is_own(self.scorer)


@dataclass(frozen=True)
class DeepLabCutHeader:
    """Names of the columns of a table, level by level, without the column of frame numbers."""

    levels: dict[str, tuple[str, ...]]

    @property
    def is_of_poses(self) -> bool:
        """Whether these are poses of a network: x, y and likelihood, which labels of a person do not have."""
        return set(COORDS) <= set(self.levels["coords"]) and not self.is_spatial

    @property
    def is_spatial(self) -> bool:
        """Whether the positions have three coordinates."""
        return "z" in self.levels["coords"]

    def columns(self) -> dict[tuple[str, str, str, str], int]:
        """Place of each column of x, y or likelihood, by scorer, individual, body part and coordinate."""
        individuals = self.levels.get(_OPTIONAL_LEVEL, ("",) * len(self.levels["coords"]))
        keys = zip(self.levels["scorer"], individuals, self.levels["bodyparts"], self.levels["coords"], strict=True)
        places: dict[tuple[str, str, str, str], int] = {}
        for place, key in enumerate(keys):
            if key[3] not in COORDS:
                continue
            if key in places:
                raise ExportError(f"two columns for {key[3]} of {key[2]}; expected one")
            places[key] = place
        return places


def read_deeplabcut_header(path: Path) -> DeepLabCutHeader | None:
    """Names of a file's columns; None if it is no such table. Of an HDF5 file nothing but the header is read."""
    try:
        if path.suffix.lower() == ".csv":
            return _csv_header(TextTable.head(path))
        if path.suffix.lower() in (".h5", ".hdf5"):
            import pandas as pd

            import_pytables()
            return _hdf5_header(pd.read_hdf(path, key=KEY, start=0, stop=0))
    except _FAILURES:
        return None
    return None


def read_deeplabcut_table(
    path: Path, content: bytes | None = None, *, name: str | None = None, advice: str = CHOOSE
) -> DeepLabCutTable:
    """Read the poses of one animal from a CSV or HDF5 file.

    Individuals that are never there in the same frame are one animal, whose track broke.

    Parameters
    ----------
    path : Path
        The file; its ending says which of the two it is.
    content : bytes, optional
        The file's bytes, if they have been read already.
    name : str, optional
        Which scorer or individual, where there are several.
    advice : str
        What to do where there are several and none is named.

    Raises
    ------
    ExportError
        If it is no such table or is damaged, holds labels of a person, positions in space, or poses of several animals
        or networks of which none is named; or if a frame is there twice, a point has only one of x and y, or the
        likelihoods are not from 0 to 1.
    """
    content = path.read_bytes() if content is None else content
    try:
        header, frame_index, values, place = (_read_csv if path.suffix.lower() == ".csv" else _read_hdf5)(path, content)
        places = header.columns()
    except _FAILURES as error:
        said = str(error).removeprefix(str(path)).lstrip(",: ") or "it is too short"
        raise ExportError(f"{path} cannot be read as a table of DeepLabCut or Lightning Pose ({said})") from error
    if header.is_spatial:
        raise ExportError(f"{path} holds positions in space (x, y, z); expected those in the picture of one camera")
    if not header.is_of_poses:
        raise ExportError(
            f"{path} holds no likelihoods, so it is no network's output; labels of a person come in with"
            " 'orofacial labels import'"
        )
    scorers = list(dict.fromkeys(scorer for scorer, *_ in places))
    is_of_scorer = name in scorers or _OPTIONAL_LEVEL not in header.levels
    scorer = choose_one(path, "networks", scorers, name if is_of_scorer else None, advice)
    of_scorer = {key[1:]: place for key, place in places.items() if key[0] == scorer}
    animals = [one for one in dict.fromkeys(one for one, *_ in of_scorer) if one != _OF_NO_ANIMAL] or [_OF_NO_ANIMAL]
    nodes = tuple(dict.fromkeys(node for _, node, _ in of_scorer))
    columns = [[[_place(path, of_scorer, one, node, coord) for coord in COORDS] for node in nodes] for one in animals]
    points = values[:, np.array(columns)].astype(np.float32)
    animal = None if is_of_scorer else name
    position, score = join_one_animal(path, frame_index, points[..., :2], points[..., 2], animals, animal, advice)
    check_rows(path, frame_index, {"position": position, "score": score}, nodes=nodes)
    check_scores(path, position, score, nodes, lambda row: f"frame {frame_index[row]}")
    assumption = ""
    if not _is_own(scorer):
        score, assumption = least_scores(position, score)
    return DeepLabCutTable(scorer, nodes, frame_index, position, score, assumption, place)


def _is_own(scorer: str) -> bool:
    return scorer == OWN_SCORER or scorer.startswith(f"{OWN_SCORER}_")


def _place(path: Path, columns: dict[tuple[str, str, str], int], animal: str, node: str, coord: str) -> int:
    place = columns.get((animal, node, coord), columns.get((_OF_NO_ANIMAL, node, coord)))
    if place is None:
        of = f"{node} of {animal}" if animal else node
        raise ExportError(f"{path} has no column for {coord} of {of}")
    return place


def _csv_header(table: Iterable[list[str]]) -> DeepLabCutHeader:
    levels: dict[str, tuple[str, ...]] = {}
    for row in table:
        level = row[0].strip().lower()
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
    return DeepLabCutHeader({**levels, "coords": tuple(coord.strip().lower() for coord in levels["coords"])})


_Read = tuple[DeepLabCutHeader, NDArray[np.int64], NDArray[np.float64], Callable[[int], str]]
"""Header, frame numbers, values (row, column), and where the row of an index stands."""


def _read_csv(path: Path, content: bytes) -> _Read:
    table = TextTable(path, content)
    header = _csv_header(table)
    numbers, lines, rows = [], [], []
    used = set(header.columns().values())
    for cells in table:
        table.check_width(cells, len(header.levels["coords"]) + 1)
        numbers.append(cells[0])
        lines.append(table.line_number)
        rows.append([table.number(cell) if place in used else np.nan for place, cell in enumerate(cells[1:])])

    def place(row: int) -> str:
        return table.line(lines[row])

    values = np.array(rows, np.float64).reshape(len(rows), len(header.levels["coords"]))
    return header, frame_numbers(numbers, place), values, place


def _read_hdf5(path: Path, content: bytes) -> _Read:
    import pandas as pd

    tables = import_pytables()
    # From memory: what is read is what was hashed, whatever happens to the file meanwhile. HDF5 looks for a file of the
    # name even so, and refuses if there is one; below a file there is none.
    options: dict[str, Any] = {"driver": "H5FD_CORE", "driver_core_backing_store": 0, "driver_core_image": content}
    try:
        with pd.HDFStore(str(path / uuid.uuid4().hex), mode="r", **options) as store:
            _check_one_table([key.strip("/") for key in store])
            frame = store[KEY]
    except tables.HDF5ExtError as error:  # its text is a back trace of HDF5, with that name
        reason = error.h5backtrace[-1][-1] if error.h5backtrace else "no reason given"
        raise ValueError(f"no HDF5, or damaged: {reason}; export or copy it again") from error
    header = _hdf5_header(frame)
    values = np.full(frame.shape, np.nan)
    for column in header.columns().values():
        values[:, column] = frame.iloc[:, column].to_numpy(np.float64)

    def place(row: int) -> str:
        return f"{path}, row {row}"

    return header, frame_numbers(list(frame.index), place), values, place


def _check_one_table(keys: list[str]) -> None:
    """Refuse a file of several tables; the parts of one are below its key."""
    others = [key for key in keys if key != KEY and not key.startswith(f"{KEY}/")]
    if others and KEY in keys:
        raise ValueError(
            f"it holds {len(others) + 1} tables, {', '.join([KEY, *others])}; expected {KEY} alone. Write the one that"
            f" is meant to a file of its own, with pandas: read_hdf(file, key).to_hdf(new_file, key={KEY!r})"
        )


def _hdf5_header(frame: Any) -> DeepLabCutHeader:
    names = [str(name) for name in frame.columns.names]
    levels = {name.strip().lower(): tuple(map(str, frame.columns.get_level_values(name))) for name in names}
    return _checked({name: values for name, values in levels.items() if name in _LEVELS})
