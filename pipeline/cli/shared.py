"""What every command shares: the connection, `--json`, and how errors are said."""

from __future__ import annotations

import functools
import signal
import sys
from collections.abc import Callable
from typing import Any

import rich_click as click
from rich.markup import escape

from compute.errors import OldDatabaseError, OrofacialError
from pipeline.terminal import errors, print_json_line

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")


def says_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn this project's errors into one message and exit code 1; Ctrl-C into exit code 130."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        # SIGTERM would skip every clean-up, the embedded database's too.
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
        try:
            return function(*args, **kwargs)
        except OrofacialError as error:
            from pipeline.database.passwords import hidden

            message = hidden(str(error))
            if kwargs.get("as_json"):
                print_json_line({"error": message})
            errors.print(f"[bold red]error:[/] {escape(message)}")
            sys.exit(1)
        except KeyboardInterrupt:
            errors.print("stopped; what was finished is kept, run the command again to go on")
            sys.exit(130)

    return wrapper


def connect(context: click.Context) -> Any:
    """Connect to the database and activate the tables; return the settings.

    Raises
    ------
    OrofacialError
        If the settings, the database or a store cannot be used.
    """
    from pipeline.database.connection import connect as connect_database
    from pipeline.settings import load_settings

    settings = load_settings(context.find_root().obj)
    connection = connect_database(settings)
    import schemas

    try:
        schemas.activate(settings.schema_prefix, connection)
    except OldDatabaseError as error:
        if context.params.get("as_json"):
            raise
        from pipeline.cli.upgrading import offer_upgrade

        offer_upgrade(settings, error)
    return settings


def session_key(text: str, settings: Any) -> dict[str, Any]:
    """Key of the session that a person named: `mouse01/2026-03-02_1`, or the path of its folder.

    Raises
    ------
    SessionError
        If the text names no session, or there is no such session.
    """
    from compute.errors import SessionError
    from ingest.layout import parse_name
    from schemas.session import Session

    path = text.rstrip("/")
    name = parse_name(path) or parse_name(path, settings.session_pattern)
    if name is None:
        raise SessionError(f"{text!r} names no session; expected <mouse>/<date>_<number>, such as mouse01/2026-03-02_1")
    if not Session & name.key:
        raise SessionError(f"no session {name} in the database; 'orofacial status' lists those there are")
    return name.key
