"""What commands say of an upgrade, and the question that the first command asks of an older database."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import rich_click as click

from compute.errors import OldDatabaseError
from pipeline.settings import Settings
from pipeline.terminal import console

if TYPE_CHECKING:
    from pipeline.database.upgrade import UpgradedDatabase


def offer_upgrade(settings: Settings, error: OldDatabaseError) -> None:
    """Ask a person whether the embedded database is to be upgraded now, and do it.

    Raises
    ------
    OldDatabaseError
        If nobody can be asked, the answer is no, or the database is a lab's server.
    """
    from pipeline.database.connection import server_is_configured
    from pipeline.database.upgrade import planned_upgrade, upgrade_database

    if server_is_configured() or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise error
    plan = planned_upgrade(settings)
    say_upgrade_plan(plan)
    if not click.confirm("Upgrade it now? A backup is made first", default=False):
        raise error
    say_upgraded(upgrade_database(settings, on_step=upgrade_step_printer(False)))


def say_upgrade_plan(plan: UpgradedDatabase) -> None:
    """Print what an upgrade would do."""
    if not plan.steps:
        console.print(f"the database is of version {plan.version_before}, the newest: nothing to upgrade")
        return
    console.print(f"the database is of version {plan.version_before}; an upgrade to {plan.version_after} changes:")
    for step in plan.steps:
        console.print(f"  {step}", markup=False)


def say_upgraded(done: UpgradedDatabase) -> None:
    """Print what an upgrade did, and how to go back."""
    if not done.steps:
        say_upgrade_plan(done)
        return
    console.print(f"the database was upgraded from version {done.version_before} to {done.version_after}")
    for note in done.notes:
        console.print(f"  {note}", markup=False)
    if done.backup is not None:
        console.print(f"backup: {done.backup}", markup=False)
        console.print(
            f"to go back, end every orofacial process, run  {done.how_to_go_back}  and install the orofacial of before;"
            " rows made since the upgrade are not in the backup. When all is well, the backup can be deleted",
            markup=False,
        )


def upgrade_step_printer(as_json: bool) -> Callable[[str], None]:
    """Print each step as it begins; nothing beside JSON."""
    return lambda step: None if as_json else console.print(f"{step} ...", markup=False)
