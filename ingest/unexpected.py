"""Which errors belong to one session, so that the next one may go on, and which to the database or this machine."""

from __future__ import annotations

import psycopg2
import pymysql
from datajoint.errors import (
    AccessError,
    BucketInaccessible,
    LostConnectionError,
    MissingTableError,
    QuerySyntaxError,
    ThreadSafetyError,
    UnknownAttributeError,
)

_OF_ALL_SESSIONS = (
    *(LostConnectionError, AccessError, MissingTableError, UnknownAttributeError, QuerySyntaxError),
    *(BucketInaccessible, ThreadSafetyError, MemoryError, ImportError),
)
_DRIVERS = (psycopg2.Error, pymysql.Error)
_OF_CONTENT = (psycopg2.DataError, psycopg2.IntegrityError, pymysql.DataError, pymysql.IntegrityError)
_MYSQL_WRONG_VALUE = 1366
"""PyMySQL has no class for it."""


def is_of_one_session(error: BaseException | None) -> bool:
    """Whether an error comes from what one session holds; a lost connection would meet the next one too.

    Examples
    --------
    >>> is_of_one_session(ValueError("a string holds NUL")), is_of_one_session(psycopg2.OperationalError("no server"))
    (True, False)
    """
    while error is not None:
        if isinstance(error, _OF_ALL_SESSIONS):
            return False
        if isinstance(error, _DRIVERS) and not isinstance(error, _OF_CONTENT):
            return bool(error.args) and error.args[0] == _MYSQL_WRONG_VALUE
        error = error.__cause__
    return True
