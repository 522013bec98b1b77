"""Why a path does not fit a layout, for people: which name, what was expected, what to write."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from compute.text import one_spelling
from ingest.layout import Layout, stem_of
from ingest.layout_text import Component, Token, expression, text_of

_DATE_FORMATS = ("%Y-%m-%d", "%Y%m%d", "%y%m%d", "%Y_%m_%d", "%y-%m-%d", "%m%d%y", "%d%m%y", "%d-%m-%Y", "%m-%d-%Y")
_EXPECTED = {"number": "digits", "part": "digits", "date": "such a date", "time": "such a time"}


def why_not(layout: Layout, path: str) -> str:
    """Why a video's path does not fit.

    Parameters
    ----------
    layout : Layout
        A layout that is no list.
    path : str
        Below the raw folder, with slashes.

    Examples
    --------
    >>> why_not(Layout(), "mouse01/20260302_1/side.mp4")
    "'20260302_1' is not {date}_{number}: its date would be '20260302'; if dates are written so, {date:%Y%m%d}"
    """
    components = layout.parts.components
    folder, slash, name = one_spelling(path).rpartition("/")
    names = f"{folder}{slash}{stem_of(name)}".split("/")
    if len(names) < len(components):
        return (
            f"it has {len(names)} of the {len(components)} names that {layout.text} has with the folders; expected such"
            f" as {layout.example}"
        )
    for component, found in zip(components, names[-len(components) :], strict=True):
        if not _fits(component, found):
            return f"{found!r} is not {text_of(component)}{_culprit(component, found)}"
    return f"a field that {layout.text} names twice is not the same in both places"


def _fits(component: Component, text: str) -> bool:
    return re.fullmatch(expression(component, seen=set()), text) is not None


def _culprit(component: Component, text: str) -> str:
    """Which field does not fit, if it is one that is not any name."""
    for field, expected in _EXPECTED.items():
        if not any(token.field == field for token in component):
            continue
        match = re.fullmatch(expression(_loosened(component, field), seen=set()), text)
        if match is None:
            continue
        found = match["loose"]
        hint = ""
        if field == "date" and (form := _date_format(found)):
            hint = f"; if dates are written so, {{date:{form}}}" if form != "%Y-%m-%d" else "; that is {date}"
        return f": its {field} would be {found!r}" + (hint or f"; expected {expected}")
    return ""


def _loosened(component: Component, field: str) -> Sequence[Token]:
    """The component with any text where the field stands."""
    loose: list[Token] = []
    for token in component:
        if token.field != field:
            loose.append(token)
        elif not loose or loose[-1].field != "loose":
            loose.append(Token("loose", "", "[^/]+"))
    return loose


def _date_format(text: str) -> str:
    """The first usual way to write a date that fits and is of our time; empty: none."""
    for form in _DATE_FORMATS:
        try:
            if 1990 <= datetime.strptime(text, form).year <= datetime.now().year:
                return form
        except ValueError:
            continue
    return ""
