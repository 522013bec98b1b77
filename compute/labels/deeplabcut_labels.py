"""Labels of people in the CSV of DeepLabCut and Lightning Pose: a row an image, two columns a person and node.

The header says what a column is: who labeled (``scorer``), which animal (``individuals``, in some files), which node
(``bodyparts``), and x or y (``coords``). sleap-io's own reader sorts the nodes, takes the last of several people, and
where an image is missing it shifts labels onto other images.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compute.errors import LabelsError
from compute.labels.placed_points import PlacedPoints, merge_placed_points

_LEVELS = ("scorer", "individuals", "bodyparts", "coords")
_AXES = ("x", "y")


@dataclass(frozen=True)
class DeepLabCutLabels:
    """What a CSV file says: the points of each image, by all people who labeled it.

    Parameters
    ----------
    nodes : tuple of str
        In the order of the file.
    images : tuple of Path
        Labeled images, in the order of the rows. An image that nobody placed a point in is left out.
    position : array, shape (image, node, 2), float64
        In px; NaN where the node was not placed.
    n_images_of : dict of str to int
        Number of images of each person who labeled one or more.
    left_out : dict of str to int
        Number of images of each person whose points were not asked for.
    """

    nodes: tuple[str, ...]
    images: tuple[Path, ...]
    position: NDArray[np.float64]
    n_images_of: dict[str, int]
    left_out: dict[str, int]


@dataclass(frozen=True)
class _LabelsTable:
    """Columns and rows of the file: for each person the columns of each node, for each row its line and image."""

    nodes: tuple[str, ...]
    columns: dict[str, list[tuple[int, int]]]
    rows: list[tuple[int, str, list[str]]]


def read_deeplabcut_labels(path: Path, scorer: str | None = None) -> DeepLabCutLabels:
    """Read the labels of a CSV file.

    People who labeled different images, or different nodes of an image, are put together.

    Parameters
    ----------
    path : Path
        The CSV file.
    scorer : str, optional
        Only the points of this person.

    Raises
    ------
    LabelsError
        If it is no such table, an image is missing, a number cannot be read, a point has only one of x and y, two
        people placed a node of one image at different points, or nobody is called `scorer`.
    """
    table = _read_table(path)
    if scorer is not None and scorer not in table.columns:
        raise LabelsError(f"{path}: nobody is called {scorer!r} there; it was labeled by {', '.join(table.columns)}")
    placed: dict[Path, list[PlacedPoints]] = {}
    images_of: dict[str, set[Path]] = {name: set() for name in table.columns}
    for line, image_name, cells in table.rows:
        image = _find_image(path, image_name, line)
        for name, columns in table.columns.items():
            who = f"{name or 'somebody'} (line {line})"
            points = PlacedPoints(who, _numbers(path, line, cells, columns, table.nodes))
            points.check(f"{path}, line {line}, {image_name}", table.nodes)
            if points.any():
                images_of[name].add(image)
                placed.setdefault(image, []).extend([points] if scorer in (None, name) else [])
    advice = "keep one of them" if len(table.columns) == 1 else "choose a person with --scorer, or correct the file"
    placed = {image: points for image, points in placed.items() if points}
    merged = [merge_placed_points(points, table.nodes, f"{path}: {image}", advice) for image, points in placed.items()]
    counts = {name: len(images) for name, images in images_of.items() if images}
    return DeepLabCutLabels(
        table.nodes,
        tuple(placed),
        np.array(merged, np.float64).reshape(len(placed), len(table.nodes), 2),
        {name: count for name, count in counts.items() if scorer in (None, name)},
        {name: count for name, count in counts.items() if scorer not in (None, name)},
    )


def _read_table(path: Path) -> _LabelsTable:
    header, rows = _split_header(path)
    first = next((i for i, cell in enumerate(header["coords"]) if i and cell), 1)
    width = len(header["coords"])
    for level, cells in header.items():
        if len(cells) != width:
            raise LabelsError(
                f"{path}: header line {level!r} has {len(cells)} cells and 'coords' has {width}; copy the file again"
            )
    if "likelihood" in header["coords"][first:]:
        raise LabelsError(
            f"{path} has likelihoods: these are poses that a network found, not labels of a person. Such poses come in"
            " with 'orofacial model import', the file beside its video"
        )
    for line, row in rows:
        if len(row) != width:
            raise LabelsError(
                f"{path}, line {line}: {len(row)} cells, expected {width}; the file may have been cut off"
            )
    filled = [i for i in range(first, width) if any(row[i].strip() for _, row in rows)]
    individuals = {header["individuals"][i] for i in filled} if "individuals" in header else set()
    if len(individuals) > 1:
        raise LabelsError(f"{path} holds several individuals ({', '.join(sorted(individuals))}), expected one mouse")
    used = [i for i in range(first, width) if not individuals or header["individuals"][i] in individuals]
    nodes = tuple(dict.fromkeys(header["bodyparts"][i] for i in used))
    scorers = header.get("scorer", [""] * width)
    columns = {
        name: _columns(path, header, [i for i in used if scorers[i] == name], nodes)
        for name in dict.fromkeys(scorers[i] for i in used)
    }
    return _LabelsTable(nodes, columns, [(line, "/".join(filter(None, row[:first])), row) for line, row in rows])


def _split_header(path: Path) -> tuple[dict[str, list[str]], list[tuple[int, list[str]]]]:
    """Lines of the header by their level, and the lines below with their numbers."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LabelsError(f"{path} cannot be read as text ({error}); save it as CSV in UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""))
    lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    header = {row[0].strip().lower(): [cell.strip() for cell in row] for _, row in lines[: len(_LEVELS)]}
    header = {level: row for level, row in header.items() if level in _LEVELS}
    if "bodyparts" not in header or "coords" not in header:
        raise LabelsError(f"{path} has no rows 'bodyparts' and 'coords'; expected DeepLabCut or Lightning Pose labels")
    return header, lines[len(header) :]


def _columns(
    path: Path, header: dict[str, list[str]], used: Sequence[int], nodes: Sequence[str]
) -> list[tuple[int, int]]:
    """Columns of x and y of each node, of one person; -1 where the person has none for the node."""
    places: dict[tuple[str, str], int] = {}
    for index in used:
        column = (header["bodyparts"][index], header["coords"][index])
        if column[1] not in _AXES:
            raise LabelsError(f"{path}: column {index + 1} is {column[1]!r} of {column[0]}; expected x or y")
        if column in places:
            raise LabelsError(f"{path} has two columns for {column[1]} of {column[0]} by one person; expected one")
        places[column] = index
    found = []
    for node in nodes:
        pair = [places.get((node, axis), -1) for axis in _AXES]
        if (pair[0] < 0) != (pair[1] < 0):
            missing = _AXES[pair[1] < 0]
            raise LabelsError(f"{path} has no column for {missing} of {node}, but one for the other axis")
        found.append((pair[0], pair[1]))
    return found


def _numbers(
    path: Path, line: int, cells: Sequence[str], columns: Sequence[tuple[int, int]], nodes: Sequence[str]
) -> NDArray[np.float64]:
    """Points of one person in one row, shape (node, 2)."""
    points = np.full((len(columns), 2), np.nan)
    for index, (node, pair) in enumerate(zip(nodes, columns, strict=True)):
        for axis, column in enumerate(pair):
            cell = cells[column].strip() if column >= 0 else ""
            try:
                points[index, axis] = float(cell) if cell else np.nan
            except ValueError:
                raise LabelsError(
                    f"{path}, line {line}: {_AXES[axis]} of {node} is {cell!r}; expected a number in px, or nothing"
                ) from None
    return points


def _find_image(path: Path, image: str, line: int) -> Path:
    """The image that a row names: relative to the file, to the project's folder, or beside the file.

    Beside the file only where that is the folder that the row names: another folder has other images of equal names.
    """
    relative = Path(image.replace("\\", "/"))
    candidates = [path.parent / relative, path.parent.parent.parent / relative]
    if relative.parent.name in ("", path.resolve().parent.name):
        candidates.append(path.parent / relative.name)
    for candidate in candidates:
        if relative.name and candidate.is_file():
            return candidate
    places = " nor ".join(dict.fromkeys(str(candidate) for candidate in candidates))
    raise LabelsError(
        f"{path}, line {line}: the labeled image {image} is missing; it is neither {places}. Put it back or remove its"
        " row"
    )
