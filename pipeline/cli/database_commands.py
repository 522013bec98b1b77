"""`orofacial db`: the lab's database server; `orofacial upgrade`: a database that an older version made."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import rich_click as click

from compute.json_text import json_text
from pipeline.cli.command_tools import command_says_errors, json_option
from pipeline.terminal import console, print_json, print_next_step, print_table

if TYPE_CHECKING:
    from pipeline.database.server import PreparedServer, ServerAddress


@click.command()
@click.option("--dry-run", is_flag=True, help="List what would be changed, and change nothing.")
@json_option
@click.pass_context
@command_says_errors
def upgrade(context: click.Context, dry_run: bool, as_json: bool) -> None:
    """Upgrade a database that an older version of orofacial made.

    The embedded database is copied first, and the command says where the copy lies and how to go back. On a lab's
    server the administrator runs `orofacial db init` instead, which upgrades it too. Workers must be stopped. If a step
    fails, the database is as it was before.
    """
    from pipeline.cli.upgrading import say_upgrade_plan, say_upgraded, upgrade_step_printer
    from pipeline.database.upgrade import planned_upgrade, upgrade_database
    from pipeline.settings import load_settings

    settings = load_settings(context.find_root().obj)
    done = planned_upgrade(settings) if dry_run else upgrade_database(settings, on_step=upgrade_step_printer(as_json))
    if as_json:
        print_json({"dry_run": dry_run, **asdict(done)})
    elif dry_run:
        say_upgrade_plan(done)
    else:
        say_upgraded(done)


@click.group()
def db() -> None:
    """The lab's database server."""


@db.command("init")
@click.option(
    "--server",
    "url",
    required=True,
    help="postgresql://USER@HOST:PORT/DATABASE or mysql://USER@HOST:PORT; never with a password.",
)
@json_option
@click.pass_context
@command_says_errors
def init_server(context: click.Context, url: str, as_json: bool) -> None:
    """Prepare a PostgreSQL or MySQL server: schemas, tables, and the roles reader, ingester, worker and admin.

    The user in the URL must be allowed to create databases and roles; the password comes from DJ_PASS or from
    .secrets/database.password. Passwords of the roles come from OROFACIAL_READER_PASSWORD ... or from
    .secrets/reader.password ...; where there are none, new ones are made there. Doing it again changes nothing. With a
    newer orofacial it upgrades the tables (see `orofacial upgrade`) and adds what is new; workers must be stopped.
    """
    from pipeline.cli.upgrading import upgrade_step_printer
    from pipeline.database.server import ServerAddress, prepare_server
    from pipeline.settings import load_settings

    address = ServerAddress.parse(url)
    settings = load_settings(context.find_root().obj)
    prepared = prepare_server(settings, address, on_step=upgrade_step_printer(as_json))
    if as_json:
        print_json({"prepared": prepared, "datajoint.json": _configuration(address)})
        return
    say_prepared_server(prepared)


def say_prepared_server(prepared: PreparedServer) -> None:
    """Print what was prepared, and the configuration of the lab's machines."""
    address = prepared.address
    if prepared.upgrade.steps:
        from pipeline.cli.upgrading import say_upgraded

        say_upgraded(prepared.upgrade)
    console.print(f"{len(prepared.schemas)} schemas, {prepared.n_tables} tables on {address.host}:{address.port}")
    print_table(
        ["role", "user", "granted", "revoked"],
        [[role.role, role.user, role.n_granted, role.n_revoked] for role in prepared.roles],
    )
    for role in prepared.roles:
        console.print(f"password of {role.user}: {role.password_from}", markup=False)
    console.print("\ndatajoint.json for every machine of the lab, in the folder where orofacial is run:")
    console.print(json_text(_configuration(address), indent=2), markup=False)
    console.print("and beside it .secrets/database.user and .secrets/database.password, readable by their owner only\n")
    print_next_step("orofacial doctor on those machines, then orofacial work or orofacial ingest RAW_FOLDER")


def _configuration(address: ServerAddress) -> dict[str, Any]:
    return {
        "database": {
            "backend": address.backend,
            "host": address.host,
            "port": address.port,
            **({"name": address.database} if address.database else {}),
            "create_tables": False,
        }
    }
