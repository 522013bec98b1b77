"""`orofacial labels` and `pairs`: what people labelled, and which distances they want."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import rich_click as click

from compute.text import count_text
from pipeline.cli.command_tools import command_says_errors, connect_command, json_option
from pipeline.terminal import console, print_json, print_next_step, print_table


@click.group()
def labels() -> None:
    """Labeled frames."""


@labels.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--camera", required=True, help="The camera that filmed the frames.")
@click.option("--mouse", help="The mouse in all frames, where the folders of the videos do not say it.")
@json_option
@click.pass_context
@command_says_errors
def import_file(context: click.Context, file: Path, camera: str, mouse: str | None, as_json: bool) -> None:
    """Import a labels FILE: .slp or .pkg.slp of SLEAP, or the CSV of DeepLabCut or Lightning Pose."""
    settings = connect_command(context)
    from ingest.labels import import_labels

    imported = import_labels(file, camera=camera, mouse=mouse, pattern=settings.session_pattern)
    if as_json:
        print_json(imported)
        return
    what = f"{count_text(imported.n_labeled_frames, 'labeled frame')}, nodes {', '.join(imported.nodes)}"
    console.print(f"labels {imported.labels_id} {'imported' if imported.is_new else 'known already'}: {what}")
    if imported.mice:
        console.print(f"mice: {', '.join(imported.mice)}", markup=False)
    if imported.n_frames_without_mouse:
        console.print(
            f"{count_text(imported.n_frames_without_mouse, 'frame')} without the name of a mouse (see --mouse): a model"
            " trained with such frames counts every mouse that is not named as held out"
        )
    if imported.n_frames_without_session:
        console.print(
            f"{count_text(imported.n_frames_without_session, 'frame')} whose path names no session and camera:"
            " they measure the error of models, but not of filtered tracks"
        )
    print_next_step(f"orofacial model train {imported.labels_id} --camera {camera}")


@labels.command("list")
@json_option
@click.pass_context
@command_says_errors
def list_labels(context: click.Context, as_json: bool) -> None:
    """List the sets of labeled frames, and how many of their frames are known to be of ingested videos."""
    connect_command(context)
    from pipeline.query.models import describe_labels

    rows = describe_labels()
    if as_json:
        print_json(rows)
        return
    columns = ["labels_id", "labels_name", "camera", "n_labeled_frames", "n_named_frames", "n_matched_frames"]
    heads = ["labels", "name", "camera", "frames", "name a video", "are its frames"]
    print_table([*heads, "imported"], [[row[column] for column in [*columns, "imported_at"]] for row in rows])
    differing = [row for row in rows if row["n_matched_frames"] < row["n_named_frames"]]
    if differing:
        console.print(
            "frames that name a video but are none of its frames: the image differs, so the labels were made on another"
            " video of this name, or on another version of it. They are not compared with tracks"
        )


@click.group()
def pairs() -> None:
    """Pairs of nodes whose distance is measured in every video."""


@pairs.command("add")
@click.argument("node_a")
@click.argument("node_b")
@click.option("--rigid/--moving", required=True, help="Whether the distance is constant in the mouse.")
@click.option("--length-mm", type=float, help="True length, where it is the same in all mice and known.")
@click.option(
    "--band",
    "band_hz",
    type=(float, float),
    metavar="LOW HIGH",
    help="Band of the pair's movement in Hz.  [default: found in each video]",
)
@json_option
@click.pass_context
@command_says_errors
def add_pair(
    context: click.Context,
    node_a: str,
    node_b: str,
    rigid: bool,
    length_mm: float | None,
    band_hz: tuple[float, float] | None,
    as_json: bool,
) -> None:
    """Measure the distance between NODE_A and NODE_B, in every skeleton that has both."""
    connect_command(context)
    from ingest.pairs import add_node_pair

    kind: Literal["rigid", "moving"] = "rigid" if rigid else "moving"
    n_skeletons = add_node_pair(node_a, node_b, kind=kind, length_mm=length_mm, band_hz=band_hz)
    if as_json:
        print_json({"node_a": node_a, "node_b": node_b, "n_skeletons": n_skeletons})
        return
    console.print(
        f"distance {node_a} to {node_b} is measured, in {n_skeletons} skeleton{'s' * (n_skeletons > 1)}", markup=False
    )
    print_next_step("orofacial populate")


@pairs.command("list")
@json_option
@click.pass_context
@command_says_errors
def list_pairs(context: click.Context, as_json: bool) -> None:
    """List the node pairs."""
    connect_command(context)
    from schemas.metric import NodePair

    rows = NodePair.to_dicts(order_by="skeleton_id, node_a, node_b")
    if as_json:
        print_json(rows)
    else:
        print_table(
            ["skeleton", "node a", "node b", "kind", "length mm", "from Hz", "to Hz"],
            [list(row.values()) for row in rows],
        )
