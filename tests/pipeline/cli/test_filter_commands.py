"""`orofacial filter`: what a person types and reads."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from pipeline.settings import Settings

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run(database: Settings, run_command: Run) -> Run:
    """Run the command on this module's database, 80 columns wide."""
    variables = {
        "OROFACIAL_DATA_FOLDER": str(database.data_folder),
        "OROFACIAL_SCHEMA_PREFIX": database.schema_prefix,
        "COLUMNS": "80",
    }
    return partial(run_command, "filter", **variables)


def test_a_filter_method_is_added_with_its_parameters_and_listed(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "smooth.toml"
    file.write_text("window_s = 0.2\npolynomial_order = 2\n")
    words = ("add", "smooth", "savitzky_golay", "--parameters-file", file, "--parameter", "max_gap_s=null")
    added = run(*words)
    assert added.returncode == 0, added.stderr
    said = "savitzky_golay with window_s=0.2, polynomial_order=2, max_gap_s=null"
    assert f"filter method smooth added: filter {said}" in added.stdout
    assert "next: orofacial populate" in added.stdout
    again = json.loads(run(*words, "--json").stdout)
    assert again.pop("is_new") is False
    parameters = {"window_s": 0.2, "polynomial_order": 2, "max_gap_s": None, "gated": False}
    assert again == {
        "filter_method": "smooth",
        "filter_name": "savitzky_golay",
        "filter_parameters": parameters,
        "filter_version": 2,
    }
    listed = {row["filter_method"]: row for row in json.loads(run("list", "--json").stdout)}
    assert listed["smooth"]["filter_parameters"] == parameters and listed["kalman"]["current"] is True
    table = run("list").stdout
    assert "one_euro" in table and "causal" in table and "gated=true" in table
    assert max(map(len, table.splitlines())) <= 80


def test_what_cannot_be_added_says_why(run: Run, tmp_path: Path) -> None:
    from ingest.label_skeletons import insert_label_skeleton

    insert_label_skeleton(("left_snout_tip", "top_snout_tip", "jaw_tip"), ())
    (tmp_path / "wrong.toml").write_text("window_s = \n")
    for words, code, said in [
        (("add", "kalman", "median"), 1, "kalman is there already: filter is kalman, not median"),
        (
            ("add", "Kalman", "kalman"),
            1,
            "filter method Kalman differs from the filter method kalman only in upper and",
        ),
        (("add", "a", "kalmann"), 2, "'kalmann' is not one of"),
        (("add", "a", "median", "--parameter", "window=1"), 1, "no parameter 'window'; it has window_s"),
        (
            ("add", "a", "median", "--parameter", "window_s=wide"),
            1,
            "window_s is 'wide', expected a number of seconds from",
        ),
        (("add", "a", "median", "--parameter", "window_s"), 1, "expected NAME=VALUE"),
        (
            ("add", "a", "median", "--parameter", "window_s=0.1", "--parameter", "window_s=0.2"),
            1,
            "window_s is given 2 times, as 0.1 and 0.2; expected once",
        ),
        (
            ("add", "a", "per_node", "--parameter", 'filters={"jaw": {"filter": "raw"}, "jaw": {"filter": "median"}}'),
            1,
            "jaw is given 2 times",
        ),
        (
            ("add", "a", "kalman", "--parameter", 'rigid_groups=[["left_snout_tip", "jaw_tpi", "top_snout_tip"]]'),
            1,
            "'jaw_tpi', which no skeleton has; nearest is jaw_tip;",
        ),
        (
            ("add", "a", "kalman", "--parameter", 'same_y=[["jaw_tip", "jaw_tpi"]]'),
            1,
            "'jaw_tpi', which no skeleton has; nearest is jaw_tip;",
        ),
        (
            ("add", "a", "per_node", "--parameter", 'filters={"jaw": {"filter": "raw", "parameters": {}}}'),
            1,
            "'jaw', which no skeleton has",
        ),
        (
            ("add", "a", "median", "--parameters-file", "a.toml", "--parameters-file", "b.toml"),
            2,
            "--parameters-file is given 2 times; expected once.",
        ),
        (("add", "a", "median", "--parameters-file", tmp_path / "none.toml"), 1, "none.toml cannot be read"),
        (("add", "a", "median", "--parameters-file", tmp_path / "wrong.toml"), 1, "wrong.toml is no TOML file"),
    ]:
        result = run(*words)
        assert result.returncode == code, words
        assert said in " ".join(result.stderr.replace("│", " ").split()), result.stderr
        assert "Traceback" not in result.stderr
