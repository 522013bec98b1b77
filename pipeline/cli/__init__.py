"""The `orofacial` command. Each command's module is imported only when it is used, so that `--help` is fast."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from pathlib import Path

import rich_click as click

# One thread for numerics: two compete for the cores of a shared machine and make SLEAP ten times slower.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

COMMANDS = {
    "init": ("setup_commands", "Make the data folder, the database and the stores."),
    "doctor": ("setup_commands", "Say what works, what does not, and what to do."),
    "upgrade": ("database_commands", "Upgrade a database that an older version made."),
    "db": ("database_commands", "The lab's database server: init."),
    "camera": ("setup_commands", "Cameras of the rigs: add, list."),
    "labels": ("labels_commands", "Labeled frames: import, list, describe, delete."),
    "pairs": ("labels_commands", "Node pairs whose distance is measured: add, list."),
    "model": ("model_commands", "Train, import, combine, compare and deploy models."),
    "layout": ("layout_commands", "How paths name recordings: test."),
    "ingest": ("sessions_commands", "Take in every session below a folder that is new."),
    "mice": ("corrections_commands", "Mice: list, show, set, rename, merge, import."),
    "sessions": ("corrections_commands", "Sessions and what is known of them: list, show, set, move."),
    "watch": ("workers_commands", "Take in sessions as they arrive, until stopped."),
    "populate": ("sessions_commands", "Compute everything that can be computed, here, now."),
    "cluster": ("cluster_commands", "As many workers as the queue needs, on Slurm or here."),
    "work": ("workers_commands", "Take jobs until stopped: a worker."),
    "retry": ("workers_commands", "Try failed jobs again."),
    "status": ("sessions_commands", "Sessions x stages: done, to do, failed, and why."),
    "tracks": ("query_commands", "Tracks across animals, as CSV or Parquet."),
    "sql": ("query_commands", "SQL over the tracks of all animals as one table."),
    "distances": ("distances_commands", "Distances of node pairs across animals, after every filter."),
    "bouts": ("bouts_commands", "Bouts of movement across animals: add, methods."),
    "migrate-tracks": ("migrate_tracks_commands", "Tracks of arrays in a column of another table."),
    "filter": ("filter_commands", "Filter methods, filters with parameters: add, list."),
    "compare": ("compare_commands", "Filters side by side; choose one for each node."),
    "export": ("export_commands", "Tracks as files of NWB, SLEAP, DeepLabCut, Parquet, CSV."),
    "convert": ("export_commands", "One file of tracks into another format."),
    "why": ("why_commands", "The chain that made a number: video, labels, model, filter."),
    "report": ("report_commands", "Pictures and the table of distances, as one HTML file."),
    "delete": ("delete_commands", "Delete a session, model or failed training and its results."),
    "collect": ("delete_commands", "Remove files that no row points at."),
    "backup": ("backup_commands", "Copy database and files, as they are now, into a folder."),
    "restore": ("backup_commands", "A backup into an empty lab, embedded or on a server."),
    "move-to": ("backup_commands", "Move the lab to a server, or to the embedded database."),
    "demo": ("demo_commands", "A simulated lab of six mice, from video to report."),
}
"""Name of each command: the module of this package that holds it, and its line in the help."""


class _LazyGroup(click.RichGroup):
    """A group that imports a command's module when the command is used."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        if _only_listing():
            return click.Command(name, help=COMMANDS[name][1])
        module = importlib.import_module(f"pipeline.cli.{COMMANDS[name][0]}")
        command: click.Command = getattr(module, name.replace("-", "_"))
        return command

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        _refuse_repeated_options(self, context, arguments)
        return super().parse_args(context, arguments)


def _refuse_repeated_options(command: click.Command, context: click.Context, arguments: list[str]) -> None:
    """Refuse an option that is given twice and takes one value, here and in the commands below: the last would win.

    A flag like ``--json`` says the same twice.
    """
    if not arguments or context.resilient_parsing:
        return
    try:
        _, left, order = command.make_parser(context).parse_args(list(arguments))
    except click.UsageError:  # said when the command itself reads them
        return
    for option in order:
        n_times = order.count(option)
        if not isinstance(option, click.Option) or option.multiple or (option.is_flag and not option.secondary_opts):
            continue
        if n_times > 1:
            names = " / ".join([*option.opts, *option.secondary_opts])
            raise click.UsageError(f"{names} is given {n_times} times; expected once.", context)
    if isinstance(command, click.Group) and left:
        below = command.get_command(context, left[0])
        if below is not None:
            _refuse_repeated_options(below, click.Context(below, context, left[0]), left[1:])


def _only_listing() -> bool:
    """Whether no command was named, so that only the list of commands is shown."""
    return not any(argument in COMMANDS for argument in sys.argv[1:])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--data-folder",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="OROFACIAL_DATA_FOLDER",
    help="Folder of the embedded database, the stores and settings.toml.  [default: ~/orofacial]",
)
@click.version_option(package_name="orofacial")
@click.pass_context
def main(context: click.Context, data_folder: Path | None) -> None:
    """From videos of head-fixed mice to filtered tracks and distances in one database.

    Start with `orofacial init`, or look at `orofacial demo`.
    """
    # A lab on the embedded database needs none; several commands import DataJoint before a lab is opened.
    warnings.filterwarnings("ignore", "No datajoint.json found", UserWarning)
    context.obj = data_folder
