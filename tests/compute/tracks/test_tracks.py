"""Tracks: checked once, never altered, and the same after every round trip."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from compute.errors import NotInstalledError, TracksError
from compute.tracks import POINT_COLUMNS, Tracks

NODE_NAMES = st.lists(st.text(min_size=1, max_size=12).filter(lambda name: "\x00" not in name), max_size=4, unique=True)
"""Any names, also with spaces and underscores; SLEAP allows what people type."""


@st.composite
def any_tracks(draw: st.DrawFn) -> Tracks:
    nodes = draw(NODE_NAMES.filter(lambda names: all(_encodable(name) for name in names)))
    n_frames = draw(st.integers(0, 5))
    shape = (n_frames, len(nodes))
    numbers = st.floats(-1e4, 1e4, width=32)
    position = draw(arrays(np.float32, (*shape, 2), elements=numbers))
    position[draw(arrays(np.bool_, shape))] = np.nan
    score = draw(arrays(np.float32, shape, elements=st.floats(0, 2, width=32) | st.just(np.nan)))
    steps = draw(arrays(np.float64, n_frames, elements=st.floats(1e-3, 1.0)))
    optional: dict[str, Any] = {}
    if draw(st.booleans()):
        optional["sd"] = draw(arrays(np.float32, (*shape, 2), elements=st.floats(0, 10, width=32)))
    if draw(st.booleans()):
        optional["rejected"] = draw(arrays(np.bool_, shape))
        optional["filled"] = draw(arrays(np.bool_, shape))
    if draw(st.booleans()):
        optional["spread"] = draw(arrays(np.float32, shape, elements=st.floats(0, 10, width=32)))
        optional["lasting_spread"] = draw(arrays(np.float32, shape, elements=st.floats(0, 10, width=32)))
    return Tracks(position, score, np.cumsum(steps), tuple(nodes), **optional, attributes={"filter": {"name": "raw"}})


def _encodable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def assert_same(found: Tracks, expected: Tracks) -> None:
    assert found.nodes == expected.nodes
    assert found.attributes == expected.attributes
    for name in ("position", "score", "time", *POINT_COLUMNS):
        one, other = getattr(found, name), getattr(expected, name)
        if expected.nodes or name == "time":
            assert (one is None) == (other is None), name
        if one is not None and other is not None:
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


@given(any_tracks())
def test_arrow_and_parquet_keep_everything(tracks: Tracks) -> None:
    buffer = io.BytesIO()
    pq.write_table(tracks.to_arrow(), buffer)
    assert_same(Tracks.from_arrow(pq.read_table(buffer)), tracks)


@given(any_tracks())
def test_xarray_keeps_everything(tracks: Tracks) -> None:
    assert_same(Tracks.from_xarray(tracks.to_xarray()), tracks)


def test_where_xarray_is_missing_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(NotInstalledError, match=r"pip install 'orofacial\[formats\]'"):
        three_frames().to_xarray()


def three_frames(**changes: Any) -> Tracks:
    values: dict[str, Any] = {
        "position": np.arange(12.0).reshape(3, 2, 2),
        "score": np.ones((3, 2)),
        "time": [0, 0.01, 0.02],
        "nodes": ("jaw_tip", "center_snout_tip"),
    }
    return Tracks(**{**values, **changes})


def test_the_layout_is_movements() -> None:
    dataset = three_frames().to_xarray()
    assert dataset["position"].dims == ("time", "space", "keypoints", "individuals")
    assert dataset["confidence"].dims == ("time", "keypoints", "individuals")
    assert dataset.attrs["fps"] == pytest.approx(100)
    assert float(dataset["position"].sel(space="y", keypoints="center_snout_tip")[1, 0]) == 7


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"position": np.zeros((2, 2, 2))}, "position has shape"),
        ({"score": np.zeros((3, 1))}, "score has shape"),
        ({"time": [0, 0.01, 0.01]}, "increasing"),
        ({"time": [0, np.nan, 0.02]}, "increasing"),
        ({"nodes": ("jaw_tip", "jaw_tip")}, "unique"),
        ({"nodes": "ab"}, "sequence of names"),
        ({"position": np.full((3, 2, 2), np.inf)}, "infinite"),
        ({"position": np.stack([np.full((3, 2), np.nan), np.zeros((3, 2))], axis=-1)}, "only one of x and y"),
        ({"sd": np.zeros((3, 2))}, "sd has shape"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(TracksError, match=said):
        three_frames(**changes)


def test_nobody_can_change_them() -> None:
    position = np.zeros((3, 2, 2), np.float32)
    tracks = three_frames(position=position)
    with pytest.raises(ValueError, match="read-only"):
        tracks.position[0] = 1
    position[0] = 1
    assert tracks.position[0, 0, 0] == 0


def test_select_keeps_order_and_names_what_is_missing() -> None:
    tracks = three_frames(filled=np.array([[True, False]] * 3))
    picked = tracks.select(["center_snout_tip"])
    np.testing.assert_array_equal(picked.position[:, 0], tracks.position[:, 1])
    assert picked.filled is not None
    assert not picked.filled.any()
    with pytest.raises(TracksError, match="jaw_tip, center_snout_tip"):
        tracks.select(["tongue"])


def test_a_newer_format_is_refused() -> None:
    table = three_frames().to_arrow()
    newer = table.replace_schema_metadata(
        {b"orofacial": table.schema.metadata[b"orofacial"].replace(b'"format_version": 1', b'"format_version": 99')}
    )
    with pytest.raises(TracksError, match="99"):
        Tracks.from_arrow(newer)
    with pytest.raises(TracksError, match="not written by orofacial"):
        Tracks.from_arrow(table.replace_schema_metadata({}))
