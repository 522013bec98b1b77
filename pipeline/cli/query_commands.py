"""`orofacial tracks` and `sql`: ask across all animals."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rich_click as click

from compute.errors import AnswerWarning, LeftOutWarning
from compute.text import count_text, session_text
from pipeline.cli.command_tools import command_says_errors, connect_command, json_option, warn_in_yellow
from pipeline.cli.question_options import calibrated_option, question_of_options, question_options
from pipeline.terminal import console, print_answer, print_json, print_next_step, print_table

_ROWS_SHOWN = 40


@contextmanager
def _left_out_said() -> Iterator[list[str]]:
    """Print on stderr what a reader has to know of an answer; give what was left out."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        said: list[str] = []
        yield said
    said += [str(warning.message) for warning in caught if issubclass(warning.category, LeftOutWarning)]
    for warning in caught:
        if issubclass(warning.category, AnswerWarning):
            warn_in_yellow(str(warning.message))


@click.command()
@question_options
@calibrated_option
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="A .csv or .parquet file.")
@click.option(
    "--manifest", "as_manifest", is_flag=True, help="Write a line a track to -o: its key, and where its file is."
)
@json_option
@click.pass_context
@command_says_errors
def tracks(context: click.Context, output: Path | None, as_manifest: bool, as_json: bool, **options: Any) -> None:
    """Get tracks across all animals: list those that fit, or write them to a file, a line a frame and node."""
    settings = connect_command(context)
    from pipeline import query

    if as_manifest and output is None:
        raise query.QueryError("--manifest writes a file: give -o FILE.csv or -o FILE.parquet")
    with _left_out_said() as left_out:
        selection = query.tracks(**question_of_options(options, settings))
        if options["skip_broken"]:
            selection = selection.readable()
        n_rows = _written(selection, output, as_manifest) if output is not None and selection.rows else None
    broken = [] if output is not None else [str(one) for one in selection.broken()]
    if as_json:
        described = zip(selection.rows, selection.details, selection.references, strict=True)
        listed = [_described(*one) for one in described]
        if options["calibrated"]:
            listed = [{**one, "calibration": about} for one, about in zip(listed, _abouts(selection), strict=True)]
        print_json({"tracks": listed, "output": output, "n_rows": n_rows, "left_out": left_out, "broken": broken})
        return
    selection.check_any()
    if output is not None:
        gone = [one.row for one in selection.left_out]
        of = "" if as_manifest else f" of {count_text(sum(row not in gone for row in selection.rows), 'track')}"
        console.print(f"{count_text(n_rows or 0, 'line')}{of} written to {output}", markup=False)
    else:
        _list(selection, broken)
        if options["calibrated"]:
            _list_calibrations(selection)


def _written(selection: Any, output: Path, as_manifest: bool) -> int:
    """Write the tracks, or where they are; return the number of lines."""
    from pipeline import query
    from pipeline.query.table import write_selection_table

    if as_manifest:
        query.write_sql_manifest(selection, output)
        return len(selection)
    if not selection.any_frame():
        start_s, end_s = selection.time_span_s
        raise query.QueryError(f"no track has a frame with {start_s:g} <= time < {end_s:g} s; {output} was not written")
    return write_selection_table(selection, output)


def _described(row: dict[str, Any], details: dict[str, Any], reference: Any) -> dict[str, Any]:
    """A track for programs."""
    n_frames, fps = reference.n_frames, details["fps"]
    said = {"n_frames": n_frames, "fps": fps, "duration_s": n_frames / fps, "nodes": reference.nodes}
    return {**row, **said, "file": reference.address}


def _list(selection: Any, broken: list[str]) -> None:
    """Tracks for people, the names of their models, and which of them cannot be read."""
    from pipeline.query.chosen_models import model_text

    rows = []
    for row, details, reference in zip(selection.rows, selection.details, selection.references, strict=True):
        names = [row[name] for name in ("camera", "model_id", "filter_method")]
        rows.append(
            [
                session_text(row),
                *names,
                "not known" if row["held_out"] is None else row["held_out"],
                reference.n_frames,
                details["fps"],
            ]
        )
    print_table(["session", "camera", "model", "filter", "held\nout", "frames", "fps"], rows)
    for model in sorted({(row["camera"], model_text(row)) for row in selection.rows}):
        console.print(f"model of camera {': '.join(model)}", markup=False, style="dim")
    for line in broken:
        warn_in_yellow(f"cannot be used: {line}")
    leave_out = ", with --skip-broken without those" if broken else ""
    print_next_step(f"the same with -o FILE.csv writes them{leave_out}; 'orofacial sql' computes on them")


def _abouts(selection: Any) -> list[dict[str, Any]]:
    """What the calibration of each track comes from."""
    return [reference.about(selection.nodes) for reference in selection.references]


def _list_calibrations(selection: Any) -> None:
    """By how many labeled frames each track is calibrated, how well, and what more frames would give."""
    from schemas.calibration import EXPECTED_FRAMES

    rows = []
    for row, about in zip(selection.rows, _abouts(selection), strict=True):
        widths = list(about["half_width_px"].values())
        expected = about["expected_half_width_px"].values()
        rows.append(
            [
                *(session_text(row), row["camera"], row["filter_method"]),
                *(about["n_labeled_frames"], len(about["other_mice"])),
                *("not known" if width is None else f"{width:.2f}" for width in (_median(widths), *expected)),
            ]
        )
    with_more = [f"with {n}\nframes" for n in EXPECTED_FRAMES]
    print_table(["session", "camera", "filter", "labeled\nframes", "other\nmice", "half-width\n(px)", *with_more], rows)
    console.print("half-width of the 95 % interval of x and of y, of the median node", style="dim")


def _median(values: list[float]) -> float | None:
    return statistics.median(values) if values else None


@click.command()
@click.argument("statement")
@question_options
@calibrated_option
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="A .csv or .parquet file.")
@json_option
@click.pass_context
@command_says_errors
def sql(context: click.Context, statement: str, output: Path | None, as_json: bool, **options: Any) -> None:
    """Ask in SQL across all animals.

    Such as `orofacial sql "select mouse_id, var_samp(jaw_tip_y) from tracks group by 1" --camera lower`.

    The table tracks has a line a frame: the key (mouse_id, session_date, ...), held_out, sex, genotype, frame_index,
    time_s, and for each node NODE_x, NODE_y (px), NODE_score; `select * from tracks limit 1` shows them all. Each
    camera has its own coordinates: give --camera, or group by it. Also distances, qualities and bouts are tables.
    """
    settings = connect_command(context)
    from pipeline import query

    question = question_of_options(options, settings)
    with _left_out_said() as left_out:
        answer = query.ask_sql(statement, **question)
    if output is not None:
        query.write_sql_table(answer, output)
    if as_json:
        rows = answer.to_pylist() if output is None else None
        print_json({"rows": rows, "output": output, "n_rows": answer.num_rows, "left_out": left_out})
    elif output is not None:
        console.print(f"{count_text(answer.num_rows, 'line')} written to {output}", markup=False)
    else:
        rows = answer.slice(0, _ROWS_SHOWN).to_pylist()
        print_answer(answer.column_names, [list(row.values()) for row in rows])
        if answer.num_rows > _ROWS_SHOWN:
            console.print(f"{answer.num_rows} lines, {_ROWS_SHOWN} shown")
            print_next_step("the same with -o FILE.csv writes all of them")
