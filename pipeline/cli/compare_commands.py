"""`orofacial compare`: which filter keeps the movement and loses the noise."""

from __future__ import annotations

import textwrap
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from compute.text import count_text
from pipeline.cli.command_tools import command_says_errors, connect_command, json_option
from pipeline.terminal import console, print_json, print_next_step, print_table

if TYPE_CHECKING:
    from pipeline.query.filter_comparison import ModelComparison, PairSummary


@click.command()
@click.option("--camera", help="Only this camera.")
@click.option("--model", help="This model (name or id), or: all.  [default: the deployed one of each camera]")
@click.option("--pairs", "with_pairs", is_flag=True, help="Also each node pair by itself.")
@click.option("--choose", "is_choosing", is_flag=True, help="Choose a filter for each node, and keep the choice.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Draw it: a .png, .svg or .pdf file."
)
@json_option
@click.pass_context
@command_says_errors
def compare(
    context: click.Context,
    camera: str | None,
    model: str | None,
    with_pairs: bool,
    is_choosing: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Compare all filters: noise left, movement kept, error on labeled frames that the model has not seen.

    With --choose: hide points, and choose for each node the filter that predicts them best, on every second block of
    10 s; report its error on the other blocks; write the choice as a filter method. Nodes whose noise lasts from frame
    to frame keep kalman, since hidden points say nothing there.
    """
    connect_command(context)
    if is_choosing:
        if output is not None or with_pairs:
            raise click.UsageError("--choose prints its own table; draw the comparison in a second command")
        _choose(camera, model, as_json)
        return
    from pipeline.query.filter_comparison import compare_filters

    comparisons = compare_filters(camera=camera, model=model)
    if output is not None:
        from pipeline.figures.saving import save_figure
        from pipeline.figures.trade_off import plot_trade_off

        save_figure(plot_trade_off(comparisons), output)
    if as_json:
        print_json({"models": comparisons, "output": output})
        return
    for comparison in comparisons:
        print_filters(comparison)
        if with_pairs:
            _print_pairs(comparison)
    if output is not None:
        console.print(f"drawn to {output}", markup=False)
    print_next_step("orofacial compare --pairs, -o compare.png, or --choose to choose a filter for each node")


def print_filters(comparison: ModelComparison) -> None:
    """Print tables with a line a filter, and how to read them; each fits into 80 columns."""
    from compute.comparison.intervals import interval_text
    from pipeline.query.chosen_models import model_line

    rows = [
        [
            one.filter_method,
            interval_text(one.rigid_variance, 2),
            interval_text(one.power_kept, 2),
            _number(one.bout_amplitude_kept.value, 2),
            _number(one.noise_kept.value, 3),
            _number(None if one.lag_s.value is None else one.lag_s.value * 1000, 1),
            f"{one.fraction_missing:.1%}",
        ]
        for one in comparison.filters
    ]
    groups = ", ".join(f"{number} {group}" for group, number in comparison.n_mice.items() if number)
    heads = ["filter", "rigid var.\nof raw", "movement\nkept", "bouts\nkept", "noise\nkept", "lag\nms", "miss-\ning"]
    print_table(heads, rows, title=f"{model_line(vars(comparison))}\nmice: {groups}")
    console.print(_explanation(), style="dim", markup=False)
    for group in comparison.n_mice:
        _print_label_errors(comparison, group)
    if any(one.held_out_over_training.value is not None for one in comparison.filters):
        rows = [[one.filter_method, interval_text(one.held_out_over_training, 2)] for one in comparison.filters]
        print_table(["filter", "held out / in training"], rows, title="variance of rigid distances")
        console.print("Above 1: tracks of mice that the model was not trained on are noisier.\n", style="dim")


def _explanation() -> str:
    from compute.comparison.intervals import MINIMUM_MICE

    return f"""\
rigid var.: variance of rigid distances, filtered / raw, in the frames that both
have; smaller: less noise. missing: frames without the distance.
movement: of moving pairs, power of the movement, filtered / true; -: not known
to 0.05. bouts, noise: amplitude of bouts, and power in the upper third of
frequencies, filtered / raw without spikes. No filter has made what they are
compared with. The best keeps 1, 1 and 0. lag: by how much the movement is late.
Each value is the geometric mean over mice (lag: the mean), in brackets its 95 %
interval over mice; fewer than {MINIMUM_MICE} mice are too few for one.
"""


def _print_label_errors(comparison: ModelComparison, group: str) -> None:
    """Print the distance from placed points in frames of one group of mice, or that there are no such frames."""
    from compute.comparison.intervals import interval_text
    from schemas.training_mice import GROUP_TEXTS

    found = {one.filter_method: one.labels[group] for one in comparison.filters if group in one.labels}
    if not found:
        if comparison.n_mice[group]:
            said = f"error of mice {GROUP_TEXTS[group]}:\nno labeled frame is of their ingested videos.\n"
            console.print(said, markup=False)
        return
    one = next(iter(found.values()))
    frames = count_text(one.n_frames, "labeled frame")
    seen = "that the model was not trained on" if one.known_unseen else "that the model may have been trained on"
    mice = count_text(one.mean_px.n_mice, "mouse", "mice")
    rows = [
        [
            *(method, *(_number(px, 2) for px in (of.p50_px, of.p90_px, of.mean_px.value))),
            *(interval_text(of.over_raw, 2), f"{of.fraction_missing:.1%}"),
        ]
        for method, of in found.items()
    ]
    print_table(
        ["filter", "median\npx", "p90\npx", "mean of\nmice, px", "of raw,\nby mouse", "points\nmissing"],
        rows,
        title=f"error of {mice} {GROUP_TEXTS[group]}: distance from points that\npeople placed, {one.n_common} of"
        f" {one.n_points + one.n_missed} points (those that every filter has)\nin {frames} {seen}",
    )


def _print_pairs(comparison: ModelComparison) -> None:
    """Print a table for each pair, a line a filter and group of mice; each fits into 80 columns."""
    for kind, columns in (("rigid", _RIGID_COLUMNS), ("moving", _MOVING_COLUMNS)):
        pairs = [one for one in comparison.pairs if one.kind == kind]
        if not pairs:
            console.print(f"no {kind} pairs; add some with 'orofacial pairs add'\n", markup=False)
        for name, lines in groupby(pairs, key=lambda one: one.pair):
            _print_pair(name, kind, list(lines), columns)
        if pairs:
            console.print(f"{_PAIR_NOTES[kind]}\n", style="dim", markup=False)


_RIGID_COLUMNS = {
    "variance_px2": ("var.\npx²", 3),
    "corrected_variance_px2": ("corr.\npx²", 3),
    "mean_px": ("mean\npx", 2),
    "length_px": ("true\npx", 2),
}
_MOVING_COLUMNS = {
    "power_kept": ("move-\nment", 2),
    "bout_amplitude_kept": ("bouts", 2),
    "noise_kept": ("noise", 2),
    "lag_ms": ("lag\nms", 1),
    "variance_px2": ("var.\npx²", 1),
}
_PAIR_NOTES = {
    "rigid": "var.: over the frames that the filter has; missing: the others.\n"
    "corr.: of the real distance, noise and smoothing taken out by the filter's sd.\n"
    "Right for a slow distance and noise of single frames: noise that lasts adds to\n"
    "it, and of fast movement (12 Hz) it misses a fifth.",
    "moving": "movement, bouts, noise: as above. missing: frames without the distance.",
}


def _print_pair(name: str, kind: str, lines: list[PairSummary], columns: dict[str, tuple[str, int]]) -> None:
    shown = {
        column: label for column, label in columns.items() if any(getattr(one, column) is not None for one in lines)
    }
    rows = []
    before = ""
    for one in lines:
        numbers = [_number(getattr(one, column), digits) for column, (_, digits) in shown.items()]
        method = one.filter_method if one.filter_method != before else ""
        rows.append([method, f"{one.group} ({one.n_mice})", *numbers, f"{one.fraction_missing:.1%}"])
        before = one.filter_method
    bands = [one.band_hz for one in lines if one.band_hz is not None]
    band = f", {min(low for low, _ in bands):.1f} to {max(high for _, high in bands):.1f} Hz" if bands else ""
    heads = ["filter", "mice", *(label for label, _ in shown.values()), "missing"]
    print_table(heads, rows, title=f"{name}, {kind}{band}")


def _choose(camera: str | None, model: str | None, as_json: bool) -> None:
    from compute.comparison.filter_choice import CRITERION
    from pipeline.query.chosen_filters import choose_filters

    method, is_new, choices = choose_filters(camera=camera, model=model)
    if as_json:
        print_json({"filter_method": method, "is_new": is_new, "criterion": CRITERION, "nodes": choices})
        return
    console.print(textwrap.fill(CRITERION, 100) + "\n", style="dim")
    rows = [
        [one.node, one.filter, _tried(one) if one.is_chosen else "not chosen: noise lasts", one.n_videos]
        + [_number(value, 3) for value in (one.chosen_on_px, one.error_px, one.lines_px, one.kalman_px)]
        for one in choices
    ]
    heads = ["node", "filter", "parameters", "videos", "chosen on\npx", "other part\npx", "lines\npx", "kalman\npx"]
    print_table(heads, rows, title="filter of each node, and error at hidden points")
    console.print(
        "chosen on: even blocks of 10 s (or sixths of a short video); all other errors: the odd blocks.\n"
        "lines, kalman: straight lines, and the Kalman smoother as it is by default.\n",
        style="dim",
    )
    console.print(f"filter method {method} {'written' if is_new else 'was there already'}", markup=False)
    print_next_step("orofacial populate, then orofacial compare")


def _tried(choice: Any) -> str:
    """The parameters that were chosen among others."""
    from compute.comparison.filter_choice import CANDIDATES

    tried = {parameter for name, parameters in CANDIDATES if name == choice.filter for parameter in parameters}
    return ", ".join(f"{name} {value}" for name, value in choice.parameters.items() if name in tried)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"  # no minus before 0
