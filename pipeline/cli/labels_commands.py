"""`orofacial labels` and `pairs`: what people labelled, and which distances they want."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import rich_click as click

from compute.text import count_text
from pipeline.cli.command_tools import command_says_errors, connect_command, json_option, warn_in_yellow
from pipeline.cli.delete_commands import carry_out_deletion, dry_run_option, yes_option
from pipeline.terminal import console, print_json, print_next_step, print_table

if TYPE_CHECKING:
    from ingest.labels import ImportedLabels


@click.group()
def labels() -> None:
    """Labeled frames."""


@labels.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--camera", required=True, help="The camera that filmed the frames.")
@click.option("--mouse", help="The mouse in all frames, where the folders of the videos do not say it.")
@click.option("--scorer", help="Only the points of this person, of the people that a CSV file names.")
@json_option
@click.pass_context
@command_says_errors
def import_file(
    context: click.Context, file: Path, camera: str, mouse: str | None, scorer: str | None, as_json: bool
) -> None:
    """Import a labels FILE: .slp or .pkg.slp of SLEAP, or the CSV of DeepLabCut or Lightning Pose.

    The same labels again, with --mouse or from a file that names the sessions, add what was not known.
    """
    settings = connect_command(context)
    from ingest.labels import import_labels, other_video_sizes_text
    from ingest.mice_without_session import mice_without_session_text

    imported = import_labels(file, camera=camera, mouse=mouse, scorer=scorer, layout=settings.recording_layout)
    if as_json:
        print_json(imported)
        return
    what = f"{count_text(imported.n_labeled_frames, 'labeled frame')} of camera {imported.camera}, nodes"
    done = "imported" if imported.is_new else "known already"
    console.print(f"labels {imported.labels_id} {done}: {what} {', '.join(imported.nodes)}", markup=False)
    _say_added(imported)
    if imported.nodes_never_placed:
        warn_in_yellow(
            f"never placed in any frame: {', '.join(imported.nodes_never_placed)}. A model that is trained with these"
            " labels cannot find them; place them in some frames, or take them out of the skeleton"
        )
    for one in imported.contradicting:
        warn_in_yellow(str(one))
    warn_in_yellow(other_video_sizes_text(imported))
    if imported.mice:
        console.print(f"mice: {', '.join(imported.mice)}", markup=False)
    warn_in_yellow(mice_without_session_text(imported.mice_without_session))
    if imported.n_frames_without_mouse:
        console.print(
            f"{count_text(imported.n_frames_without_mouse, 'frame')} without the name of a mouse: of a model that is"
            " trained with such frames it is not known which other mice are held out. To tell it, import the file again"
            " with --mouse"
        )
    if imported.n_frames_without_session:
        console.print(
            f"{count_text(imported.n_frames_without_session, 'frame')} whose path names no session and camera:"
            " they measure the error of models, but not of filtered tracks"
        )
    print_next_step(f"orofacial model train {imported.labels_id} --camera {imported.camera}")


def _say_added(imported: ImportedLabels) -> None:
    """Say who labeled the file, and what was added to labels that were known."""
    if len(imported.scorers) > 1:
        people = ", ".join(f"{name} {count_text(n, 'frame')}" for name, n in imported.scorers.items())
        console.print(f"labeled by {len(imported.scorers)} people, put together: {people}", markup=False)
    if imported.left_out:
        people = ", ".join(f"{name} {count_text(n, 'frame')}" for name, n in imported.left_out.items())
        console.print(f"left out, since another --scorer was asked for: {people}", markup=False)
    added = [f"the {what} of {count_text(n, 'frame')}" for what, n in imported.added.items() if n]
    if added:
        console.print(f"added: {', '.join(added)}")
    if imported.models:
        console.print(f"training mice are better known now of model {', '.join(imported.models)}")


@labels.command("list")
@json_option
@click.pass_context
@command_says_errors
def list_labels(context: click.Context, as_json: bool) -> None:
    """List the sets of labeled frames, and how many of their frames are known to be of ingested videos."""
    connect_command(context)
    from pipeline.query.label_sets import describe_label_sets

    rows = describe_label_sets()
    if as_json:
        print_json(rows)
        return
    if not rows:
        console.print("no labels yet")
        print_next_step("orofacial labels import FILE --camera CAMERA")
        return
    numbers = ("n_labeled_frames", "n_named_frames", "n_matched_frames")
    print_table(  # names may be long: they share the widest column, and when it was imported says `labels describe`
        ["labels", "name\nof mice", "camera", "frames", "name\na video", "are its\nframes"],
        [
            [
                row["labels_id"],
                f"{row['labels_name']}\nof {labels_mice_text(row)}",
                row["camera"],
                *(row[name] for name in numbers),
            ]
            for row in rows
        ],
    )
    differing = [row for row in rows if row["n_matched_frames"] < row["n_named_frames"]]
    if differing:
        console.print(
            "frames that name a video but are none of its frames: the image differs, so the labels were made on another"
            " video of this name, or on another version of it. They are not compared with tracks"
        )
    if any(row["n_waiting_videos"] for row in rows):
        console.print("of some videos that frames name, frames are not counted yet: 'orofacial populate' compares them")


def labels_mice_text(row: dict[str, Any]) -> str:
    """The mice of labels, for people.

    Examples
    --------
    >>> labels_mice_text({"mice": ["mouse01"], "n_frames_without_mouse": 3})
    'mouse01, not known (3)'
    """
    unknown = [f"not known ({row['n_frames_without_mouse']})"] if row["n_frames_without_mouse"] else []
    return ", ".join([*row["mice"], *unknown])


@labels.command("describe")
@click.argument("labels")
@json_option
@click.pass_context
@command_says_errors
def describe_labels(context: click.Context, labels: str, as_json: bool) -> None:
    """Describe one set of labels, by its id or name: frames, mice, nodes, and what was made of it."""
    connect_command(context)
    from pipeline.query.label_sets import describe_label_set

    one = describe_label_set(labels)
    if as_json:
        print_json(one)
        return
    size = f"{one['image_width_px']} x {one['image_height_px']} px"
    lines = {
        "labels": f"{one['labels_id']} {one['labels_name']}, imported {one['imported_at']}",
        "frames": f"{one['n_labeled_frames']} of camera {one['camera']}, {size}",
        "mice": ", ".join(f"{name} ({n})" for name, n in one["n_frames_of_mice"].items()) or "-",
        "sessions": ", ".join(f"{name} ({n})" for name, n in one["n_frames_of_sessions"].items()) or "-",
        "videos": f"{one['n_named_frames']} frames name one, {one['n_matched_frames']} are frames of it"
        + (f"; {count_text(one['n_waiting_videos'], 'video')} not compared yet" if one["n_waiting_videos"] else ""),
        "nodes": ", ".join(one["nodes"]),
        "trained": ", ".join(one["trained_models"]) or "no model",
        "asked for": ", ".join(one["waiting_trainings"]) or "no other training",
        "evaluated": ", ".join(one["evaluated_models"]) or "no model",
        "package": one["package"],
    }
    for name, text in lines.items():
        console.print(f"{name:<10} {text}", markup=False)


@labels.command("delete")
@click.argument("labels")
@dry_run_option
@yes_option
@json_option
@click.pass_context
@command_says_errors
def delete_labels(context: click.Context, labels: str, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Delete a set of labels, by its id or name, with what was computed of it. Models that were trained on it stay.

    The package with the points, and its images, stay in the store for 30 days; until then it can be imported again.
    """
    connect_command(context)
    from pipeline.query.label_sets import find_label_set
    from pipeline.stores.deletion import plan_labels_deletion

    carry_out_deletion(plan_labels_deletion(find_label_set(labels)), dry_run, yes, as_json)


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
    added = add_node_pair(node_a, node_b, kind=kind, length_mm=length_mm, band_hz=band_hz)
    if as_json:
        n_skeletons = len(added.pairs)
        print_json({"node_a": node_a, "node_b": node_b, "n_skeletons": n_skeletons, **asdict(added)})
        return
    for text, pairs_of_text in groupby(sorted(added.pairs, key=_pair_text), key=_pair_text):
        n = count_text(len(list(pairs_of_text)), "skeleton")
        console.print(f"distance {text} is measured, in {n}", markup=False)
    if added.n_changed:
        console.print(
            f"changed in {count_text(added.n_changed, 'skeleton')} ({'; '.join(added.before)}): comparisons of filters"
            " are computed anew for what the pair is now; those of before are kept, and shown again if it is changed"
            " back"
        )
    elif not added.n_new:
        console.print("it was there already, as it is asked for")
    print_next_step("orofacial populate")


def _pair_text(pair: dict[str, Any]) -> str:
    """What a row of `NodePair` says."""
    length = "" if pair["length_mm"] is None else f", {pair['length_mm']:g} mm"
    band = "" if pair["band_low_hz"] is None else f", {pair['band_low_hz']:g} to {pair['band_high_hz']:g} Hz"
    return f"{pair['node_a']} to {pair['node_b']} ({pair['pair_kind']}{length}{band})"


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
