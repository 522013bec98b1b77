"""Shared by all commands: the connection, `--json`, and error messages."""

from __future__ import annotations

import functools
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rich_click as click
from rich.markup import escape

from compute.errors import AnswerWarning, OldDatabaseError, OrofacialError
from pipeline.terminal import errors, print_json_line

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")


def command_says_errors(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn this project's errors into one message and exit code 1, warnings into lines, Ctrl-C into exit code 130."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        quiet_datajoint()
        # By default SIGTERM would skip every clean-up, also that of the embedded database.
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
        try:
            with _warnings_said():
                return function(*args, **kwargs)
        except OrofacialError as error:
            from pipeline.database.passwords import hide_password

            message = hide_password(str(error))
            if kwargs.get("as_json"):
                print_json_line({"error": message})
            errors.print(f"[bold red]error:[/] {escape(message)}")
            sys.exit(1)
        except KeyboardInterrupt:
            errors.print("stopped; what was finished is kept, run the command again to go on")
            sys.exit(130)

    return wrapper


def warn_in_yellow(text: str) -> None:
    """Say on stderr what a person should look at; nothing if the text is empty."""
    if text:
        errors.print(text, markup=False, style="yellow")


@contextmanager
def _warnings_said() -> Iterator[None]:
    """Say on stderr what a reader has to know of an answer, at once; other warnings are shown as before."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", AnswerWarning)
        show = warnings.showwarning

        def say(message: Warning | str, category: type[Warning], *place: Any, **options: Any) -> None:
            if issubclass(category, AnswerWarning):
                warn_in_yellow(str(message))
            else:
                show(message, category, *place, **options)

        warnings.showwarning = say
        yield


@contextmanager
def _making_said() -> Iterator[None]:
    """Say on stderr what opening a lab makes, as it is made: a new database takes some seconds."""
    logger, handler = logging.getLogger("orofacial"), _StderrLines()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


class _StderrLines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        errors.print(record.getMessage(), markup=False)


def quiet_datajoint() -> None:
    """Let DataJoint log warnings only, and on stderr: stdout belongs to a command's result.

    A ``loglevel`` in DataJoint's own configuration wins. Call it before DataJoint is imported.
    """
    os.environ["DJ_LOG_STREAM"] = "stderr"
    logging.getLogger("datajoint").addFilter(_is_for_users)


def _is_for_users(record: logging.LogRecord) -> bool:
    config = getattr(sys.modules.get("datajoint"), "config", None)
    return record.levelno >= logging.WARNING or (config is not None and "loglevel" in config.model_fields_set)


def connect_command(context: click.Context) -> Any:
    """Connect to the database and activate the tables; return the settings.

    Raises
    ------
    OrofacialError
        If the settings, the database or a store cannot be used.
    """
    from pipeline.lab import connect_lab

    try:
        with _making_said():
            return connect_lab(context.find_root().obj).settings
    except OldDatabaseError as error:
        if context.params.get("as_json"):
            raise
        from pipeline.cli.upgrading import offer_upgrade
        from pipeline.settings import load_settings

        offer_upgrade(load_settings(context.find_root().obj), error)
        return connect_lab(context.find_root().obj).settings
