"""`orofacial distances`, `--filter all` and `orofacial pairs add`: what a person types and reads."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def run(orofacial: Any) -> Any:
    """Run the command; it must succeed."""

    def run_command(*words: object) -> str:
        done = orofacial(*words)
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    return run_command


def test_distances_are_shown_by_pair_and_written(run: Any, orofacial: Any, tmp_path: Path) -> None:
    from pipeline import query

    shown = run("distances", "--camera", "lower", "--filter", "raw", "--filter", "kalman")
    assert "left_snout_tip - right_snout_tip, rigid" in shown and "missing" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert shown.count("kalman") == shown.count(" raw ") == 3
    expected = query.distances(filter="all").to_pylist()
    assert {row["filter_method"] for row in expected} > {"raw", "kalman", "median"}
    assert "lines written" in run("distances", "-o", tmp_path / "distances.csv")
    with (tmp_path / "distances.csv").open() as file:
        lines = list(csv.DictReader(file))
    told = json.loads(run("distances", "--json"))["distances"]
    assert len(lines) == len(told) == len(expected)
    for line, one, row in zip(lines, told, expected, strict=True):
        assert float(line["variance_px2"]) == one["variance_px2"] == row["variance_px2"]
    held_out = json.loads(run("distances", "--held-out", "--node", "left_snout_tip", "--json"))["distances"]
    assert {row["mouse_id"] for row in held_out} == {"mouse03"}
    for words, said in (
        (("--node", "jaw_tip"), "no pair of jaw_tip is measured"),
        (("--filter", "kalmann"), "no filter_method 'kalmann'"),
        (("--date", "2020-01-01"), "no distances fit"),
    ):
        refused = orofacial("distances", *words)
        assert refused.returncode == 1 and said in " ".join(refused.stderr.split()), refused.stderr


def test_all_stands_for_every_filter(run: Any) -> None:
    counts = json.loads(
        run("sql", "select filter_method, count(*) as n from distances group by 1", "--filter", "all", "--json")
    )
    tracks = json.loads(run("tracks", "--filter", "all", "--json"))["tracks"]
    assert {row["filter_method"] for row in counts["rows"]} == {row["filter_method"] for row in tracks}
    assert len(counts["rows"]) > 5


def test_a_pair_that_is_added_again_says_what_it_was_and_is(run: Any, orofacial: Any) -> None:
    pair = ("left_snout_tip", "right_snout_tip")
    assert "it was there already, as it is asked for" in run("pairs", "add", *pair, "--rigid")
    changed = run("pairs", "add", *reversed(pair), "--moving", "--band", "3", "9")
    assert "left_snout_tip to right_snout_tip (moving, 3 to 9 Hz) is measured, in 1 skeleton" in changed
    assert "pair_kind was rigid" in changed and "computed anew" in changed
    told = json.loads(run("pairs", "add", *pair, "--rigid", "--json"))
    assert (told["n_skeletons"], told["n_new"], told["n_changed"]) == (1, 0, 1)
    assert told["pairs"] == json.loads(run("pairs", "list", "--json"))
    for words, said in (
        ((*pair, "--moving", "--band", "9", "3"), "the band is 9.0 to 3.0 Hz, expected a rising one above 0"),
        ((*pair, "--moving", "--band", "10", "500"), "the band ends at 500 Hz, and the fastest video has 100 frames"),
        ((*pair, "--rigid", "--length-mm", "nan"), "length is nan mm, expected a number above 0"),
        ((pair[0], pair[0], "--rigid"), "a pair needs two nodes"),
    ):
        refused = orofacial("pairs", "add", *words)
        assert refused.returncode == 1 and said in " ".join(refused.stderr.split()), refused.stderr
    assert told["pairs"] == json.loads(run("pairs", "list", "--json"))
