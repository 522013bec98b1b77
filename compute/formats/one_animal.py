"""The one mouse of a file that may hold several animals, tracks, networks or videos: their names are keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from compute.errors import ExportError

CHOOSE = "Choose one of them: name=..., or --name in a shell"


def check_one_animal(
    path: Path,
    frame_index: NDArray[np.int64],
    animals: Sequence[str],
    advice: str = CHOOSE,
) -> None:
    """Check that rows of several animals are of one mouse.

    Tracks that are never there in the same frame are one animal, whose track broke.

    Parameters
    ----------
    path : Path
        The file, for errors.
    frame_index : array, shape (row,)
        Frame number of each row in which the animal was found.
    animals : sequence of str
        Name of each row's animal or track.
    advice : str
        What to do where two are there at once.

    Raises
    ------
    ExportError
        If two animals are there in the same frame.

    Examples
    --------
    >>> check_one_animal(Path("a.h5"), np.array([0, 1, 2]), ["track_0", "track_0", "track_1"])
    """
    of_row = np.asarray(animals, dtype=np.str_)
    names = list(dict.fromkeys(of_row.tolist()))
    if len(names) > 1:
        pairs = np.unique(np.column_stack([frame_index, np.unique(of_row, return_inverse=True)[1]]), axis=0)
        frames, counts = np.unique(pairs[:, 0], return_counts=True)
        if (counts > 1).any():
            frame = frames[counts > 1][0]
            there = sorted(set(of_row[frame_index == frame].tolist()))
            raise ExportError(
                f"{path} holds several animals ({', '.join(names)}); expected one, but {' and '.join(there)} are both"
                f" there in frame {frame}. {advice}"
            )


def join_one_animal(
    path: Path,
    frame_index: NDArray[np.int64],
    position: NDArray[Any],
    score: NDArray[Any],
    animals: Sequence[str],
    name: str | None = None,
    advice: str = CHOOSE,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The one mouse of arrays with several animals; those that are never there in the same frame are one.

    Parameters
    ----------
    path : Path
        The file, for errors.
    frame_index : array, shape (row,)
        Frame number of each row.
    position : array, shape (row, animal, node, 2)
    score : array, shape (row, animal, node)
    animals : sequence of str
        Names of the animals.
    name : str, optional
        The animal to take.
    advice : str
        What to do where two are there at once.

    Returns
    -------
    position : array, shape (row, node, 2)
    score : array, shape (row, node)

    Raises
    ------
    ExportError
        If two animals are there in the same frame and none is named, or there is none of the name.
    """
    if name is not None:
        one = list(animals).index(choose_one(path, "animals", animals, name))
        return position[:, one], score[:, one]
    there = ~np.isnan(position[..., 0]).all(axis=-1)
    rows, of_row = np.nonzero(there)
    check_one_animal(path, frame_index[rows], [animals[int(index)] for index in of_row], advice)
    every, one_of = np.arange(len(position)), there.argmax(axis=1)
    return position[every, one_of], score[every, one_of]


def choose_one(path: Path, what: str, names: Sequence[str], name: str | None, advice: str = CHOOSE) -> str:
    """The one of several things in a file that was asked for, or the only one.

    Raises
    ------
    ExportError
        If there are several and none is named, or there is none of the name.

    Examples
    --------
    >>> choose_one(Path("a.csv"), "networks", ["net"], None)
    'net'
    """
    if name in names:
        return str(name)
    if name is None and len(names) == 1:
        return names[0]
    listed = ", ".join(filter(None, names)) or "not named"
    if name is None:
        raise ExportError(f"{path} holds several {what} ({listed}); expected one. {advice}")
    raise ExportError(f"{path} has no {name!r}; its {what} are {listed}")


def one_animal_instances(
    path: Path,
    frame_index: NDArray[np.int64],
    animals: Sequence[str],
    position: NDArray[Any],
    by_person: ArrayLike,
    name: str | None = None,
) -> NDArray[np.bool_]:
    """Which of SLEAP's instances are the mouse: one in each frame.

    An instance that a person placed goes before the predictions of its frame. One without a point counts only where its
    frame has no other.

    Parameters
    ----------
    path : Path
        The file, for errors.
    frame_index : array, shape (instance,)
        Frame number of each instance.
    animals : sequence of str
        Name of each instance's track; empty without one.
    position : array, shape (instance, node, 2)
    by_person : array, shape (instance,), bool
        Whether a person placed it.
    name : str, optional
        The track to take. Instances of a person that are of no track are taken too.

    Returns
    -------
    array, shape (instance,), bool

    Raises
    ------
    ExportError
        If tracks of two names are there in the same frame and none is named, there is none of the name, or a frame has
        several instances of one track or of none.
    """
    of_person = np.asarray(by_person, bool)
    of_row = np.asarray(animals, dtype=np.str_)
    there = ~np.isnan(position[..., 0]).all(axis=-1)
    kept = np.ones(len(frame_index), bool)
    if name is not None:
        choose_one(path, "tracks", list(dict.fromkeys(of_row.tolist())), name)
        kept &= (of_row == name) | ((of_row == "") & of_person)
    kept &= of_person | ~np.isin(frame_index, frame_index[kept & of_person])
    kept &= there | ~np.isin(frame_index, frame_index[kept & there])
    used = kept & there
    if name is None:
        check_one_animal(path, frame_index[used], of_row[used].tolist())
    frames, counts = np.unique(frame_index[used], return_counts=True)
    if (counts > 1).any():
        frame, count = frames[counts > 1][0], counts[counts > 1][0]
        tracks = list(dict.fromkeys(of_row[used & (frame_index == frame)].tolist()))
        of = f"of the track {tracks[0]}" if tracks[0] else "of no track"
        raise ExportError(
            f"{path} has frame {frame} more than once: {count} instances {of} are there; expected one"
            " animal. Delete all but one of them in SLEAP; or, if they are several animals, give each a track there,"
            " save, and choose one: name=..., or --name in a shell"
        )
    return kept


def check_unnamed(path: Path, name: str | None) -> None:
    """Refuse to choose by a name in a file that holds one track, which has none.

    Raises
    ------
    ExportError
        If a name is given.
    """
    if name is not None:
        raise ExportError(
            f"{path} holds one track, which has no name; leave out {name!r} (name=..., --name in a shell)"
        )
