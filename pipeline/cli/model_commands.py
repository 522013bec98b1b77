"""`orofacial model`: train, import, ensemble, list, compare, mice, deploy."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import rich_click as click

from compute.text import count_text
from pipeline.cli.command_tools import command_says_errors, connect_command, json_option, warn_in_yellow
from pipeline.terminal import console, errors, print_json, print_next_step, print_table


@click.group()
def model() -> None:
    """Models that find the nodes."""


@model.command("train")
@click.argument("labels")
@click.option("--camera", required=True, help="The camera of the labels.")
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="TOML file with training settings.")
@click.option("--seed", default=0, show_default=True, help="Seed of weights, order, augmentation and split.")
@click.option(
    "--held-out", "fraction_held_out", default=0.2, show_default=True, help="Fraction kept to measure errors."
)
@click.option("--estimator", help="Estimator to train.  [default: the only one that can train]")
@click.option(
    "--split-by",
    type=click.Choice(["frame", "mouse"]),
    default="frame",
    show_default=True,
    help="Hold out single frames, or mice with all of their frames.",
)
@click.option("--deploy/--no-deploy", default=None, help="Let the model run by itself.  [default: if it is the first]")
@json_option
@click.pass_context
@command_says_errors
def train(
    context: click.Context,
    labels: str,
    camera: str,
    config_file: Path | None,
    seed: int,
    fraction_held_out: float,
    estimator: str | None,
    split_by: Literal["frame", "mouse"],
    deploy: bool | None,
    as_json: bool,
) -> None:
    """Train a model on LABELS (id or name of imported labels), and measure its error on frames held out."""
    connect_command(context)
    from ingest.deployment import deploy_if_first, reason_against_deployment
    from ingest.training_tasks import add_training_task, read_training_settings
    from pipeline.cli.progress_bars import ProgressBars
    from pipeline.query.models import node_errors
    from pipeline.work.training import train_task

    task = add_training_task(
        labels,
        camera=camera,
        config=read_training_settings(config_file) if config_file else None,
        config_name=config_file.stem if config_file else "default",
        seed=seed,
        fraction_held_out=fraction_held_out,
        estimator=estimator,
        split_by=split_by,
    )
    with ProgressBars().shown() as display:
        model_id = train_task(task, display)
    deployed = deploy_if_first(model_id, deploy)
    nodes = node_errors(model_id)
    if as_json:
        against = reason_against_deployment(model_id)
        print_json({"model_id": model_id, "deployed": deployed, "reason_against_deployment": against, "nodes": nodes})
        return
    console.print(f"model {model_id} for camera {camera}")
    print_table(
        ["node", "found", "missed", "error p50 px", "p90 px", "mean px"],
        [
            [node[name] for name in ("node", "n_points", "n_missed", "error_p50_px", "error_p90_px", "error_mean_px")]
            for node in nodes
        ],
        title="error on labeled frames held out from training, "
        + ("of mice that it was trained on" if split_by == "frame" else "of mice held out from training"),
    )
    _say_deployed(model_id, deployed, wish=deploy)


@model.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--camera", required=True, help="The camera that it is for.")
@click.option("--mouse", "mice", multiple=True, help="A mouse in its training set; give it once for each.")
@click.option("--minimum-score", type=float, help="A node with a lower score is not found.  [default: the estimator's]")
@click.option("--name", default="", help="What to call it.  [default: the file's or folder's name]")
@click.option("--deploy/--no-deploy", default=None, help="Let the model run by itself.  [default: if it is the first]")
@json_option
@click.pass_context
@command_says_errors
def import_source(
    context: click.Context,
    source: Path,
    camera: str,
    mice: tuple[str, ...],
    minimum_score: float | None,
    name: str,
    deploy: bool | None,
    as_json: bool,
) -> None:
    """Import a model that was trained elsewhere.

    SOURCE is such as the folder with best.ckpt that SLEAP (sleap-nn) trained into; or one .h5 or .csv of poses that
    DeepLabCut or Lightning Pose wrote beside a video: then all videos that have such a file get their poses from it.
    """
    settings = connect_command(context)
    from ingest.deployment import deploy_if_first
    from ingest.mice_without_session import mice_without_session_text
    from ingest.models import take_in_model
    from ingest.poses import register_pose_files

    imported = take_in_model(
        source,
        camera=camera,
        mice=set(mice),
        minimum_score=minimum_score,
        name=name,
        layout=settings.recording_layout,
    )
    model_id = imported.model_id
    deployed = deploy_if_first(model_id, deploy)
    n_files = register_pose_files()
    if as_json:
        print_json({**vars(imported), "deployed": deployed, "n_new_pose_files": n_files})
        return
    done = "imported" if imported.is_new else "known already,"
    console.print(f"model {model_id} {done} for camera {imported.camera}: {imported.model_name}", markup=False)
    if imported.added:
        console.print(f"added: its training {' and '.join(imported.added)}")
    if n_files:
        console.print(f"{count_text(n_files, 'file')} of poses found beside videos that are known")
    if imported.mice:
        console.print(f"trained on: {', '.join(imported.mice)}", markup=False)
    warn_in_yellow(mice_without_session_text(imported.mice_without_session))
    if not imported.mice_known:
        console.print(
            "not all of its training mice are known, so of the others it is not known whether they are held out. To"
            " tell it, import the model again with --mouse once for each"
        )
    _say_deployed(model_id, deployed, wish=deploy)


@model.command()
@click.argument("name")
@click.argument("members", nargs=-1, required=True, metavar="MEMBER MEMBER [MEMBER]...")
@click.option("--deploy/--no-deploy", default=None, help="Let the model run by itself.  [default: if it is the first]")
@json_option
@click.pass_context
@command_says_errors
def ensemble(context: click.Context, name: str, members: tuple[str, ...], deploy: bool | None, as_json: bool) -> None:
    """Make one model NAME of several MEMBERs (ids or names): the median of where they find each node.

    The members are models of one camera with the same nodes, such as networks that were trained with other seeds. They
    run on every video that the ensemble runs on, also if they are not deployed themselves.
    """
    connect_command(context)
    from ingest.deployment import deploy_if_first
    from ingest.ensembles import make_ensemble

    made = make_ensemble(name, members)
    deployed = deploy_if_first(made.model_id, deploy)
    if as_json:
        print_json({**vars(made), "deployed": deployed})
        return
    done = "made" if made.is_new else "known already,"
    console.print(f"model {made.model_id} {done} for camera {made.camera}: {made.model_name}", markup=False)
    console.print(f"trained on: {_mice(vars(made))}", markup=False)
    _say_deployed(made.model_id, deployed, wish=deploy)


def _say_deployed(model_id: str, deployed: bool, *, wish: bool | None) -> None:
    from ingest.deployment import reason_against_deployment

    against = reason_against_deployment(model_id)
    if against is not None:
        not_by_itself = "" if deployed or wish is not None else "; so it is not deployed by itself"
        errors.print(f"{against}{not_by_itself}. Label more frames, or train it longer", markup=False)
    if deployed:
        console.print("it is deployed: it runs by itself on every video of its camera")
        print_next_step("orofacial ingest RAW_FOLDER, then orofacial populate")
    else:
        print_next_step(f"orofacial model deploy {model_id}")


@model.command("list")
@json_option
@click.pass_context
@command_says_errors
def list_models(context: click.Context, as_json: bool) -> None:
    """List the models, and which of them are deployed."""
    connect_command(context)
    from pipeline.query.models import describe_models, model_errors_by_group

    models = [{**row, "errors": model_errors_by_group(row["model_id"])} for row in describe_models()]
    if as_json:
        print_json(models)
        return
    columns = ["model_id", "camera", "model_name", "deployed"]
    rows = [[_cell(row[column]) for column in columns] + [_mice(row)] for row in models]
    print_table(["model", "camera", "name", "deployed", "trained on"], rows)
    if any(row["errors"] for row in models):
        _print_errors(models)


def _print_errors(models: list[dict[str, Any]]) -> None:
    """Print the error of each model for each group of mice."""
    from compute.comparison.intervals import interval_text

    rows = [
        [
            *(model["model_id"], group, one.mean_px.n_mice, f"{one.n_frames}{'' if one.known_unseen else ' *'}"),
            *("-" if one.p50_px is None else f"{one.p50_px:.2f}", interval_text(one.mean_px, 2)),
            _percent(one.n_missed / max(one.n_points + one.n_missed, 1)),
        ]
        for model in models
        for group, one in model["errors"].items()
    ]
    heads = ["model", "mice are", "mice", "frames", "median\npx", "mean of mice\npx", "missed"]
    print_table(heads, rows, title="error on labeled frames that the model has not seen")
    said = "In brackets: 95 % interval over mice, from 3 mice on."
    if any(not one.known_unseen for model in models for one in model["errors"].values()):
        said += " *: maybe seen, it is not known\nwhich frames that model was trained on."
    console.print(said, style="dim", markup=False)


def _mice(model: dict[str, Any]) -> str:
    return ", ".join([*model["mice"], *([] if model["mice_known"] else ["not known"])])


@model.command("compare")
@click.argument("model_ids", nargs=-1, metavar="[MODEL_ID]...")
@click.option("--camera", help="Only models of this camera.  [default: all]")
@json_option
@click.pass_context
@command_says_errors
def compare(context: click.Context, model_ids: tuple[str, ...], camera: str | None, as_json: bool) -> None:
    """Compare models on the same labeled frames: those that none of them was trained on. Without an id, all models."""
    connect_command(context)
    from pipeline.query.models import compare_models

    comparisons = compare_models(model_ids, camera=camera)
    if as_json:
        print_json({"comparisons": comparisons})
        return
    for one in comparisons:
        _print_comparison(one)


def _print_comparison(comparison: dict[str, Any]) -> None:
    if comparison["n_frames"]:
        frames = (
            count_text(comparison["n_frames"], "labeled frame")
            + f" of {count_text(comparison['n_mice'], 'mouse', 'mice')}"
        )
        print_table(
            ["model", "name", "deployed", "median\npx", "p90\npx", "missed", "frames of mice"],
            [
                [
                    *(_cell(row[name]) for name in ("model_id", "model_name", "deployed", "error_p50_px")),
                    row["error_p90_px"],
                    _percent(row["fraction_missed"]),
                    _frames_of_groups(row),
                ]
                for row in comparison["models"]
            ],
            title=f"camera {comparison['camera']}: {frames}, none of which these models were trained on",
        )
    else:
        names = ", ".join(row["model_id"] for row in comparison["models"])
        console.print(
            f"camera {comparison['camera']}: there is no labeled frame that none of {names or 'the models'} has seen;"
            " name fewer models, or import labels that none was trained on",
            markup=False,
        )
    if any(not row["known_unseen"] for row in comparison["models"]):
        console.print("maybe seen: it is not known which frames that model was trained on; its error may be too small")
    if comparison["not_evaluated"]:
        console.print(f"not evaluated: {', '.join(comparison['not_evaluated'])}", markup=False)
        print_next_step("orofacial populate")


def _frames_of_groups(row: dict[str, Any]) -> str:
    """How many frames are of mice that the model was trained on, and of others; whether it may have seen them."""
    frames = ", ".join(f"{number} {group}" for group, number in row["n_frames_of_groups"].items())
    return frames + ("" if row["known_unseen"] else ", maybe seen")


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else ""
    return value


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{fraction:.0%}"


@model.command("mice")
@click.argument("model_id")
@click.option("--mouse", "mice", multiple=True, help="A mouse in its training set; give it once for each.")
@click.option("--not-known", is_flag=True, help="Forget what was told: only mice that its labeled frames name stay.")
@json_option
@click.pass_context
@command_says_errors
def correct_mice(context: click.Context, model_id: str, mice: tuple[str, ...], not_known: bool, as_json: bool) -> None:
    """Correct which mice a model was trained on, where it was told wrongly; what was told before is kept."""
    if bool(mice) == not_known:
        raise click.UsageError("give --mouse once for each mouse in the model's training set, or --not-known")
    connect_command(context)
    from ingest.mice_without_session import mice_without_session_text
    from ingest.training_mice import correct_training_mice

    corrected = correct_training_mice(model_id, None if not_known else mice)
    if as_json:
        print_json({**vars(corrected), "is_changed": corrected.is_changed})
        return
    before = _mice({"mice": corrected.mice_before, "mice_known": corrected.mice_known_before})
    console.print(f"model {model_id} was trained on: {_mice(vars(corrected))}", markup=False)
    console.print(f"before: {before}" if corrected.is_changed else "that was known already", markup=False)
    warn_in_yellow(mice_without_session_text(corrected.mice_without_session))


@model.command("deploy")
@click.argument("model_id")
@click.option("--beside", is_flag=True, help="Keep the camera's other models deployed too.")
@click.pass_context
@command_says_errors
def deploy_model(context: click.Context, model_id: str, beside: bool) -> None:
    """Let a model run by itself on every video of its camera, in place of the one before."""
    connect_command(context)
    from ingest.deployment import deploy

    replaced = deploy(model_id, beside=beside)
    console.print(f"model {model_id} is deployed", markup=False)
    if replaced:
        console.print(f"no longer deployed: {', '.join(replaced)}; their results stay")
    print_next_step("orofacial populate")


@model.command("undeploy")
@click.argument("model_id")
@click.pass_context
@command_says_errors
def undeploy_model(context: click.Context, model_id: str) -> None:
    """Stop a model from running by itself. Its results stay."""
    connect_command(context)
    from ingest.deployment import undeploy

    undeploy(model_id)
    console.print(f"model {model_id} is not deployed; its results stay", markup=False)
