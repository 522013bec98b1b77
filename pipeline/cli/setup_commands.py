"""`orofacial init`, `doctor` and `camera`: set up and check an installation."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import rich_click as click

from pipeline.cli.command_tools import command_says_errors, connect_command, json_option
from pipeline.terminal import console, errors, print_json, print_next_step, print_table

if TYPE_CHECKING:
    from pipeline.doctor import DoctorCheck

_MARKS = {True: "[green]works[/]", False: "[bold red]does not work[/]", None: "[dim]not here[/]"}


@click.command()
@json_option
@click.pass_context
@command_says_errors
def init(context: click.Context, as_json: bool) -> None:
    """Make the data folder, the database and the stores, and say where they are. Doing it again changes nothing."""
    errors.print("opening the lab")
    settings = connect_command(context)
    from pipeline.database.connection import describe_connection
    from pipeline.doctor import doctor_store_addresses

    database = describe_connection(settings)
    places = {
        "data_folder": settings.data_folder,
        "database": f"{database.kind} {database.backend}, {database.address}",
        **{f"{name}_store": address for name, address in doctor_store_addresses().items()},
    }
    if as_json:
        print_json(places)
        return
    for name, place in places.items():
        console.print(f"{name.replace('_', ' '):<13} {place}", markup=False)
    print_next_step("orofacial doctor, then orofacial labels import FILE --camera lower")


@click.command()
@click.option("--load", is_flag=True, help="Also load the estimators, and say what they run on (GPU): some seconds.")
@json_option
@click.pass_context
@command_says_errors
def doctor(context: click.Context, load: bool, as_json: bool) -> None:
    """Check database, stores, video decoder, estimators and disk; say what to do about what does not work."""
    errors.print("checking database, tables, stores, video decoder, estimators and disk: a few seconds")
    from pipeline.doctor import doctor_checks
    from pipeline.settings import load_settings

    checks = []
    for check in doctor_checks(load_settings(context.find_root().obj), load_estimators=load):
        checks.append(check)
        if not as_json:
            _show(check)
    works = all(check.ok is not False for check in checks)
    if as_json:
        print_json({"checks": checks, "ok": works})
    sys.exit(0 if works else 1)


def _show(check: DoctorCheck) -> None:
    console.print(f"{_MARKS[check.ok]}  [bold]{check.name}[/]  ", end="")
    console.print(check.found, markup=False)
    if check.advice:
        console.print(f"       do: {check.advice}", markup=False)


@click.group()
def camera() -> None:
    """Cameras of the rigs."""


@camera.command("add")
@click.argument("name")
@click.option("--description", default="", help="Where it stands.")
@click.pass_context
@command_says_errors
def add_camera(context: click.Context, name: str, description: str) -> None:
    """Add a camera; its videos are named after it, such as NAME.mp4."""
    connect_command(context)
    from ingest.cameras import add_camera

    taken = add_camera(name, description)
    described = taken.row["camera_description"] or "no description"
    console.print(f"camera {name} {taken.text()}: {described}", markup=False)


@camera.command("list")
@json_option
@click.pass_context
@command_says_errors
def list_cameras(context: click.Context, as_json: bool) -> None:
    """List the cameras."""
    connect_command(context)
    from schemas.session import Camera

    rows: list[dict[str, Any]] = Camera.to_dicts(order_by="camera")
    if as_json:
        print_json(rows)
    else:
        print_table(["camera", "description"], [list(row.values()) for row in rows])
