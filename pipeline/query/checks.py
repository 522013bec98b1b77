"""Checks of a question, and its error messages."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date as Date
from typing import Any

from datajoint.condition import Not
from datajoint.errors import AccessError, DataJointError, LostConnectionError

from compute.errors import OrofacialError


class QueryError(OrofacialError):
    """A question about something that the database does not hold, or tracks that cannot be read."""


def checked_texts(name: str, value: Any) -> tuple[str, ...]:
    """One text or several as a tuple; one that is given twice counts once.

    Raises
    ------
    QueryError
        If it is anything else.
    """
    if value is None or isinstance(value, str):
        return () if value is None else (value,)
    if isinstance(value, (bytes, Mapping)) or not hasattr(value, "__iter__"):
        raise QueryError(f"{name}={value!r}; expected a text or a list of texts")
    several = tuple(dict.fromkeys(value))
    if not all(isinstance(one, str) for one in several):
        raise QueryError(f"{name}={value!r}; expected a text or a list of texts")
    return several


def checked_days(value: Any) -> tuple[Date, Date]:
    """First and last day.

    Raises
    ------
    QueryError
        If it is neither a day nor two of them, or the first comes after the last.
    """
    expected = "expected a day such as 2026-03-02, or two of them, the first and the last"
    if not isinstance(value, (str, Date, Sequence)):
        raise QueryError(f"date {value!r}; {expected}")
    given = (value, value) if isinstance(value, (str, Date)) else tuple(value)
    if len(given) != 2:
        raise QueryError(f"date {value!r} has {len(given)} days; {expected}")
    try:
        first, last = (Date.fromisoformat(str(day)[:10]) for day in given)
    except ValueError as error:
        raise QueryError(f"date {value!r}: {error}; {expected}") from None
    if first > last:
        raise QueryError(f"date {value!r}: {first} comes after {last}; {expected}")
    return first, last


def checked_time_span(value: Any) -> tuple[float, float] | None:
    """Start and end (s); an open end is infinite.

    Raises
    ------
    QueryError
        If it is no pair of numbers or None, or the start is not before the end.

    Examples
    --------
    >>> checked_time_span((5, None))
    (5.0, inf)
    """
    if value is None:
        return None
    refused = QueryError(
        f"time_span_s={value!r} (--from and --to in a shell); expected start and end in seconds, such as (0, 60),"
        " the start before the end, None for an open end"
    )
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
        raise refused
    try:
        start_s = -math.inf if value[0] is None else float(value[0])
        end_s = math.inf if value[1] is None else float(value[1])
    except (TypeError, ValueError):
        raise refused from None
    if not start_s < end_s:  # also if one is NaN
        raise refused
    return start_s, end_s


def checked_restriction(query: Any, restriction: Any) -> Any:
    """A DataJoint expression with one more restriction, whose columns all exist.

    Raises
    ------
    QueryError
        If it names an unknown column: DataJoint would let a dict with only unknown keys match all rows.
    """
    for name in _names(restriction):
        if name not in query.heading.names:
            raise QueryError(f"restriction {restriction!r}: there is no column {name!r}; {_columns(query)}")
    with checking_columns(lambda: query, restriction):
        return query & restriction


@contextmanager
def checking_columns(expression: Callable[[], Any], restriction: Any) -> Iterator[None]:
    """Translate errors that a restriction causes into one message with the available columns; other errors pass.

    Raises
    ------
    QueryError
        Instead of errors that the restriction caused.
    """
    try:
        yield
    except Exception as error:
        if restriction is None or not _is_about_statement(error):
            raise
        # MySQL's driver gives a number first; PostgreSQL's says below where in its statement.
        said = next((text for text in error.args if isinstance(text, str) and text), str(error))
        raise QueryError(
            f"restriction {restriction!r} cannot be used: {said.splitlines()[0].rstrip('.')}; {_columns(expression())}"
        ) from error


def _is_about_statement(error: Exception) -> bool:
    if isinstance(error, DataJointError):
        return not isinstance(error, (LostConnectionError, AccessError))
    # What DataJoint does not translate comes as the driver's own; these names are the DB-API's.
    return bool({"ProgrammingError", "DataError"} & {cls.__name__ for cls in type(error).__mro__})


def _names(restriction: Any) -> Iterator[str]:
    """Columns that mappings in a restriction name."""
    if isinstance(restriction, Not):
        yield from _names(restriction.restriction)
    elif isinstance(restriction, Mapping):
        yield from (str(name).split(".", 1)[0] for name in restriction)
    elif isinstance(restriction, (list, tuple, set)):
        for one in restriction:
            yield from _names(one)


def _columns(query: Any) -> str:
    names = [name for name in query.heading.names if name not in ("filtered_tracks", "raw_tracks")]
    return f"columns are {', '.join(names)}; a text is quoted with ', such as rig='left'"
