"""The optional file beside the videos, `session.toml`: what it may say, and what it says."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from compute.errors import SessionError
from schemas.metadata import MetadataColumn
from schemas.session import Session, Video
from schemas.subject import Mouse


@dataclass(frozen=True)
class SessionFile:
    """What session.toml says; everything is optional, and what it does not say is not here.

    Attributes
    ----------
    session, mouse : dict
        Values by column of `Session` and of `Mouse`.
    videos : dict of dict
        Values by column of `Video`, for each camera.
    """

    session: dict[str, Any] = field(default_factory=dict)
    mouse: dict[str, Any] = field(default_factory=dict)
    videos: dict[str, dict[str, Any]] = field(default_factory=dict)


def read_session_file(path: Path) -> SessionFile:
    """Read a session.toml; without one, nothing is known.

    Raises
    ------
    SessionError
        If the file is no TOML or no UTF-8, holds a control character, an unknown key (it may be a typo) or a value of
        the wrong kind.
    """
    if not path.exists():
        return SessionFile()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        _refuse_control_characters(path, document)
        said = _MODEL.model_validate(document).model_dump(exclude_unset=True)
    except UnicodeDecodeError as error:
        line = 1 + error.object[: error.start].count(b"\n")
        raise SessionError(
            f"{path} is not UTF-8: byte {error.object[error.start]:#04x} in line {line}. In your text editor, open it,"
            " save it as UTF-8 and look at its letters, then ingest again"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise SessionError(
            f'{path} is not valid TOML: {error}. Mend that line: text stands in quotes (rig = "rig 2"), dates and'
            " numbers do not (start = 2026-03-02T10:30:00)"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SessionError(
            f"{path}: {place}: {first['msg'].lower()}; known are {', '.join(session_file_places())}"
        ) from error
    videos: dict[str, dict[str, Any]] = {}
    for column in Video.metadata:
        for camera, value in said.get(column.toml_key, {}).items():
            videos.setdefault(camera, {})[column.name] = value
    return SessionFile(_by_column(Session.metadata, said), _by_column(Mouse.metadata, said.get("mouse", {})), videos)


def _refuse_control_characters(path: object, said: Any, place: str = "") -> None:
    """Refuse characters that are none to read: of NUL, PostgreSQL holds no text."""
    if isinstance(said, dict):
        for key, value in said.items():
            _refuse_control_characters(path, key, "a name")
            _refuse_control_characters(path, value, f"{place}.{key}" if place else key)
    elif isinstance(said, list):
        for value in said:
            _refuse_control_characters(path, value, place)
    elif isinstance(said, str):
        found = next((one for one in said if unicodedata.category(one) == "Cc" and one not in "\t\n\r"), None)
        if found is not None:
            raise SessionError(
                f"{path}: {place} holds the control character U+{ord(found):04X} in {said!r}; expected text, tabs and"
                f" line breaks. Write it without the character, which may stand there as \\u{ord(found):04X}, then"
                " ingest again"
            )


def parse_values(told: str, said: Mapping[str, str], *, of_mouse: bool) -> SessionFile:
    """What a person says of a mouse, or of a session and its videos, outside of a session.toml.

    Parameters
    ----------
    told : str
        Who says it, for messages: the command, or the line of a file.
    said : mapping of str to str
        Texts by place in session.toml, such as ``rig`` or ``px_per_mm.side``, without ``mouse.``; or by column. An
        empty text: it is to be forgotten.
    of_mouse : bool
        Whether it is said of a mouse.

    Raises
    ------
    SessionError
        If there is no such place, or its value is of the wrong kind.

    Examples
    --------
    >>> parse_values("here", {"rig": "rig 2", "px_per_mm.side": "12.5"}, of_mouse=False)
    SessionFile(session={'rig': 'rig 2'}, mouse={}, videos={'side': {'px_per_mm': 12.5}})
    >>> parse_values("here", {"sex": "", "date_of_birth": "2026-01-05"}, of_mouse=True).mouse
    {'sex': 'unknown', 'date_of_birth': datetime.date(2026, 1, 5)}
    """
    columns = Mouse.metadata if of_mouse else (*Session.metadata, *Video.metadata)
    by_name = {name: column for column in columns for name in (column.name, column.toml_key)}
    found = SessionFile()
    for place, text in said.items():
        name, _, camera = place.partition(".")
        column = by_name.get(name)
        if column is None or bool(camera) != (column in Video.metadata):
            known = [column.toml_key + ".<camera>" * (column in Video.metadata) for column in columns]
            raise SessionError(f"{told}: there is no {place!r} to say; known are {', '.join(known)}")
        part = found.mouse if of_mouse else found.videos.setdefault(camera, {}) if camera else found.session
        part[column.name] = _parse_value(told, column, text) if text.strip() else column.unknown
    return found


def _parse_value(told: str, column: MetadataColumn, text: str) -> Any:
    """A value from text, by the rules of session.toml."""
    _refuse_control_characters(told, text, column.toml_key)
    if column.python_type in (date, datetime) and not re.match(r"\d{4}-\d{2}-\d{2}", text.strip()):
        raise SessionError(f"{told}: {column.toml_key} is {text!r}; expected a day, such as 2026-03-02")
    try:
        return TypeAdapter(_type(column)).validate_python(text.strip())
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise SessionError(f"{told}: {column.toml_key} is {text!r}: {message[0].lower()}{message[1:]}") from error


def unused_video_values(file: SessionFile, cameras: Iterable[str]) -> list[str]:
    """For people: what a session.toml says of cameras that have no video in the session.

    Examples
    --------
    >>> unused_video_values(SessionFile(videos={"side": {"px_per_mm": 10.0}, "lower": {"px_per_mm": 9.0}}), ["side"])
    ['px_per_mm of lower is 9.0 in session.toml and is not used: the session has no video of camera lower']
    """
    known = set(cameras)
    return [
        f"{name} of {camera} is {value} in session.toml and is not used: the session has no video of camera {camera}"
        for camera, values in file.videos.items()
        if camera not in known
        for name, value in values.items()
    ]


def session_file_json(file: SessionFile) -> dict[str, dict[str, Any]]:
    """What a session.toml says as JSON can hold it: dates and times as text.

    Examples
    --------
    >>> session_file_json(SessionFile(mouse={"date_of_birth": date(2026, 1, 1)}))
    {'session': {}, 'mouse': {'date_of_birth': '2026-01-01'}, 'videos': {}}
    """
    videos = {camera: _plain(values) for camera, values in file.videos.items()}
    return {"session": _plain(file.session), "mouse": _plain(file.mouse), "videos": videos}


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in values.items()}


def _by_column(metadata: Iterable[MetadataColumn], said: dict[str, Any]) -> dict[str, Any]:
    return {column.name: said[column.toml_key] for column in metadata if column.toml_key in said}


def _type(column: MetadataColumn) -> Any:
    """Pydantic's type of a value in session.toml."""
    if column.values:
        return Literal[column.values]
    limits: dict[str, Any] = {"max_length": column.max_length, "gt": column.above}
    if column.python_type is float:
        limits["allow_inf_nan"] = False
    if column.n_bits is not None:
        limits |= {"ge": -(2 ** (column.n_bits - 1)), "lt": 2 ** (column.n_bits - 1)}
    check = {str: _stripped, date: _day, datetime: _day_and_time}.get(column.python_type, _number)
    said: Any = Annotated[column.python_type, BeforeValidator(check)]
    return Annotated[said, Field(**{name: limit for name, limit in limits.items() if limit is not None})]


def _stripped(value: Any) -> Any:
    """A text without blanks around it: such as ``"  "`` says nothing."""
    return value.strip() if isinstance(value, str) else value


def _number(value: Any) -> Any:
    """Refuse true and false, of which Pydantic would make 1 and 0."""
    if isinstance(value, bool):
        raise ValueError(f"{str(value).lower()} is no number; expected one, such as 20. Give it, or remove the line")
    return value


def _day(value: Any) -> Any:
    """Refuse a number, of which Pydantic would make a day: it takes it for seconds since 1970."""
    if isinstance(value, int | float):
        raise ValueError(
            f"{str(value).lower()} is no day; expected one, such as 2026-03-02. Give it, or remove the line"
        )
    return value


def _day_and_time(value: Any) -> Any:
    """Refuse what is no instant, though Pydantic would make one of it: a day, or seconds since 1970."""
    is_day = isinstance(value, date) and not isinstance(value, datetime)
    if (
        is_day
        or isinstance(value, int | float)
        or (isinstance(value, str) and "T" not in value.strip().replace(" ", "T"))
    ):
        raise ValueError(f"{value} is no day with a time, such as 2026-03-02T10:30:00 or 2026-03-02T10:30:00+01:00")
    return value


def _model(name: str, types: dict[str, Any]) -> type[BaseModel]:
    """A model whose fields have these types and are all optional; an unknown key is refused."""
    fields: dict[str, Any] = {key: (one, None) for key, one in types.items()}
    return create_model(name, __config__=ConfigDict(extra="forbid", protected_namespaces=()), **fields)


def _types(metadata: Iterable[MetadataColumn]) -> dict[str, Any]:
    return {column.toml_key: _type(column) for column in metadata}


_MODEL = _model(
    "session.toml",
    {
        **_types(Session.metadata),
        "mouse": _model("mouse", _types(Mouse.metadata)),
        **{key: dict.__class_getitem__((str, one)) for key, one in _types(Video.metadata).items()},
    },
)


def session_file_places() -> dict[str, MetadataColumn]:
    """Everything that session.toml may say: its place in the file, with the section, and its column.

    Examples
    --------
    >>> session_file_places()["mouse.sex"].values
    ('female', 'male', 'unknown')
    """
    return {
        **{column.toml_key: column for column in Session.metadata},
        **{f"{column.toml_key}.<camera>": column for column in Video.metadata},
        **{f"mouse.{column.toml_key}": column for column in Mouse.metadata},
    }


def session_file_table() -> str:
    r"""What session.toml may say, as a table in Markdown.

    Examples
    --------
    >>> lines = session_file_table().splitlines()
    >>> print("\n".join(line for line in lines if "mouse.sex" in line or "px_per_mm" in line))
    | `px_per_mm.<camera>` | number above 0 | scale at the mouse; null: unknown | `px_per_mm` |
    | `mouse.sex` | `"female"`, `"male"`, `"unknown"` | sex of the mouse | `sex` |
    """
    lines = ["| in session.toml | value | meaning | column of the tables and of queries |", "| --- | --- | --- | --- |"]
    lines += [
        f"| `{place}` | {_value(column)} | {column.text} | `{column.name}` |"
        for place, column in session_file_places().items()
    ]
    return "\n".join(lines) + "\n"


def _value(column: MetadataColumn) -> str:
    """What a value of session.toml looks like, for people."""
    if column.values:
        return ", ".join(f'`"{value}"`' for value in column.values)
    if column.is_text:
        return f"text in quotes, at most {column.max_length} characters"
    kinds: dict[type, str] = {
        date: "day, such as `2026-03-02`",
        datetime: "day and time, such as `2026-03-02T10:30:00` or `2026-03-02T10:30:00+01:00`",
        float: "number",
        int: "whole number",
    }
    kind = kinds[column.python_type]
    return kind if column.above is None else f"{kind} above {column.above:g}"
