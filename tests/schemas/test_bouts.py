"""Bouts as a table: found by the lab's methods in every video, read by query, command and Python, never altered."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest

from compute.errors import TracksError
from compute.measures.bouts import find_bouts

LICKS = {"filter_method": "kalman", "minimum_speed_px_per_s": 50.0}


@pytest.fixture(scope="module")
def lab_with_bouts(small_lab: Any) -> Any:
    """Two methods: one of every camera, one of the side camera against another node."""
    from ingest.bouts import add_bout_method
    from pipeline.work.populate import populate

    assert add_bout_method("licks", "jaw_tip", **LICKS)
    against = {"reference_node": "center_snout_tip", "camera": "side", "minimum_duration_s": 0.1}
    assert add_bout_method("jaw", "jaw_tip", **LICKS, **against)
    done = populate()
    assert not done.failed and done.computed == {"Bouts": 9}
    assert populate().computed == {}
    return small_lab


def test_the_table_holds_what_the_function_finds(lab_with_bouts: Any) -> None:
    from pipeline import query
    from schemas.metric import BoutMethod, Bouts
    from schemas.track import fetch_tracks

    methods = {row["bout_method"]: row for row in BoutMethod.to_dicts()}
    assert set(Bouts.to_arrays("camera")) == {"side", "lower"}
    for row in Bouts.to_dicts():
        method = methods[row["bout_method"]]
        limits = {name: method[name] for name in ("minimum_speed_px_per_s", "minimum_duration_s", "maximum_gap_s")}
        key = {name: row[name] for name in Bouts.primary_key}
        expected = find_bouts(fetch_tracks(key), "jaw_tip", reference_node=method["reference_node"] or None, **limits)
        found = (Bouts.Bout & key).to_dicts(order_by="bout_index")
        assert [vars(bout) for bout in expected] == [
            {name: one[name] for name in vars(bout)} for one, bout in zip(found, expected, strict=True)
        ]
        assert row["n_bouts"] == len(expected) and 0 < row["fraction_known"] <= 1
        assert row["time_in_bouts_s"] == pytest.approx(sum(bout.end_s - bout.start_s for bout in expected))
        assert row["bouts_provenance"]["code_version"]
    for question in ({}, {"camera": "side"}, {"mouse": "mouse03"}):
        in_table = query.bouts(method="licks", **question)
        now = query.bouts("jaw_tip", minimum_speed_px_per_s=50, filter="kalman", **question)
        assert in_table.select(now.column_names).to_pylist() == now.to_pylist()
    now = query.bouts(
        "jaw_tip",
        **{"minimum_speed_px_per_s": 50, "minimum_duration_s": 0.1, "reference_node": "center_snout_tip"},
        filter="kalman",
        camera="side",
    )
    assert query.bouts(method="jaw").select(now.column_names).to_pylist() == now.to_pylist()


def test_a_lab_and_sql_read_the_table(lab_with_bouts: Any) -> None:
    from pipeline import query
    from pipeline.lab import connect_lab

    with connect_lab(settings=lab_with_bouts.settings) as lab:
        assert lab.bouts(method="jaw") == query.bouts(method="jaw")
        assert set(lab.bouts("jaw_tip").column("bout_method").to_pylist()) == {"jaw", "licks"}
        statement = "select bout_method, count(*) as n from bouts group by 1 order by 1"
        counts = query.bout_counts().to_pandas().groupby("bout_method")["n_bouts"].sum()
        assert lab.sql(statement).fetchall() == [(name, n) for name, n in counts.items() if n]
        assert query.bouts(filter="raw").num_rows == 0


def test_the_command_shows_writes_and_lists(lab_with_bouts: Any, orofacial: Any, tmp_path: Path) -> None:
    from pipeline import query

    shown = orofacial("bouts", "--camera", "side", "--method", "licks")
    assert shown.returncode == 0, shown.stderr
    assert "mouse01/2026-03-02_1" in shown.stdout and max(map(len, shown.stdout.splitlines())) <= 80
    written = orofacial("bouts", "-o", tmp_path / "bouts.csv")
    assert written.returncode == 0, written.stderr
    with (tmp_path / "bouts.csv").open() as file:
        lines = list(csv.DictReader(file))
    told = json.loads(orofacial("bouts", "--json").stdout)["bouts"]
    expected = query.bouts().to_pylist()
    assert len(lines) == len(told) == len(expected) > 0
    for line, one, row in zip(lines, told, expected, strict=True):
        assert float(line["start_s"]) == one["start_s"] == row["start_s"]
        assert line["bout_method"] == one["bout_method"] == row["bout_method"]
    listed = orofacial("bouts", "methods").stdout
    assert "jaw_tip against center_snout_tip, kalman tracks of side, at least 50 px/s for 0.1 s" in " ".join(
        listed.split()
    )
    assert max(map(len, listed.splitlines())) <= 80
    again = orofacial("bouts", "add", "licks", "jaw_tip", "--filter", "kalman", "--minimum-speed", "50")
    assert again.returncode == 0 and "is there already" in again.stdout
    for words, said in (
        (("--method", "runs"), "no bouts of bout_method 'runs' are found in this lab; known are jaw, licks"),
        (("--node", "tail"), "no bouts of node 'tail'"),
        (("--mouse", "mouse09"), "no mouse_id 'mouse09'"),
        (("--filter", "raw"), "no bouts fit"),
        (("add", "licks", "jaw_tip", "--filter", "kalman", "--minimum-speed", "60"), "is there already: minimum_speed"),
        (
            ("add", "jaw", "jaw_tip", "--filter", "kalman", "--minimum-speed", "50", "--minimum-duration", "0.1"),
            "jaw is there already: camera is side, not every camera; reference_node is center_snout_tip, not none.",
        ),
        (
            ("add", "Licks", "jaw_tip", "--filter", "kalman", "--minimum-speed", "50"),
            "bout method Licks differs from the bout method licks only in upper and lower case",
        ),
        (
            ("add", "x", "jaw_tip", "--filter", "kalman", "--minimum-speed", "nan"),
            "minimum_speed_px_per_s is nan, expected",
        ),
    ):
        refused = orofacial("bouts", *words)
        assert refused.returncode == 1 and said in " ".join(refused.stderr.split()), refused.stderr


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"minimum_speed_px_per_s": -1}, "minimum_speed_px_per_s is -1, expected a number from 0"),
    ({"minimum_speed_px_per_s": None}, "minimum_speed_px_per_s is None"),
    ({"minimum_duration_s": math.inf}, "minimum_duration_s is inf"),
    ({"maximum_gap_s": "0.1"}, "maximum_gap_s is '0.1'"),
    ({"filter_method": "nothing"}, "no filter_method 'nothing'; known are"),
    ({"camera": "top"}, "no camera 'top'; known are lower, side"),
    ({"reference_node": "jaw_tip"}, "jaw_tip never moves against itself"),
    ({"bout_method": "all"}, "'all' stands for every bout method"),
    ({"bout_method": ""}, "'' names no bout method"),
]


@pytest.mark.parametrize(("changed", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_method_is_checked_whoever_inserts_it(small_lab: Any, changed: dict[str, Any], said: str) -> None:
    from ingest.bouts import add_bout_method
    from schemas.metric import BoutMethod

    row = {"bout_method": "wrong", "node": "jaw_tip", **LICKS, **changed}
    with pytest.raises(TracksError, match=said):
        BoutMethod.insert1(row)
    with pytest.raises(TracksError, match=said):
        add_bout_method(**row)
    for nodes in ({"node": "tail"}, {"node": "jaw_tip", "reference_node": "tail"}):
        with pytest.raises(TracksError, match=r"no skeleton has .*tail; nodes are .*jaw_tip"):
            add_bout_method("wrong", **nodes, **LICKS)
    assert not BoutMethod & {"bout_method": "wrong"}


def test_a_method_of_another_version_finds_no_new_bouts(lab_with_bouts: Any) -> None:
    from pipeline.work.populate import populate
    from schemas.metric import BoutMethod, Bouts

    key = {"bout_method": "licks"}
    lost = (Bouts & key).keys()[0]
    BoutMethod.update1({**key, "bouts_version": 0})
    try:
        (Bouts & lost).delete(prompt=False)
        assert populate().computed == {} and len(Bouts & key) == 5
    finally:
        BoutMethod.update1({**key, "bouts_version": 1})
    assert populate().computed == {"Bouts": 1}
