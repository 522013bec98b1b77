"""How the paths below a raw folder name mouse, date, number, camera and part: one line for a whole lab."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path, PurePosixPath

from compute.errors import SessionError
from compute.files import VIDEO_SUFFIXES
from compute.text import one_spelling
from ingest.layout_text import SESSION_FIELDS, LayoutParts, example_of, expression, take_apart
from ingest.other_files import other_video_stem

DEFAULT_LAYOUT = "{mouse}/{date}_{number}/{camera}"

NOT_RECORDINGS = ("*_labeled.*", "videos-labeled*", "videos-combined*", "*calib*", "*checkerboard*", "*charuco*")
"""Videos that DeepLabCut, Lightning Pose and Anipose draw, and those of calibration boards."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SEPARATORS = "-_. "


class UnreadablePathError(SessionError):
    """A path that fits the layout, but whose date does not exist, or that can be read in two ways; it is not named."""


@dataclass(frozen=True)
class Reading:
    """What a layout reads from a path.

    Attributes
    ----------
    mouse_id : str
    session_date : date
    number : int or None
        None: the path names none.
    time : time or None
        Time of day of the session, where the path names it.
    camera : str
        After the lab's aliases; empty for the path of a session's folder.
    part : int or None
        Where the path names it.
    folder_depth : int
        How many names of the path, from its end, lie below the session's folder.
    stem : str
        What the names of the session's own files begin with where other sessions lie in its folder, too; empty: it has
        its folder for itself.
    """

    mouse_id: str
    session_date: date
    number: int | None
    time: time | None
    camera: str
    part: int | None
    folder_depth: int
    stem: str

    def folder_of(self, path: Path) -> Path:
        """The session's folder, of the path that was read."""
        return path if self.folder_depth == 0 else path.parents[self.folder_depth - 1]


@dataclass(frozen=True)
class Layout:
    """How a lab's recordings lie.

    Attributes
    ----------
    text : str
        A path below the raw folder with the fields ``{mouse}``, ``{date}`` (YYYY-MM-DD, or such as ``{date:%Y%m%d}``),
        ``{time:%H%M%S}``, ``{number}``, ``{camera}`` and ``{part}``, and ``*`` for any other text. Mouse, date and
        camera are needed; ``{camera=side}`` is the camera of all videos. Without an ending, any video's is taken. A
        text that ends in ``.csv`` is the name of a list instead, see `ingest.recording_list`.
    camera_aliases : mapping of str to str
        Camera by the other names that files give it.
    not_recordings : sequence of str
        Patterns of names of files and folders that are no recordings, with ``*`` for any text; case does not matter.
    ignores_case : bool
        Whether the file system takes ``Side.avi`` and ``side.avi`` for one file.

    Raises
    ------
    ingest.layout_text.LayoutError
        If the text cannot be understood.

    Examples
    --------
    >>> reading = Layout("{mouse}_{date:%Y%m%d}_{camera}.avi").read("raw/m1_20260302_side.avi")
    >>> reading.mouse_id, str(reading.session_date), reading.camera, reading.stem
    ('m1', '2026-03-02', 'side', 'm1_20260302')
    """

    text: str = DEFAULT_LAYOUT
    camera_aliases: Mapping[str, str] = field(default_factory=dict)
    not_recordings: Sequence[str] = NOT_RECORDINGS
    ignores_case: bool = False

    def __post_init__(self) -> None:
        if not self.is_list:
            _ = self.parts

    @property
    def is_list(self) -> bool:
        """Whether a CSV names the recordings."""
        return self.text.lower().endswith(".csv")

    @cached_property
    def parts(self) -> LayoutParts:
        """The layout taken apart."""
        return take_apart(self.text)

    @property
    def example(self) -> str:
        """A path that fits."""
        return example_of(self.parts)

    @cached_property
    def _first_of_camera(self) -> int:
        """The first name of a path that a camera or part may have of its own."""
        return min(self.parts.indices(("camera", "part")), default=len(self.parts.components) - 1)

    @cached_property
    def shares_folders(self) -> bool:
        """Whether the videos of several sessions may lie in one session's folder."""
        return max(self.parts.indices(SESSION_FIELDS)) >= self._first_of_camera

    @cached_property
    def n_below_folder(self) -> int:
        """How many names of a video's path lie below the session's folder."""
        first = self._first_of_camera if self.shares_folders else max(self.parts.indices(SESSION_FIELDS)) + 1
        return len(self.parts.components) - first

    def read(self, path: str, cameras: Collection[str] = ()) -> Reading | None:
        """Read a video's path from its end; None if it does not fit. Its ending is not looked at.

        Parameters
        ----------
        path : str
            With slashes.
        cameras : collection of str
            The lab's cameras, by which a path is read that could be read in two ways.

        Raises
        ------
        UnreadablePathError
            If its date or time does not exist, or if it can be read in two ways.
        """
        folder, slash, name = path.rpartition("/")
        return self.read_stem(f"{folder}{slash}{stem_of(name)}", cameras)

    def read_stem(self, path: str, cameras: Collection[str] = ()) -> Reading | None:
        """As `read`, of a path without an ending."""
        if self.is_list:
            return None
        names = one_spelling(path).split("/")[-len(self.parts.components) :]
        if len(names) < len(self.parts.components):
            return None
        text = "/".join(names)
        values = self._match(text)
        if values is None:
            return None
        other = self._match(text, lazy=True)
        if other is not None and other != values:
            known = {*self.camera_aliases, *self.camera_aliases.values(), *cameras}
            values, lazy = (self._match(text, lazy=lazy, cameras=known) for lazy in (False, True))
            if values is None or values != lazy:
                raise UnreadablePathError(_two_ways(self._match(text), other))
        camera = self.parts.camera or values["camera"]
        return self._reading(values, self.camera_aliases.get(camera, camera), self.n_below_folder)

    def read_folder(self, path: str) -> Reading | None:
        """Read the path of a session's folder; None if it does not fit, or if sessions share their folders.

        Raises
        ------
        UnreadablePathError
            If its date or time does not exist.
        """
        if self.is_list or self.shares_folders:
            return None
        n_names = len(self.parts.components) - self.n_below_folder
        match = self._folder_expression.fullmatch("/".join(one_spelling(path).split("/")[-n_names:]))
        return None if match is None else self._reading(match.groupdict(), "", 0)

    def exclusion(self, name: str) -> str | None:
        """The pattern by which a file or folder of this name is no recording; None if there is none.

        Examples
        --------
        >>> Layout().exclusion("sideDLC_resnet50_labeled.mp4")
        '*_labeled.*'
        """
        for pattern in self.not_recordings:
            if fnmatchcase(name.casefold(), pattern.casefold()):
                return pattern
        return None

    @cached_property
    def _expressions(self) -> dict[tuple[bool, frozenset[str]], re.Pattern[str]]:
        return {}

    def _match(self, text: str, *, lazy: bool = False, cameras: Collection[str] = ()) -> dict[str, str] | None:
        """What each group of the layout is in a text; None if it does not fit."""
        key = (lazy, frozenset(cameras))
        if key not in self._expressions:
            seen: set[str] = set()
            names = [
                expression(component, seen=seen, lazy=lazy, cameras=sorted(cameras))
                for component in self.parts.components
            ]
            self._expressions[key] = re.compile("/".join(names), self._flags)
        match = self._expressions[key].fullmatch(text)
        return None if match is None else match.groupdict()

    @cached_property
    def _folder_expression(self) -> re.Pattern[str]:
        seen: set[str] = set()
        components = self.parts.components[: -self.n_below_folder]
        return re.compile("/".join(expression(component, seen=seen) for component in components), self._flags)

    @property
    def _flags(self) -> re.RegexFlag:
        return re.IGNORECASE if self.ignores_case else re.NOFLAG

    def _reading(self, values: Mapping[str, str], camera: str, folder_depth: int) -> Reading:
        number, part = values.get("number"), values.get("part")
        return Reading(
            mouse_id=values["mouse"],
            session_date=_date(values),
            number=None if number is None else int(number),
            time=_time(values),
            camera=camera,
            part=None if part is None else int(part),
            folder_depth=folder_depth,
            stem=self._stem(values) if self.shares_folders else "",
        )

    def _stem(self, values: Mapping[str, str]) -> str:
        """Name of a session among others of its folder: the names below the folder, without camera, part and ``*``."""
        names = []
        for component in self.parts.components[-self.n_below_folder :]:
            if not any(token.field in SESSION_FIELDS for token in component):
                continue
            name = "".join(
                "" if token.field in ("camera", "part", "any") else values.get(token.group, token.text)
                for token in component
            )
            names.append(re.sub(rf"([{_SEPARATORS}])[{_SEPARATORS}]+", r"\1", name).strip(_SEPARATORS))
        return "_".join(names)


def stem_of(name: str) -> str:
    """Name of a video without its ending; also of one that is not taken, such as ``side.mp4.part``."""
    if name.lower().endswith(VIDEO_SUFFIXES):
        return name.rpartition(".")[0]
    other = other_video_stem(PurePosixPath(name))
    return PurePosixPath(name).stem if other is None else other


def is_video_name(name: str) -> bool:
    """Whether a file of this name is taken for a video: it has a known ending, and is not hidden."""
    return name.lower().endswith(VIDEO_SUFFIXES) and not name.startswith(".")


def _date(values: Mapping[str, str]) -> date:
    said = {name.removeprefix("date_"): value for name, value in values.items() if name.startswith("date_")}
    year = said.get("Y") or said["y"]
    if len(year) == 2:  # as POSIX and Python's strptime
        year = ("19" if int(year) >= 69 else "20") + year
    try:
        if "j" in said:
            return datetime.strptime(f"{year} {said['j']}", "%Y %j").date()
        month = int(said["m"]) if "m" in said else 1 + _MONTHS.index(said["b"].lower())
        return date(int(year), month, int(said["d"]))
    except ValueError as error:  # such as the 31st of February
        text = "-".join([year, *(said[name] for name in ("m", "b", "d", "j") if name in said)])
        raise UnreadablePathError(
            f"{text} is no date of the calendar ({error}). Correct the name, or {{date:...}} of the layout if"
            " year, month and day stand in another order"
        ) from error


def _time(values: Mapping[str, str]) -> time | None:
    said = {name.removeprefix("time_"): value for name, value in values.items() if name.startswith("time_")}
    if not said:
        return None
    try:
        microseconds = int(said.get("f", "0").ljust(6, "0"))
        return time(int(said["H"]), int(said["M"]), int(said.get("S", "0")), microseconds)
    except ValueError as error:
        text = ":".join(said[name] for name in ("H", "M", "S") if name in said)
        raise UnreadablePathError(f"{text} is no time of day ({error}). Correct the name") from error


def _two_ways(values: Mapping[str, str] | None, other: Mapping[str, str]) -> str:
    ways = [
        ", ".join(f"{name} {way[name]!r}" for name in way if (values or {}).get(name) != other.get(name))
        for way in (values or {}, other)
    ]
    return (
        f"it can be read in two ways: {ways[0]}; or {ways[1]}. No camera that is known, nor an alias of one, says"
        " which. Add the camera, or list the files in a CSV and set layout to its name"
    )
