"""The line that says how paths name mouse, date, number, camera and part, taken apart: see `ingest.layout.Layout`."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from compute.errors import SessionError
from compute.files import VIDEO_SUFFIXES
from compute.text import one_spelling
from ingest.other_files import OTHER_VIDEO_SUFFIXES

_RULES = {"mouse": "[^/]+", "number": r"\d+", "camera": "[^/]+", "part": r"\d+", "any": "[^/]*"}
_DATE = {"Y": r"\d{4}", "y": r"\d\d", "m": r"\d\d", "d": r"\d\d", "b": "[A-Za-z]{3}", "j": r"\d{3}"}
_TIME = {"H": r"\d\d", "M": r"\d\d", "S": r"\d\d", "f": r"\d{1,6}"}
_UNPADDED = r"\d\d?"
_DEFAULT_FORMATS = {"date": "%Y-%m-%d", "time": "%H%M%S"}
FIELDS = ("mouse", "date", "time", "number", "camera", "part")
SESSION_FIELDS = ("mouse", "date", "time", "number")
"""Those that tell one session from another."""

_EXAMPLE = {"mouse": "mouse01", "number": "1", "camera": "side", "part": "1", "any": "x"}
_EXAMPLE_DATE = {"Y": "2026", "y": "26", "m": "03", "d": "02", "b": "Mar", "j": "061"}
_EXAMPLE_TIME = {"H": "10", "M": "30", "S": "00", "f": "0"}


class LayoutError(SessionError):
    """A layout that cannot be understood."""


@dataclass(frozen=True)
class Token:
    """A piece of a layout.

    Attributes
    ----------
    field : str
        Which of `FIELDS` it is a piece of; "any" for a ``*``; empty for text.
    text : str
        The text itself; of a field, the letter of `datetime.strftime` or empty.
    rule : str
        Regular expression of what may stand there.
    """

    field: str
    text: str
    rule: str

    @property
    def group(self) -> str:
        """Name of its group in a regular expression; empty for text."""
        if not self.field or self.rule == re.escape(self.text):
            return ""
        return f"{self.field}_{self.text}" if self.text else self.field

    @property
    def is_free(self) -> bool:
        """Whether nothing but its neighbours says where it ends."""
        return self.rule in (*_RULES.values(), _UNPADDED, _TIME["f"])


Component = tuple[Token, ...]
"""Tokens of one folder's name, or of the file's."""


@dataclass(frozen=True)
class LayoutParts:
    """A layout taken apart.

    Attributes
    ----------
    components : tuple of Component
        From the upmost folder to the file, without its ending.
    suffix : str
        Ending of the files, in lower case; empty: any of `compute.files.VIDEO_SUFFIXES`.
    camera : str
        Camera of all videos, where the layout says so; empty: the path names it.
    """

    components: tuple[Component, ...]
    suffix: str
    camera: str

    def indices(self, fields: Iterable[str]) -> list[int]:
        """Components that hold one of the fields."""
        return [i for i, tokens in enumerate(self.components) if any(token.field in fields for token in tokens)]


def take_apart(layout: str) -> LayoutParts:
    """Take a layout apart.

    Raises
    ------
    LayoutError
        If a field is missing, unknown or cannot be told from its neighbour, or a format or an ending is not known. The
        message names what is wrong, and what to write.
    """
    if "\\" in layout or layout.startswith("/") or "//" in layout or layout.endswith("/"):
        raise LayoutError(f"{layout!r}: expected names with one / between them, below the raw folder")
    tokens, camera = _tokens(layout)
    fields = {token.field for token in tokens}
    if camera:
        fields.add("camera")
    missing = [name for name in ("mouse", "date", "camera") if name not in fields]
    if missing:
        hint = "; if all videos are of one camera, add it at the end, such as {camera=side}" * ("camera" in missing)
        lacking = " and ".join(f"{{{name}}}" for name in missing)
        raise LayoutError(f"{layout!r} lacks {lacking}: write it where the path names it{hint}")
    _check_formats(layout, tokens)
    components = tuple(_split(tokens))
    for component in components:
        for one, following in itertools.pairwise(component):
            if one.is_free and following.is_free:
                names = [f"{{{token.field}}}".replace("{any}", "*") for token in (one, following)]
                raise LayoutError(
                    f"{layout!r}: nothing between {' and '.join(names)} says where the one ends and the other begins."
                    " Write the text that stands between them, or list the files in a CSV"
                )
    last, suffix = _without_suffix(layout, components[-1])
    return LayoutParts((*components[:-1], last), suffix, camera)


def expression(tokens: Sequence[Token], *, seen: set[str], lazy: bool = False, cameras: Sequence[str] = ()) -> str:
    """Regular expression of a component; a group that was seen before must be the same text again.

    Parameters
    ----------
    tokens : sequence of Token
        The component.
    seen : set of str
        Groups of the components before; those of this one are added.
    lazy : bool
        Whether the first of two free fields takes as little as it can, and not as much.
    cameras : sequence of str
        The only cameras there are; empty: any name.
    """
    text = ""
    for token in tokens:
        if not token.group or token.group == "any":
            text += token.rule + ("?" if lazy and token.group else "")
        elif token.group in seen:
            text += f"(?P={token.group})"
        else:
            rule = token.rule
            if token.field == "camera" and cameras:
                rule = "|".join(re.escape(one_spelling(one)) for one in sorted(cameras))
            elif token.is_free and lazy:
                rule += "?"
            text += f"(?P<{token.group}>{rule})"
            seen.add(token.group)
    return text


def example_of(parts: LayoutParts) -> str:
    """A path that fits.

    Examples
    --------
    >>> example_of(take_apart("{date}/{mouse}_{time:%H-%M}_{camera}.avi"))
    '2026-03-02/mouse01_10-30_side.avi'
    """
    values = {
        **_EXAMPLE,
        **{f"date_{letter}": value for letter, value in _EXAMPLE_DATE.items()},
        **{f"time_{letter}": value for letter, value in _EXAMPLE_TIME.items()},
    }
    names = ["".join(values.get(token.group, token.text) for token in tokens) for tokens in parts.components]
    return "/".join(names) + (parts.suffix or ".mp4")


def text_of(tokens: Sequence[Token]) -> str:
    """A component as a person would write it.

    Examples
    --------
    >>> [text_of(component) for component in take_apart("{mouse}/{date:%y%m%d}_*/{camera}.avi").components]
    ['{mouse}', '{date:%y%m%d}_*', '{camera}']
    """
    written = ""
    for field, group in itertools.groupby(tokens, lambda token: token.field):
        of_field = list(group)
        if field in _DEFAULT_FORMATS:
            form = "".join(f"%{token.text}" if token.group else token.text for token in of_field)
            written += f"{{{field}}}" if form == _DEFAULT_FORMATS[field] else f"{{{field}:{form}}}"
        elif field:
            written += "".join("*" if field == "any" else f"{{{field}}}" for _ in of_field)
        else:
            written += "".join(token.text for token in of_field)
    return written


def _tokens(layout: str) -> tuple[list[Token], str]:
    """Tokens of a layout, and the camera of all videos if it names one."""
    tokens: list[Token] = []
    camera = ""
    for piece in re.split(r"(\{[^{}]*\}|\*)", layout):
        if piece == "*":
            tokens.append(Token("any", "", _RULES["any"]))
        elif piece.startswith("{") and piece.endswith("}"):
            name, colon, form = piece[1:-1].partition(":")
            if name.startswith("camera=") and len(name) > len("camera="):
                camera = name.removeprefix("camera=")
            elif name not in FIELDS:
                known = ", ".join(f"{{{one}}}" for one in FIELDS)
                raise LayoutError(f"{layout!r}: {piece} is no field; known are {known}, and * for anything else")
            elif name in _DEFAULT_FORMATS:
                tokens += _format_tokens(layout, name, form or _DEFAULT_FORMATS[name])
            elif colon:
                raise LayoutError(f"{layout!r}: {piece} has a format, which only {{date}} and {{time}} have")
            else:
                tokens.append(Token(name, "", _RULES[name]))
        elif piece:
            if set(piece) & set("{}"):
                raise LayoutError(f"{layout!r}: a brace is not closed or not opened; expected such as {{mouse}}")
            tokens.append(_literal("", piece))
    if camera and any(token.field == "camera" for token in tokens):
        raise LayoutError(f"{layout!r} names the camera twice, as {{camera}} and as {{camera={camera}}}; expected one")
    return tokens, camera


def _format_tokens(layout: str, field: str, form: str) -> Iterator[Token]:
    """Tokens of the format of a date or time."""
    letters = _DATE if field == "date" else _TIME
    for piece in re.split(r"(%-?.)", form):
        letter = piece[-1:]
        if piece.startswith("%") and letter in letters:
            rule = _UNPADDED if piece.startswith("%-") and letters[letter] == r"\d\d" else letters[letter]
            yield Token(field, letter, rule)
        elif piece.startswith("%"):
            known = " ".join(f"%{one}" for one in letters)
            hint = ". The time of day stands in a field of its own, such as {time:%H%M%S}" * (letter in _TIME)
            raise LayoutError(f"{layout!r}: {piece} is not known in {{{field}}}; known are {known}{hint}")
        elif piece:
            yield _literal(field, piece)


def _literal(field: str, text: str) -> Token:
    text = one_spelling(text)
    return Token(field, text, re.escape(text))


def _check_formats(layout: str, tokens: Sequence[Token]) -> None:
    """A date needs year, month and day, a time hours and minutes; they may stand in several places."""
    letters = {token.group for token in tokens}
    has_day = {"date_j"} <= letters or ("date_d" in letters and letters & {"date_m", "date_b"})
    if not letters & {"date_Y", "date_y"} or not has_day:
        raise LayoutError(f"{layout!r}: {{date}} lacks the year, month or day; expected such as {{date:%Y%m%d}}")
    if any(token.field == "time" for token in tokens) and not {"time_H", "time_M"} <= letters:
        raise LayoutError(f"{layout!r}: {{time}} lacks the hour or minute; expected such as {{time:%H%M%S}}")


def _split(tokens: Iterable[Token]) -> Iterator[Component]:
    """Components of the tokens: a slash begins a new one, also in a date such as ``{date:%Y/%m/%d}``."""
    component: list[Token] = []
    for token in tokens:
        if token.group:
            component.append(token)
            continue
        first, *others = token.text.split("/")
        component += [_literal(token.field, first)] if first else []
        for other in others:
            yield tuple(component)
            component = [_literal(token.field, other)] if other else []
    yield tuple(component)


def _without_suffix(layout: str, component: Component) -> tuple[Component, str]:
    """The file's name without its ending, and the ending; ``.*`` is any."""
    last = component[-1] if component else None
    if last is not None and last.field == "any" and len(component) > 1 and component[-2].text.endswith("."):
        return (*component[:-2], *_trimmed(component[-2], 1)), ""
    if last is None or last.group:
        return component, ""
    suffix = "." + last.text.rpartition(".")[2].lower() if "." in last.text else ""
    if suffix in OTHER_VIDEO_SUFFIXES:
        raise LayoutError(
            f"{layout!r}: videos with the ending {suffix} are not taken; accepted are {', '.join(VIDEO_SUFFIXES)}"
        )
    if suffix not in VIDEO_SUFFIXES:
        return component, ""
    return (*component[:-1], *_trimmed(last, len(suffix))), suffix


def _trimmed(token: Token, n_characters: int) -> list[Token]:
    text = token.text[:-n_characters]
    return [_literal(token.field, text)] if text else []
