"""Rows of a file, put into arrays by their keys: the number of the frame, or its time.

The place of a row in a file says nothing. Rows may stand in any order, some may be missing, and the first need not be
frame 0: every reader of this package hands its rows to the functions below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.errors import ExportError
from compute.text import count_text

_MISSING: dict[str, Any] = {
    **{"position": np.nan, "score": 0, "sd": np.nan, "rejected": False, "filled": False},
    "interval_half_width_px": np.nan,
}
"""What stands in a frame that has no row."""

_MOST_FRAMES = 100_000_000
"""More than eleven days at 100 Hz: such a number is a time stamp or an error, and would fill the memory."""

_MOST_BEFORE = 10_000_000
"""Frames before the first row: more than a day at 100 Hz. A file may be of a part of a long video."""

_MOST_MISSING = 1_000_000
_MOST_MISSING_A_ROW = 100
"""Frames without a row after the first one: more than either says that a number is wrong, not that rows are missing."""

_BETWEEN_FRAMES = 0.6
"""Part of the interval between frames. A time that is nearer to a frame, and not the frame's, is of another clock."""

_SAME_FRAME = 0.1
"""Part of the interval between frames. Times that differ by less are of one frame: they were rounded differently."""


def frame_numbers(cells: Sequence[Any] | NDArray[Any], place: Callable[[int], str]) -> NDArray[np.int64]:
    """Numbers of the frames of a file's rows.

    Parameters
    ----------
    cells : sequence
        What the file has as the number of each row's frame: numbers or their text.
    place : callable
        Where the row of an index stands, for people: file and line.

    Returns
    -------
    array, shape (row,), int64

    Raises
    ------
    ExportError
        If one is negative, no whole number or too large to be a frame's, naming its place.

    Examples
    --------
    >>> frame_numbers(["3", "0", "1.0"], lambda row: f"a.csv, line {row + 1}").tolist()
    [3, 0, 1]
    """
    numbers = np.empty(len(cells), np.int64)
    for row, cell in enumerate(cells):
        try:
            number = float(cell)
        except (TypeError, ValueError):
            number = np.nan
        if not (0 <= number < _MOST_FRAMES and number == int(number)):
            shown = cell.item() if isinstance(cell, np.generic) else cell
            raise ExportError(
                f"{place(row)}: {shown!r} is no number of a frame; expected a whole number from 0 to {_MOST_FRAMES - 1}"
            )
        numbers[row] = int(number)
    return numbers


def rows_by_frame(
    path: Path,
    frame_index: NDArray[np.int64],
    rows: Mapping[str, NDArray[Any]],
    *,
    nodes: Sequence[str] = (),
    n_frames: int | None = None,
    first_frame: int = 0,
    named: Callable[[int], str] = "frame {}".format,
    place: Callable[[int], str] | None = None,
) -> dict[str, NDArray[Any]]:
    """Put rows into arrays with a row for each frame.

    Parameters
    ----------
    path : Path
        The file, for errors.
    frame_index : array, shape (row,)
        Frame number of each row, from 0, in any order.
    rows : mapping of str to array, shape (row, ...)
        ``position`` and ``score``, and what a filter gave.
    nodes : sequence of str
        Names of the nodes, for errors.
    n_frames : int, optional
        How many frames there are; without it, as many as the last row needs, if that is plausible.
    first_frame : int
        Number of the frame that comes first in the arrays.
    named : callable
        What a frame number stands for, for people.
    place : callable, optional
        Where the row of an index stands, for people: file and line.

    Returns
    -------
    dict of str to array, shape (frame, ...)
        Where a frame has no row, positions are NaN, scores 0 and flags False.

    Raises
    ------
    ExportError
        If a frame has two rows, a row is of no frame, a position is infinite or has only one of x and y, or a number is
        implausibly far from the others where `n_frames` is not given, naming the frame.

    Examples
    --------
    >>> rows_by_frame(Path("a.csv"), np.array([3, 1]), {"score": np.array([0.9, 0.5])})["score"].tolist()
    [0.0, 0.5, 0.0, 0.9]
    """
    check_rows(path, frame_index, rows, nodes=nodes, named=named)
    numbers = np.unique(frame_index)
    if n_frames is None:
        _check_gaps(path, frame_index, first_frame, named, place)
    end = first_frame + n_frames if n_frames is not None else int(numbers.max(initial=first_frame - 1)) + 1
    outside = numbers[(numbers < first_frame) | (numbers >= end)]
    if outside.size:
        raise ExportError(
            f"{path} has {named(int(outside[0]))}, expected {named(first_frame)} to {named(end - 1)}; it is of another"
            " video, or another program altered it"
        )
    arrays = {}
    for name, values in rows.items():
        arrays[name] = np.full((end - first_frame, *values.shape[1:]), _MISSING[name], values.dtype)
        arrays[name][frame_index - first_frame] = values
    return arrays


def _check_gaps(
    path: Path,
    frame_index: NDArray[np.int64],
    first_frame: int,
    named: Callable[[int], str],
    place: Callable[[int], str] | None,
) -> None:
    """Refuse a frame number so far from the others that it is an error, before memory is filled up to it."""
    if not frame_index.size:
        return
    order = np.argsort(frame_index, kind="stable")
    numbers = frame_index[order]
    n_before, n_between = int(numbers[0]) - first_frame, int(numbers[-1] - numbers[0]) + 1 - numbers.size
    by_rows = _MOST_MISSING_A_ROW * numbers.size
    if n_between > max(_MOST_MISSING, by_rows):
        after, most = int(np.argmax(np.diff(numbers))) + 1, max(_MOST_MISSING, by_rows)
        missing = f"no rows for {n_between} frames between"
    elif n_before > max(_MOST_BEFORE, by_rows):
        after, most = 0, max(_MOST_BEFORE, by_rows)
        missing = f"no rows for the {n_before} frames before it"
    else:
        return
    row = int(order[after])
    where = path if place is None else place(row)
    previous = f" after {named(int(numbers[after - 1]))}" if after else ""
    raise ExportError(
        f"{where}: {named(int(numbers[after]))}{previous}, but the file has {count_text(numbers.size, 'row')} and"
        f" {missing}; expected at most {most}. Correct the number or take the row out; if it is right, add rows between"
        " (those of no point may be empty)"
    )


def check_rows(
    path: Path,
    frame_index: NDArray[np.int64],
    rows: Mapping[str, NDArray[Any]],
    *,
    nodes: Sequence[str] = (),
    named: Callable[[int], str] = "frame {}".format,
) -> None:
    """Check that each frame has one row, and each point both coordinates; parameters as of `rows_by_frame`.

    Raises
    ------
    ExportError
        Naming the frame and the node.
    """
    numbers, counts = np.unique(frame_index, return_counts=True)
    if (counts > 1).any():
        raise ExportError(
            f"{path} has {named(int(numbers[counts > 1][0]))} more than once; expected each in one row. Take out the"
            " wrong one, or export the file again"
        )
    points = np.concatenate([values for name, values in rows.items() if name == "position"] or [np.empty((0, 2))])
    half = np.isnan(points[..., 0]) != np.isnan(points[..., 1])
    for wrong, what in ((half, "only one of x and y"), (np.isinf(points).any(axis=-1), "an infinite number")):
        if wrong.any():
            row, *node = np.argwhere(wrong)[0]
            of_node = f" for {nodes[node[0]]}" if node and len(nodes) else ""
            raise ExportError(f"{path}: {named(int(frame_index[row]))} has {what}{of_node}; correct the file")


def rows_by_time(
    path: Path, times: Mapping[str, ArrayLike]
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.int64]]]:
    """All times of several series, and which of them each row of a series belongs to.

    Parameters
    ----------
    path : Path
        The file, for errors.
    times : mapping of str to array, shape (row,)
        Times of each series in seconds, in any order. Those that differ by less than a tenth of the usual interval are
        of the same frame.

    Returns
    -------
    time : array, shape (frame,), float64
        Increasing.
    frame_index : dict of str to array, shape (row,), int64
        Index of each row's time.

    Raises
    ------
    ExportError
        If a time is not finite, or a series has one twice, naming the time.

    Examples
    --------
    >>> time, index = rows_by_time(Path("a.nwb"), {"jaw": [0.0, 0.01, 0.02], "nose": [0.0, 0.02]})
    >>> time.tolist(), index["nose"].tolist()
    ([0.0, 0.01, 0.02], [0, 2])
    """
    series = {name: np.asarray(values, np.float64) for name, values in times.items()}
    time = np.empty(0)
    for name, values in sorted(series.items(), key=lambda item: -item[1].size):
        if not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values)))
            raise ExportError(f"{path}: row {row} of {name} has the time {values[row]}; expected seconds")
        own = np.sort(values)
        near_s = _SAME_FRAME * float(np.median(np.diff(own))) if own.size > 1 else 0.0
        others = own if not time.size else own[np.abs(time[_nearest(time, own)] - own) > near_s]
        time = np.sort(np.concatenate([time, others]))
    index = {name: _nearest(time, values) for name, values in series.items()}
    for name, frames in index.items():
        found, counts = np.unique(frames, return_counts=True)
        if (counts > 1).any():
            twice = time[found[counts > 1][0]]
            raise ExportError(f"{path}: {name} has the time {twice:g} s more than once; expected each in one row")
    return time, index


def check_common_frames(path: Path, times: Mapping[str, NDArray[np.float64]]) -> None:
    """Refuse series whose times lie between the frames of another: they are of two clocks, or one is shifted.

    Parameters
    ----------
    path : Path
        The file, for errors.
    times : mapping of str to array, shape (row,)
        Times of each series in seconds, in any order, as `rows_by_time` takes them.

    Raises
    ------
    ExportError
        If more than half of a series' times do, naming the series and how far they are off.

    Examples
    --------
    >>> check_common_frames(Path("a.nwb"), {"jaw": np.arange(9) / 100, "nose": np.array([0.01, 0.05])})
    """
    by_size = sorted(times.items(), key=lambda item: -item[1].size)
    if not by_size or by_size[0][1].size < 2:
        return
    first, frames = by_size[0][0], np.sort(by_size[0][1])
    interval_s = float(np.median(np.diff(frames)))
    for name, values in by_size[1:]:
        off_s = np.abs(values - frames[_nearest(frames, values)])
        is_between = (off_s > _SAME_FRAME * interval_s) & (off_s < _BETWEEN_FRAMES * interval_s)
        if is_between.sum() > 0.5 * values.size:
            off_ms = 1000 * np.median(off_s[is_between])
            raise ExportError(
                f"{path}: the times of {name} lie between those of {first}, {off_ms:.4g} ms off, where frames are"
                f" {1000 * interval_s:.4g} ms apart; expected series of one video to have the times of its frames."
                " Correct the times of one; or, where a node was not found, write NaN in its row"
            )


def _nearest(time: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Index of the nearest of some increasing times."""
    if not time.size:
        return np.empty(0, np.int64)
    after = np.clip(np.searchsorted(time, values), 0, time.size - 1)
    before = np.clip(after - 1, 0, None)
    return np.where(np.abs(values - time[before]) < np.abs(time[after] - values), before, after).astype(np.int64)
