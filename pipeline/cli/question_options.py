"""The options by which every command that asks says which tracks: `tracks`, `sql` and `export` take the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import rich_click as click

if TYPE_CHECKING:
    from pipeline.settings import Settings


def question_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which tracks, of every command that asks; `question_of_options` makes keywords of them."""
    options = [
        click.option("--mouse", multiple=True, help="Only this mouse; like most of these, may be given several times."),
        click.option("--session", help="Only this session, such as mouse01/2026-03-02_1."),
        click.option("--camera", multiple=True, help="Only this camera."),
        click.option("--model", multiple=True, help="Only this model (its id)."),
        click.option("--sex", multiple=True, help="Only mice of this sex."),
        click.option("--genotype", multiple=True, help="Only mice of this genotype."),
        click.option("--filter", multiple=True, default=("raw",), show_default=True, help="The filter."),
        click.option("--node", multiple=True, help="Only this node; may be given several times."),
        click.option("--date", multiple=True, help="Only sessions of this day; twice: first and last day."),
        click.option("--from", "from_s", type=float, help="Only frames from this time on (s)."),
        click.option("--to", "to_s", type=float, help="Only frames before this time (s)."),
        click.option(
            "--held-out/--in-training", default=None, help="Only mice that the model was not trained on, or was."
        ),
        click.option("--quality", multiple=True, help="Only tracks as good as this, such as 'jaw_tip.found > 0.95'."),
        click.option("--where", help="Any other restriction in SQL, such as \"rig='left'\"."),
        click.option("--skip-broken", is_flag=True, help="Leave out tracks that cannot be read, and say which."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def question_of_options(options: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Keywords of `pipeline.query.tracks` from the options of the command line.

    Raises
    ------
    QueryError
        If there are more than two dates.
    SessionError
        If there is no such session.
    """
    from pipeline.query import QueryError
    from pipeline.query.sessions import session_key

    question = {name: value or None for name, value in options.items() if isinstance(value, tuple)}
    question |= {name: options[name] for name in ("held_out", "skip_broken")}
    question["restriction"] = options["where"]
    if options["session"] is not None:
        question["restriction"] = _both(options["where"], session_key(options["session"], settings))
    if len(options["date"]) > 2:
        raise QueryError(f"--date was given {len(options['date'])} times; expected one day, or the first and the last")
    if len(options["date"]) == 1:
        question["date"] = options["date"][0]
    if options["from_s"] is not None or options["to_s"] is not None:
        question["time_span_s"] = (options["from_s"], options["to_s"])
    return question


def _both(where: str | None, key: dict[str, Any]) -> Any:
    """A session's key, and a restriction in SQL if there is one, as DataJoint takes them together."""
    if where is None:
        return key
    import datajoint as dj

    return dj.AndList([where, key])
