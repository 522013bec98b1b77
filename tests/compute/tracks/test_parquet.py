"""A file of tracks: any tracks come back, parts are read alone, and what is broken is said."""

from __future__ import annotations

import doctest
import io
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from compute.errors import TracksError
from compute.measures import bouts
from compute.measures.bouts import find_bouts
from compute.tracks import POINT_COLUMNS, Tracks
from compute.tracks import parquet as tracks_file
from compute.tracks.parquet import read_parquet_footer, read_parquet_times, read_parquet_tracks, to_parquet

NAMES = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=12),
    max_size=4,
    unique=True,
)
"""Any names, also with spaces, quotes, underscores and unicode; SLEAP allows what people type."""


@st.composite
def any_tracks(draw: st.DrawFn) -> Tracks:
    nodes = draw(NAMES)
    n_frames = draw(st.integers(0, 5))
    shape = (n_frames, len(nodes))
    position = draw(arrays(np.float32, (*shape, 2), elements=st.floats(-1e4, 1e4, width=32)))
    position[draw(arrays(np.bool_, shape))] = np.nan
    score = draw(arrays(np.float32, shape, elements=st.floats(0, 2, width=32) | st.just(np.nan)))
    time = np.cumsum(draw(arrays(np.float64, n_frames, elements=st.floats(1e-3, 1.0))))
    optional: dict[str, Any] = {}
    if draw(st.booleans()):
        optional["sd"] = draw(arrays(np.float32, (*shape, 2), elements=st.floats(0, 10, width=32) | st.just(np.nan)))
    if draw(st.booleans()):
        optional["rejected"] = draw(arrays(np.bool_, shape))
    if draw(st.booleans()):
        optional["spread"] = draw(arrays(np.float32, shape, elements=st.floats(0, 10, width=32) | st.just(np.nan)))
        optional["lasting_spread"] = draw(
            arrays(np.float32, shape, elements=st.floats(0, 10, width=32) | st.just(np.nan))
        )
    return Tracks(position, score, time, tuple(nodes), **optional, attributes={"filter": "größe"})


def assert_same(found: Tracks, expected: Tracks) -> None:
    assert (found.nodes, found.attributes) == (expected.nodes, expected.attributes)
    for name in ("position", "score", "time", *POINT_COLUMNS):
        one, other = getattr(found, name), getattr(expected, name)
        if other is not None and expected.nodes:
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


@given(any_tracks(), st.data())
def test_any_tracks_come_back(tracks: Tracks, data: st.DataObject) -> None:
    content = to_parquet(tracks, {"mouse_id": '"; drop table', "session_number": 1})
    assert_same(read_parquet_tracks(io.BytesIO(content)), tracks)
    picked = data.draw(st.permutations(tracks.nodes))[: data.draw(st.integers(0, len(tracks.nodes)))]
    assert_same(read_parquet_tracks(io.BytesIO(content), picked), tracks.select(picked))
    np.testing.assert_array_equal(read_parquet_times(io.BytesIO(content)), tracks.time)
    footer = read_parquet_footer(io.BytesIO(content))
    assert (footer.n_frames, footer.nodes, footer.metadata["fps"]) == (tracks.n_frames, tracks.nodes, tracks.fps)
    assert footer.metadata["key"] == {"mouse_id": '"; drop table', "session_number": 1}
    if tracks.n_frames:
        start_s, end_s = sorted(data.draw(st.tuples(st.floats(0, 3), st.floats(0, 3))))
        inside = (tracks.time >= start_s) & (tracks.time < end_s)
        part = read_parquet_tracks(io.BytesIO(content), time_span_s=(start_s, end_s))
        np.testing.assert_array_equal(part.position, tracks.position[inside])


@given(any_tracks(), st.data())
def test_a_damaged_file_is_never_taken_for_tracks(tracks: Tracks, data: st.DataObject) -> None:
    content = to_parquet(tracks)
    cut = content[: data.draw(st.integers(0, len(content) - 1))]
    for read in (read_parquet_tracks, read_parquet_footer, read_parquet_times):
        with pytest.raises(TracksError, match="damaged"):
            read(io.BytesIO(cut))


def some_tracks(n_frames: int = 30) -> Tracks:
    position = np.random.default_rng(0).normal(50, 5, (n_frames, 2, 2))
    position[3, 0] = np.nan
    return Tracks(position, np.full((n_frames, 2), 0.9), np.arange(n_frames) / 100, ("jaw_tip", "left snout"))


def test_a_newer_version_is_refused() -> None:
    table = pq.read_table(io.BytesIO(to_parquet(some_tracks())))
    newer = table.schema.metadata[b"orofacial"].replace(b'"format_version": 1', b'"format_version": 99')
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({b"orofacial": newer}), buffer)
    for read in (read_parquet_tracks, read_parquet_footer, read_parquet_times):
        with pytest.raises(TracksError, match="99"):
            read(io.BytesIO(buffer.getvalue()))


def test_a_long_video_is_read_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracks_file, "ROWS_PER_GROUP", 10)
    tracks = some_tracks()
    content = to_parquet(tracks)
    parquet = pq.ParquetFile(io.BytesIO(content))
    assert parquet.metadata.num_row_groups == 3
    assert tracks_file._groups(parquet, (0.12, 0.18)) == [1]
    part = read_parquet_tracks(io.BytesIO(content), ["jaw_tip"], (0.12, 0.18))
    np.testing.assert_array_equal(part.position, tracks.position[12:18, :1])


def test_other_tools_see_a_missing_point_as_missing(tmp_path: Any) -> None:
    (tmp_path / "tracks.parquet").write_bytes(to_parquet(some_tracks()))
    found = duckdb.sql(f"""select count(*), count(jaw_tip_x), avg("left snout_y") from '{tmp_path}/tracks.parquet'""")
    expected = some_tracks().position[:, 1, 1].astype(float).mean()
    assert found.fetchall() == [(30, 29, pytest.approx(expected))]


def test_bouts_are_where_the_node_was_made_to_move() -> None:
    x = np.zeros(300)
    x[50:100] += np.arange(50) * 2.0  # 200 px/s
    x[100:] += 98
    x[200:203] += [3, 6, 9]  # too short
    x[203:] += 9
    tracks = Tracks(np.c_[x, x * 0][:, None], np.ones((300, 1)), np.arange(300) / 100, ["jaw_tip"])
    (bout,) = find_bouts(tracks, "jaw_tip", minimum_speed_px_per_s=100)
    assert (bout.start_s, bout.end_s, bout.path_px) == (0.5, 0.99, 98)
    assert bout.peak_speed_px_per_s == pytest.approx(200)
    assert find_bouts(tracks, "jaw_tip", minimum_speed_px_per_s=1000) == []
    gone = tracks.position.copy()
    gone[60:80] = np.nan
    halves = find_bouts(Tracks(gone, tracks.score, tracks.time, tracks.nodes), "jaw_tip", minimum_speed_px_per_s=100)
    assert [(half.start_s, half.end_s) for half in halves] == [(0.5, 0.59), (0.8, 0.99)]
    with pytest.raises(TracksError, match="jaw_tip"):
        find_bouts(tracks, "tongue", minimum_speed_px_per_s=1)


@pytest.mark.parametrize("module", [tracks_file, bouts])
def test_the_examples_run(module: Any) -> None:
    assert doctest.testmod(module).failed == 0
