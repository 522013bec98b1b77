"""Rows of `FilterMethod`: pinned parameters and versions, and what a row of an older version still does."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from compute.errors import FilterError
from compute.filters import default_parameters, registered_filters, registered_version

MEDIAN_VERSION = registered_filters()["median"].version


def test_a_new_database_has_every_filter_method_that_is_registered(database: Any) -> None:
    from schemas.track import FilterMethod

    rows = {row["filter_method"]: row for row in FilterMethod.to_dicts()}
    expected = {
        method: (name, changed) for name, one in registered_filters().items() for method, changed in one.methods.items()
    }
    assert rows.keys() == expected.keys()
    for method, (name, changed) in expected.items():
        assert rows[method]["filter_name"] == name and rows[method]["filter_version"] == registered_version(
            name, changed
        )
        assert rows[method]["filter_parameters"] == {**default_parameters(name), **changed}


def test_a_row_of_an_older_version_keeps_its_tracks_and_makes_no_new_ones(small_lab: Any) -> None:
    from pipeline import query
    from pipeline.work.populate import populate
    from schemas.track import FilteredTrack, FilterMethod, is_current_filter

    key = {"filter_method": "median"}
    before = query.tracks(filter="median", mouse="mouse01", camera="side").rows
    made = (FilteredTrack & key).keys()
    FilterMethod.update1({**key, "filter_version": 0})
    assert not is_current_filter((FilterMethod & key).fetch1())
    lost = made[0]
    (FilteredTrack & lost).delete(prompt=False)
    try:
        done = populate()
        assert not done.failed and not FilteredTrack & lost
        assert len(FilteredTrack & key) == len(made) - 1
        rows = query.tracks(filter="median").rows
        assert rows and len(before) == 1
        with pytest.raises(
            FilterError,
            match=rf"median is of version 0 of filter median, .* has version {MEDIAN_VERSION}; add a method",
        ):
            FilteredTrack().make_fetch(lost)
    finally:
        FilterMethod.update1({**key, "filter_version": MEDIAN_VERSION})
    assert not populate().failed and FilteredTrack & lost


def test_a_parameter_that_a_row_of_an_older_orofacial_does_not_name_is_its_default(database: Any) -> None:
    import datajoint as dj

    from ingest.filters import add_filter_method
    from schemas.track import FilterMethod

    assert add_filter_method("calm", "kalman", {"gate_minimum_px": 3.0})
    row = (FilterMethod & {"filter_method": "calm"}).fetch1()
    older = {name: value for name, value in row["filter_parameters"].items() if name not in ("same_x", "pose_shape")}
    dj.Table.update1(FilterMethod(), {"filter_method": "calm", "filter_parameters": older})
    assert not add_filter_method("calm", "kalman", {"gate_minimum_px": 3.0})
    with pytest.raises(FilterError, match=r"calm is there already: pose_shape is None, not True\."):
        add_filter_method("calm", "kalman", {"gate_minimum_px": 3.0, "pose_shape": True})


def test_a_filter_method_is_added_once_and_never_changed(database: Any) -> None:
    from ingest.filters import add_filter_method
    from schemas.track import FilterMethod

    assert add_filter_method("soft", "gaussian", {"sigma_s": 0.05})
    assert not add_filter_method("soft", "gaussian", {"sigma_s": 0.05, "gated": False})
    row = (FilterMethod & {"filter_method": "soft"}).fetch1()
    assert row["filter_parameters"] == {"sigma_s": 0.05, "max_gap_s": 0.1, "gated": False}
    group = ("left_snout_tip", "right_snout_tip", "center_snout_tip")
    assert [add_filter_method("stiff", "kalman", {"rigid_groups": (group,)}) for _ in range(2)] == [True, False]
    with pytest.raises(FilterError, match=r"soft is there already: sigma_s is 0.05, not 0.02\."):
        add_filter_method("soft", "gaussian", {})
    with pytest.raises(FilterError, match=r"soft is there already: filter is gaussian, not median\."):
        add_filter_method("soft", "median", {})
    with pytest.raises(FilterError, match=r"gaussian: sigma_s is -1, expected a number of seconds from 0.0001 to 10"):
        add_filter_method("other", "gaussian", {"sigma_s": -1})
    for name in ("", "a b", "x" * 65, "straße"):
        with pytest.raises(FilterError, match="names no filter method"):
            add_filter_method(name, "gaussian", {})
    assert len(FilterMethod & "filter_method = 'other'") == 0


WRONG = [
    (
        {"filter_name": "kalman", "filter_parameters": {"gate_probability": 1.5}},
        "gate_probability is 1.5, expected a num",
    ),
    (
        {"filter_name": "kalman", "filter_parameters": {"gate_probability": 2}},
        "gate_probability is 2, expected a number",
    ),
    ({"filter_name": "kalman", "filter_parameters": {"score_exponent": -1}}, "score_exponent is -1, expected a number"),
    ({"filter_name": "kalman", "filter_parameters": {"score_exponent": math.nan}}, "score_exponent is nan"),
    ({"filter_name": "kalman", "filter_parameters": {"score_exponent": True}}, "score_exponent is True"),
    (
        {"filter_name": "kalman", "filter_parameters": {"minimum_bandwidth_hz": 30, "maximum_bandwidth_hz": 25.0}},
        "expected minimum_bandwidth_hz to be",
    ),
    ({"filter_name": "median", "filter_parameters": {"window_s": 1e9}}, "window_s is 1000000000.0, expected a number"),
    ({"filter_name": "median", "filter_parameters": None}, "its parameters are None, expected names with their values"),
    ({"filter_name": "per_node", "filter_parameters": {"filters": []}}, "expected for each node its filter and param"),
    ({"filter_name": "per_node", "filter_parameters": {"filters": {1: {}}}}, "node 1"),
    ({"filter_name": "kalmann", "filter_parameters": {}}, "no filter 'kalmann'"),
    ({"filter_parameters": {}}, "no filter ''"),
    ({"filter_name": "median", "filter_parameters": {}, "filter_version": 7}, "filter_version is 7, expected 2"),
    (
        {"filter_name": "median", "filter_parameters": {}, "filter_method": "all"},
        "'all' stands for every filter method",
    ),
    ({"filter_name": "median", "filter_parameters": {}, "filter_method": "a b"}, "'a b' names no filter method"),
]


@pytest.mark.parametrize(("row", "said"), WRONG, ids=[said for _, said in WRONG])
def test_a_row_is_checked_whoever_inserts_it(database: Any, row: dict[str, Any], said: str) -> None:
    from schemas.track import FilterMethod

    before = FilterMethod.to_dicts()
    good = {"filter_method": "good", "filter_name": "median", "filter_parameters": {}}
    wrong = {"filter_method": "wrong", **row}
    for insert in (
        lambda: FilterMethod.insert1(wrong),
        lambda: FilterMethod.insert([good, wrong]),
        lambda: FilterMethod().insert([good, wrong], skip_duplicates=True),
    ):
        with pytest.raises(FilterError, match=re.escape(said)):
            insert()
    assert FilterMethod.to_dicts() == before


def test_a_row_is_completed_in_whatever_form_it_comes(database: Any) -> None:
    import pandas as pd

    from schemas.track import FilterMethod

    parameters = {"window_s": 0.07}
    forms = {
        "of_a_dict": {"filter_method": "of_a_dict", "filter_name": "median", "filter_parameters": parameters},
        "of_a_list": ["of_a_list", "median", parameters],
        "of_a_frame": pd.DataFrame(
            [{"filter_method": "of_a_frame", "filter_name": "median", "filter_parameters": parameters}]
        ),
    }
    for name, form in forms.items():
        FilterMethod.insert(form) if name == "of_a_frame" else FilterMethod.insert1(form)
        row = (FilterMethod & {"filter_method": name}).fetch1()
        assert row["filter_parameters"] == {**default_parameters("median"), **parameters}
        assert row["filter_version"] == registered_filters()["median"].version
    with pytest.raises(FilterError, match="these stay as they are; insert a row of another name"):
        FilterMethod.update1({"filter_method": "of_a_dict", "filter_parameters": {"window_s": 0.09}})


def test_rows_that_are_there_and_cannot_be_are_said_and_break_nothing(small_lab: Any, orofacial: Any) -> None:
    """As an older version could insert them: by SQL here."""
    from pipeline.doctor import doctor_checks
    from pipeline.work.populate import populate
    from schemas.track import FilteredTrack, FilterMethod, filter_row_fault

    connection = FilterMethod().connection
    rows = {"lost": ("kalman", "null"), "listed": ("median", "[]"), "gone": ("no_such", "{}")}
    rows |= {"sure": ("kalman", '{"gate_probability": 1.5}'), "number": ("gaussian", "7")}
    for method, (name, parameters) in rows.items():
        connection.query(
            f"INSERT INTO {FilterMethod().full_table_name} (filter_method, filter_name, filter_parameters,"
            " filter_version) VALUES (%s, %s, %s, %s)",
            args=(method, name, parameters, registered_version(name, None)),
        )
    try:
        (check,) = [one for one in doctor_checks(small_lab.settings) if one.name == "filters"]
        assert check.ok is False and "filter add" in check.advice
        for method in rows:
            assert f"filter method {method}: " in check.found
        assert "gate_probability is 1.5, expected a number between 0 and 1 or none" in check.found
        assert filter_row_fault((FilterMethod & {"filter_method": "kalman"}).fetch1()) is None
        done = populate(restriction={"mouse_id": "mouse01", "camera": "side"})
        assert {failure["key"]["filter_method"] for failure in done.failed} == rows.keys()
        assert all("filter method" in failure["message"] for failure in done.failed)
        listed = orofacial("filter", "list")
        assert listed.returncode == 0 and "sure makes no tracks: kalman: gate_probability is 1.5" in listed.stdout
    finally:
        broken = [{"filter_method": method} for method in rows]
        (FilteredTrack().jobs & broken).delete_quick()
        (FilterMethod & broken).delete_quick()
    assert [one.ok for one in doctor_checks(small_lab.settings) if one.name == "filters"] == [True]


def test_a_default_method_of_an_older_version_gets_one_of_today_beside_it(database: Any) -> None:
    """Also in a lab that has added methods of its own: DataJoint counts rows before it inserts first ones."""
    from schemas.track import FilterMethod

    FilterMethod.update1({"filter_method": "median", "filter_version": 0})
    (FilterMethod & {"filter_method": "one_euro"}).delete(prompt=False)
    FilterMethod.insert([[f"own_{index}", "median", {"window_s": 0.01 * index + 0.01}] for index in range(5)])
    before = set(FilterMethod.to_arrays("filter_method"))
    FilterMethod().insert(FilterMethod().contents, skip_duplicates=True)
    assert set(FilterMethod.to_arrays("filter_method")) - before == {"one_euro", f"median_v{MEDIAN_VERSION}"}
    assert len(FilterMethod().contents) == 0
    assert (FilterMethod & {"filter_method": "median"}).fetch1("filter_version") == 0
