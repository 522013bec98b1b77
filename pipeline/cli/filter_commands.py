"""`orofacial filter`: the filters with the parameters that a lab wants."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import rich_click as click

from compute.errors import FilterError
from compute.filters import check_parameters, default_parameters, registered_filters
from compute.json_text import json_text
from pipeline.cli.command_tools import command_says_errors, connect_command, json_option
from pipeline.terminal import console, print_json, print_next_step, print_table


@click.group()
def filter() -> None:
    """Filter methods: a filter with its parameters, which makes tracks of every video."""


@filter.command("add")
@click.argument("name")
@click.argument("filter_name", metavar="FILTER", type=click.Choice(list(registered_filters())))
@click.option(
    "--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="Not its default; may be repeated."
)
@click.option(
    "--parameters-file", type=click.Path(path_type=Path), help="TOML file of parameters; --parameter goes before it."
)
@json_option
@click.pass_context
@command_says_errors
def add_filter(
    context: click.Context,
    name: str,
    filter_name: str,
    parameters: tuple[str, ...],
    parameters_file: Path | None,
    as_json: bool,
) -> None:
    """Add the filter method NAME: FILTER with these parameters, and the defaults of today for all others.

    A VALUE is written as in JSON (0.05, true, null); anything else is text. TOML has no null: leave such a
    parameter to --parameter.
    """
    changed = {**_of_file(parameters_file), **_each_once(list(map(_parameter, parameters)))}
    check_parameters(filter_name, changed)  # before anything is connected
    connect_command(context)
    from ingest.filters import add_filter_method
    from schemas.track import FilterMethod

    is_new = add_filter_method(name, filter_name, changed)
    if as_json:
        print_json({**(FilterMethod & {"filter_method": name}).fetch1(), "is_new": is_new})
        return
    what = f"filter {filter_name} with {_changed_text(filter_name, changed)}"
    console.print(f"filter method {name} {'added' if is_new else 'is there already'}: {what}", markup=False)
    print_next_step("orofacial populate")


@filter.command("list")
@json_option
@click.pass_context
@command_says_errors
def list_filters(context: click.Context, as_json: bool) -> None:
    """List the filter methods, and what each changes of its filter's defaults."""
    connect_command(context)
    from schemas.track import FilterMethod, filter_row_fault, is_current_filter

    rows = [
        {**row, "current": is_current_filter(row), "fault": filter_row_fault(row)}
        for row in FilterMethod.to_dicts(order_by="filter_method")
    ]
    if as_json:
        print_json(rows)
        return
    cells = []
    for row in rows:
        name = row["filter_name"]
        lag = registered_filters()[name].lag if name in registered_filters() else None
        changed = _changed_text(name, row["filter_parameters"]) if name in registered_filters() else "-"
        cells.append([row["filter_method"], name, row["filter_version"], lag, changed])
    print_table(["method", "filter", "version", "lag", "parameters"], cells)
    for row in rows:
        if row["fault"] is not None:
            console.print(f"{row['filter_method']} makes no tracks: {row['fault']}", markup=False, style="yellow")
    older = [row["filter_method"] for row in rows if not row["current"]]
    if older:
        console.print(
            f"of another version than this orofacial's filters, kept but not computed any more: {', '.join(older)}",
            markup=False,
        )
        print_next_step("orofacial filter add NAME FILTER, which takes today's version")


def _parameter(text: str) -> tuple[str, Any]:
    """Name and value of one --parameter."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise FilterError(f"--parameter {text!r}: expected NAME=VALUE, such as sigma_s=0.02")
    try:
        return name, json.loads(value, object_pairs_hook=_each_once)
    except ValueError as error:
        if isinstance(error, FilterError):
            raise
        return name, value


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Values by name; refuses a name that is given twice, of which the last value would win."""
    values = dict(pairs)
    for name in values:
        given = [json_text(value) for one, value in pairs if one == name]
        if len(given) > 1:
            raise FilterError(f"{name} is given {len(given)} times, as {' and '.join(given)}; expected once")
    return values


def _of_file(path: Path | None) -> dict[str, Any]:
    """Parameters of a TOML file."""
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FilterError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FilterError(f"{path} is no TOML file: {error}") from error


def _changed_text(filter_name: str, parameters: Any) -> str:
    """The parameters that are not today's defaults."""
    if not isinstance(parameters, dict):
        return json_text(parameters)
    defaults = default_parameters(filter_name)
    changed = {name: value for name, value in parameters.items() if name not in defaults or defaults[name] != value}
    texts = [f"{name}={_value_text(value)}" for name, value in changed.items()]
    return ", ".join(texts) or "its defaults"


def _value_text(value: Any) -> str:
    if isinstance(value, dict):  # the filter of each node
        return ", ".join(
            f"{node}: {entry.get('filter') if isinstance(entry, dict) else entry}" for node, entry in value.items()
        )
    return json_text(value)
