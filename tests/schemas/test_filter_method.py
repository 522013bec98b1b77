"""Rows of `FilterMethod`: pinned parameters and versions, and what a row of an older version still does."""

from __future__ import annotations

from typing import Any

import pytest

from compute.errors import FilterError
from compute.filters import default_parameters, registered_filters


def test_a_new_database_has_every_filter_method_that_is_registered(database: Any) -> None:
    from schemas.track import FilterMethod

    rows = {row["filter_method"]: row for row in FilterMethod.to_dicts()}
    expected = {
        method: (name, changed) for name, one in registered_filters().items() for method, changed in one.methods.items()
    }
    assert rows.keys() == expected.keys()
    for method, (name, changed) in expected.items():
        assert (
            rows[method]["filter_name"] == name and rows[method]["filter_version"] == registered_filters()[name].version
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
            FilterError, match=r"median is of version 0 of filter median, .* has version 1; add a method"
        ):
            FilteredTrack().make_fetch(lost)
    finally:
        FilterMethod.update1({**key, "filter_version": 1})
    assert not populate().failed and FilteredTrack & lost


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
    with pytest.raises(FilterError, match="gaussian: sigma_s is -1, expected a number of seconds from 0.0001 to 10"):
        add_filter_method("other", "gaussian", {"sigma_s": -1})
    for name in ("", "a b", "x" * 65, "straße"):
        with pytest.raises(FilterError, match="names no filter method"):
            add_filter_method(name, "gaussian", {})
    assert len(FilterMethod & "filter_method = 'other'") == 0
