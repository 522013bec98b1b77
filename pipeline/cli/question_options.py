"""The options by which every command that asks says which tracks: `tracks`, `sql` and `export` take the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import rich_click as click

if TYPE_CHECKING:
    from pipeline.settings import Settings


held_out_options = (
    click.option(
        "--held-out/--in-training",
        "held_out",
        default=None,
        help="Only mice that the model is known not to have been trained on, or known to have been.",
    ),
    click.option("--held-out-not-known", is_flag=True, help="Only mice of which neither is known."),
)
"""Options of which `asked_held_out` makes the keyword ``held_out`` of `pipeline.query.tracks`."""


def asked_held_out(held_out: bool | None, not_known: bool) -> Any:
    """What `held_out_options` ask for: True, False, ``"not known"``, or None for all."""
    if held_out is not None and not_known:
        raise click.UsageError("--held-out-not-known is neither --held-out nor --in-training; give one of them")
    return "not known" if not_known else held_out


def question_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which tracks, of every command that asks; `question_of_options` makes keywords of them."""
    return _with_options(function, list(_options(("raw",))))


calibrated_option = click.option(
    "--calibrated",
    is_flag=True,
    help="Take off lasting offsets and give 95 % intervals, by labeled frames that the model has not seen.",
)
"""Of commands that give positions; the keyword of `pipeline.query.tracks`."""


def result_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say of which tracks results are shown: no frames, and every filter where none is named."""
    without = ("--from", "--to", "--skip-broken")
    return _with_options(function, [name for name in _options(("all",)) if name not in without], ("all",))


def _with_options(
    function: Callable[..., Any], names: list[str], filters: tuple[str, ...] = ("raw",)
) -> Callable[..., Any]:
    options = _options(filters)
    for name in reversed(names):
        function = options[name](function)
    return function


def _options(filters: tuple[str, ...]) -> dict[str, Callable[..., Any]]:
    """Every option of a question; `filters` are those that are meant where none is named."""

    def several(name: str, text: str, **more: Any) -> Callable[..., Any]:
        return click.option(name, multiple=True, help=text, **more)

    of_filters = {"default": filters, "show_default": True}
    return {
        "--mouse": several("--mouse", "Only this mouse; like most of these, may be given several times."),
        "--session": click.option("--session", help="Only this session, such as mouse01/2026-03-02_1."),
        "--camera": several("--camera", "Only this camera."),
        "--model": several("--model", "This model (name or id), or: all.  [default: the deployed one]"),
        "--sex": several("--sex", "Only mice of this sex."),
        "--genotype": several("--genotype", "Only mice of this genotype."),
        "--filter": several("--filter", "The filter; all for every one.", **of_filters),
        "--node": several("--node", "Only this node; may be given several times."),
        "--date": several("--date", "Only sessions of this day; twice: first and last day."),
        "--from": click.option("--from", "from_s", type=float, help="Only frames from this time on (s)."),
        "--to": click.option("--to", "to_s", type=float, help="Only frames before this time (s)."),
        "--held-out": held_out_options[0],
        "--held-out-not-known": held_out_options[1],
        "--quality": several("--quality", "Only tracks as good as this, such as 'jaw_tip.found > 0.95'."),
        "--where": click.option("--where", help="Any other restriction in SQL, such as \"rig='left'\"."),
        "--skip-broken": click.option(
            "--skip-broken", is_flag=True, help="Leave out tracks that cannot be read, and say which."
        ),
    }


def question_of_options(options: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Keywords of `pipeline.query.tracks` from the options of the command line.

    Raises
    ------
    QueryError
        If a day is given three times.
    SessionError
        If there is no such session.
    """
    from pipeline.query import QueryError
    from pipeline.query.sessions import session_key

    question: dict[str, Any] = {name: value or None for name, value in options.items() if isinstance(value, tuple)}
    question |= {name: options[name] for name in ("skip_broken", "calibrated") if name in options}
    question["held_out"] = asked_held_out(options["held_out"], options["held_out_not_known"])
    question["restriction"] = options["where"]
    if options["session"] is not None:
        question["restriction"] = _both(options["where"], session_key(options["session"], settings))
    if len(options["date"]) > 2:
        raise QueryError(f"--date was given {len(options['date'])} times; expected one day, or the first and the last")
    if len(options["date"]) == 1:
        question["date"] = options["date"][0]
    if options.get("from_s") is not None or options.get("to_s") is not None:
        question["time_span_s"] = (options["from_s"], options["to_s"])
    return question


def _both(where: str | None, key: dict[str, Any]) -> Any:
    """A session's key, and a restriction in SQL if there is one, as DataJoint takes them together."""
    if where is None:
        return key
    import datajoint as dj

    return dj.AndList([where, key])
